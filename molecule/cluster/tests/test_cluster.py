# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The life of a cluster that is visited all the time. The tests do this in order, and print their figures."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import re
import shutil
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import bench_client
import docker
import httpx
import lxml.etree
import pytest
import visits
from balanced import (
    BALANCERS,
    COOKIE,
    FILES,
    FIRST,
    NODES,
    SECOND,
    THIRD,
    address,
    ask,
    balancer,
    choose,
    container,
    has_address,
    holder,
    host,
    me,
    readdress,
    states,
    visitor_of,
    wait_for,
)
from bench_fixtures import run_playbook
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from docker.models.containers import Container
from load import Figures, Page, load

#: Bytes of a request that takes a minute.
UPLOAD = 200_000
USERS = ("ghopper", "cpayne", "mcurie")
#: Requests a second that are sent, and that have to arrive. Two processors run visitors, balancer, nodes and identity
#: provider, and in `make test` another scenario.
RATE, LEAST = (240, 200) if visits.LONG else (60, 30)
FORGED = "203.0.113.7"
PROVIDER, PROVIDER_DIRECTORY = f"flask-sso-sso{bench_client.LANE}", "/etc/identity-provider"
PROVIDER_SETTINGS = f"{PROVIDER_DIRECTORY}/metadata/saml20-idp-hosted.php"
#: The second key of the identity provider, without the extension.
NEXT = f"{PROVIDER_DIRECTORY}/next"
#: Writes the keys of the cookie with a session.
SEALER = "/usr/local/sbin/shibboleth-sealer-keys"
#: Requests a page as the visitor with these cookies, and prints the status.
STEAL = """
import sys, urllib.error, urllib.request
try:
    request = urllib.request.Request("https://flask.example.org/api/me", headers={"Cookie": sys.argv[1]})
    print(urllib.request.urlopen(request, timeout=30).status)
except urllib.error.HTTPError as error:
    print(error.code)
"""


@dataclass
class Visits:
    """The requests and logins during a change, and what HAProxy counted meanwhile for all nodes and for each."""

    figures: Figures = field(default_factory=Figures)
    logins: list[visits.Login] = field(default_factory=list)
    counted: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def failed_logins(self) -> list[visits.Login]:
        """The logins that did not succeed."""
        return [login for login in self.logins if not login.succeeded]

    def __str__(self) -> str:
        """Return them in a line."""
        together = self.counted["BACKEND"]
        return (
            f"{self.figures}; {len(self.logins)} logins, {len(self.failed_logins)} of them failed; the balancer asked "
            f"a node {together['wretr']} times again, and another node {together['wredis']} times"
        )

    def require_none_lost(self, in_flight: int = 0) -> None:
        """Fail if a request, a session or a login was lost, or if there were too few.

        Of the requests that were in flight to a node when it was lost, those are gone that no other node can be asked.
        """
        assert sum(self.figures.failed.values()) <= in_flight, self.figures.failed
        assert self.figures.lost == []
        assert len(self.failed_logins) <= min(1, in_flight), self.failed_logins
        assert self.figures.rate >= LEAST
        assert set(self.figures.protocols) == {"HTTP/1.1", "HTTP/2"}
        assert self.logins


@contextmanager
def visited(nodes: Iterable[str] = NODES) -> Iterator[Visits]:
    """Have the cluster visited meanwhile, by a user who is logged in at each node, and by others who log in."""
    pages = [Page("/healthz"), Page("/"), Page("/static/style.css")]
    for node, user in zip(nodes, USERS, strict=False):
        with visitor_of(node) as session:
            pages.append(visits.member(session, user))
    change, before = Visits(), {name: balancer(name) for name in [holder()]}
    with ExitStack() as stack:
        change.figures = stack.enter_context(load(bench_client.SITE, pages, address(), str(bench_client.CA), RATE))
        change.logins = stack.enter_context(visits.logins(pause=0.5))
        time.sleep(2)
        yield change
        time.sleep(2)
    name = holder()
    for node, row in balancer(name).items():
        # HAProxy counts again when it was reloaded.
        counts = {key: int(row[key] or 0) for key in ("wretr", "wredis", "stot", "eresp")}
        earlier = {key: int(before.get(name, {}).get(node, {}).get(key) or 0) for key in counts}
        change.counted[node] = {key: count - earlier[key] * (count >= earlier[key]) for key, count in counts.items()}


