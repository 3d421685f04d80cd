# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates in any form that CAs use are sent in order, or a message says what is wrong."""

from __future__ import annotations

import base64
import json
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from ansible.errors import AnsibleFilterError
from ansible.parsing.vault import VaultLib, VaultSecret, VaultSecretsContext
from ansible_collections.campus.flask_sso.plugins.filter.certificate_chain import certificate_chain
from ansible_collections.campus.flask_sso.plugins.filter.private_key import private_key
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    pkcs7,
    pkcs12,
)
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

NOW = datetime.now(UTC)
NAME = "app.example.org"
KEYS: dict[str, ec.EllipticCurvePrivateKey] = {}
CA = x509.BasicConstraints(ca=True, path_length=None)
AIA = x509.AuthorityInformationAccess(
    [
        x509.AccessDescription(
            AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier("http://ocsp.example/")
        ),
        x509.AccessDescription(
            AuthorityInformationAccessOID.CA_ISSUERS, x509.UniformResourceIdentifier("http://ca.example/second.crt")
        ),
    ]
)


def key_of(name: str) -> ec.EllipticCurvePrivateKey:
    """Return the key with a name, always the same one."""
    return KEYS.setdefault(name, ec.generate_private_key(ec.SECP256R1()))


def issue(
    subject: str,
    issuer: str | None = None,
    *extensions: x509.ExtensionType,
    key=None,
    signing=None,
    begins: int = -9,
    ends: int = 300,
) -> x509.Certificate:
    """Issue a certificate, by default with the keys of these names; the validity is in days from now."""
    name, above = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)]) for text in (subject, issuer or subject))
    public = (key or key_of(subject)).public_key()
    term = NOW + timedelta(days=begins), NOW + timedelta(days=ends)
    builder = x509.CertificateBuilder(above, name, public, x509.random_serial_number(), *term)
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(
        signing or key_of(issuer or subject), None if isinstance(signing, ed25519.Ed25519PrivateKey) else SHA256()
    )


def sign_with_sha1(certificate: x509.Certificate, issuer: x509.Certificate) -> x509.Certificate:
    """Return a self-signed certificate under an issuer's signature, as `cryptography` no longer makes it."""
    with TemporaryDirectory() as directory:
        files = [Path(directory, name) for name in ("certificate", "issuer", "key")]
        key = pkcs8(key_of(issuer.subject.rfc4514_string().removeprefix("CN=")))
        for file, content in zip(files, [pem(certificate), pem(issuer), key], strict=True):
            file.write_bytes(content)
        arguments = ["-in", str(files[0]), "-CA", str(files[1]), "-CAkey", str(files[2]), "-set_serial", "1"]
        return x509.load_pem_x509_certificate(openssl("x509", *arguments, "-sha1", "-days", "1400"))


def names(*found: str) -> x509.SubjectAlternativeName:
    """Return the extension with host names."""
    return x509.SubjectAlternativeName([x509.DNSName(name) for name in found])


def host(*extensions: x509.ExtensionType, issuer: str = "third", **options) -> x509.Certificate:
    """Issue a certificate of the site, by default the usual one."""
    return issue("host", issuer, *(extensions or [names(NAME)]), **options)


def pem(*certificates: x509.Certificate) -> bytes:
    """Concatenate certificates as PEM."""
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)


def der(certificate: x509.Certificate) -> bytes:
    """Return a certificate as DER."""
    return certificate.public_bytes(Encoding.DER)


def p7b(*certificates: x509.Certificate) -> bytes:
    """Return certificates as PKCS#7 in DER, which sorts them."""
    return pkcs7.serialize_certificates(list(certificates), Encoding.DER)


def armour(label: str, data: bytes) -> bytes:
    """Return data as PEM under a label."""
    return f"-----BEGIN {label}-----\n{base64.encodebytes(data).decode()}-----END {label}-----\n".encode()


def openssl(*arguments: str, data: bytes = b"") -> bytes:
    """Return what OpenSSL makes of a file."""
    return subprocess.run(["openssl", *arguments], input=data, capture_output=True, check=True).stdout  # noqa: S607


