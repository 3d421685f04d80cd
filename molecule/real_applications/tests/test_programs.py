# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A program that is no WSGI application knows the user by a header that it asks for, in requests and in WebSockets."""

import base64
import json

import httpx
import pytest
from bench_websocket import websocket

SITE, EVENTS = "apps.example.org", "/jupyter/api/events/subscribe"
LOGIN = ("Authorization", f"Basic {base64.b64encode(b'alice:alice').decode()}")
FORGED = [("Remote-User", "bob"), ("remote_user", "bob"), ("REMOTE.USER", "bob")]


def test_program_knows_the_user(alice: httpx.Client) -> None:
    assert alice.get("/jupyter/api/me").json()["identity"]["username"] == "alice"


def test_program_does_not_believe_a_visitors_header(site, alice: httpx.Client) -> None:
    assert alice.get("/jupyter/api/me", headers=FORGED).json()["identity"]["username"] == "alice"
    with site(auth=None) as session:
        assert session.get("/jupyter/api/me", headers=FORGED).status_code == 401


def test_websocket_of_a_user_gets_what_the_program_sends(alice: httpx.Client) -> None:
    """The program tells of files that are written."""
    with websocket(SITE, EVENTS, [LOGIN, ("Origin", f"http://{SITE}")]) as events:
        assert events.status == 101
        file = {"type": "file", "format": "text", "content": "hello"}
        written = alice.put("/jupyter/api/contents/hello.txt?_xsrf=mine", json=file, headers={"Cookie": "_xsrf=mine"})
        assert written.is_success
        assert json.loads(events.receive())["path"] == "hello.txt"


@pytest.mark.parametrize(
    ("headers", "connection", "status"),
    [
        pytest.param([], "Upgrade", 401, id="no login"),
        pytest.param(FORGED, "Upgrade", 401, id="a forged header"),
        pytest.param([LOGIN, ("Origin", "https://evil.example")], "Upgrade", 403, id="a page of another site"),
        pytest.param([LOGIN, ("Origin", f"http://{SITE}.evil.example")], "Upgrade", 403, id="a similar name"),
        pytest.param([LOGIN, ("Origin", f"https://{SITE}")], "Upgrade", 403, id="another scheme"),
        pytest.param([LOGIN, ("Origin", "null")], "Upgrade", 403, id="a page without origin"),
        pytest.param([LOGIN], "Upgrade, Remote-User", 400, id="the header is to be dropped"),
    ],
)
def test_websocket_is_refused(headers: list, connection: str, status: int) -> None:
    """Access rules and the check of the origin come before the program."""
    with websocket(SITE, EVENTS, headers, connection) as events:
        assert events.status == status
