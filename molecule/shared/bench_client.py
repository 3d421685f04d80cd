# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients outside of the bench: an HTTP client, a browser, and a login through the identity provider with either.

Host names resolve to the containers, and TLS is verified against the bench's own CA.
"""

from __future__ import annotations

import base64
import json
import os
import re
import ssl
import subprocess
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from urllib.parse import urljoin

import docker
import httpx
import lxml.etree
import lxml.html
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from docker.models.containers import Container
from playwright.sync_api import Page, sync_playwright
from testinfra.host import Host

# Two scenarios can run at the same time, each in a lane with containers, a network and artifacts of its own.
LANE = os.environ.get("FLASK_SSO_LANE", "")
PROJECT = Path(__file__).resolve().parents[2]
ARTIFACTS = PROJECT / f"artifacts{LANE}"
# Files of a run for the registration of the site and for its certificate.
PAPERS = ARTIFACTS / f"flask-sso-web{LANE}"
CA = ARTIFACTS / "private_ca" / "ca.pem"
NETWORK = f"flask-sso-bench{LANE}"
# Chromium asks the user which certificate to send, unless a policy of the machine selects one.
POLICY = Path("/etc/chromium/policies/managed") / f"flask-sso-bench{LANE}.json"
# For visitors of sites without TLS. It trusts no CA, so no certificates are read, which takes longer than a request.
NO_TRUST = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
HOST = "flask.example.org"
SITE = f"https://{HOST}"
IDP_HOST = "auth.cern.ch"
UNIVERSITY_HOST = "idp.university.example"
ONELOGIN_HOST = "app.onelogin.example"
#: IP addresses of host names that move between containers.
MOVING: dict[str, str] = {}
#: Of the provider of OpenID Connect.
ISSUER = f"https://{IDP_HOST}/auth/realms/cern"
IDP_HOSTS = (IDP_HOST, UNIVERSITY_HOST, ONELOGIN_HOST)


#: How a request fails while httpd is restarted.
CUT_BY_RESTART = (httpx.ConnectError, httpx.ReadError, httpx.RemoteProtocolError, httpx.WriteError)


class LoginError(Exception):
    """The identity provider refused the user; the text is that of its page."""


def password() -> str:
    """Return the password of all test users."""
    return (ARTIFACTS / "bench" / "password").read_text().strip()


def containers() -> dict[str, Container]:
    """Return the container behind each host name on the bench's network.

    Raises docker.errors.NotFound when the bench does not run.
    """
    engine = docker.from_env()
    found = {}
    for container in engine.networks.get(NETWORK).containers:
        found |= dict.fromkeys(endpoint(container)["Aliases"] or (), container)
    return found


@cache
def addresses() -> dict[str, str]:
    """Return the IP address of each host name on the bench's network.

    They are found once, as that takes longer than a request: who restarts or replaces a container clears this cache.
    """
    return {name: endpoint(container)["IPAddress"] for name, container in containers().items()} | MOVING


def boot(host: Host, name: str = HOST) -> str:
    """Restart the container of a host; return the state of its systemd when every unit has started, or has failed."""
    containers()[name].restart()
    addresses.cache_clear()
    deadline = time.monotonic() + 60
    while (state := host.run("systemctl is-system-running --wait").stdout.strip()) not in ("running", "degraded"):
        assert time.monotonic() < deadline, state
        time.sleep(0.2)
    return state


def endpoint(container: Container) -> dict:
    """Return what the Docker Engine knows about a container on the bench's network."""
    return container.attrs["NetworkSettings"]["Networks"][NETWORK]


class BenchTransport(httpx.HTTPTransport):
    """Connect to the container that has the name in the URL; any other name is a KeyError.

    Without `verify`, it trusts no server's certificate.
    """

    def __init__(self, verify: ssl.SSLContext = NO_TRUST, **options) -> None:
        super().__init__(verify=verify, **options)
        self.addresses = addresses()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a copy of `request` to the container's address, with the name kept in Host and SNI."""
        host = request.url.host
        sent = httpx.Request(
            request.method,
            request.url.copy_with(host=self.addresses[host]),
            headers=request.headers,
            stream=request.stream,
            extensions={**request.extensions, "sni_hostname": host},
        )
        return super().handle_request(sent)


