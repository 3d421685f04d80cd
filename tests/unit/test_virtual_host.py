# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the virtual host opens to everyone, and what caches may keep of it."""

import ipaddress
import re

import file_formats
import pytest
import untrusted_roles


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> untrusted_roles.Site:
    """A site of which nothing is wrong."""
    return untrusted_roles.Site(tmp_path_factory.mktemp("controller"))


def directives(site: untrusted_roles.Site, variables: dict) -> list[list[str]]:
    """Return the directives of the site's file.

    :param variables: Variables that are different.
    """
    return file_formats.httpd(site.made("apache_ssl", "site.conf.j2", variables))


def matches(section: list[str], path: str) -> bool:
    """Return whether a section of httpd holds for a path.

    :param section: Its first line.
    """
    kind, where = section
    if kind == "<LocationMatch":
        return re.search(where, path) is not None
    return kind == "<Location" and f"{path}/".startswith(f"{where}/")


@pytest.mark.parametrize(
    ("path", "is_open"),
    [("/app.ready", True), ("/app.ready/", False), ("/app.ready/secret", False), ("/app/ready", False), ("/", False)],
)
def test_readiness_opens_its_own_path_alone(site, path, is_open):
    opened, section = False, ["", ""]
    for words in directives(site, {"apache_ssl_ready_path": "/app.ready"}):
        if words[0].startswith("<"):
            section = words
        elif words == ["Require", "all", "granted"] and matches(section, path):
            opened = True
    assert opened is is_open


def test_balancers_alone_speak_the_proxy_protocol(site):
    """On the site's port, whichever name the handshake has."""

    def lines(*balancers: str) -> list[list[str]]:
        made = directives(site, {"apache_ssl_proxy_protocol_from": list(balancers)})
        return [words for words in made if words[0].startswith("RemoteIP")]

    assert lines() == []
    *exceptions, switch = lines("192.0.2.10")
    assert switch == ["RemoteIPProxyProtocol", "On"]
    networks = [ipaddress.ip_network(network) for _directive, network in exceptions]
    for text, expected in [("192.0.2.10", False), ("192.0.2.11", True), ("127.0.0.1", True), ("::1", True)]:
        assert any(ipaddress.ip_address(text) in network for network in networks) is expected


def test_maintenance_page_looks_for_what_the_commands_make(site):
    """Also where the application has another name than httpd's site."""
    names = {"apache_ssl_maintenance": True, "apache_ssl_site": "portal", "flask_app_name": "web"}
    made = site.made("flask_app", "flask_app__maintenance_path", names)
    (condition,) = [words[1] for words in directives(site, names) if words[0] == "<If" and "-d" in words[1]]
    assert f"-d '{made}'" in condition


@pytest.mark.parametrize(
    ("name", "lasts"),
    [
        ("base.27e20196a850.css", True),
        ("index-4f2a9c1b.js", True),
        ("style.css", False),
        ("photo-20261126.jpg", False),
        ("0f4b1a2c-9d3e-4c5b-8a7f-1e2d3c4b5a6f.pdf", False),
        ("scan-0f4b1a2c-9d3e-4c5b-8a7f-1e2d3c4b5a6f.pdf", False),
    ],
)
def test_names_with_a_hash_are_known_and_others_are_not(site, name, lasts):
    found = directives(site, {"apache_ssl_static": {"/static": "/srv/static"}})
    (pattern,) = [words[1] for words in found if words[0] == "<FilesMatch"]
    assert (re.search(pattern, name) is not None) is lasts


@pytest.mark.parametrize(
    ("variables", "uploads"),
    [
        ({}, []),
        ({"flask_app_public": True}, ["/srv/flask_app/public/static/a", "/srv/flask_app/public/media/a"]),
        (
            {"flask_app_public": True, "apache_ssl_static_uploads": ["/srv/flask_app/public/media"]},
            ["/srv/flask_app/public/media/a"],
        ),
    ],
    ids=["none", "the public directory", "a part of it"],
)
def test_uploads_are_not_for_caches(site, variables, uploads):
    """Whatever their names: every visitor would see them for a year."""
    found = directives(site, {"apache_ssl_static": {"/": "/srv"}, "flask_sso_parts": []} | variables)
    (condition,) = {words[-1] for words in found if "public, max-age=31536000, immutable" in words}
    pattern = re.search(r"%{REQUEST_FILENAME} !~ m#(.*?)#", condition)
    files = [f"/srv/flask_app/{name}" for name in ("public/static/a", "public/media/a", "publicly/a", "current/a")]
    assert [file for file in files if pattern and re.search(pattern[1], file)] == uploads
