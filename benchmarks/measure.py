# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure the bench's site in comparison with other set-ups of the same application.

Requests per second, memory, and the time of a deployment, compared within one run. Prints tables, and writes the same
as JSON to artifacts/bench/benchmarks.json. Destroys the bench, and leaves a new one with the site and its
baselines running.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from operator import ge, le, truediv
from pathlib import Path
from statistics import median
from typing import NamedTuple

import bench_client

ROOT = Path(__file__).resolve().parents[1]
OUTPUT = bench_client.ARTIFACTS / "bench"
FILES, RESULT = OUTPUT / "benchmark-files.tar", OUTPUT / "benchmarks.json"
# The short form in molecule/benchmarks has the scenario's.
INVENTORY = os.environ.get("MOLECULE_INVENTORY_FILE", "inventories/bench")
WEB, SSO = (f"flask-sso-{host}{bench_client.LANE}" for host in ("web", "sso"))
HOST = "flask.example.org"
USERS = {"ghopper": "Grace", "cpayne": "Cecilia", "enoether": "Emmy", "mcurie": "Maria"}
SERVICES = ("apache2", "shibd", "flask_app")
BASELINES = ("baselines-nginx", "baselines-httpd", "baselines-gunicorn")
ROUNDS, LOAD_SECONDS, IDLE_SECONDS = 5, 4, 15
FRESH, SECOND, SCRIPT = "site.yml on a fresh host", "site.yml a second time", "bare script on a fresh host"
RELEASE, SERVES = "release.yml with one changed file", "the same, until it serves"


class Target(NamedTuple):
    """The requested page, with or without a session, and the name of the target that it is compared with."""

    name: str
    url: str
    beside: str
    session: bool = False


FIRST_PAGE, NGINX, NGINX_STATIC = "first page, site", "first page, nginx + uWSGI", "static file, nginx"
SESSION_PAGES = "first page with a session, site", "profile with a session, site"
TARGETS = (  # each with its port, as wrk wants it
    Target(FIRST_PAGE, f"https://{HOST}:443/", NGINX),
    Target(NGINX, f"https://{HOST}:8441/", NGINX),
    Target("first page, Apache + gunicorn", f"https://{HOST}:8442/", NGINX),
    Target("first page, Apache + mod_wsgi", f"https://{HOST}:8443/", NGINX),
    Target(SESSION_PAGES[0], f"https://{HOST}:443/", FIRST_PAGE, session=True),
    Target(SESSION_PAGES[1], f"https://{HOST}:443/profile", FIRST_PAGE, session=True),
    Target("static file, site", f"https://{HOST}:443/static/style.css", NGINX_STATIC),
    Target(NGINX_STATIC, f"https://{HOST}:8441/static/style.css", NGINX_STATIC),
)


class MeasureError(Exception):
    """A figure would be misleading; the text has the reason."""