def client(certificate: Path | None = None, key: Path | None = None, http2: bool = False, **options) -> httpx.Client:
    """Return an HTTP client with an empty cookie jar, like a fresh browser.

    `certificate` and `key` are the PEM files of a client certificate; `http2` offers HTTP/2; `options` go to
    httpx.Client. Redirects are followed unless `follow_redirects=False`, and paths alone are paths of the site.
    """
    context = ssl.create_default_context(cafile=str(CA))
    if certificate:
        context.load_cert_chain(certificate, key)
    transport = BenchTransport(verify=context, http2=http2)
    return httpx.Client(transport=transport, **({"base_url": SITE, "follow_redirects": True} | options))


@contextmanager
def visitors(*paths: str, connect: Callable[[], httpx.Client] = client) -> Iterator[list[str]]:
    """Run one visitor for each path, who requests it again and again; yield the list of all responses.

    An answer is the status and the text, or what went wrong; `connect` opens a visitor's client.
    """
    answers: list[str] = []
    closing_time = Event()

    def visit(path: str) -> None:
        with connect() as session:
            while not closing_time.is_set():
                try:
                    # A server may close a persistent connection at any time; a browser would retry.
                    response = session.get(path, headers={"Connection": "close"})
                    answers.append(f"{response.status_code} {response.text}")
                except httpx.HTTPError as error:
                    answers.append(repr(error))
                time.sleep(0.03)  # with handshakes, a processor is busy with three visitors who do not wait

    with ThreadPoolExecutor(len(paths)) as pool:
        crowd = [pool.submit(visit, path) for path in paths]
        try:
            yield answers
        finally:
            closing_time.set()
            for visitor in crowd:
                visitor.result()


def get_after_restart(session: httpx.Client, path: str, seconds: float = 30) -> httpx.Response:
    """Get a page once httpd serves it; a restart refuses new connections, and resets open ones."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return session.get(path)
        except CUT_BY_RESTART:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def files_with(host: Host, text: str, *directories: str) -> list[str]:
    """Return the files that contain a text. Services delete and rename files below; every other error fails."""
    found = host.run(f"grep --recursive --files-with-matches --fixed-strings -e %s {' '.join(directories)}", text)
    gone = re.compile(r"grep: (?P<path>.+): No such file or directory")
    vanished = [gone.fullmatch(line) for line in found.stderr.splitlines()]
    assert all(match and match["path"] not in directories for match in vanished), found.stderr
    return found.stdout.split()


def complaints(host: Host) -> str:
    """Return what the doctor says about a host whose site should have no fault; nothing if it has none.

    What earlier tests have provoked is in the logs, so it reads only what is in them from now on.
    """
    examined = host.run("flask-sso-doctor --since 1s")
    if examined.rc == 0:
        return ""
    return f"{examined.stdout}{examined.stderr}" or f"exit status {examined.rc}"


def submit_form(session: httpx.Client, page: httpx.Response, **fields: str) -> httpx.Response:
    """Submit the first form of an HTML page, with `fields` filled in, as its button would."""
    form = lxml.html.fromstring(page.content).forms[0]
    data = dict(form.form_values()) | fields
    target = urljoin(str(page.url), form.action)
    return session.post(target, data=data) if form.method == "POST" else session.get(target, params=data)


def saml_request(request: httpx.Request) -> bytes:
    """Return the SAML request that a redirect to an identity provider carries."""
    return zlib.decompress(base64.b64decode(request.url.params["SAMLRequest"]), -zlib.MAX_WBITS)


def saml_responses(journey: list[httpx.Response]) -> list[bytes]:
    """Return the SAML responses in the forms that pages of an identity provider carry to the site, in their order."""
    forms = [form for page in journey for form in lxml.html.fromstring(page.content).forms]
    return [base64.b64decode(form.fields["SAMLResponse"]) for form in forms if "SAMLResponse" in form.fields]


def sp_certificates(session: httpx.Client, use: str) -> list[x509.Certificate]:
    """Return the certificates in the site's metadata for a use, "signing" or "encryption", in their order."""
    metadata = lxml.etree.fromstring(session.get("/Shibboleth.sso/Metadata").content)
    found = metadata.iterfind(f".//{{*}}KeyDescriptor[@use='{use}']//{{*}}X509Certificate")
    return [x509.load_der_x509_certificate(base64.b64decode(element.text)) for element in found]


