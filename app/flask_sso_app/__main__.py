# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``flask_sso_app serve``: the application under Flask's own server, for development."""

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
@click.option("--clients", type=FILE, metavar="CA", help="Let in whoever has a certificate of this authority.")
@click.option("--revoked", type=FILE, metavar="CRL", help="Refuse certificates that are on this list.")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=5000, show_default=True)
def serve(tls: tuple[Path, Path] | None, clients: Path | None, revoked: Path | None, host: str, port: int) -> None:
    """Serve the application on this machine. Not for production: use gunicorn, uWSGI or mod_wsgi there."""
    if (clients or revoked) and not tls:
        raise click.UsageError("--clients and --revoked need --tls.")
    if revoked and not clients:
        raise click.UsageError("--revoked needs --clients.")
    os.environ.setdefault("FLASK_SSO_SECRET_KEY", secrets.token_hex())
    if clients:
        os.environ.setdefault("FLASK_SSO_SOURCE", "client_certificate")
    run_simple(
        host, port, create_app(), threaded=True, ssl_context=tls_context(*tls, clients, revoked) if tls else None
    )


def tls_context(certificate: Path, key: Path, clients: Path | None, revoked: Path | None) -> ssl.SSLContext:
    """Return a server's TLS settings: version 1.2 or later, and a certificate of each visitor if `clients` is given."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    load(context.load_cert_chain, certificate, key)
    if clients:
        context.verify_mode = ssl.CERT_REQUIRED
        load(context.load_verify_locations, clients)
    if revoked:
        load(context.load_verify_locations, revoked)
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
    return context


def load(into: Callable[..., None], *files: Path) -> None:
    """Load PEM files into a context, or name them."""
    try:
        into(*files)
    except OSError as error:  # ssl.SSLError is one, too
        names = " with ".join(str(file) for file in files)
        raise click.UsageError(
            f"{names} cannot be used: {error}. Give PEM files, and a key that belongs to its certificate."
        ) from error


if __name__ == "__main__":
    main(prog_name="flask_sso_app")
