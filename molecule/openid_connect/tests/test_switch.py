# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The authentication of the running site changes, with the same access rules, and takes its secrets with it.

These tests do it in order, and only those of test_switch_provider.py come after them.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import bench_client
import httpx
import pytest
import tokens
from bench_fixtures import run_playbook
from client_certificates import person, refused, visit
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from testinfra.host import Host

SECRET_FILE = bench_client.ARTIFACTS / "bench" / "client-secret"
SECRET = "{{ lookup('ansible.builtin.file', flask_sso_artifacts ~ '/bench/client-secret') }}"
CERTIFICATE = person("ghopper")
# The rules of every authentication, and one that a certificate cannot decide.
RULES = [{"path": "/login"}, {"path": "/for-users"}]
RULE_FOR_ROLES = {"path": "/for-admins", "attributes": {"CernRoles": ["admin"]}}
VARIABLES = {
    "flask_sso_protected": [*RULES, RULE_FOR_ROLES],
    "openid_connect_client_id": "flask-example",
    "openid_connect_client_secret": SECRET,
    # As before: httpd restarts for another list of its own modules, and refuses connections meanwhile.
    "apache_ssl_extra_modules": ["dir"],
    "private_ca_people": [{"id": "ghopper", "name": "Grace Hopper"}],
}
STEPS = ["shibboleth", "openid_connect", "client_certificates", "openid_connect", "shibboleth"]
MODULES = {"shibboleth": "mod_shib", "openid_connect": "auth_openidc_module"}
FRAGMENTS = {
    "shibboleth": "20-shibboleth.conf",
    "openid_connect": "20-openid-connect.conf",
    "client_certificates": "10-client-certificates.conf",
}


@pytest.fixture(scope="module")
def earlier_session() -> Iterator[httpx.Client]:
    """Return a client that has logged in with OpenID Connect before the first change."""
    with bench_client.client() as session:
        bench_client.saml_login(session, "/login", "ghopper")
        assert session.get("/api/me").json()["identifier"] == "ghopper"
        yield session


def change(authentication: str) -> tuple[int, str]:
    """Run the playbook with an authentication."""
    rules = {"flask_sso_protected": RULES} if authentication == "client_certificates" else {}
    return run_playbook("site.yml", VARIABLES | rules | {"flask_sso_authentication": authentication})


def require_login(visitor: httpx.Client, authentication: str) -> None:
    """Require that the rules let in whom they name, after a login at the provider, with the same attributes."""
    for path in ("/login", "/for-users", "/for-admins"):
        asked = visitor.get(path, follow_redirects=False).next_request
        assert asked.url.host == bench_client.IDP_HOST
        assert ("SAMLRequest" in asked.url.params) == (authentication == "shibboleth")
    assert visitor.get("/").status_code == 200
    for path, user, status in (
        ("/for-users", "ghopper", 404),
        ("/for-admins", "ghopper", 404),
        ("/for-admins", "cpayne", 403),
    ):
        with bench_client.client() as session:
            page, _ = bench_client.saml_login(session, path, user)
            assert (page.status_code, page.url.path) == (status, path)  # the application has no such page
    bench_client.saml_login(visitor, "/login", "ghopper")
    me = visitor.get("/api/me").json()
    assert (me["identifier"], me["name"], me["email"]) == ("ghopper", "Grace Hopper", "grace.hopper@example.org")
    assert me["authentication"] == authentication


@pytest.mark.usefixtures("earlier_session")
@pytest.mark.parametrize(("number", "authentication"), list(enumerate(STEPS)), ids=STEPS)
def test_site_changes_over_and_keeps_serving(
    web: Host, visitor: httpx.Client, number: int, authentication: str
) -> None:
    """No request fails meanwhile, the same rules hold afterwards, and nothing of the other authentications runs."""
    web.check_output("systemctl restart apache2")  # as it had never loaded the modules of another authentication
    with bench_client.visitors("/healthz", "/", connect=partial(bench_client.client, *CERTIFICATE)) as answers:
        code, said = change(authentication)
    assert code == 0, said
    assert len(answers) > 100
    assert [answer for answer in answers if not answer.startswith("200 ")] == []

    if authentication == "client_certificates":
        assert visit(CERTIFICATE).text == "Hello Grace Hopper!"
        assert refused(None)
    else:
        if number == 0:  # the site is registered for good
            code, said = run_playbook("molecule/shared/register_sp.yml", {})
            assert code == 0, said
        require_login(visitor, authentication)

    loaded = set(web.check_output("apachectl -M").split())
    assert [name for name, module in MODULES.items() if module in loaded] == (
        [authentication] if authentication in MODULES else []
    )
    fragments = web.file("/etc/apache2/flask_sso/flask_app").listdir()
    assert [name for name, file in FRAGMENTS.items() if file in fragments] == [authentication]
    assert web.service("shibd").is_running == (authentication == "shibboleth")
    directories = ["/etc", "/run", "/srv", "/var/cache", "/var/lib/flask_sso"]
    if authentication != "openid_connect":
        assert web.run(f"find {' '.join(directories)} -name '*openid-connect*'").stdout == ""
    assert bench_client.files_with(web, SECRET_FILE.read_text()[:32], *directories) == (
        ["/etc/ssl/flask_sso/flask_app-openid-connect/client.conf"] if authentication == "openid_connect" else []
    )


def test_session_from_before_the_changes_is_none(earlier_session: httpx.Client) -> None:
    """Its file was deleted, and so was the key that it was encrypted with."""
    assert earlier_session.get("/api/me").status_code == 401


def test_next_run_does_not_look_for_leftovers_again() -> None:
    """The secrets were deleted by the change; the next run changes nothing, and has none of the tasks that would."""
    code, said = change("shibboleth")
    assert code == 0, said
    assert "changed=0" in said
    assert "Delete the sessions" not in said


def test_key_replaces_the_secret(web: Host, visitor: httpx.Client) -> None:
    """The provider knows the site by a key that it reads from there, and no secret is left on the host."""
    key = rsa.generate_private_key(65537, 2048)
    file = bench_client.ARTIFACTS / "bench" / "client-key.pem"
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    variables = {
        "flask_sso_authentication": "openid_connect",
        "openid_connect_client_id": "flask-example-key",
        "openid_connect_client_secret": "",
        "openid_connect_client_key_file": str(file),
    }
    code, said = run_playbook("site.yml", VARIABLES | variables)
    assert code == 0, said
    require_login(visitor, "openid_connect")

    (published,) = visitor.get("/openid-connect/callback?jwks=rsa").json()["keys"]
    assert (published.keys() - {"use", "alg"}, published["kty"]) == ({"kty", "kid", "n", "e"}, "RSA")
    modulus = key.public_key().public_numbers().n
    assert published["n"] == tokens.encode(modulus.to_bytes((modulus.bit_length() + 7) // 8, "big"))
    for query in ("jwks=rsa&iss=x", "jwks=ec", "jwks=rsa&"):
        assert visitor.get(f"/openid-connect/callback?{query}").status_code == 403
    directory = "/etc/ssl/flask_sso/flask_app-openid-connect"
    assert sorted(web.file(directory).listdir()) == ["client-key.pem", "client-public.pem", "passphrase.conf"]
    private = web.file(f"{directory}/client-key.pem")
    assert (private.user, private.mode) == ("root", 0o600)