def test_every_node_serves_with_the_same_keys() -> None:
    for name in BALANCERS:
        assert states(name) == dict.fromkeys(NODES, "UP")
    found = []
    for node in NODES:
        with visitor_of(node) as session:
            found.append(bench_client.sp_certificates(session, "signing"))
            assert session.cookies[COOKIE] == node
    assert len(found[0]) == 2
    assert found[1:] == found[:1] * 2


def test_address_of_a_visitor_cannot_be_forged(gateway: str) -> None:
    """The nodes know it from the balancer alone."""
    with visitor_of(FIRST) as session:
        session.get("/no-page", headers={"X-Forwarded-For": FORGED, "Forwarded": f"for={FORGED}"})
    log = container(FIRST).exec_run(["sh", "-c", "grep -h /no-page /var/log/apache2/*.log"])
    assert gateway in log.output.decode()
    assert FORGED not in log.output.decode()

    header = f"PROXY TCP4 {FORGED} {FORGED} 1 443\r\n".encode()
    addresses = bench_client.addresses()
    for name in (bench_client.HOST, *NODES.values()):
        context = ssl.create_default_context(cafile=bench_client.CA)
        with socket.create_connection((addresses[name], 443), 10) as connection:
            connection.sendall(header)
            with pytest.raises((ssl.SSLError, ConnectionError)):
                context.wrap_socket(connection, server_hostname=bench_client.HOST)


def test_session_is_recovered_at_every_node_and_not_from_another_address() -> None:
    with visitor_of(FIRST) as session:
        stolen = visits.member(session, "ghopper").cookies
        for node in NODES:
            choose(session, node)
            assert session.get("/api/me").json()["name"] == "Grace Hopper"
    thief = container(f"flask-sso-sso{bench_client.LANE}")
    for node in NODES:
        cookies = stolen.replace(f"{COOKIE}={FIRST}", f"{COOKIE}={node}")
        assert thief.exec_run(["python3", "-c", STEAL, cookies]).output.split() == [b"401"], node


def test_login_begins_at_one_node_and_ends_at_another() -> None:
    with visitor_of(FIRST) as session:
        form = session.get("/profile")
        choose(session, SECOND)
        page, _ = bench_client.answer_provider(session, form, "cpayne")
        assert (page.status_code, page.url.path) == (200, "/profile")
        assert session.cookies[COOKIE] == SECOND


def test_cookies_of_a_login_are_sent_with_the_response_of_the_identity_provider() -> None:
    """It is a POST from another site."""
    with visitor_of(FIRST) as session:
        steps = session.get("/profile").history
    made = [cookie.lower() for step in steps for cookie in step.headers.get_list("set-cookie")]
    pending = [cookie for cookie in made if cookie.startswith(("_shibstate_", "_opensaml_req_"))]
    assert len(pending) == 2, made
    assert all("samesite=none" in cookie for cookie in pending), pending


def test_session_of_a_user_with_hundreds_of_groups_is_recovered() -> None:
    with visitor_of(FIRST) as session:
        visits.member(session, "jbell")
        for node in NODES:
            choose(session, node)
            assert me(session) == 200, node


def begin_day(day: dt.date, *nodes: str) -> None:
    """Give nodes the keys of the cookie with a session that they have on a day."""
    write = f"import datetime as dt, runpy; runpy.run_path({SEALER!r})['write'](dt.date({day:%Y, %-m, %-d}))"
    for node in nodes:
        host(node).check_output("python3 -c %s", write)


def sealed_by(session: httpx.Client) -> dt.date:
    """Return of which day the key is that encrypted a visitor's session."""
    (day,) = re.findall(r"(?<==)(20[0-9]{6})-[0-9a-f]{8}(?::|%3A)", bench_client.cookies_of(session))
    return dt.date.fromisoformat(day)