def ber(data: bytes) -> bytes:
    """Write DER of a certificate set as some programs do, without saying how long its outermost value is."""
    header = 2 + (data[1] & 0x7F)
    return b"\x30\x80" + data[header:] + b"\0\0"


def pkcs8(key, encryption=None) -> bytes:
    """Return a key as PEM."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())


ROOT = issue("root", None, CA, ends=3000)
SECOND = issue("second", "root", CA, ends=2000)
THIRD = issue("third", "second", CA, ends=1000)
HOST = host()
STRANGER = issue("stranger", None, CA)
OTHER_HOST = issue("other host", "third", x509.BasicConstraints(ca=False, path_length=None))
# Roots and intermediates that exist more than once.
EARLY_ROOT = issue("root", None, CA, ends=350)
OLD_ROOT = issue("old root", None, CA, ends=500)
CROSS = issue("root", "old root", CA, ends=400)
ENDED_CROSS = issue("root", "old root", CA, begins=-99, ends=-1)
ENDED_THIRD = issue("third", "second", CA, begins=-99, ends=-1)
LONGER_THIRD = issue("third", "second", CA, ends=1500)
OTHER_KEY_THIRD = issue("third", "second", CA, key=key_of("another third"))
SHA1_THIRD = sign_with_sha1(issue("third", None, CA), SECOND)
SHA1_HOST = sign_with_sha1(issue("host", None, names(NAME)), THIRD)
SHA1_ROOT = sign_with_sha1(ROOT, ROOT)
MISLED_HOST = host(names(NAME), x509.AuthorityKeyIdentifier.from_issuer_public_key(key_of("stranger").public_key()))
LOOP = [issue("left", "right", CA), issue("right", "left", CA), issue("left", "left", CA, ends=200)]
KEY = pkcs8(key_of("host"))


def pfx(encryption) -> bytes:
    """Return the site's key and certificate as PKCS#12."""
    return pkcs12.serialize_key_and_certificates(None, key_of("host"), HOST, None, encryption)


@pytest.fixture
def judge(tmp_path: Path) -> Callable[..., dict]:
    """Return a function that checks files with these contents."""

    def judged(*contents: bytes, key: bytes = KEY, server: tuple[str, ...] = (NAME,), **options) -> dict:
        files = [tmp_path / f"{number}.cer" for number, _ in enumerate(contents)]
        for file, content in zip(files, contents, strict=True):
            file.write_bytes(content)
        (tmp_path / "key.pem").write_bytes(key)
        return certificate_chain([str(file) for file in files], str(tmp_path / "key.pem"), names=[*server], **options)

    return judged


def served(*chain: x509.Certificate) -> dict:
    """Return the result for a chain without faults."""
    return {"chain": pem(*chain).decode(), "faults": [], "warnings": []}


ALL = [ROOT, THIRD, HOST, SECOND]


