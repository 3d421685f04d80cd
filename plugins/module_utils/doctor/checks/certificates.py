# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The site's certificate: on disk, as it is served, and its key (FS3)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone

from ..model import Finding, UnseenError, check, error, note, ok, warning
from ..site import Site, VirtualHost

WARNING_DAYS = 14
PUBLIC_KEY = re.compile(r"-----BEGIN PUBLIC KEY-----.+?-----END PUBLIC KEY-----", re.DOTALL)
CRL_SHARE = 0.25  # of a list's life: some CAs issue a list each day, others each month
STRANGERS = ("unable to get local issuer certificate", "self-signed certificate in certificate chain")


@dataclass(frozen=True)
class Certificate:
    """What the checks need of a certificate."""

    fingerprint: str
    public_key: str
    ends: float
    names: list[str]
    names_issuer: bool

    def covers(self, name: str) -> bool:
        """Return whether it is valid for a name."""
        return name.lower() in self.names or f"*.{name.lower().partition('.')[2]}" in self.names


def parse(site: Site, *source: str, stdin: str = "") -> Certificate:
    """Have openssl read a certificate.

    :param site: The site.
    :param source: Arguments that name the file, if it is one.
    :param stdin: Its text otherwise.
    :returns: The certificate.
    :raises UnseenError: if it cannot be read.
    """
    wanted = ["-noout", "-fingerprint", "-sha256", "-pubkey", "-enddate", "-ext", "subjectAltName,authorityInfoAccess"]
    read = site.host.run("openssl", "x509", *source, *wanted, stdin=stdin)
    key, ends = PUBLIC_KEY.search(read.text), re.search(r"notAfter=(.+)", read.text)
    fingerprint = re.search(r"Fingerprint=(\S+)", read.text)
    if not (key and ends and fingerprint):
        raise UnseenError(f"openssl reads no certificate there ({' '.join(source) or 'from httpd'})")
    end = datetime.strptime(ends[1].strip(), "%b %d %H:%M:%S %Y GMT").replace(tzinfo=timezone.utc)
    names = [name.lower() for name in re.findall(r"DNS:([^,\s]+)", read.text)]
    return Certificate(fingerprint[1], key[0], end.timestamp(), names, "CA Issuers" in read.text)


def on_disk(site: Site) -> Iterator[tuple[VirtualHost, Certificate]]:
    """Read the certificate file of each site.

    :param site: The site.
    :raises UnseenError: if no site has one, as with mod_md.
    """
    found = [each for each in site.sites if each.value("SSLCertificateFile")]
    if not found:
        raise UnseenError("httpd's configuration names no certificate file, as mod_md keeps it")
    for each in found:
        yield each, parse(site, "-in", each.value("SSLCertificateFile"))


def served(site: Site) -> Iterator[tuple[VirtualHost, Certificate]]:
    """Fetch the certificate that each site presents.

    :param site: The site.
    :raises UnseenError: if one presents none.
    """
    for each in site.sites:
        try:
            yield each, parse(site, stdin=site.handshake(each).certificate)
        except OSError as fault:
            raise UnseenError(f"{each.url} does not speak TLS: {fault}") from fault


@check(
    "FS301",
    "The certificate belongs to the key",
    cause=(
        "The file of the certificate and that of the key are not a pair, often as a renewed certificate was made "
        "for another key. At its next restart, httpd will not start."
    ),
    remedy=(
        "Save the certificate that was issued for this key, or the key that the certificate was requested with, "
        "and run site.yml."
    ),
)
def pair(site: Site) -> Iterator[Finding]:
    """Compare the public keys of both files."""
    for each, certificate in on_disk(site):
        path = each.value("SSLCertificateKeyFile") or each.value("SSLCertificateFile")
        read = site.host.run("openssl", "pkey", "-in", path, "-passin", "pass:", "-pubout")
        key = PUBLIC_KEY.search(read.text)
        if "Permission denied" in read.text:
            raise UnseenError(f"only root may read {path}: use sudo")
        if not key:
            yield error(f"{path} holds no key that httpd can read without a passphrase.")
        elif key[0] != certificate.public_key:
            yield error(f"{path} is not the key of {each.value('SSLCertificateFile')}.")
        else:
            yield ok(f"{path} is the key of the certificate.")


@check(
    "FS302",
    "httpd serves the certificate that is on the disk",
    cause=(
        "The file of the certificate has changed since httpd read it. Visitors still get the earlier one, until it"
        " expires."
    ),
    remedy="Run: systemctl reload httpd or apache2.",
    after=("FS101", "FS103", "FS201", "FS203", "FS301"),
)
def loaded(site: Site) -> Iterator[Finding]:
    """Compare the fingerprints of both."""
    presented = {each.url: certificate for each, certificate in served(site)}
    for each, certificate in on_disk(site):
        if presented[each.url].fingerprint == certificate.fingerprint:
            yield ok(f"{each.url} presents {each.value('SSLCertificateFile')}.")
        else:
            yield warning(f"{each.url} presents another certificate than {each.value('SSLCertificateFile')}.")


