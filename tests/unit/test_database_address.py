# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the nodes of a cluster share a database, and whether its address would show a password."""

import pytest
from ansible_collections.campus.flask_sso.plugins.filter.database_address import database_address


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://app@db.example.org/app?connect_timeout=3",
        "postgresql+psycopg://db.example.org:5432/localhost",
        "postgresql+psycopg://app@/app?host=db1:5432&host=db2:5432",
        "postgresql+psycopg://app@/app?host=db1,db2",
        "mysql+pymysql://localhost@192.0.2.20:3306/app",
        "postgresql+psycopg://app@[2001:db8::1]:5432/app",
        "postgresql+psycopg://app@db.example.org/app?passfile=/etc/pgpass",
    ],
)
def test_database_that_other_hosts_reach_is_shared(url):
    assert database_address(url) == {"shared": True, "password": False}


@pytest.mark.parametrize(
    "url",
    [
        "",
        "sqlite:////var/lib/flask_app/saml.sqlite",
        "sqlite+pysqlite:////mnt/saml.sqlite",
        "postgresql+psycopg:///app",
        "postgresql+psycopg://app@/app",
        "postgresql+psycopg://LOCALHOST/app",
        "postgresql+psycopg://app@localhost.localdomain/app",
        "postgresql+psycopg://app@127.0.0.1:5432/app",
        "postgresql+psycopg://app@0.0.0.0/app",
        "mysql+pymysql://app@[::1]:3306/app",
        "mysql+pymysql://app@[2001:db8::1/app",
        "postgresql+psycopg://app@db.example.org/app?host=localhost",
        "postgresql+psycopg://app@db.example.org/app?host=%2Fvar%2Frun%2Fpostgresql",
        "postgresql+psycopg://app@/app?host=db1&host=127.0.0.1",
    ],
)
def test_database_of_the_host_itself_is_not_shared(url):
    assert not database_address(url)["shared"]


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://app:canary@db.example.org/app",
        "postgresql+psycopg://app:ca@na/ry@db.example.org/app",
        "postgresql+psycopg://app:cana/ry@db.example.org/app",
        "postgresql+psycopg://app:@db.example.org/app",
        "postgresql+psycopg://app@db.example.org/app?password=canary",
        "postgresql+psycopg://app@db.example.org/app?sslpassword=canary",
        "postgresql+psycopg://app@db.example.org/app?pass%77ord=canary",
        "mysql+pymysql://app@db.example.org/app?passwd=canary",
    ],
)
def test_password_in_an_address_is_found(url):
    assert database_address(url)["password"]
