# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of httpd and gunicorn for client certificates; requests to real servers are tested on the bench."""

from __future__ import annotations

import re
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import jinja2
import pytest
import trustme
import yaml
from ansible_collections.campus.flask_sso.plugins.filter.python_literal import python_literal

ROOT = Path(__file__).parents[2]


def test_proxy_sends_every_variable_that_the_application_asks_for():
    source = ROOT / "app/flask_sso_app/authentication/client_certificates.py"
    told = yaml.safe_load((ROOT / "roles/client_certificates/vars/main.yml").read_text())
    assert set(re.findall(r"SSL_CLIENT_\w+", source.read_text())) == set(told["client_certificates_part"]["environ"])


@pytest.mark.parametrize(
    ("address", "accepted"),
    [
        ("http://ocsp.example.org/", True),
        ("http://127.0.0.1:8888", True),
        ("https://ocsp.example.org/", False),
        ("ocsp.example.org", False),
        ("http://ocsp.example.org/\nSSLEngine off", False),
    ],
)
def test_responder_has_an_address_that_httpd_can_ask(address, accepted):
    told = yaml.safe_load((ROOT / "roles/client_certificates/vars/main.yml").read_text())
    assert bool(re.match(told["client_certificates__responder"], address)) == accepted


@pytest.fixture
def files(tmp_path) -> Path:
    """Return a directory with gunicorn's files, and a visitor's certificate."""
    authority = trustme.CA()
    host, visitor = authority.issue_cert("localhost"), authority.issue_cert("grace@example.org")
    authority.cert_pem.write_to_path(tmp_path / "client-authorities.pem")
    host.cert_chain_pems[0].write_to_path(tmp_path / "certificate.pem")
    host.private_key_pem.write_to_path(tmp_path / "key.pem")
    visitor.private_key_and_cert_chain_pem.write_to_path(tmp_path / "visitor.pem")
    return tmp_path


@pytest.fixture
def gunicorn(files) -> SimpleNamespace:
    """Return the settings of gunicorn, as it reads them."""
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(ROOT / "roles/flask_app/templates"),
        trim_blocks=True,
        autoescape=False,  # noqa: S701 (it is Python)
    )
    templates.filters["campus.flask_sso.python_literal"] = python_literal
    variables = {
        "flask_app_tls": "mutual",
        "flask_app__tls_path": str(files),
        "flask_app_tls_client_crl_file": "",
        "flask_app_tls_client_seconds": 10,
        **dict.fromkeys(("flask_app_processes", "flask_app_threads", "flask_app__longest_seconds"), 1),
    }
    settings = {}
    exec(templates.get_template("gunicorn.py.j2").render(variables), settings)  # noqa: S102 (as gunicorn does)
    return SimpleNamespace(**settings)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_gunicorn_resumes_no_session(files, gunicorn, version):
    """Not even while its first connection is open."""
    visitor = ssl.create_default_context(cafile=files / "client-authorities.pem")
    visitor.load_cert_chain(files / "visitor.pem")
    visitor.minimum_version = visitor.maximum_version = version
    session = None
    with ExitStack() as connections, ThreadPoolExecutor() as pool:
        for _ in range(3):
            here, there = socket.socketpair()
            accepted = pool.submit(gunicorn.ssl_context().wrap_socket, there, server_side=True)
            secured = connections.enter_context(visitor.wrap_socket(here, server_hostname="localhost", session=session))
            answering = connections.enter_context(accepted.result())
            answering.send(b"x")
            assert secured.recv(1) == b"x"  # by now a ticket would have come
            assert answering.getpeercert()
            assert not secured.session_reused
            session = secured.session


def test_gunicorn_keeps_to_the_files_that_it_started_with(files, gunicorn):
    """A run writes new ones before it has checked them."""
    for name in ("certificate.pem", "key.pem", "client-authorities.pem"):
        (files / name).write_text("not checked yet")
    assert gunicorn.ssl_context().get_ca_certs()


def test_gunicorn_does_not_start_with_a_file_that_cannot_be_used(files, request):
    (files / "client-authorities.pem").write_text("no certificate")
    with pytest.raises(ssl.SSLError):
        request.getfixturevalue("gunicorn")
