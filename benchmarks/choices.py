# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure what each authentication and each server costs, for docs/choosing.md, in one run on one host.

So is each place where mod_auth_openidc can keep its sessions. Prints tables in Markdown. Destroys the bench, and
leaves the last choice running.
"""

from __future__ import annotations

import re
import sys
from functools import partial

import bench_client
import client_certificates
import measure

# Each authentication, with what it needs to be told.
AUTHENTICATIONS = {
    "shibboleth": {},
    "saml": {},
    "client_certificates": {"private_ca_people": [{"id": "ghopper", "name": "Grace Hopper"}]},
    "openid_connect": {
        "openid_connect_client_id": "flask-example",
        "openid_connect_client_secret": (
            "{{ lookup('ansible.builtin.file', flask_sso_artifacts ~ '/bench/client-secret') }}"
        ),
    },
}
SERVERS = ("uwsgi", "gunicorn", "mod_wsgi")
UNITS = ("apache2", "shibd", "flask_app", "flask_app-gunicorn")
CERTIFICATE = "/run/visitor.pem"
SECONDS, CONNECTIONS = 5, 32
# Where sessions of OpenID Connect can be, and the directives for that. Cookies are not among them: the module then
# forgets the ID token, whose signature the role checks.
CACHES = {
    "files, as deployed": "",
    "shared memory": "OIDCCacheType shm",
    "memcached": "OIDCCacheType memcache\nOIDCMemCacheServers 127.0.0.1:11211",
    "Redis": "OIDCCacheType redis\nOIDCRedisCacheServer 127.0.0.1:6379",
}
CACHE_FRAGMENT = "/etc/apache2/flask_sso/flask_app/99-cache.conf"


def install(host: str, *packages: str) -> None:
    """Install packages on a host of the bench."""
    command = f"apt-get update -qq && apt-get install -qq --no-install-recommends {' '.join(packages)}"
    measure.run("docker", "exec", host, "sh", "-c", command)


def install_ab() -> None:
    """Install what makes the load."""
    install(measure.SSO, "apache2-utils")


def install_caches() -> None:
    """Install and start what keeps sessions beside httpd; the unit of Redis has a sandbox that no container allows."""
    install(measure.WEB, "memcached", "redis-server")
    measure.run("docker", "exec", measure.WEB, "systemctl", "start", "memcached")
    measure.run("docker", "exec", measure.WEB, "redis-server", "--daemonize", "yes", "--save", "")


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
    choice = {"flask_sso_authentication": authentication, "flask_sso_app_server": server}
    return measure.seconds(partial(measure.playbook, "site.yml", **choice, **AUTHENTICATIONS[authentication]))


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


def cache_row(cache: str) -> str:
    """Load the site with another cache for the sessions of OpenID Connect; return the line of the table."""
    change = f"printf '%s\\n' '{CACHES[cache]}' > {CACHE_FRAGMENT} && systemctl restart apache2 && rm {CACHE_FRAGMENT}"
    measure.run("docker", "exec", measure.WEB, "sh", "-c", change)
    stranger, known = load("openid_connect")
    return f"| page with an OpenID Connect session, {cache} | {known:.0f}/s | {known / stranger:.2f} |"


def main() -> None:
    """Measure, and print a row for each choice and each cache."""
    measure.fresh_bench()
    measure.playbook("molecule/openid_connect/prepare.yml")
    measure.playbook("site.yml")
    measure.playbook("molecule/shared/register_sp.yml")
    install_ab()
    print("\n| authentication | server | `/healthz` | `/profile`, known user | memory | change |")
    print("| --- | --- | --: | --: | --: | --: |", flush=True)
    for authentication in AUTHENTICATIONS:
        for server in SERVERS:
            took = deploy(authentication, server)
            print(row(authentication, server, took), flush=True)

    deploy("openid_connect", "uwsgi")
    install_caches()
    print("\n| `/profile` behind uwsgi | requests | beside `/healthz` |")
    print("| --- | --: | --: |", flush=True)
    for cache in CACHES:
        print(cache_row(cache), flush=True)


if __name__ == "__main__":
    try:
        main()
    except (measure.MeasureError, bench_client.LoginError) as error:
        sys.exit(f"benchmarks: {error}")