@pytest.mark.parametrize(
    "contents",
    [
        pytest.param([pem(HOST), pem(THIRD, SECOND)], id="DigiCert: host_example_org.crt and DigiCertCA.crt"),
        pytest.param([pem(HOST), pem(SECOND, THIRD)], id="Sectigo, TCS: 'Intermediate(s) only', highest first"),
        pytest.param([pem(HOST, THIRD, SECOND)], id="Let's Encrypt: fullchain.pem"),
        pytest.param([pem(ROOT, SECOND, THIRD, HOST)], id="Sectigo, TCS: 'Certificate (w/ chain)', root first"),
        pytest.param([pem(THIRD, SECOND, HOST)], id="Posh-ACME, dehydrated once: chain first"),
        pytest.param([pem(HOST, HOST, THIRD), pem(THIRD, SECOND, HOST)], id="GoDaddy: each in both files"),
        pytest.param([p7b(*ALL)], id="Sectigo, TCS: 'as PKCS#7' in DER, a sorted set"),
        pytest.param([der(HOST), p7b(*ALL)], id="AD CS: certnew.cer in DER and certnew.p7b"),
        pytest.param([armour("PKCS7", p7b(*ALL))], id="DigiCert: .p7b"),
        pytest.param([armour("PKCS #7 SIGNED DATA", p7b(*ALL))], id="Netscape, old Sun: label of its own"),
        pytest.param([armour("CMS", p7b(*ALL))], id="RFC 7468: label CMS"),
        pytest.param([armour("CERTIFICATE", p7b(*ALL))], id="certutil -encode of a .p7b"),
        pytest.param([armour("PKCS7", ber(p7b(*ALL)))], id="Java, IIS: PKCS#7 in BER"),
        pytest.param([p7b(*ALL) + b"\r\n"], id="DER with the new line of an editor"),
        pytest.param([base64.encodebytes(p7b(*ALL))], id="web form: base64 of a .p7b without armour"),
        pytest.param([base64.b64encode(der(HOST)), pem(THIRD, SECOND)], id="API in JSON: base64 in one line"),
        pytest.param([der(HOST), der(THIRD), der(SECOND)], id="CERN Grid CA, AIA: each a .crt in DER"),
        pytest.param([der(HOST) + der(SECOND) + der(THIRD)], id="cat of files in DER"),
        pytest.param([armour("X509 CERTIFICATE", der(HOST)), pem(THIRD, SECOND)], id="SSLeay: X509 CERTIFICATE"),
        pytest.param(
            [openssl("x509", "-trustout", "-addtrust", "serverAuth", data=pem(HOST)), pem(THIRD, SECOND)],
            id="OpenSSL: TRUSTED CERTIFICATE",
        ),
        pytest.param([b"".join(openssl("x509", "-text", data=pem(one)) for one in ALL)], id="OpenSSL's CA: -text"),
        pytest.param(
            [b"".join(b"Bag Attributes\n    localKeyID: 01\nsubject=CN = x\n" + pem(one) for one in ALL)],
            id="openssl pkcs12: Bag Attributes",
        ),
        pytest.param([b"\xef\xbb\xbf" + pem(*ALL).replace(b"\n", b"\r\n")], id="Notepad: UTF-8 with BOM and CRLF"),
        pytest.param([pem(*ALL).decode().encode("utf-16")], id="PowerShell: UTF-16"),
        pytest.param([base64.b64encode(p7b(*ALL)).decode().encode("utf-16-le")], id="UTF-16 without BOM or armour"),
        pytest.param(["Von Universität Ü\n".encode("latin-1") + pem(*ALL)], id="mail: text in Latin-1 around"),
        pytest.param([b"\n\n" + pem(*ALL).replace(b"\n", b" \n   ")], id="YAML, web page: indented, with blanks"),
        pytest.param([pem(*ALL).replace(b"\n", b"\n> ")], id="mail: quoted"),
        pytest.param([pem(*ALL).replace(b"\n", "\xa0\n".encode())], id="web page: no-break spaces"),
        pytest.param([b"\xef\xbb\xbf" + base64.b64encode(p7b(*ALL))], id="Notepad: base64 after a BOM"),
        pytest.param([json.dumps(pem(*ALL).decode()).encode()], id="Vault, Kubernetes: a string in JSON"),
        pytest.param([KEY + pem(*ALL)], id="HAProxy: key and certificates in one file"),
        pytest.param([pem(HOST), pem(*ALL, STRANGER, OTHER_HOST, OLD_ROOT)], id="HARICA: the CA's whole set"),
        pytest.param([pem(OTHER_HOST, HOST), pem(THIRD, SECOND)], id="several hosts' certificates in a file"),
        pytest.param([pem(HOST), pem(OTHER_KEY_THIRD, THIRD, SECOND)], id="AD CS: same name, new key"),
        pytest.param([pem(HOST), pem(ENDED_THIRD, THIRD, SECOND)], id="expired and renewed intermediate"),
        pytest.param([pem(HOST), pem(SHA1_THIRD, THIRD, SECOND)], id="intermediate signed again with SHA-256"),
        pytest.param([pem(HOST, THIRD, SECOND, SHA1_ROOT)], id="DigiCert, USERTrust: a root that is signed with SHA-1"),
        pytest.param([pem(issue("host", None, names(NAME)), HOST), pem(THIRD, SECOND)], id="temporary one, same key"),
        pytest.param([pem(host(names(NAME), CA, ends=999), HOST), pem(THIRD, SECOND)], id="CA's, same key"),
        pytest.param([pem(host(begins=-99, ends=-1), HOST), pem(THIRD, SECOND)], id="renewed with the same key"),
        pytest.param([pem(host(begins=1, ends=999), HOST), pem(THIRD, SECOND)], id="renewed for later"),
        pytest.param(
            [pem(host(names("old.example.org"), ends=999), HOST), pem(THIRD, SECOND)], id="further names, same key"
        ),
    ],
)
def test_every_form_gives_the_same_chain(judge, contents):
    assert judge(*contents) == served(HOST, THIRD, SECOND)


