# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""TLS, as seen on the wire: the right certificate, today's versions and suites, and no others."""

import re
import socket
import ssl
import time

import bench_client
import pytest
from platforms import Platform
from testinfra.host import Host

SUITES = {
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
}
TLS = ssl.TLSVersion
DAY = 86400

# OpenSSL on the client's side must not be what refuses.
pytestmark = pytest.mark.filterwarnings("ignore:ssl.TLSVersion")


def handshake(lowest: TLS, highest: TLS, suites: str = "ALL:COMPLEMENTOFALL") -> ssl.SSLSocket:
    """Return a connection whose certificate was checked as strictly as OpenSSL can."""
    context = ssl.create_default_context(cafile=str(bench_client.CA))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.set_ciphers(f"{suites}:@SECLEVEL=0")
    context.minimum_version, context.maximum_version = lowest, highest
    connection = socket.create_connection((bench_client.addresses()[bench_client.HOST], 443), timeout=10)
    return context.wrap_socket(connection, server_hostname=bench_client.HOST)


def test_certificate_is_issued_for_the_site_alone() -> None:
    """The chain leads to the CA, the name is the site's, and the time left is what browsers accept."""
    with handshake(TLS.TLSv1_2, TLS.TLSv1_3) as connection:
        certificate = connection.getpeercert()
    assert certificate["subjectAltName"] == (("DNS", bench_client.HOST),)
    left = ssl.cert_time_to_seconds(certificate["notAfter"]) - time.time()
    assert 30 * DAY < left < 398 * DAY


@pytest.mark.parametrize("version", [TLS.TLSv1_2, TLS.TLSv1_3])
def test_todays_versions_are_spoken(version: TLS) -> None:
    """Each version alone suffices."""
    with handshake(version, version) as connection:
        assert connection.version() == version.name.replace("_", ".")


@pytest.mark.parametrize("version", [TLS.TLSv1, TLS.TLSv1_1])
def test_old_versions_are_refused_by_the_server(version: TLS) -> None:
    """The refusal is an alert that came over the wire."""
    with pytest.raises(ssl.SSLError) as refusal:
        handshake(version, version)
    assert refusal.value.reason == "TLSV1_ALERT_PROTOCOL_VERSION"


@pytest.mark.parametrize("suite", sorted(SUITES))
def test_good_suites_are_accepted(suite: str) -> None:
    """Each suite of Mozilla's intermediate guideline that fits the key works."""
    with handshake(TLS.TLSv1_2, TLS.TLSv1_2, suite) as connection:
        assert connection.cipher()[0] == suite


def test_strongest_key_exchange_comes_first(web: Host, names: Platform) -> None:
    """The host's own OpenSSL knows what httpd knows, and offers it all."""
    command = f"openssl s_client -connect 127.0.0.1:443 -servername {bench_client.HOST} </dev/null"
    said = web.run(command).stdout
    assert re.findall(r"(?:TLS1[.]3 group: |Temp Key: )(\w+)", said) == [names.key_exchange], said


def test_all_other_suites_are_refused_by_the_server() -> None:
    """A client that offers everything else that OpenSSL knows gets an alert."""
    with pytest.raises(ssl.SSLError) as refusal:
        handshake(TLS.TLSv1_2, TLS.TLSv1_2, ":!".join(["ALL:COMPLEMENTOFALL", *sorted(SUITES)]))
    assert refusal.value.reason == "SSLV3_ALERT_HANDSHAKE_FAILURE"
