# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A user's actions in a real browser work, without a single error in its console."""

import bench_client


def test_user_logs_in_and_out_in_chromium() -> None:
    """From a page that needs a login to the password and back, out again, and the password is asked for once more."""
    complaints = []
    with bench_client.browser() as page:
        page.on("console", lambda message: complaints.append((message.location["url"], message.text)))
        page.on("pageerror", lambda error: complaints.append((page.url, str(error))))
        bench_client.browser_login(page, f"{bench_client.SITE}/profile", "mcurie")
        assert page.url == f"{bench_client.SITE}/profile"
        assert "Maria Skłodowska-Curie" in page.locator("main").inner_text()

        page.get_by_role("link", name="Log out").click()
        page.wait_for_url(lambda address: bench_client.IDP_HOST in address)
        page.get_by_role("button", name="Log out").click()
        page.wait_for_url(f"{bench_client.SITE}/**")
        page.get_by_role("link", name="Log in").first.click()
        page.wait_for_url(lambda address: bench_client.IDP_HOST in address)
        assert page.locator("input[type=password]").is_visible()
    assert [complaint for complaint in complaints if complaint[0].startswith(bench_client.SITE)] == []