@pytest.mark.parametrize("turn", [1, -1], ids=["as it is", "reversed"])
@pytest.mark.parametrize(
    ("pool", "chain"),
    [
        pytest.param([ROOT, CROSS, OLD_ROOT, SECOND, THIRD], [HOST, THIRD, SECOND], id="USERTrust: root and its cross"),
        pytest.param([CROSS, OLD_ROOT, SECOND, THIRD], [HOST, THIRD, SECOND, CROSS], id="HARICA: cross-signed root"),
        pytest.param([CROSS, SECOND, THIRD], [HOST, THIRD, SECOND, CROSS], id="the same without the old root"),
        pytest.param([CROSS, ENDED_CROSS, SECOND, THIRD], [HOST, THIRD, SECOND, CROSS], id="an older cross, too"),
        pytest.param(
            [CROSS, EARLY_ROOT, SECOND, THIRD], [HOST, THIRD, SECOND], id="a root before a longer way to nowhere"
        ),
        pytest.param(
            [THIRD, LONGER_THIRD, SECOND], [HOST, LONGER_THIRD, SECOND], id="renewed: the one that is valid longer"
        ),
        pytest.param([THIRD], [HOST, THIRD], id="the client has what issued the intermediate"),
    ],
)
def test_best_path_is_taken_in_any_order(judge, pool, chain, turn):
    assert judge(pem(*pool[::turn]), pem(HOST)) == served(*chain)


def test_authority_key_identifier_is_no_more_than_a_hint(judge):
    assert judge(pem(MISLED_HOST), pem(STRANGER, THIRD)) == served(MISLED_HOST, THIRD)


def test_cas_that_sign_each_other_make_no_endless_path(judge):
    leaf = host(issuer="left")
    assert judge(pem(leaf, *LOOP))["chain"] == pem(leaf).decode()  # below the self-signed one
    assert judge(pem(leaf, *LOOP[:2]))["chain"] == pem(leaf, *LOOP[:2]).decode()


def test_root_may_issue_without_an_intermediate(judge):
    leaf = host(issuer="root")
    assert judge(pem(leaf), pem(ROOT)) == served(leaf)


def test_self_signed_certificate_is_served(judge):
    leaf = issue("host", None, names(NAME))
    assert judge(pem(leaf)) == served(leaf)


def test_two_hundred_certificates_are_checked_quickly(judge):
    """Among them namesakes with one key and with many, which make more paths than could be tried."""
    same = [issue(name, above, CA) for name, above in (("third", "second"), ("second", "third")) for _ in range(80)]
    other = [issue("third", "second", CA, key=key_of(f"third {number}")) for number in range(40)]
    begin = time.process_time()
    assert judge(pem(HOST, *same, *other, SECOND, ROOT))["faults"] == []
    assert time.process_time() - begin < 5


def test_public_key_stands_for_a_key_that_is_elsewhere(tmp_path):
    (tmp_path / "all.pem").write_bytes(pem(*ALL))
    public = key_of("host").public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    assert certificate_chain([str(tmp_path / "all.pem")], public_key=public) == served(HOST, THIRD, SECOND)


