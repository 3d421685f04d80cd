# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Server variables from headers of a proxy, and from the client certificate of a TLS connection."""

from __future__ import annotations

import http.client
import os
import socket
import ssl
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
import trustme
from conftest import GRACE, Browser

from flask_sso_app import create_app
from flask_sso_app.transport import ProxyHeaders, certificate_variables

CA = trustme.CA()
SETTINGS = {"SECRET_KEY": "tests", "HEADER_PREFIX": "X-Proxy-"}


def headers(variables: dict[str, str]) -> dict[str, str]:
    """Return httpd's variables as the headers of the role reverse_proxy."""
    return {f"X-Proxy-{name.replace('_', '-')}": value for name, value in variables.items()}


def browser(**settings) -> Browser:
    """Return a client of an application behind an HTTP proxy."""
    app = create_app(SETTINGS | settings)
    app.test_client_class = Browser
    return app.test_client()


def test_headers_of_the_proxy_authenticate():
    assert browser().get("/api/me", headers=headers(GRACE)).json["identifier"] == "ghopper"
    assert browser().get("/login?next=/profile", headers=headers(GRACE)).location == "/profile"
    assert browser().get("/login", headers=headers(GRACE | {"upn": ""})).status_code == 403
    certificate = headers({"SSL_CLIENT_VERIFY": "SUCCESS", "SSL_CLIENT_S_DN_CN": "Grace Hopper"})
    certificate |= {"X-Proxy-SSL-CLIENT-S-DN-CN-1": ""}  # not set
    assert (
        browser(AUTHENTICATION="client_certificates").get("/hello", headers=certificate).text == "Hello Grace Hopper!"
    )


def test_headers_are_ignored_without_the_setting(browser):
    assert browser.get("/api/me", headers=headers(GRACE)).status_code == 401


def test_environ_is_ignored_with_the_setting():
    assert browser().get("/api/me", environ=GRACE).status_code == 401


def test_empty_header_is_a_missing_variable():
    said = ProxyHeaders({"HTTP_X_PROXY_UPN": ""}, "X-Proxy-")
    assert "upn" not in said
    assert said.get("upn", "none") == "none"


def test_certificate_variables_are_those_of_mod_ssl():
    found = certificate_variables(
        {
            "subject": (
                (("domainComponent", "ch"),),
                (("organizationName", "Hopper, Sons"),),
                (("commonName", "Grace"),),
                (("commonName", "Cecilia"),),
            ),
            "issuer": ((("commonName", "#1 ☕"),),),
            "serialNumber": "0A",
            "subjectAltName": (("DNS", "x.example"), ("email", "grace@example.org")),
        }
    )
    assert found["SSL_CLIENT_S_DN"] == r"CN=Cecilia,CN=Grace,O=Hopper\, Sons,DC=ch"
    assert found["SSL_CLIENT_I_DN"].encode("latin-1").decode() == r"CN=\#1 ☕"
    assert (found["SSL_CLIENT_S_DN_CN"], found["SSL_CLIENT_S_DN_CN_1"]) == ("Grace", "Cecilia")
    assert found["SSL_CLIENT_SAN_Email_0"] == "grace@example.org"


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    """Return the certificates of a CA, a server and a user, and one of another CA."""
    directory = tmp_path_factory.mktemp("tls")
    made = {name: directory / f"{name}.pem" for name in ("ca", "server", "grace", "other_ca")}
    CA.cert_pem.write_to_path(str(made["ca"]))
    for name, certificate in {
        "server": CA.issue_cert("localhost"),
        "grace": CA.issue_cert("grace@example.org", common_name="Grace Hopper"),
        "other_ca": trustme.CA().issue_cert("grace@example.org", common_name="Grace Hopper"),
    }.items():
        certificate.private_key_and_cert_chain_pem.write_to_path(str(made[name]))
    return made


@pytest.fixture(scope="module", params=["server", "mutual"])
def served(request, files) -> tuple[str, int]:
    """Run ``flask_sso_app serve --tls``, with client certificates if "mutual"; return which of both, and the port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number = free.getsockname()[1]
    options = ["--tls", files["server"], files["server"], "--port", str(number)]
    if request.param == "mutual":
        options += ["--client-ca", files["ca"]]
    command = [sys.executable, "-m", "flask_sso_app", "serve", *options]
    with subprocess.Popen(command, cwd=Path(__file__).parents[1], stderr=subprocess.DEVNULL, env={**os.environ}) as run:
        for _ in range(100):
            with socket.socket() as attempt:
                if attempt.connect_ex(("127.0.0.1", number)) == 0:
                    break
            time.sleep(0.1)
        yield request.param, number
        run.terminate()


def ask(port: int, files: dict[str, Path], who: str | None = None) -> str:
    """Return the page ``/hello``."""
    context = ssl.create_default_context(cafile=str(files["ca"]))
    if who:
        context.load_cert_chain(files[who])
    connection = http.client.HTTPSConnection("localhost", port, context=context, timeout=5)
    with closing(connection):
        connection.request("GET", "/hello")
        return connection.getresponse().read().decode()


def test_development_server_authenticates_by_certificate(served, files):
    tls, port = served
    if tls == "server":
        assert ask(port, files) == "Hello Unauthorized!"
        return
    assert ask(port, files, "grace") == "Hello Grace Hopper!"
    for who in (None, "other_ca"):
        with pytest.raises((ssl.SSLError, ConnectionResetError, http.client.RemoteDisconnected)):
            ask(port, files, who)


@pytest.mark.parametrize("options", [["--client-ca", __file__], ["--tls", __file__, __file__, "--crl", __file__]])
def test_invalid_options_are_rejected(options):
    command = [sys.executable, "-m", "flask_sso_app", "serve", *options]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "needs --" in " ".join(done.stderr.split()) or "need --tls" in done.stderr


def test_invalid_files_are_named(files, tmp_path):
    (tmp_path / "note.txt").write_text("no PEM")
    good, bad = str(files["server"]), str(tmp_path / "note.txt")
    options = [["--tls", bad, good], ["--tls", good, bad], ["--tls", good, good, "--client-ca", bad]]
    options.append(["--tls", good, good, "--client-ca", str(files["ca"]), "--crl", bad])
    for given in options:
        command = [sys.executable, "-m", "flask_sso_app", "serve", *given]
        done = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False)
        said = "".join(done.stderr.split())  # click breaks lines, even inside of a path
        assert (done.returncode, "Traceback" in said) == (2, False)
        assert bad in said
        assert "cannotbeused" in said
