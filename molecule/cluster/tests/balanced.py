# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The nodes of the cluster and their balancers, what these say, and visitors of a node."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache

import bench_client
import docker
import httpx
import testinfra
from docker.models.containers import Container
from testinfra.host import Host

#: The nodes, as the inventory and HAProxy name them, and their host names.
NODES = {f"flask-sso-web{number}{bench_client.LANE}": f"node{number or 1}.example.org" for number in ("", 2, 3)}
FIRST, SECOND, THIRD = NODES
BALANCERS = tuple(f"flask-sso-balancer{number}{bench_client.LANE}" for number in ("", 2))
#: It says which node a visitor has.
COOKIE = "__Host-flask_app-node"
FILES = bench_client.ARTIFACTS / "cluster"
#: The host with the stores of sessions.
STORE = f"flask-sso-store{bench_client.LANE}"
#: Sends HAProxy a command, and prints what it says, and that this is all.
ASK = """
import socket, sys
with socket.socket(socket.AF_UNIX) as admin:
    admin.connect("/run/flask_sso-load_balancer/admin.sock")
    admin.sendall(f"{sys.argv[1]}\\n".encode())
    print(b"".join(iter(lambda: admin.recv(65536), b"")).decode() + "ALL")
"""


def container(name: str) -> Container:
    """Return a container by its name, also one that has no network."""
    return docker.from_env().containers.get(name)


def host(node: str) -> Host:
    """Return a node, for commands whose output counts: the API of Docker may lose that of short ones."""
    return testinfra.get_host(f"docker://{node}")


def secret(name: str) -> str:
    """Return a secret that the nodes share."""
    return (FILES / name).read_text().strip()


@cache
def address() -> str:
    """Return the address of the site, which moves between the balancers."""
    return json.loads((FILES / "addresses.json").read_text())["site"].partition("/")[0]


def has_address(host: Container) -> bool:
    """Return whether a balancer has the address of the site."""
    # Docker may lose the output of so short a command.
    look = f"ip -brief address show to {address()} | grep --quiet ."
    return host.status == "running" and host.exec_run(["sh", "-c", look]).exit_code == 0


def holder() -> str:
    """Return the balancer that has the address of the site."""
    (name,) = [name for name in BALANCERS if has_address(container(name))]
    return name


def ask(command: str, name: str) -> str:
    """Return what HAProxy says to a command at a balancer."""
    for _ in range(10):
        said = container(name).exec_run(["python3", "-c", ASK, command])
        assert said.exit_code == 0, said.output
        text = said.output.decode().rstrip()
        if text.endswith("ALL"):  # a busy Docker loses some of the output
            return text.removesuffix("ALL")
    raise AssertionError(f"Docker loses what HAProxy says: {text}")


def balancer(name: str = "") -> dict[str, dict[str, str]]:
    """Return the statistics of each node, and of all under the name BACKEND, at a balancer or where the address is."""
    rows = csv.DictReader(ask("show stat", name or holder()).lstrip("# ").splitlines())
    return {row["svname"]: row for row in rows if row["pxname"] == "nodes"}


def states(name: str = "") -> dict[str, str]:
    """Return the state in which a balancer, or the one that has the address, sees each node."""
    return {node: row["status"] for node, row in balancer(name).items() if node in NODES}


def wait_for(node: str, state: str, seconds: float = 60, name: str = "") -> float:
    """Wait until a balancer sees a node in a state; return how many seconds that took."""
    began, name = time.monotonic(), name or holder()
    while not states(name)[node].startswith(state):
        assert time.monotonic() < began + seconds, states(name)
        time.sleep(0.2)
    return time.monotonic() - began


def readdress(node: str) -> None:
    """Tell HAProxy the address of a node, as Docker gives it another one, which a host keeps."""
    for name in BALANCERS:
        ask(f"set server nodes/{node} addr {bench_client.endpoint(container(node))['IPAddress']}", name)
    bench_client.addresses.cache_clear()


def choose(session: httpx.Client, node: str) -> None:
    """Send the next requests of a visitor to a node."""
    session.cookies.set(COOKIE, node, bench_client.HOST, "/")


@contextmanager
def visitor_of(node: str) -> Iterator[httpx.Client]:
    """Return a new visitor of a node."""
    with bench_client.client() as session:
        choose(session, node)
        yield session


def me(session: httpx.Client) -> int:
    """Return the status of a page that needs a session."""
    return session.get("/api/me").status_code


def log_in(session: httpx.Client, user: str = "ghopper") -> None:
    """Log a visitor in."""
    page, _ = bench_client.saml_login(session, "/profile", user)
    assert (page.status_code, page.url.path) == (200, "/profile")


def log_in_at_two(session: httpx.Client) -> None:
    """Begin the login of a visitor of the first node there, and end it at the second."""
    form = session.get("/profile")
    choose(session, SECOND)
    page, _ = bench_client.answer_provider(session, form, "cpayne")
    assert (page.status_code, page.url.path) == (200, "/profile")
    assert session.cookies[COOKIE] == SECOND


@contextmanager
def stopped(service: str) -> Iterator[None]:
    """Stop a store of sessions meanwhile."""
    assert container(STORE).exec_run(["systemctl", "stop", service]).exit_code == 0
    try:
        yield
    finally:
        assert container(STORE).exec_run(["systemctl", "start", service]).exit_code == 0


def copies(cookies: httpx.Cookies, nodes: Iterable[str] = NODES) -> dict[str, int]:
    """Return the status of a page that needs a session, at each node, for a copy of a visitor's cookies."""
    found = {}
    for node in nodes:
        with visitor_of(node) as thief:
            thief.cookies.update(cookies)
            choose(thief, node)
            found[node] = me(thief)
            assert thief.cookies[COOKIE] == node
    return found
