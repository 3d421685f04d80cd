# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Under every server, an application gets the same SCRIPT_NAME and PATH_INFO for the same address."""

import base64
import http.client
import json
from collections.abc import Iterator

import pytest
from bench_client import addresses
from bench_fixtures import run_playbook

LOGIN = f"Basic {base64.b64encode(b'alice:alice').decode()}"
DJANGO, RADICALE, TRAC = (("apps.example.org", prefix) for prefix in ("/django", "/radicale", "/trac"))
PGADMIN = ("pgadmin.example.org", "")
# The part after the prefix, and the expected PATH_INFO, with a character for each byte. NAME is the prefix's name.
PATHS = {
    "": "",
    "?x=1": "",
    "/": "/",
    "/?x=1": "/",
    "/x": "/x",
    "/x/": "/x/",
    "//x": "/x",
    "/x//y/": "/x/y/",
    "/./x": "/x",
    "/x/../y": "/y",
    "NAME": None,
    "/NAME": "/NAME",
    "/NAME/x": "/NAME/x",
    "/NAMEx": "/NAMEx",
    "/a%20b": "/a b",
    "/%25x": "/%x",
    "/%3Fx": "/?x",
    "/%23": "/#",
    "/%5Cx": "/\\x",
    "/a;b=c&d+e:f@g": "/a;b=c&d+e:f@g",
    "/%C3%A9": "/Ã©",
    "/%E9": "/é",
    "/%0Ax": "/\nx",
    "/x%0A": "/x\n",
    # These are not the application's, or httpd refuses them.
    "other": None,
    ";x": None,
    "%0A": None,
    "%2Fx": None,
    "/%2Fx": None,
    "/%00": None,
}


def seen(site: tuple[str, str], path: str) -> tuple[str, str] | None:
    """Return SCRIPT_NAME and PATH_INFO as the application has them, or None if the request does not reach it.

    The path is sent as it is, which clients of a higher level would not do.
    """
    name, prefix = site
    connection = http.client.HTTPConnection(addresses()[name], timeout=60)
    connection.request("GET", prefix + path, headers={"Host": name, "Authorization": LOGIN, "Echo": "1"})
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    if answer.status in (400, 404):
        return None
    assert answer.status == 200, text
    told = json.loads(text)
    assert told["QUERY_STRING"] == path.partition("?")[2]
    return told["SCRIPT_NAME"], told["PATH_INFO"]


def due(site: tuple[str, str]) -> Iterator[tuple[str, tuple[str, str] | None]]:
    """Yield each path with its expected values, under a prefix or without one."""
    prefix = site[1]
    for path, rest in PATHS.items():
        if prefix or path.startswith("/"):
            name = prefix.removeprefix("/") or "name"
            yield path.replace("NAME", name), rest if rest is None else (prefix, rest.replace("NAME", name))


@pytest.mark.parametrize(
    "site", [DJANGO, PGADMIN, RADICALE, TRAC], ids=["uwsgi", "uwsgi alone", "gunicorn", "mod_wsgi"]
)
def test_every_server_sees_the_same_path(site: tuple[str, str]) -> None:
    assert {path: seen(site, path) for path, _ in due(site)} == dict(due(site))


def test_the_distributions_module_passes_on_the_same_path(host) -> None:
    code, said = run_playbook("molecule/real_applications/django.yml", {"uwsgi_proxy_module": "packaged"})
    assert code == 0, said
    assert "modules/mod_proxy_uwsgi.so" in host.file("/etc/apache2/mods-enabled/flask_sso-40-uwsgi.conf").content_string
    for site in (DJANGO, PGADMIN):
        assert {path: seen(site, path) for path, _ in due(site)} == dict(due(site))
