# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""httpd serves what an application makes public, and nothing else of what it writes."""

import httpx


def test_httpd_serves_the_static_files_that_django_collected(alice: httpx.Client) -> None:
    assert '"/django/public/static/admin/css/base.css"' in alice.get("/django/admin/").text
    answer = alice.get("/django/public/static/admin/css/base.css")
    assert answer.status_code == 200
    assert "DJANGO Admin styles" in answer.text


def test_httpd_serves_what_was_uploaded_and_no_other_account_reads_it(host, alice: httpx.Client) -> None:
    address = alice.post("/django/upload", content=b"hello").text
    assert alice.get(address).text == "hello"
    kept = host.file(address.replace("/django/", "/srv/django/"))
    assert (kept.user, kept.group, kept.mode) == ("django", "www-data", 0o640)
    read = host.run(f"setpriv --reuid nobody --regid nogroup --clear-groups cat {kept.path}")
    assert "Permission denied" in read.stderr


def test_state_stays_the_applications_own(host, alice: httpx.Client) -> None:
    assert host.file("/var/lib/django").mode == 0o700
    assert alice.get("/django/state/database.sqlite3").status_code == 403


def test_application_that_did_not_ask_for_it_has_no_public_directory(host) -> None:
    assert not host.file("/srv/radicale/public").exists
    assert host.check_output("systemctl show --property=UMask --value radicale-gunicorn") == "0077"
