# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure what each authentication and each server costs, for docs/choosing.md, in one run on one host.

Prints a table in Markdown. Destroys the bench, and leaves the last choice running.
"""

from __future__ import annotations

import json
import re
import sys

import bench_client
import client_certificates
import measure

PEOPLE = [{"id": "ghopper", "name": "Grace Hopper"}]
AUTHENTICATIONS = ("shibboleth", "saml", "client_certificates")
SERVERS = ("uwsgi", "gunicorn", "mod_wsgi")
UNITS = ("apache2", "shibd", "flask_app", "flask_app-gunicorn")
CERTIFICATE = "/run/visitor.pem"
SECONDS, CONNECTIONS = 5, 32


def ab(path: str, *options: str) -> float:
    """Load a page from the identity provider's host; return requests/s, or raise MeasureError if one failed."""
    url = f"{bench_client.SITE}{path}"
    command = ["docker", "exec", measure.SSO, "ab", "-k", "-q", "-l", "-c", f"{CONNECTIONS}", "-t", f"{SECONDS}"]
    said = measure.run(*command, "-n", "1000000", *options, url)
    if not re.search(r"Failed requests: +0\n", said) or "Non-2xx" in said:
        raise measure.MeasureError(f"{url} fails under load:\n{said}")
    return float(re.search(r"Requests per second: +([\d.]+)", said)[1])


def memory() -> float:
    """Return the proportional set size of httpd, shibd and the application together, in MB."""
    units = "|".join(UNITS)
    script = f"cat $(grep -lE '/({units})[.]service' /proc/[0-9]*/cgroup | sed s,cgroup$,smaps_rollup,)"
    said = measure.run("docker", "exec", measure.WEB, "sh", "-c", script)
    return sum(map(int, re.findall(r"\nPss: *(\d+)", said))) / 1024


def deploy(authentication: str, server: str) -> float:
    """Change the site over; return the seconds that this takes."""
    # The load comes from another host than the login.
    variables = {"flask_sso_authentication": authentication, "flask_sso_app_server": server}
    variables["saml_sp_session_bound_to_address"] = False
    if authentication == "client_certificates":
        variables["private_ca_people"] = PEOPLE
    options = [option for name, value in variables.items() for option in ("-e", json.dumps({name: value}))]
    return measure.seconds(measure.run, "ansible-playbook", "-i", "inventories/bench", "site.yml", *options)


def load(authentication: str) -> tuple[float, float]:
    """Return requests/s of ``/healthz`` without a login and of the profile for a logged-in user."""
    if authentication == "client_certificates":
        files = "".join(path.read_text() for path in client_certificates.person("ghopper"))
        measure.run("docker", "exec", measure.SSO, "sh", "-c", f"cat > {CERTIFICATE} <<'END'\n{files}END")
        known = stranger = ["-E", CERTIFICATE]
    else:
        stranger, known = [], ["-H", f"Cookie: {measure.sessions()[0]}"]
    return ab("/healthz", *stranger), ab("/profile", *known)


def main() -> None:
    """Measure, and print a row for each choice."""
    measure.fresh_bench()
    measure.playbook("site.yml")
    measure.playbook("molecule/shared/register_sp.yml")
    install = "apt-get update -qq && apt-get install -qq --no-install-recommends apache2-utils"
    measure.run("docker", "exec", measure.SSO, "sh", "-c", install)
    print("\n| authentication | server | `/healthz` | `/profile`, known user | memory | change |")
    print("| --- | --- | --: | --: | --: | --: |", flush=True)
    for authentication in AUTHENTICATIONS:
        for server in SERVERS:
            took = deploy(authentication, server)
            first, known = load(authentication)
            row = f"| {authentication} | {server} | {first:.0f}/s | {known:.0f}/s | {memory():.0f} MB | {took:.0f} s |"
            print(row, flush=True)


if __name__ == "__main__":
    try:
        main()
    except (measure.MeasureError, bench_client.LoginError) as error:
        sys.exit(f"benchmarks: {error}")