USAGE = dict.fromkeys(
    ["content_commitment", "data_encipherment", "key_agreement", "crl_sign", "encipher_only", "decipher_only"], False
)
RSA_1024 = rsa.generate_private_key(65537, 1024)  # noqa: S505
DSA = dsa.generate_private_key(2048)


@pytest.mark.parametrize(
    ("contents", "words"),
    [
        ([b""], "holds no certificate"),
        ([b"<html>Please log in</html>"], "holds no certificate"),
        ([pem(HOST), b"nothing"], '1.cer" holds no certificate'),
        ([KEY], 'holds no certificate, but "PRIVATE KEY". Give'),
        ([armour("CERTIFICATE REQUEST", b"0\0")], 'but "CERTIFICATE REQUEST"'),
        ([pem(HOST).replace(b"M", b"N", 1)], "certificate that is broken"),
        ([pem(HOST)[:-30]], "does not end"),
        ([der(HOST)[:-1]], "holds no certificate"),
        ([pfx(BestAvailableEncryption(b"x"))], "PKCS#12"),
        ([pfx(NoEncryption())], "openssl pkcs12"),
        ([pem(THIRD, STRANGER)], "is not the key of any certificate there: CN=third; CN=stranger."),
        ([pem(*[issue(f"ca {number}", "root", key=key_of("ca")) for number in range(12)])], "CN=ca 9 and 2 more."),
        ([pem(HOST), pem(STRANGER)], "did not issue it: CN=stranger."),
        ([pem(HOST), pem(SECOND)], '"CN=host" was issued by "CN=third", whose certificate is missing'),
        ([pem(HOST), pem(OTHER_KEY_THIRD)], 'was issued by "CN=third", whose certificate is missing'),
        ([pem(host(begins=-9, ends=-1), THIRD)], "which is not now"),
        ([pem(host(begins=1, ends=9), THIRD)], "which is not now"),
        ([pem(SHA1_HOST, THIRD)], '"CN=host" is signed with MD5 or SHA-1'),
        ([pem(HOST, SHA1_THIRD)], '"CN=third" is signed with MD5 or SHA-1'),
        ([pem(host(names(NAME), x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])), THIRD)], "no serverAuth"),
        ([pem(host(names(NAME), x509.KeyUsage(False, key_encipherment=True, key_cert_sign=False, **USAGE)), THIRD)],
         "no digitalSignature"),
    ],
)  # fmt: skip
def test_what_no_visitor_would_accept_is_refused(judge, contents, words):
    faults = judge(*contents)["faults"]
    assert len(faults) == 1, faults
    assert words in faults[0]
    assert "PRIVATE KEY-" not in faults[0]


@pytest.mark.parametrize(
    ("key", "words"),
    [(RSA_1024, "RSA key of 1024 bits"), (DSA, "DSA key")],
)
def test_key_that_no_browser_accepts_is_refused(judge, key, words):
    (fault,) = judge(pem(host(key=key), THIRD), key=pkcs8(key))["faults"]
    assert words in fault


def test_intermediate_with_a_short_key_is_refused(judge):
    short = issue("third", "second", CA, key=RSA_1024)
    (fault,) = judge(pem(host(signing=RSA_1024), short))["faults"]
    assert fault.startswith('"CN=third" has an RSA key of 1024 bits')


