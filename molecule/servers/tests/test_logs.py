# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The id of a request, which httpd passes on, is in the log of the server, and the query is not."""

import httpx
import pytest

UNITS = {"uwsgi": "on_uwsgi", "gunicorn": "on_gunicorn-gunicorn"}


@pytest.mark.parametrize("server", UNITS, indirect=True)
def test_request_that_is_refused_is_logged_by_its_id(host, server: str, site: httpx.Client) -> None:
    assert site.get("/missing?code=canary", headers={"X-Request-ID": f"sent-to-{server}"}).status_code == 404
    journal = host.check_output(f"journalctl --unit {UNITS[server]} --output cat --no-pager")
    assert f"Request sent-to-{server}: GET was answered with 404 in " in journal
    assert "canary" not in journal
