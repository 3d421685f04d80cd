# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Log in to the bench's site with a browser, save screenshots, and print where they are."""

import bench_client

SITE = bench_client.SITE
USER, NAME = "ghopper", "Grace Hopper"


def main() -> None:
    """Visit the site without a login, then as one of the test users."""
    pictures = bench_client.ARTIFACTS / "bench"
    before, after = pictures / "before-login.png", pictures / "after-login.png"
    with bench_client.browser() as page:
        page.goto(SITE)
        page.screenshot(path=before)
        bench_client.browser_login(page, f"{SITE}/login", USER)
        page.get_by_text(NAME).first.wait_for()
        page.screenshot(path=after)
        reached = page.url
    found = bench_client.addresses()
    names = " ".join(sorted({name for name in found if "." in name}))
    print(
        f"""
A browser reached {reached} and was logged in as {NAME}.

  Before and after     {before}
                       {after}
  In your own browser  trust {bench_client.CA},
                       add these lines to /etc/hosts, and open {SITE}
{chr(10).join(f"                         {found[name]}  {name}" for name in names.split())}
  Log in as            ghopper, cpayne, enoether, mcurie or jbell
  with the password    {bench_client.password()}
  Take it down         make down"""
    )


if __name__ == "__main__":
    main()
