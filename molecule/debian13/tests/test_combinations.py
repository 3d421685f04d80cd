# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""On the host of `default`, each other server and authentication is deployed once, used, and deployed again."""

from __future__ import annotations

import re

import bench_client
import httpx
import pytest
from bench_fixtures import run_playbook
from client_certificates import person, refused, visit
from platforms import Platform
from testinfra.host import Host

SECRET = "{{ lookup('ansible.builtin.file', flask_sso_artifacts ~ '/bench/client-secret') }}"
#: The variables that an authentication needs beside its name.
NEEDS = {
    "client_certificates": {"private_ca_people": [{"id": "ghopper", "name": "Grace Hopper"}]},
    "openid_connect": {
        "openid_connect_client_id": "flask-example",
        "openid_connect_client_secret": SECRET,
    },
    "saml": {},
}


def pages(session: httpx.Client) -> list[tuple[int, str]]:
    """Return how the site answers for a path of the stock configuration, and for one that does not exist."""
    answers = [session.get(path) for path in ("/cgi-bin/x", "/nowhere")]
    return [(answer.status_code, answer.text) for answer in answers]


def greet(authentication: str, visitor: httpx.Client) -> list[tuple[int, str]]:
    """Require that a user is let in by name; return the answers for the two paths."""
    if authentication == "client_certificates":
        assert refused(None) == "TLSV13_ALERT_CERTIFICATE_REQUIRED"
        assert visit(person("ghopper")).text == "Hello Grace Hopper!"
        with bench_client.client(*person("ghopper")) as session:
            return pages(session)
    page, _ = bench_client.saml_login(visitor, "/profile", "ghopper")
    assert (page.status_code, page.url.path) == (200, "/profile")
    me = visitor.get("/api/me").json()
    assert (me["identifier"], me["name"], me["authentication"]) == ("ghopper", "Grace Hopper", authentication)
    return pages(visitor)


@pytest.mark.parametrize(
    ("server", "authentication"),
    [("gunicorn", "client_certificates"), ("mod_wsgi", "saml"), ("uwsgi", "openid_connect")],
)
def test_combination_is_deployed_used_and_deployed_again(
    web: Host, names: Platform, visitor: httpx.Client, server: str, authentication: str
) -> None:
    """Each replaces another server and authentication, and on EL another Python; the second run changes nothing."""
    python = names.gunicorn_python if server == "gunicorn" else "python3"
    variables = NEEDS[authentication] | {
        "flask_sso_app_server": server,
        "flask_sso_authentication": authentication,
        "flask_app_python": python,
    }
    code, said = run_playbook("site.yml", variables)
    assert code == 0, said
    stock, unknown = greet(authentication, visitor)
    assert stock == unknown
    assert stock[0] == 404
    runs = web.check_output("readlink --canonicalize /srv/flask_app/current/venv/bin/python")
    assert runs == web.check_output(f"readlink --canonicalize /usr/bin/{python}")
    assert bench_client.complaints(web) == ""

    code, said = run_playbook("site.yml", variables)
    assert code == 0, said
    assert set(re.findall(r"changed=(\d+)", said)) == {"0"}, said


def test_login_begins_a_session_of_its_own(visitor: httpx.Client) -> None:
    """The last combination is the host's. Its mod_auth_openidc is newer than that of molecule/openid_connect."""
    name = "__Host-openid_connect"
    with bench_client.client() as attacker:
        bench_client.saml_login(attacker, "/login", "ghopper")
        planted = attacker.cookies[name]
        request = visitor.get("/login", follow_redirects=False).next_request
        visitor.cookies.set(name, planted, domain=bench_client.HOST)
        bench_client.answer_provider(visitor, visitor.get(request.url), "cpayne")
        assert visitor.get("/api/me").json()["identifier"] == "cpayne"
        assert attacker.get("/api/me").json()["identifier"] == "ghopper"
        assert any(cookie.value != planted for cookie in visitor.cookies.jar if cookie.name == name)
