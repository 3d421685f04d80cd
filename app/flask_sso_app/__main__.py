# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``flask_sso_app serve``: run the application with Flask's development server."""

from __future__ import annotations

import os
import secrets
import ssl
from collections.abc import Callable
from pathlib import Path

import click
from werkzeug.serving import run_simple

from flask_sso_app import create_app

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def main() -> None:
    """Run the reference application behind single sign-on."""


@main.command()
@click.option("--tls", nargs=2, type=FILE, metavar="CERTIFICATE KEY", help="Serve TLS with these PEM files.")
@click.option("--client-ca", type=FILE, metavar="CA", help="Require client certificates issued by this CA.")
@click.option("--crl", type=FILE, metavar="CRL", help="Reject the certificates on this revocation list.")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=5000, show_default=True)
def serve(tls: tuple[Path, Path] | None, client_ca: Path | None, crl: Path | None, host: str, port: int) -> None:
    """Serve the application on this machine. Not for production: use gunicorn, uWSGI or mod_wsgi there."""
    if (client_ca or crl) and not tls:
        raise click.UsageError("--client-ca and --crl need --tls.")
    if crl and not client_ca:
        raise click.UsageError("--crl needs --client-ca.")
    os.environ.setdefault("FLASK_SSO_SECRET_KEY", secrets.token_hex())
    if client_ca:
        os.environ.setdefault("FLASK_SSO_AUTHENTICATION", "client_certificates")
    run_simple(host, port, create_app(), threaded=True, ssl_context=tls_context(*tls, client_ca, crl) if tls else None)


def tls_context(certificate: Path, key: Path, client_ca: Path | None, crl: Path | None) -> ssl.SSLContext:
    """Return an SSL context for TLS 1.2 or later.

    :param certificate: certificate of the server, with its chain (PEM).
    :param key: private key of the certificate (PEM).
    :param client_ca: if given, clients need a certificate issued by this CA (PEM).
    :param crl: list of the certificates that the CA has revoked (PEM).
    :raises click.UsageError: if a file cannot be used.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    load_pem(context.load_cert_chain, certificate, key)
    if client_ca:
        context.verify_mode = ssl.CERT_REQUIRED
        load_pem(context.load_verify_locations, client_ca)
    if crl:
        load_pem(context.load_verify_locations, crl)
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
    return context


def load_pem(loader: Callable[..., None], *files: Path) -> None:
    """Load PEM files with a method of an SSL context.

    :raises click.UsageError: if a file cannot be used.
    """
    try:
        loader(*files)
    except OSError as error:  # includes ssl.SSLError
        names = " with ".join(str(file) for file in files)
        raise click.UsageError(
            f"{names} cannot be used: {error}. Give PEM files, and a key that belongs to its certificate."
        ) from error


if __name__ == "__main__":
    main(prog_name="flask_sso_app")