def run(*command: str | Path) -> str:
    """Run a command in the repository; return what it printed, or raise MeasureError with the end of that."""
    done = subprocess.run(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        raise MeasureError(f"{' '.join(map(str, command))} failed:\n{done.stdout[-3000:]}")
    return done.stdout


def playbook(path: str, **variables) -> None:
    """Run a playbook on the bench."""
    print(f"  {path}", flush=True)
    # The load comes from another host than the login, where a session that is bound to an address is a redirect.
    variables["saml_sp_session_bound_to_address"] = False
    run("ansible-playbook", "-i", INVENTORY, path, "-e", json.dumps(variables))


def release() -> dict[str, float]:
    """Deploy a release in which one file has changed; return the seconds until a page has the change, and in all."""
    source, mark = OUTPUT / "release", f"<!-- {time.time_ns()} -->"
    shutil.copytree(ROOT / "app", source, ignore=shutil.ignore_patterns(".*", "__pycache__"), dirs_exist_ok=True)
    with (source / "flask_sso_app/templates/base.html").open("a", encoding="ascii") as template:
        template.write(mark)
    with ThreadPoolExecutor(1) as pool, bench_client.client() as visitor:
        deployment = pool.submit(seconds, playbook, "playbooks/release.yml", flask_app_source=str(source))
        start = time.monotonic()
        while mark not in visitor.get(f"https://{HOST}/").text:
            if deployment.done():
                deployment.result()
                raise MeasureError("release.yml has ended, and no page has the change")
            time.sleep(0.05)
        return {SERVES: time.monotonic() - start, RELEASE: deployment.result()}


def seconds(action, *arguments, **named) -> float:
    """Return how long a call takes, in seconds."""
    start = time.monotonic()
    action(*arguments, **named)
    return time.monotonic() - start


def fresh_bench() -> None:
    """Replace the bench by bare hosts with an identity provider; apt's and pip's caches on them are empty."""
    print("  a fresh bench", flush=True)
    run("molecule", "destroy")
    run("molecule", "create")
    bench_client.addresses.cache_clear()


def collect_files() -> None:
    """Keep the deployed host's configuration files for the bare script."""
    run("docker", "cp", "benchmarks/site.sh", f"{WEB}:/opt/")
    run("docker", "exec", WEB, "bash", "/opt/site.sh", "collect")
    run("docker", "cp", f"{WEB}:/opt/{FILES.name}", FILES)


def script(host: str = WEB) -> None:
    """Deploy by the bare script."""
    print("  benchmarks/site.sh", flush=True)
    for source in (FILES, "benchmarks/site.sh", "roles/uwsgi_proxy/files/packet_bounds.c"):
        run("docker", "cp", source, f"{host}:/opt/")
    run("docker", "exec", host, "bash", "/opt/site.sh", "deploy")


def memory(*services: str) -> dict[str, float]:
    """Return the proportional set size in MB of each of these services that runs on the site's host."""
    unit = rf"s,.*/({'|'.join(services)})[.]service$,\1,p"
    script = f"""
        for process in /proc/[0-9]*; do
            unit=$(sed --quiet --regexp-extended '{unit}' $process/cgroup | head --lines 1)
            [ -z "$unit" ] || sed --quiet "s/^Pss: */$unit /p" $process/smaps_rollup
        done 2>/dev/null || true # a process may end while it is looked at"""
    sizes: dict[str, float] = {}
    for line in run("docker", "exec", WEB, "sh", "-c", script).splitlines():
        unit, size, _ = line.split()
        sizes[unit] = sizes.get(unit, 0) + int(size) / 1024
    return sizes


def idle_memory() -> dict[str, float]:
    """Return the memory of each service of the site, a while after it was last busy."""
    time.sleep(IDLE_SECONDS)
    sizes = memory(*SERVICES)
    if missing := set(SERVICES) - set(sizes):
        raise MeasureError(f"On {WEB} these services have no process: {', '.join(sorted(missing))}")
    return {service: sizes[service] for service in SERVICES}


def sessions() -> list[str]:
    """Log every user in and return the Cookie headers."""
    headers = []
    for user, name in USERS.items():
        browser = bench_client.client()
        page, _ = bench_client.saml_login(browser, f"https://{HOST}/login", user)
        if name not in page.text:
            raise MeasureError(f"{user} is not logged in: {page.status_code} {page.url}")
        headers.append("; ".join(f"{c.name}={c.value}" for c in browser.cookies.jar if c.domain == HOST))
    return headers


def check(target: Target, cookies: list[str]) -> None:
    """Raise MeasureError unless the target sends the expected page."""
    page = bench_client.client(headers={"Cookie": cookies[0]} if target.session else {}).get(target.url)
    expected = next(iter(USERS.values())) if target.session else "Log in" if target.url.endswith("/") else "color"
    if page.status_code != 200 or expected not in page.text:
        raise MeasureError(f"{target.url} answers {page.status_code} without {expected!r}:\n{page.text[:500]}")


def wrk(target: Target, cookies: list[str]) -> dict[str, float]:
    """Put load on a target; return its rate in requests/s and its latencies in ms."""
    command = f"docker exec {SSO} wrk -t2 -c32 -d{LOAD_SECONDS}s -s /usr/local/share/requests.lua {target.url}".split()
    output = run(*command, *(cookies if target.session else ()))
    figures = json.loads(output.splitlines()[-1])
    if figures.pop("errors"):
        raise MeasureError(f"{target.name} has errors under load:\n{output}")
    return figures


def load() -> dict[str, dict]:
    """Put load on every target in turn, round after round, forwards and backwards; the first round warms up."""
    cookies = sessions()
    for target in TARGETS:
        check(target, cookies)
    measured = {target.name: [] for target in TARGETS}
    for number in range(ROUNDS + 1):
        print(f"  load, round {number} of {ROUNDS}", flush=True)
        for target in TARGETS if number % 2 else reversed(TARGETS):
            figures = wrk(target, cookies)
            if number:
                measured[target.name].append(figures)
    rates = {name: [figures["rate"] for figures in rounds] for name, rounds in measured.items()}
    return {
        name: {
            "rate": median(rates[name]),
            "lowest": min(rates[name]),
            "highest": max(rates[name]),
            "p99": median(figures["p99"] for figures in measured[name]),
            "ratio": median(map(truediv, rates[name], rates[beside])),
            "beside": beside,
        }
        for name, _, beside, _ in TARGETS
    }


def deployments() -> dict[str, list[float]]:
    """Deploy the site, the bare script's site and the site again; return how long each took."""
    times = {FRESH: [], SECOND: [], SERVES: [], RELEASE: [], SCRIPT: []}
    for by_script in (False, True, False):
        fresh_bench()
        if by_script:
            times[SCRIPT].append(seconds(script))
        else:
            times[FRESH].append(seconds(playbook, "site.yml"))
            times[SECOND].append(seconds(playbook, "site.yml"))
            collect_files()
            for name, took in release().items():
                times[name].append(took)
    return times


def running_site() -> dict[str, dict]:
    """Load the site that is deployed and its baselines, and look at its memory before and after that."""
    playbook("molecule/shared/register_sp.yml")
    run("docker", "exec", WEB, "systemctl", "restart", *SERVICES)
    sizes = {"after a restart": idle_memory()}
    playbook("benchmarks/baselines.yml")
    rates = load()
    run("docker", "exec", WEB, "systemctl", "stop", *BASELINES)
    sizes["after the load"] = idle_memory()
    run("docker", "exec", WEB, "systemctl", "start", *BASELINES)
    return {"rates": rates, "memory": sizes}


def goals(figures: dict[str, dict]) -> list[dict]:
    """Return each goal with the measured value, and whether it is met."""
    rates, times = figures["rates"], {name: median(values) for name, values in figures["seconds"].items()}
    wanted = [
        ("first page / nginx + uWSGI", rates[FIRST_PAGE]["ratio"], ">=", 0.6),
        *((f"{name} / without", rates[name]["ratio"], ">=", 0.6) for name in SESSION_PAGES),
        ("site.yml a second time, s", times[SECOND], "<=", 8),
        (f"{RELEASE}, s until it serves", times[SERVES], "<=", 6),
        ("site.yml / bare script", times[FRESH] / times[SCRIPT], "<=", 1.4),
        ("idle memory after the load, MB", sum(figures["memory"]["after the load"].values()), "<=", 200),
    ]
    met = {">=": ge, "<=": le}
    return [
        {"goal": f"{name} {sign} {x}", "reached": value, "met": met[sign](value, x)} for name, value, sign, x in wanted
    ]


def print_rates(rates: dict[str, dict]) -> None:
    """Print the table of requests per second."""
    columns = ("rate", "lowest", "highest", "p99")
    print(f"\n{'requests/s, ms':40}{''.join(f'{column:>9}' for column in columns)}    ratio to")
    for name, row in rates.items():
        print(f"{name:40}{''.join(f'{row[column]:9.0f}' for column in columns)}{row['ratio']:9.2f} {row['beside']}")


def report(figures: dict[str, dict]) -> None:
    """Print the figures and whether they reach their goals, and write them as JSON."""
    figures["goals"] = goals(figures)
    RESULT.write_text(json.dumps(figures, indent=2) + "\n")
    print_rates(figures["rates"])
    print(f"\n{'memory (PSS), MB':40}{''.join(f'{unit:>11}' for unit in SERVICES)}{'sum':>9}")
    for when, sizes in figures["memory"].items():
        print(f"{when:40}{''.join(f'{size:11.1f}' for size in sizes.values())}{sum(sizes.values()):9.1f}")
    print("\nseconds (apt and pip have nothing cached on a fresh host)")
    for name, values in figures["seconds"].items():
        print(f"{name:40}{median(values):9.1f}  of {', '.join(f'{value:.1f}' for value in values)}")
    print(f"\n{'goal':58}{'reached':>9}")
    for goal in figures["goals"]:
        print(f"{goal['goal']:58}{goal['reached']:9.2f}  {'met' if goal['met'] else 'MISSED'}")


def main() -> None:
    """Measure, print and write."""
    options = argparse.ArgumentParser(description="Measure the bench's site beside other set-ups of the application.")
    options.add_argument("--running", action="store_true", help="only load what an earlier run left running")
    if options.parse_args().running:
        print_rates(load())
        return
    report({"seconds": deployments(), **running_site()})
    print(f"\nThe same as JSON: {RESULT}. Take the bench down: make down")


if __name__ == "__main__":
    try:
        main()
    except (MeasureError, bench_client.LoginError) as error:
        sys.exit(f"benchmarks: {error}")
