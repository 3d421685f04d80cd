# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A restart of the application or httpd causes no downtime, and the site starts by itself after a boot."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import bench_client
import httpx
import pytest
from platforms import Platform
from testinfra.host import Host

REQUESTS = 400
RESTARTS = (50, 150, 250)


@pytest.fixture
def user() -> Iterator[httpx.Client]:
    """Return a client of the user whose page takes longest; it opens a connection for every request."""
    with bench_client.client(headers={"Connection": "close"}, timeout=30) as session:
        bench_client.saml_login(session, "/login", "jbell")
        yield session


@pytest.mark.parametrize(
    "command",
    ["systemctl restart flask_app.service", "systemctl reload flask_app.service", "systemctl reload {httpd}.service"],
)
def test_no_request_of_a_logged_in_user_fails_meanwhile(
    web: Host, user: httpx.Client, names: Platform, command: str
) -> None:
    """The socket stays open, sessions stay alive, and requests under way are finished."""

    def outcome(_: int) -> int | str:
        try:
            answer = user.get("/", follow_redirects=False)
            return answer.status_code if "Jocelyn" in answer.text else "logged out"
        except httpx.HTTPError as error:
            return repr(error)

    found = Counter()
    with ThreadPoolExecutor(8) as pool:
        for number, result in enumerate(pool.map(outcome, range(REQUESTS))):
            found[result] += 1
            if number in RESTARTS:
                web.check_output(command.format(httpd=names.httpd))
    assert found == {200: REQUESTS}


def test_site_comes_back_by_itself_after_a_boot(web: Host) -> None:
    """Every unit starts, the page is there and a login works, without an administrator."""
    assert bench_client.boot(web) == "running"
    with bench_client.client() as session:
        assert session.get("/").status_code == 200
        bench_client.saml_login(session, "/login", "cpayne")
        assert session.get("/api/me").json()["identifier"] == "cpayne"
