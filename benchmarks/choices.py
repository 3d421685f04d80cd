# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure what each authentication and each server costs, for docs/choosing.md, in one run on one host.

Prints a table in Markdown. Destroys the bench, and leaves the last choice running.
"""

from __future__ import annotations

import re
import sys
from functools import partial

import bench_client
import client_certificates
import measure

PEOPLE = [{"id": "ghopper", "name": "Grace Hopper"}]
AUTHENTICATIONS = ("shibboleth", "saml", "client_certificates")
SERVERS = ("uwsgi", "gunicorn", "mod_wsgi")
UNITS = ("apache2", "shibd", "flask_app", "flask_app-gunicorn")
CERTIFICATE = "/run/visitor.pem"
SECONDS, CONNECTIONS = 5, 32


def install_ab() -> None:
    """Install what makes the load."""
    install = "apt-get update -qq && apt-get install -qq --no-install-recommends apache2-utils"
    measure.run("docker", "exec", measure.SSO, "sh", "-c", install)


def ab(path: str, *options: str) -> float:
    """Load a page from the identity provider's host; return requests/s, or raise MeasureError if one failed."""
    url = f"{bench_client.SITE}{path}"
    command = ["docker", "exec", measure.SSO, "ab", "-k", "-q", "-l", "-c", f"{CONNECTIONS}", "-t", f"{SECONDS}"]
    said = measure.run(*command, "-n", "1000000", *options, url)
    if not re.search(r"Failed requests: +0\n", said) or "Non-2xx" in said:
        raise measure.MeasureError(f"{url} fails under load:\n{said}")
    return float(re.search(r"Requests per second: +([\d.]+)", said)[1])


def deploy(authentication: str, server: str) -> float:
    """Change the site over; return the seconds that this takes."""
    people = {"private_ca_people": PEOPLE} if authentication == "client_certificates" else {}
    choice = {"flask_sso_authentication": authentication, "flask_sso_app_server": server}
    return measure.seconds(partial(measure.playbook, "site.yml", **choice, **people))


def load(authentication: str) -> tuple[float, float]:
    """Return requests/s of ``/healthz`` without a login and of the profile for a logged-in user."""
    if authentication == "client_certificates":
        files = "".join(path.read_text() for path in client_certificates.person("ghopper"))
        measure.run("docker", "exec", measure.SSO, "sh", "-c", f"cat > {CERTIFICATE} <<'END'\n{files}END")
        known = stranger = ["-E", CERTIFICATE]
    else:
        stranger, known = [], ["-H", f"Cookie: {measure.sessions()[0]}"]
    return ab("/healthz", *stranger), ab("/profile", *known)


def row(authentication: str, server: str, took: float) -> str:
    """Load the site as it is deployed; return the line of the table."""
    stranger, known = load(authentication)
    memory = sum(measure.memory(*UNITS).values())
    return f"| {authentication} | {server} | {stranger:.0f}/s | {known:.0f}/s | {memory:.0f} MB | {took:.0f} s |"


def main() -> None:
    """Measure, and print a row for each choice."""
    measure.fresh_bench()
    measure.playbook("site.yml")
    measure.playbook("molecule/shared/register_sp.yml")
    install_ab()
    print("\n| authentication | server | `/healthz` | `/profile`, known user | memory | change |")
    print("| --- | --- | --: | --: | --: | --: |", flush=True)
    for authentication in AUTHENTICATIONS:
        for server in SERVERS:
            took = deploy(authentication, server)
            print(row(authentication, server, took), flush=True)


if __name__ == "__main__":
    try:
        main()
    except (measure.MeasureError, bench_client.LoginError) as error:
        sys.exit(f"benchmarks: {error}")