def test_keys_of_a_day_are_known_before_and_after_it(report: Callable[[str], None]) -> None:
    """No session is lost when days begin and end at the nodes one after the other."""
    today = dt.datetime.now(dt.UTC).date()
    with visited() as change, visitor_of(FIRST) as earlier, visitor_of(FIRST) as later, visitor_of(SECOND) as other:
        visits.member(earlier, "ghopper")
        begin_day(today + dt.timedelta(1), FIRST)
        visits.member(later, "cpayne")
        visits.member(other, "mcurie")
        days = [sealed_by(session) - today for session in (earlier, later, other)]
        assert days == [dt.timedelta(0), dt.timedelta(1), dt.timedelta(0)]
        choose(other, FIRST)
        for session in (earlier, later):
            choose(session, SECOND)
        assert [me(session) for session in (earlier, later, other)] == [200] * 3
        begin_day(today + dt.timedelta(1), SECOND, THIRD)
        for session in (earlier, later, other):
            choose(session, THIRD)
        assert [me(session) for session in (earlier, later, other)] == [200] * 3
        for node in NODES:
            host(node).check_output("systemctl start shibboleth-sealer.service")
    report(f"A day begins at the nodes, and all go back to today. {change}.")
    change.require_none_lost()
    for node in NODES:
        following = host(node).check_output(
            "systemctl show shibboleth-sealer.timer --property=NextElapseUSecRealtime --value --timestamp=utc"
        )
        assert f"{today + dt.timedelta(1)} 00:00:00 UTC" in following


def test_logout_ends_the_session_at_every_node(report: Callable[[str], None]) -> None:
    with visitor_of(FIRST) as session:
        kept = visits.member(session, "cpayne").cookies
        choose(session, SECOND)
        assert me(session) == 200
        session.get("/logout")
        for node in NODES:
            choose(session, node)
            assert me(session) == 401, node
    found = {}
    for node in NODES:
        cookies = kept.replace(f"{COOKIE}={FIRST}", f"{COOKIE}={node}")
        with bench_client.client() as thief:
            found[node] = thief.get("/api/me", headers={"Cookie": cookies}).status_code
    report(f"Copies of the cookies, after a logout at {SECOND}: {found}.")
    assert found[SECOND] == 401


def test_logout_at_the_identity_provider(report: Callable[[str], None]) -> None:
    home = f"https://{bench_client.IDP_HOST}"
    found = {}
    for node in (FIRST, SECOND):
        with visitor_of(FIRST) as session:
            visits.member(session, "cpayne")
            choose(session, node)
            session.get(f"{home}/simplesamlphp/saml2/idp/SingleLogoutService.php", params={"ReturnTo": f"{home}/"})
            for other in NODES:
                choose(session, other)
                found[node, other] = me(session)
    report(f"Logged in at {FIRST}; the logout's request at a node, then a page of one: {found}.")
    assert set(found.values()) == {401}


