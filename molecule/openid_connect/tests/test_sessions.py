# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sessions outlive restarts of every service, and nobody but root and httpd reads what they are made of."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import httpx
import pytest
from testinfra.host import Host

SECRETS = "/etc/ssl/flask_sso/flask_app-openid-connect"
SESSIONS = "/var/cache/apache2/flask_app-openid-connect"


@pytest.mark.parametrize("command", ["reload apache2", "restart apache2", "restart flask_app"])
def test_session_survives(user: httpx.Client, web: Host, command: str) -> None:
    """Nobody has to log in again after a change."""
    web.check_output(f"systemctl {command}")
    deadline = time.monotonic() + 30
    while True:
        try:
            assert user.get("/api/me").json()["identifier"] == "ghopper"
            return
        except httpx.ConnectError:
            assert time.monotonic() < deadline
            time.sleep(0.2)


def test_session_needs_no_provider(
    user: httpx.Client, provider_down: Callable[[], AbstractContextManager[None]]
) -> None:
    """Users who are logged in do not notice that the provider is down."""
    with provider_down():
        assert user.get("/profile").status_code == 200


@pytest.mark.parametrize("name", ["client.conf", "passphrase.conf"])
def test_secret_is_readable_by_root_only(web: Host, name: str) -> None:
    """And it is nowhere else in httpd's configuration."""
    secret = web.file(f"{SECRETS}/{name}")
    assert (secret.user, secret.mode, web.file(SECRETS).mode) == ("root", 0o600, 0o700)
    text = secret.content_string.split(maxsplit=1)[1].strip('"\n')
    assert len(text) >= 32
    assert (
        web.run("grep --recursive --files-with-matches --fixed-strings %s /etc/apache2 /srv /var/log", text[:32]).rc
        == 1
    )


def test_sessions_are_encrypted_and_httpds_own(user: httpx.Client, web: Host) -> None:
    """The files show neither who is logged in nor which cookie they are for."""
    directory = web.file(SESSIONS)
    assert (directory.user, directory.mode) == ("www-data", 0o700)
    assert web.run("ls -A %s", SESSIONS).stdout
    cookie = user.cookies["__Host-openid_connect"]
    assert cookie not in web.check_output("ls -A %s", SESSIONS)
    for text in ("ghopper", "access_token", cookie):
        assert web.run("grep --recursive --fixed-strings %s %s", text, SESSIONS).rc == 1
