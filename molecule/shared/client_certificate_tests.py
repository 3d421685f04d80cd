# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for every gate that asks for certificates; the tests of a scenario import it.

A scenario has a fixture `logs`: it does something, and returns the result if the server logs a phrase because of it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import bench_client
import httpx
import pytest
from client_certificates import AUTHORITY, ODD_NAMES, TWINS, WRONG, forge, person, refused, visit


@pytest.mark.parametrize(("who", "name"), [("ghopper", "Grace Hopper"), ("cpayne", "Cecilia Payne")])
def test_right_certificate_is_greeted_by_name(who: str, name: str) -> None:
    """The application knows the certificate's subject and issuer."""
    assert visit(person(who)).text == f"Hello {name}!"
    assert visit(person(who), "/ping").text == "pong"
    me = visit(person(who), "/api/me").json()
    assert me["attributes"]["subject"] == [f"CN={name}"]
    assert me["session"]["identity_provider"] == "CN=campus.flask_sso private authority"


def test_browser_shows_its_certificate() -> None:
    """Chromium imports the .p12 file with its passphrase and is let in without a question."""
    with bench_client.browser(AUTHORITY / "people" / "ghopper") as page:
        page.goto(bench_client.SITE)
        assert "Grace Hopper" in page.text_content("main")
        page.screenshot(path=bench_client.ARTIFACTS / "bench" / "client-certificate.png")


def test_no_certificate_no_page() -> None:
    """The TLS handshake already fails, with the alert that makes a browser say what is missing."""
    with pytest.raises(httpx.ReadError, match="CERTIFICATE_REQUIRED"):
        visit(None)


@pytest.mark.parametrize(("options", "reason"), WRONG.values(), ids=WRONG.keys())
def test_wrong_certificate_is_refused_and_the_log_says_why(
    logs: Callable[..., bool], tmp_path: Path, options: dict, reason: str
) -> None:
    """The visitor sees a broken handshake, the log the reason."""
    assert logs(reason, lambda: refused(forge(tmp_path, "Grace Hopper", **options)))


def test_certificate_of_two_people_is_nobody(tmp_path: Path) -> None:
    """The server takes it, the application does not choose."""
    assert visit(forge(tmp_path, "Grace Hopper", "Cecilia Payne")).text == "Hello Unauthorized!"


@pytest.mark.parametrize("name", ODD_NAMES)
def test_any_name_is_taken_as_it_is(tmp_path: Path, name: str) -> None:
    """Nothing in a name makes it another one."""
    assert visit(forge(tmp_path, name)).text == f"Hello {name}!"


def test_headers_change_nobodys_name(tmp_path: Path) -> None:
    """Neither of somebody with a certificate nor of one who is nobody."""
    assert visit(person("ghopper"), headers=TWINS).text == "Hello Grace Hopper!"
    assert visit(forge(tmp_path, "Grace Hopper", "Cecilia Payne"), headers=TWINS).text == "Hello Unauthorized!"
