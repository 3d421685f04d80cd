# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wrong variables and a provider that cannot be used stop a run before it changes anything."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import bench_client
import httpx
from testinfra.host import Host

SITE = {
    "flask_sso_authentication": "openid_connect",
    "openid_connect_client_id": "flask-example",
    "openid_connect_client_secret": "not-the-secret",
}
Run = Callable[..., tuple[int, str]]


def test_all_faults_are_in_one_message(run_site: Run) -> None:
    """Without the secret in it."""
    code, said = run_site(
        SITE
        | {
            "openid_connect_client_id": "",
            "openid_connect_client_secret": "with a space",
            "openid_connect_scopes": ["profile"],
            "openid_connect_remote_user": "upn;x",
            "openid_connect_protected": [{"path": "/x", "attributes": {"Nothing": ["y"]}}],
            "openid_connect_session_timeout": 5,
        }
    )
    assert code != 0
    assert "with the redirect URI https://flask.example.org/openid-connect/callback" in said
    for fault in (
        "openid_connect_client_secret is not set, or has a space",
        "openid_connect_scopes is ['profile']",
        'openid_connect_remote_user is "upn;x"',
        "openid_connect_protected requires ['Nothing']",
        "openid_connect_session_lifetime is 28800 and openid_connect_session_timeout 5",
    ):
        assert fault in said
    assert "with a space" not in said.replace("has a space", "")


def test_another_issuer_is_refused(run_site: Run) -> None:
    """The document has to name exactly the issuer that was asked for."""
    code, said = run_site(SITE | {"openid_connect_issuer": "https://auth.cern.ch/auth/realms/cern/"})
    assert code != 0
    assert 'is of the issuer "https://auth.cern.ch/auth/realms/cern"' in said


def test_provider_that_is_down_keeps_the_running_site(
    run_site: Run, visitor: httpx.Client, web: Host, provider_down: Callable[[], AbstractContextManager[None]]
) -> None:
    """The run stops before it changes anything, and says so."""
    fragment = web.file("/etc/apache2/flask_sso/flask_app/20-openid-connect.conf")
    before = fragment.content_string
    with provider_down():
        code, said = run_site(SITE)
    assert code != 0
    assert "openid-configuration cannot be fetched from" in said
    assert "nothing was changed" in said
    assert fragment.content_string == before
    bench_client.saml_login(visitor, "/login", "cpayne")
    assert visitor.get("/api/me").json()["identifier"] == "cpayne"