def test_what_a_request_costs(report: Callable[[str], None]) -> None:
    """The processor time of the balancer and of the nodes, for requests without and with a session, and for logins."""

    def spent() -> tuple[float, float]:
        return tuple(
            sum(stats(name)["cpu_stats"]["cpu_usage"]["total_usage"] for name in names) / 1e6
            for names in (BALANCERS, NODES)
        )

    def stats(name: str) -> dict:
        return container(name).stats(stream=False, one_shot=True)

    def since(before: tuple[float, float], number: int) -> str:
        each = [(after - earlier) / number for earlier, after in zip(before, spent(), strict=True)]
        return f"{each[0]:.2f} ms of a processor at the balancers, {each[1]:.2f} ms at the nodes"

    with visitor_of(FIRST) as session:
        known = visits.member(session, "ghopper")
    for what, pages in (("A page without a session", [Page("/healthz")]), ("A page with a session", [known])):
        before = spent()
        with load(bench_client.SITE, pages, address(), str(bench_client.CA), RATE) as figures:
            time.sleep(6)
        report(f"{what}: {since(before, figures.requests)}.")
        assert figures.failed == {}
    before = spent()
    for _ in range(10):
        with bench_client.client() as session:
            visits.member(session, "mcurie")
    memory = {name: stats(name)["memory_stats"]["usage"] // 2**20 for name in NODES}
    report(f"A login: {since(before, 10)}. MB in use: {memory}.")


def test_node_is_killed(report: Callable[[str], None]) -> None:
    with visited() as change:
        in_flight = int(balancer()[SECOND]["scur"])
        container(SECOND).kill()
        noticed = wait_for(SECOND, "DOWN")
        time.sleep(3)
    report(f"A node is killed, with {in_flight} requests in flight; noticed after {noticed:.1f} s. {change}.")
    container(SECOND).start()
    readdress(SECOND)
    report(f"It serves again after {wait_for(SECOND, 'UP', 120):.1f} s.")
    change.require_none_lost(in_flight)


def test_network_of_a_node_is_cut(report: Callable[[str], None]) -> None:
    network = docker.from_env().networks.get(bench_client.NETWORK)
    with visited() as change:
        in_flight = int(balancer()[THIRD]["scur"])
        network.disconnect(THIRD)
        noticed = wait_for(THIRD, "DOWN")
        time.sleep(3)
        network.connect(THIRD, aliases=[NODES[THIRD]])
        readdress(THIRD)
        back = wait_for(THIRD, "UP")
    report(
        f"The network of a node is cut, with {in_flight} requests in flight; noticed after {noticed:.1f} s, "
        f"and when it is back, after {back:.1f} s. {change}."
    )
    change.require_none_lost(in_flight)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Return the source of a release that says "released" when asked for its health."""
    source = tmp_path / "app"
    shutil.copytree(bench_client.PROJECT / "app", source, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    pages = source / "flask_sso_app/pages.py"
    pages.write_text(pages.read_text().replace('Response("ok"', 'Response("released"'))
    return source


def health() -> dict[str, str]:
    """Return what each node says when it is asked for its health."""
    said = {}
    for node in NODES:
        with visitor_of(node) as session:
            said[node] = session.get("/healthz").text
    return said


def test_rolling_release_stops_at_the_first_node_that_fails(source: Path, report: Callable[[str], None]) -> None:
    """The others serve the earlier release; the next one that works brings the node back."""
    start = source / "flask_sso_app/wsgi.py"
    works = start.read_text()
    with visited() as change:
        start.write_text(f"{works}\nraise SystemExit('this release does not start')\n")
        began = time.monotonic()
        code, said = run_playbook("playbooks/release.yml", {"flask_app_source": str(source)})
        failed = time.monotonic()
        assert code != 0
        assert "Files that no service has loaded were rolled back" in said, said
        assert f"{SECOND} :" not in said
        for name in BALANCERS:
            assert states(name) == {FIRST: "MAINT", SECOND: "UP", THIRD: "UP"}
        start.write_text(works)
        code, said = run_playbook("playbooks/release.yml", {"flask_app_source": str(source)})
        ended = time.monotonic()
    assert code == 0, said
    report(f"A release that fails, in {failed - began:.0f} s, and one that works, in {ended - failed:.0f} s. {change}.")
    change.require_none_lost()
    for name in BALANCERS:
        assert states(name) == dict.fromkeys(NODES, "UP")
    assert health() == dict.fromkeys(NODES, "released")


def check_at(node: str, where: str, port: int) -> None:
    """Have the balancers check a node at another address."""
    for name in BALANCERS:
        ask(f"set server nodes/{node} check-addr {where} port {port}", name)


def test_release_stops_at_the_first_node_that_the_balancers_reject(source: Path) -> None:
    """They take a node that is put back for healthy until their first check."""
    check_at(FIRST, "127.0.0.1", 9)
    try:
        code, said = run_playbook("playbooks/release.yml", {"flask_app_source": str(source)})
    finally:
        check_at(FIRST, bench_client.endpoint(container(FIRST))["IPAddress"], 443)
    assert code != 0
    assert f"{FIRST} serves the site, and {' and '.join(BALANCERS)} do not find it healthy" in " ".join(said.split())
    assert f"{SECOND} :" not in said
    code, said = run_playbook("playbooks/doctor.yml", {})
    assert code != 0
    out = f"{FIRST} gets no visitors from {' and '.join(BALANCERS)}, where HAProxy says MAINT about it"
    assert out in " ".join(said.split())
    # A reload of HAProxy alone would forget it.
    code, said = run_playbook("playbooks/balancers.yml", {"load_balancer_response_seconds": 61})
    assert code == 0, said
    for name in BALANCERS:
        assert states(name) == {FIRST: "MAINT", SECOND: "UP", THIRD: "UP"}
        ask(f"set server nodes/{FIRST} state ready", name)
        wait_for(FIRST, "UP", name=name)


def test_doctor_finds_no_fault_in_nodes_that_agree() -> None:
    code, said = run_playbook("playbooks/doctor.yml", {})
    assert code == 0, said


def test_only_node_that_serves_is_rolled_back_in_its_place(report: Callable[[str], None]) -> None:
    """To take it out of the balancers would end the site."""

    def others(state: str) -> None:
        for name in BALANCERS:
            for node in (FIRST, THIRD):
                ask(f"set server nodes/{node} state {state}", name)

    with visited() as change:
        others("maint")
        code, said = run_playbook("playbooks/rollback.yml", {}, "--limit", SECOND)
        others("ready")
        for node in (FIRST, THIRD):
            wait_for(node, "UP")
    assert code == 0, said
    assert f"so {SECOND} stays there and changes while it serves" in " ".join(said.split())
    report(f"The only node that serves is rolled back. {change}.")
    change.require_none_lost()


def test_nodes_are_rolled_back_one_after_the_other(report: Callable[[str], None]) -> None:
    """To the release that one of them has already; before, the doctor says that they differ."""
    code, said = run_playbook("playbooks/doctor.yml", {})
    assert code != 0
    found = re.search(
        rf"do not have the same release of flask_app: \w+ on {FIRST} and {THIRD}, (\w+) on {SECOND}\.", said
    )
    assert found, said
    with visited() as change:
        code, said = run_playbook("playbooks/rollback.yml", {"flask_app_release": found[1]})
    assert code == 0, said
    report(f"The nodes are rolled back. {change}.")
    change.require_none_lost()
    assert health() == dict.fromkeys(NODES, "ok")


def certificate_at(name: str) -> x509.Certificate:
    """Return the certificate that a host sends."""
    return x509.load_pem_x509_certificate(ssl.get_server_certificate((bench_client.addresses()[name], 443)).encode())


@contextmanager
def second_key_of_the_provider() -> Iterator[x509.Certificate]:
    """Have the identity provider publish a second key, with which it does not sign yet; return its certificate."""
    provider = host(PROVIDER)
    provider.check_output(f"cp --preserve {PROVIDER_SETTINGS} {PROVIDER_SETTINGS}.before")
    provider.check_output(f"openssl req -x509 -newkey rsa:2048 -noenc -subj /CN=x -keyout {NEXT}.key -out {NEXT}.pem")
    provider.check_output(f"chgrp www-data {NEXT}.key && chmod 0640 {NEXT}.key")
    more = f"'new_privatekey' => '{NEXT}.key', 'new_certificate' => '{NEXT}.pem',"
    try:
        provider.check_output(f"sed -i \"s|'host' => 'auth.cern.ch',|& {more}|\" {PROVIDER_SETTINGS}")
        yield x509.load_pem_x509_certificate(provider.file(f"{NEXT}.pem").content)
    finally:
        provider.check_output(f"mv {PROVIDER_SETTINGS}.before {PROVIDER_SETTINGS}")


def signer(journey: list[httpx.Response]) -> x509.Certificate:
    """Return the certificate in the signature of the response of an identity provider."""
    response = lxml.etree.fromstring(bench_client.saml_responses(journey)[-1])
    (element,) = response.iterfind("./{*}Signature//{*}X509Certificate")
    return x509.load_der_x509_certificate(base64.b64decode(element.text))


def sign_with_second_key(certificate: x509.Certificate) -> None:
    """Have the identity provider sign with the second key, and wait until it does."""
    host(PROVIDER).check_output(f"sed -i 's,{PROVIDER_DIRECTORY}/auth.cern.ch,{NEXT},' {PROVIDER_SETTINGS}")
    deadline = time.monotonic() + 30
    while True:
        with visitor_of(FIRST) as session:
            _, journey = bench_client.saml_login(session, "/login", "cpayne")
        if signer(journey) == certificate:
            return
        assert time.monotonic() < deadline
        time.sleep(1)


def fingerprint(certificate: x509.Certificate) -> str:
    """Return the SHA-256 of a certificate's public key."""
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(key).hexdigest()


def test_keys_and_certificate_change_node_by_node(report: Callable[[str], None]) -> None:
    """Those of the service provider and the cookie, which the others know already.

    Metadata gets a second key, with which the identity provider signs then.
    """
    keys, secrets = FILES / "keys", FILES / "sealer.secret"
    (keys / "active").rename(keys / "previous")
    (keys / "next").rename(keys / "active")
    code, said = run_playbook("molecule/cluster/renew.yml", {})
    assert code == 0, said
    began = time.monotonic()
    with second_key_of_the_provider() as second:
        fingerprints = [(bench_client.ARTIFACTS / "bench" / "idp-key").read_text(), fingerprint(second)]
        with visited() as change:
            # The last one encrypts.
            secrets.write_text("".join(reversed(secrets.read_text().splitlines(keepends=True))))
            code, said = run_playbook("site.yml", {"saml_sp_idp_keys": fingerprints})
            assert code == 0, said
            sign_with_second_key(second)
            for node in NODES:
                with visitor_of(node) as session:
                    page, journey = bench_client.saml_login(session, "/profile", "mcurie")
                assert (page.status_code, page.url.path, signer(journey)) == (200, "/profile", second), node
    report(f"Keys are switched, in {time.monotonic() - began:.0f} s. {change}.")
    change.require_none_lost()
    metadata = {host(node).file("/etc/shibboleth/idp-metadata.xml").content_string for node in NODES}
    assert [document.count("<ds:X509Certificate>") for document in metadata] == [3]
    renewed = x509.load_pem_x509_certificate((FILES / "tls" / "certificate.pem").read_bytes())
    for node, name in NODES.items():
        assert certificate_at(name) == renewed
        with visitor_of(node) as session:
            request = session.get("/login", follow_redirects=False).next_request
            assert bench_client.signed_with(request, bench_client.sp_certificates(session, "signing")[0])


def test_node_whose_removal_fails_is_put_back(report: Callable[[str], None]) -> None:
    """Its httpd would not start with another program's file. It serves the site as before, and gets visitors again."""
    other_file = "/etc/apache2/conf-enabled/zz-other.conf"
    host(THIRD).check_output(f"echo NoSuchDirective > {other_file}")
    try:
        with visited() as change:
            code, said = run_playbook("playbooks/remove.yml", {}, "--limit", THIRD)
            assert [states(name)[THIRD] for name in BALANCERS] == ["UP"] * 2
    finally:
        host(THIRD).check_output(f"rm {other_file}")
    assert code == 2, said
    assert "NoSuchDirective" in said
    assert f"{THIRD} gets no visitors from {', '.join(BALANCERS)}" in said
    report(f"The removal of a node fails. {change}.")
    change.require_none_lost()
    with visitor_of(THIRD) as session:
        visits.member(session, "mcurie")
        assert session.cookies[COOKIE] == THIRD


def upload(node: str, seconds: float) -> httpx.Response:
    """Have a node read a body whose last part comes so long after the balancers have taken the node out."""

    def body() -> Iterator[bytes]:
        left, end = UPLOAD, None
        while left > 2000 and (end is None or time.monotonic() < end):
            yield bytes(1000)
            left -= 1000
            time.sleep(0.5)
            if end is None and states()[node] == "MAINT":
                end = time.monotonic() + seconds
        yield bytes(left)

    with visitor_of(node) as session:
        return session.post("/no-page", content=body(), headers={"Content-Length": str(UPLOAD)})


def test_node_is_removed_and_added(report: Callable[[str], None]) -> None:
    """The site is removed from it, and deployed again. The balancers get the renewed certificate meanwhile.

    Before the removal, the node finishes what it has begun.
    """
    renewed = certificate_at(NODES[FIRST])
    remaining = {node: node for node in (FIRST, SECOND)}
    with visited() as change, ThreadPoolExecutor(1) as pool:
        began = pool.submit(upload, THIRD, 15)
        for playbook, variables, options in (
            ("playbooks/remove.yml", {"load_balancer_drain_seconds": 60}, ("--limit", THIRD)),
            ("playbooks/balancers.yml", {"load_balancer_nodes": remaining}, ()),
        ):
            code, said = run_playbook(playbook, variables, *options)
            assert code == 0, said
            if playbook == "playbooks/remove.yml":
                response = began.result(1)
                assert (response.status_code, "Page not found" in response.text) == (404, True)
                assert response.elapsed.total_seconds() > 15
                assert f"{THIRD} gets no visitors from {', '.join(BALANCERS)}" in said
                assert [states(name)[THIRD] for name in BALANCERS] == ["MAINT"] * 2
    assert not host(THIRD).file("/srv/flask_app/current").exists
    assert set(states()) == set(remaining)
    assert certificate_at(bench_client.HOST) == renewed
    report(f"A node is removed. {change}.")
    change.require_none_lost()

    with visited([FIRST, SECOND]) as change:
        code, said = run_playbook("site.yml", {}, "--limit", THIRD)
        assert code == 0, said
        assert f"{' and '.join(BALANCERS)} send it no visitors, as HAProxy there does not have it" in " ".join(
            said.split()
        )
        code, said = run_playbook("playbooks/balancers.yml", {})
        assert code == 0, said
        assert set(states()) == set(NODES)
        wait_for(THIRD, "UP")
    report(f"It is added. {change}.")
    change.require_none_lost()
    with visitor_of(THIRD) as session:
        visits.member(session, "mcurie")
        assert session.cookies[COOKIE] == THIRD


def wait_until_served(seconds: float = 60) -> None:
    """Wait until a new visitor gets a page."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with bench_client.client(timeout=0.5) as session:
            try:
                if session.get("/healthz").status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.1)
    pytest.fail("The site does not answer.")


def wait_for_boot(name: str) -> None:
    """Wait until a balancer has started, and sees every node."""
    deadline = time.monotonic() + 60
    while container(name).exec_run(["systemctl", "is-active", "haproxy.service", "keepalived.service"]).exit_code:
        assert time.monotonic() < deadline
        time.sleep(0.5)
    for node in NODES:
        wait_for(node, "UP", name=name)


@pytest.mark.parametrize(
    ("lose", "bring_back"),
    [
        (Container.kill, Container.start),
        (
            lambda host: host.exec_run(["systemctl", "stop", "haproxy.service"]),
            lambda host: host.exec_run(["systemctl", "start", "haproxy.service"]),
        ),
        # systemd starts it again.
        (lambda host: host.exec_run(["systemctl", "kill", "--signal=KILL", "haproxy.service"]), id),
    ],
    ids=["host is killed", "HAProxy is stopped", "HAProxy is killed"],
)
def test_address_moves_once_when_its_balancer_is_lost(
    lose: Callable[[Container], object], bring_back: Callable[[Container], object], report: Callable[[str], None]
) -> None:
    """Requests fail until it has moved, but no session ends. When the balancer is back, nothing moves."""
    lost = holder()
    with visited() as change:
        began = time.monotonic()
        lose(container(lost))
        wait_until_served()
        served = time.monotonic()
        time.sleep(3)
    report(f"A balancer is lost; another one serves after {served - began:.1f} s. {change}.")
    other = holder()
    assert other != lost
    assert change.figures.lost == []
    assert [login for login in change.failed_logins if login.began > served] == []

    with visited() as change:
        bring_back(container(lost))
        wait_for_boot(lost)
        time.sleep(5)
    report(f"It is back. {change}.")
    assert holder() == other
    change.require_none_lost()


def test_address_is_given_up() -> None:
    code, said = run_playbook("playbooks/balancers.yml", {"load_balancer_virtual_addresses": []})
    assert code == 0, said
    for name in BALANCERS:
        assert container(name).exec_run(["systemctl", "is-active", "keepalived.service"]).exit_code != 0
        assert not has_address(container(name))
        assert container(name).exec_run(["test", "-e", "/etc/keepalived/keepalived.conf"]).exit_code != 0
    code, said = run_playbook("playbooks/balancers.yml", {})
    assert code == 0, said
    wait_until_served()