def signed_with(request: httpx.Request, certificate: x509.Certificate) -> bool:
    """Return whether a certificate's key signed the SAML request that a redirect carries."""
    signed = request.url.query.partition(b"&Signature=")[0]
    signature = base64.b64decode(request.url.params["Signature"])
    try:
        certificate.public_key().verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        return False
    return request.url.params["SigAlg"] == "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"


def saml_login(
    session: httpx.Client, url: str, user: str, secret: str | None = None
) -> tuple[httpx.Response, list[httpx.Response]]:
    """Open `url`, go through the identity provider as `user` and come back.

    `secret` replaces the right password. Returns the last response and, in order, every response of the journey.
    Raises LoginError when the identity provider shows its login page again or an error.
    """
    response = session.get(url)
    return answer_provider(session, response, user, secret)


def cookies_of(session: httpx.Client) -> str:
    """Return the header with the cookies that a session has of the site."""
    own = [cookie for cookie in session.cookies.jar if cookie.domain == HOST]
    return "; ".join(f"{cookie.name}={cookie.value}" for cookie in own)


def login_cookies(user: str) -> str:
    """Log a user in; return the header with the cookies of the session."""
    with client() as session:
        saml_login(session, "/login", user)
        return cookies_of(session)


def answer_provider(
    session: httpx.Client, response: httpx.Response, user: str, secret: str | None = None
) -> tuple[httpx.Response, list[httpx.Response]]:
    """Go on from a page of an identity provider, as `saml_login` does from a page of the site."""
    trace = [*response.history, response]
    asked = False
    while response.url.host in IDP_HOSTS:
        page = lxml.html.fromstring(response.content)
        asks = bool(page.xpath("//form//input[@type='password']"))
        if not page.forms or (asks and asked):
            raise LoginError(" ".join(page.text_content().split()))
        fields = {"username": user, "password": secret or password()} if asks else {}
        asked = asked or asks
        response = submit_form(session, response, **fields)
        trace += [*response.history, response]
    return response, trace


def log_out_at_provider(cookies: httpx.Cookies) -> None:
    """Log out at the provider of OpenID Connect, with its own cookies only; the site's are not sent anywhere."""
    with client() as session:
        for cookie in cookies.jar:
            if cookie.domain == IDP_HOST:
                session.cookies.jar.set_cookie(cookie)
        page = submit_form(session, session.get(f"{ISSUER}/protocol/openid-connect/logout"), logout="yes")
        assert (page.status_code, page.url.host) == (200, IDP_HOST)


@contextmanager
def browser(person: Path | None = None) -> Iterator[Page]:
    """Open a page in Debian's Chromium, with its own home, which trusts the bench's CA: TLS errors stay errors.

    `person` is the directory of a client certificate, which the browser imports and sends to the site.
    """
    with TemporaryDirectory() as home, sync_playwright() as playwright:
        store = Path(home) / ".pki" / "nssdb"
        store.mkdir(parents=True)
        certutil = ["certutil", "-d", f"sql:{store}"]
        subprocess.run([*certutil, "-N", "--empty-password"], check=True)
        subprocess.run([*certutil, "-A", "-n", "bench", "-t", "C,,", "-i", str(CA)], check=True)
        if person:
            bundle = ["-i", str(person / f"{person.name}.p12"), "-w", str(person / "passphrase")]
            pk12util = ["pk12util", "-d", f"sql:{store}", *bundle]
            subprocess.run(pk12util, check=True, capture_output=True)
            POLICY.parent.mkdir(parents=True, exist_ok=True)
            POLICY.write_text(
                json.dumps({"AutoSelectCertificateForUrls": [json.dumps({"pattern": SITE, "filter": {}})]})
            )
        rules = ", ".join(f"MAP {name} {address}" for name, address in addresses().items())
        chromium = playwright.chromium.launch(
            executable_path="/usr/bin/chromium",
            env={**os.environ, "HOME": home},
            args=[f"--host-resolver-rules={rules}, MAP * ~NOTFOUND", "--disable-quic"],
        )
        try:
            yield chromium.new_page()
        finally:
            chromium.close()
            POLICY.unlink(missing_ok=True)


def browser_login(page: Page, url: str, user: str) -> None:
    """Open `url` in the browser, log in as `user` by hand and wait until the identity provider is left."""
    page.goto(url)
    page.locator("input[name=username]").fill(user)
    page.locator("input[name=password]").fill(password())
    page.locator("input[name=password]").press("Enter")
    page.wait_for_url(lambda address: IDP_HOST not in address)
