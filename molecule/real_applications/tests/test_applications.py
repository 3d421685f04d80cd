# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each application serves its first page, has set itself up, and knows who the user is."""

import httpx
import pytest

WHO = '<propfind xmlns="DAV:"><prop><current-user-principal/></prop></propfind>'
EVENT = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//example.org//test//EN
BEGIN:VEVENT
UID:colloquium
DTSTAMP:20260101T000000Z
DTSTART:20260102T100000Z
SUMMARY:Colloquium
END:VEVENT
END:VCALENDAR
"""


def test_django_has_its_tables_and_makes_the_user_an_administrator(alice: httpx.Client) -> None:
    assert alice.get("/django/").text == "alice"
    page = alice.get("/django/admin/auth/user/")
    assert page.status_code == 200
    assert '<a href="/django/admin/auth/user/1/change/">alice</a>' in page.text


def test_pgadmin_logs_the_user_in(site) -> None:
    with site("pgadmin.example.org") as session:
        page = session.get("/")
        assert (page.status_code, page.url.path) == (200, "/browser/")
        assert "'name': 'alice'" in session.get("/user_management/current_user.js").text


def test_radicale_keeps_the_users_calendar(alice: httpx.Client) -> None:
    assert "<href>/radicale/alice/</href>" in alice.request("PROPFIND", "/radicale/", content=WHO).text
    alice.request("MKCALENDAR", "/radicale/alice/calendar/")
    assert alice.put("/radicale/alice/calendar/colloquium.ics", content=EVENT).status_code == 201
    assert "SUMMARY:Colloquium" in alice.get("/radicale/alice/calendar/").text
    assert alice.delete("/radicale/alice/calendar/").status_code == 200


def test_radicale_does_not_believe_a_visitors_header(alice: httpx.Client) -> None:
    answer = alice.request("PROPFIND", "/radicale/", content=WHO, headers={"X-Remote-User": "bob"})
    assert "/radicale/alice/" in answer.text
    assert "bob" not in answer.text


def test_trac_logs_the_user_in_and_returns_to_its_first_page(alice: httpx.Client) -> None:
    first = alice.get("/trac")
    assert first.status_code == 200
    page = alice.get("/trac/login", headers={"Referer": "http://apps.example.org/trac"})
    assert [answer.url.path for answer in [*page.history, page]] == ["/trac/login", "/trac"]
    assert (page.status_code, "logged in as" in page.text, "alice" in page.text) == (200, True, True)


@pytest.mark.parametrize("path", ["/django/", "/radicale/", "/trac/"])
def test_no_access_without_a_password(site, path: str) -> None:
    with site(auth=None) as session:
        assert session.get(path).status_code == 401