@check(
    "FS303",
    "The certificate is valid for a while",
    cause=(
        "The certificate that visitors get expires soon or has expired. Then browsers show a warning instead of "
        "the site."
    ),
    remedy=(
        "Request a new one from your CA. With apache_ssl_certificate_source csr, save it beside the request and "
        "run site.yml."
    ),
    after=("FS101", "FS103", "FS201", "FS203", "FS302"),
)
def expiry(site: Site) -> Iterator[Finding]:
    """Count the days that are left."""
    for each, certificate in served(site):
        days = (certificate.ends - site.host.now()) / 86400
        if days < 0:
            yield error(f"That of {each.url} expired {-days:.0f} days ago.")
        elif days < WARNING_DAYS:
            yield warning(f"That of {each.url} expires in {days:.0f} days.")
        else:
            yield ok(f"That of {each.url} is valid for another {days:.0f} days.")


@check(
    "FS304",
    "The certificate has the site's names",
    cause="The certificate is for other names than the site has, so browsers refuse it.",
    remedy=(
        "Request one with all names: flask_sso_server_name and apache_ssl_server_aliases; or correct these variables."
    ),
    after=("FS101", "FS103", "FS201", "FS203", "FS302"),
)
def names(site: Site) -> Iterator[Finding]:
    """Compare its alternative names with ServerName and ServerAlias."""
    for each, certificate in served(site):
        wanted = [each.name, *[name for names in each.values("ServerAlias") for name in names if "*" not in name]]
        missing = [name for name in wanted if not certificate.covers(name)]
        if missing:
            yield error(f"It lacks {', '.join(missing)}, and has {', '.join(certificate.names) or 'no names'}.")
        else:
            yield ok(f"It has {', '.join(wanted)}.")


@check(
    "FS305",
    "The certificate is trusted",
    cause=(
        "This host would not trust the certificate: its CA is not a public one, an intermediate certificate is "
        "missing, or it is self-signed."
    ),
    remedy=(
        "For a public CA, put the intermediate certificates into the file, behind the site's. A private CA has to "
        "be installed in each browser."
    ),
    after=("FS101", "FS103", "FS201", "FS203", "FS301", "FS302", "FS303", "FS304"),
)
def trusted(site: Site) -> Iterator[Finding]:
    """Validate it as a program on this host does."""
    for each in site.sites:
        try:
            presented = site.handshake(each)
        except OSError as fault:
            yield error(f"{each.url} does not speak TLS: {fault}.")
            continue
        distrust = presented.distrust
        if not distrust:
            yield ok(f"{each.url} is trusted.")
        elif distrust in STRANGERS and parse(site, stdin=presented.certificate).names_issuer:
            # Public CAs write into a certificate where that of its issuer is; private ones have no such place.
            yield warning(f"{each.url}: {distrust}. The intermediate certificate is missing, or its CA is not public.")
        elif distrust.replace("self signed", "self-signed") in STRANGERS:
            yield note(f"{each.url}: {distrust}. With a private CA, that is as it has to be.")
        else:
            yield warning(f"{each.url}: {distrust}.")


@check(
    "FS306",
    "Revocation lists are up to date",
    cause=(
        "The CRL has expired, or will before long. Then httpd refuses all logins with a certificate, or no longer "
        "learns which certificates are revoked."
    ),
    remedy=(
        "Fetch the CA's new CRL. With the private CA, site.yml renews it; by hand, save it at the path of "
        "SSLCARevocationFile and reload httpd."
    ),
    after=("FS201",),
)
def revocation(site: Site) -> Iterator[Finding]:
    """Read until when they are valid."""
    paths = sorted({each.value("SSLCARevocationFile") for each in site.sites} - {""})
    for path in paths:
        read = site.host.run("openssl", "crl", "-in", path, "-noout", "-lastupdate", "-nextupdate").text
        times = dict(re.findall(r"(lastUpdate|nextUpdate)=(.+) GMT", read))
        if len(times) < 2:
            yield error(f"openssl reads no list with an end in {path}.")
            continue
        begin, end = (
            datetime.strptime(times[name].strip(), "%b %d %H:%M:%S %Y").replace(tzinfo=timezone.utc).timestamp()
            for name in ("lastUpdate", "nextUpdate")
        )
        days, life = (end - site.host.now()) / 86400, (end - begin) / 86400
        if days < 0:
            yield error(f"{path} expired {-days:.0f} days ago.")
        elif days < min(WARNING_DAYS, CRL_SHARE * life):
            yield warning(f"{path} expires in {days:.1f} days, and was made for {life:.0f}.")
        else:
            yield ok(f"{path} is valid for another {days:.0f} days.")
    if not paths:
        raise UnseenError("no site here has a revocation list")