@pytest.mark.parametrize(
    ("contents", "words"),
    [
        ([pem(host(ends=29), THIRD)], '"CN=host" expires on'),
        ([pem(HOST)], 'was issued by "CN=third", whose certificate is missing'),
        ([pem(HOST, OTHER_HOST)], 'was issued by "CN=third", whose certificate is missing'),
        ([pem(host(names(NAME), AIA))], "Give it as well, which is at http://ca.example/second.crt"),
        ([pem(HOST, ENDED_THIRD)], '"CN=third" in its chain expired on'),
        (
            [pem(HOST, issue("third", "second", CA, begins=1))],
            '"CN=third" in its chain is not sent, as it is valid from',
        ),
        ([pem(HOST, THIRD, SECOND, ENDED_CROSS)], '"CN=root" in its chain expired on'),
        (
            [pem(HOST, THIRD, SECOND, issue("root", None, CA, ends=-1, begins=-9))],
            '"CN=root" in its chain expired on',
        ),
        ([pem(HOST, issue("third", "second", CA, ends=299))], '"CN=third" in its chain expires on'),
        ([pem(HOST, THIRD, SECOND, issue("root", None, CA, ends=9))], '"CN=root" in its chain expires on'),
        ([pem(host(names(NAME), CA), THIRD)], "a CA's (CA:TRUE)"),
    ],
)
def test_what_some_visitors_would_not_accept_is_reported(judge, contents, words):
    judged = judge(*contents)
    assert judged["faults"] == []
    assert len(judged["warnings"]) == 1, judged["warnings"]
    assert words in judged["warnings"][0]
    assert all(one.not_valid_after_utc > NOW for one in x509.load_pem_x509_certificates(judged["chain"].encode()))


def test_intermediate_that_expires_soon_is_reported_although_it_expires_after_the_certificate(judge):
    said = judge(pem(host(ends=10), issue("third", "second", CA, ends=20)))["warnings"]
    assert [words in one for words, one in zip(["CN=host", "CN=third"], said, strict=True)] == [True, True]
    assert judge(pem(host(ends=10), issue("third", "second", CA, ends=20)), days=5)["warnings"] == []


def test_expired_certificates_are_not_sent(judge):
    assert judge(pem(HOST, THIRD, SECOND, ENDED_CROSS))["chain"] == pem(HOST, THIRD, SECOND).decode()


@pytest.mark.parametrize("key", [ed25519.Ed25519PrivateKey.generate(), ec.generate_private_key(ec.SECP521R1())])
def test_key_that_few_browsers_know_is_reported(judge, key):
    judged = judge(pem(host(key=key), THIRD), key=pkcs8(key))
    assert (judged["faults"], len(judged["warnings"])) == ([], 1)
    assert "not all browsers know" in judged["warnings"][0]


@pytest.mark.parametrize(
    ("found", "server", "fits"),
    [
        (["App.Example.ORG"], "app.example.org", True),  # RFC 4343
        (["*.EXAMPLE.org"], "app.example.org", True),
        (["app.example.org"], "App.Example.org.", True),
        (["XN--BCHER-KVA.example"], "xn--bcher-kva.example", True),
        (["www.example.org", "app.example.org"], "app.example.org", True),
        (["*.example.org"], "example.org", False),
        (["*.example.org"], "a.app.example.org", False),
        (["*.org"], "example.org", False),
        (["a*.example.org"], "app.example.org", False),
        (["*"], "app.example.org", False),
        (["example.org"], "app.example.org", False),
        (["app.example.org.evil.example"], "app.example.org", False),
    ],
)
def test_name_fits_as_browsers_see_it(judge, found, server, fits):
    judged = judge(pem(host(names(*found)), THIRD), server=(server,))
    assert judged["warnings"] == []
    if fits:
        assert judged["faults"] == []
    else:
        (fault,) = judged["faults"]
        assert f'is issued for {", ".join("DNS:" + name for name in found)}, not for "{server}"' in fault


def test_common_name_alone_does_not_count(judge):
    leaf = issue(NAME, "third", CA, key=key_of("host"))
    (fault,) = judge(pem(leaf, THIRD))["faults"]
    assert "is issued for no host name, as the common name does not count" in fault


def test_alias_without_a_certificate_is_reported(judge):
    leaf = host(names(NAME, "*.alias.example"))
    judged = judge(pem(leaf, THIRD), server=(NAME, "www.alias.example", "www.example.org"))
    assert judged["faults"] == []
    (warning,) = judged["warnings"]
    assert 'not for "www.example.org"' in warning


def test_several_faults_are_reported_together(judge):
    judged = judge(pem(host(names("other.example.org"), ends=-1), THIRD))
    assert [words in fault for words, fault in zip(["not now", "issued for"], judged["faults"], strict=True)] == [
        True,
        True,
    ]


RSA = rsa.generate_private_key(65537, 2048)
PLAIN = NoEncryption()
EC = key_of("host")


@pytest.mark.parametrize(
    ("key", "content"),
    [
        pytest.param(EC, EC.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, PLAIN), id="SEC1"),
        pytest.param(RSA, RSA.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, PLAIN), id="PKCS#1"),
        pytest.param(EC, pkcs8(EC), id="PKCS#8"),
        pytest.param(RSA, RSA.private_bytes(Encoding.DER, PrivateFormat.PKCS8, PLAIN), id="PKCS#8 in DER"),
        pytest.param(EC, EC.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, PLAIN), id="SEC1 in DER"),
        pytest.param(
            EC,
            armour("EC PARAMETERS", bytes.fromhex("06082a8648ce3d030107"))
            + EC.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, PLAIN),
            id="openssl ecparam -genkey",
        ),
        pytest.param(EC, pkcs8(EC).replace(b"\n", b"\r\n"), id="CRLF"),
        pytest.param(EC, pkcs8(EC).decode().encode("utf-16"), id="UTF-16"),
        pytest.param(EC, b"Bag Attributes\n  friendlyName: x\n" + pkcs8(EC) + pem(HOST), id="openssl pkcs12 -nodes"),
        pytest.param(EC, pem(HOST, THIRD) + pkcs8(EC), id="beside its certificate"),
    ],
)
def test_every_form_gives_the_same_key(tmp_path, key, content):
    (tmp_path / "key").write_bytes(content)
    assert private_key(str(tmp_path / "key")) == pkcs8(key).decode()


def test_key_in_a_vault_is_opened_with_the_password_of_the_run(tmp_path, monkeypatch):
    secrets = [("default", VaultSecret(b"password"))]
    (tmp_path / "key").write_bytes(VaultLib().encrypt(pkcs8(EC), secret=secrets[0][1]))
    with pytest.raises(AnsibleFilterError, match="whose password the run needs"):
        private_key(str(tmp_path / "key"))
    monkeypatch.setattr(VaultSecretsContext, "_current", VaultSecretsContext(secrets))
    assert private_key(str(tmp_path / "key")) == pkcs8(EC).decode()


SECRET = BestAvailableEncryption(b"secret")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (pkcs8(EC, SECRET), "passphrase"),
        (EC.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, SECRET), "passphrase"),
        (EC.private_bytes(Encoding.DER, PrivateFormat.PKCS8, SECRET), "passphrase"),
        (pfx(SECRET), "PKCS#12"),
        (pem(HOST), "holds no private key"),
        (b"", "holds no private key"),
        (pkcs8(EC)[:-9], "does not end"),
        (EC.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, PLAIN), "openssl pkey"),
    ],
)
def test_key_that_cannot_be_used_is_refused_with_a_message(judge, tmp_path, content, words):
    (fault,) = judge(pem(HOST, THIRD), key=content)["faults"]
    assert words in fault
    with pytest.raises(AnsibleFilterError) as refused:
        private_key(str(tmp_path / "key.pem"))
    assert words in str(refused.value)


def test_file_that_cannot_be_read_is_named(tmp_path):
    (fault,) = certificate_chain([str(tmp_path)], "/nowhere")["faults"]
    assert fault.startswith(f'"{tmp_path}" cannot be read')


def test_openssl_verifies_what_is_sent(judge, tmp_path):
    """OpenSSL verifies it: it has only the root, and takes the others from the chain."""
    chain = judge(p7b(*ALL, STRANGER, ENDED_THIRD, CROSS, OLD_ROOT))["chain"]
    (tmp_path / "root.pem").write_bytes(pem(ROOT))
    (tmp_path / "chain.pem").write_text(chain)
    verify = ["verify", "-purpose", "sslserver", "-verify_hostname", NAME, "-CAfile"]
    said = openssl(*verify, str(tmp_path / "root.pem"), "-untrusted", str(tmp_path / "chain.pem"), data=chain.encode())
    assert said == b"stdin: OK\n"
