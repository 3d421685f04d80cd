# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the chain that a server sends from the files of a CA, and find its faults."""

from __future__ import annotations

DOCUMENTATION = r"""
name: certificate_chain
short_description: Build the chain that a server sends from the files of a CA
version_added: 0.1.0
author: campus.flask_sso contributors (!UNKNOWN)
description:
  - Reads certificates in the forms that CAs use, one or several in a file, as PEM, DER, PKCS#7 (C(.p7b)) or base64,
    in any order. The server's certificate is the one that belongs to the key.
  - Each further certificate of the chain issued the one before it. Of several paths to a root, the one that is valid,
    and stays so for longest, is used. Roots are left out, as clients have them; so are certificates on no path.
options:
  _input:
    description: Files on the controller with the certificate and those that issued it.
    type: list
    elements: path
    required: true
  key_file:
    description: File on the controller with the private key of the certificate. Give this or O(public_key).
    type: path
    default: ""
  public_key:
    description: The public key of the certificate, as PEM.
    type: str
    default: ""
  names:
    description: Host names of the server. The certificate has to have the first one, and should have the others.
    type: list
    elements: str
    default: []
  days:
    description: Days before the expiry of a certificate from which on there is a warning.
    type: int
    default: 30
requirements: [cryptography >= 42.0]
"""

EXAMPLES = r"""
- name: Refuse a certificate that cannot serve the site
  ansible.builtin.assert:
    that: validated.faults | length == 0
    fail_msg: "{{ validated.faults | join(' ') }}"
  vars:
    validated: >-
      {{ ['host.cer', 'chain.p7b'] | campus.flask_sso.certificate_chain('key.pem', names=['app.example.org']) }}
"""

RETURN = r"""
_value:
  description: The chain that the server sends, and what is wrong with it.
  type: dict
  contains:
    chain:
      description: The chain as PEM; empty if there is none.
      type: str
    faults:
      description: One sentence for each fault for which visitors refuse the certificate.
      type: list
      elements: str
    warnings:
      description: One sentence for each fault for which some visitors refuse the certificate, or all of them will soon.
      type: list
      elements: str
"""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from heapq import heappop, heappush
from itertools import count, takewhile
from typing import Any, Callable

from ansible.errors import AnsibleFilterError
from ansible_collections.campus.flask_sso.plugins.plugin_utils.certificates import (
    needs_cryptography,
    read_certificates,
    read_private_key,
)

with suppress(ImportError):  # needs_cryptography reports it
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
    from cryptography.hazmat.primitives.hashes import MD5, SHA1
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
    from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

RSA_BITS = 2048  # OpenSSL and browsers accept no fewer
NAMED = 10  # certificates in a message


@needs_cryptography
def certificate_chain(
    files: list[str], key_file: str = "", public_key: str = "", names: list[str] | None = None, days: int = 30
) -> dict[str, Any]:
    """Build the chain that a server sends, and find its faults.

    :param files: Files with the certificate and those that issued it.
    :param key_file: File with the certificate's private key; without it,
    :param public_key: its public key as PEM.
    :param names: Host names of the server; the certificate has to have the first one, and should have the others.
    :param days: Days before the expiry of a certificate from which on there is a warning.
    :returns: The `chain` as PEM, `faults` for which visitors refuse it, and `warnings`, both as sentences.
    """
    try:
        found = list(dict.fromkeys(certificate for file in files for certificate in read_certificates(file)))
        key = read_private_key(key_file).public_key() if key_file else load_pem_public_key(public_key.encode())
        own = [certificate for certificate in found if encoded(key_of(certificate)) == encoded(key)]
        if not own:
            raise AnsibleFilterError(
                f"The key is not the key of any certificate there: {listed(found)}. Give the pair that was issued"
                ' together; "openssl x509 -noout -pubkey" and "openssl pkey -pubout" print the same for it.'
            )
    except AnsibleFilterError as error:
        return {"chain": "", "faults": [str(error)], "warnings": []}
    first, *aliases = names or [""]
    now = datetime.now(timezone.utc)
    leaf = max(own, key=lambda one: suitability(one, first, now))
    cas = [other for other in found if other not in own and may_issue(other)]
    path = best_path(leaf, cas, now)
    sent = [leaf, *(link for link in takewhile(lambda link: is_valid(link, now), path[1:]) if not is_root(link))]
    gap = [missing_issuer(leaf, cas)] if len(path) == 1 and not is_root(leaf) else []
    return {
        "chain": "".join(link.public_bytes(Encoding.PEM).decode("ascii") for link in sent),
        "faults": [
            *leaf_faults(leaf, now),
            *missing_names(leaf, [first]),
            *(fault for link in sent for fault in weaknesses(link)),
            *(gap if cas else []),
        ],
        "warnings": [
            *missing_names(leaf, aliases),
            *leaf_warnings(leaf, now, days),
            *path_warnings(path, now, days),
            *([] if cas else gap),
        ],
    }


def suitability(certificate: x509.Certificate, name: str, now: datetime) -> tuple[Any, ...]:
    """Return how suitable one of several certificates of the key is, the best with the greatest value."""
    return (
        is_valid(certificate, now),
        not list(missing_names(certificate, [name])),
        not is_root(certificate),
        not is_ca(certificate),
        certificate.not_valid_after_utc,
    )


def best_path(leaf: x509.Certificate, cas: list[x509.Certificate], now: datetime) -> list[x509.Certificate]:
    """Find the best path from a certificate to a root, or as far as the CAs lead.

    The best one has the fewest certificates that are of no use now, then ends at a root, then is valid for longest,
    then is the shortest. No certificate is visited twice, so that loops end.

    :param leaf: The server's certificate.
    :param cas: CA certificates that may have issued it, and each other.
    :param now: The time.
    :returns: The certificate, and each one that issued the one before it.
    """
    candidates: dict[x509.Name, dict[bytes, list[x509.Certificate]]] = defaultdict(lambda: defaultdict(list))
    for ca in cas:
        candidates[ca.subject][encoded(key_of(ca))].append(ca)
    number = count()  # so that certificates are never compared
    ahead, seen, ends = [(0, float("-inf"), 0, next(number), [leaf])], set(), []
    while ahead:
        useless, until, length, _number, path = heappop(ahead)
        last = path[-1]
        if last in seen:
            continue
        seen.add(last)
        same_name = [] if is_root(last) else candidates[last.issuer].values()
        issuers = [one for same_key in same_name if issued(last, same_key[0]) for one in same_key]
        above = [issuer for issuer in issuers if issuer not in seen]
        for one in above:
            worse = useless + (not is_valid(one, now) or (is_signed_weakly(one) and not is_root(one)))
            sooner = max(until, -one.not_valid_after_utc.timestamp())
            heappush(ahead, (worse, sooner, length + 1, next(number), [*path, one]))
        if not above:
            ends.append((useless, not is_root(last), until, length, next(number), path))
    return min(ends)[-1]


def leaf_faults(leaf: x509.Certificate, now: datetime) -> Iterator[str]:
    """Yield why no visitor accepts a server's certificate, apart from its names."""
    if not is_valid(leaf, now):
        yield f"{called(leaf)} is valid {term(leaf)}, which is not now. Give one that is valid."
    purposes = extension(leaf, x509.ExtendedKeyUsage)
    for_servers = {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
    if purposes and for_servers.isdisjoint(purposes):
        yield f"{called(leaf)} is not for servers, as its extendedKeyUsage has no serverAuth. Give one that is."
    usage = extension(leaf, x509.KeyUsage)
    if usage and not usage.digital_signature:
        yield f"{called(leaf)} is not for TLS of today, as its keyUsage has no digitalSignature. Give one that is."


def missing_names(leaf: x509.Certificate, names: list[str]) -> Iterator[str]:
    """Yield the host names that a certificate lacks; case does not count, and a wildcard stands for one label."""
    alternatives = extension(leaf, x509.SubjectAlternativeName)
    found = alternatives.get_values_for_type(x509.DNSName) if alternatives else []
    patterns = {pattern.lower() for pattern in found}
    for name in filter(None, names):
        own = name.lower().rstrip(".")
        domain = own.partition(".")[2]
        if own in patterns or ("." in domain and f"*.{domain}" in patterns):
            continue
        covers = ", ".join(f"DNS:{pattern}" for pattern in found) or "no host name, as the common name does not count"
        yield f'{called(leaf)} is issued for {covers}, not for "{name}". Give one whose subjectAltName has that name.'


def weaknesses(certificate: x509.Certificate) -> Iterator[str]:
    """Yield why OpenSSL and browsers refuse a certificate's cryptography."""
    key = key_of(certificate)
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < RSA_BITS:
        yield f"{called(certificate)} has an RSA key of {key.key_size} bits. Give one with {RSA_BITS} or more."
    if isinstance(key, dsa.DSAPublicKey):
        yield f"{called(certificate)} has a DSA key, which no browser knows. Give one with an RSA or EC key."
    if is_signed_weakly(certificate) and not is_root(certificate):
        yield f"{called(certificate)} is signed with MD5 or SHA-1, which can be forged. Give one signed with SHA-256."


def missing_issuer(leaf: x509.Certificate, cas: list[x509.Certificate]) -> str:
    """Yield that the issuer of a server's certificate is missing."""
    others = f" The other certificates did not issue it: {listed(cas)}."
    access = extension(leaf, x509.AuthorityInformationAccess) or []
    places = [
        one.access_location.value for one in access if one.access_method == AuthorityInformationAccessOID.CA_ISSUERS
    ]
    where = f", which is at {places[0]}" if places else ""
    return (
        f"{called(leaf)} was issued by {named(leaf.issuer)}, whose certificate is missing; who does not have it cannot"
        f" verify the chain.{others if cas else ''} Give it as well{where}, even if it is a root."
    )


def leaf_warnings(leaf: x509.Certificate, now: datetime, days: int) -> Iterator[str]:
    """Yield what some visitors do not accept in a server's certificate, or all of them soon."""
    if now <= leaf.not_valid_after_utc <= now + timedelta(days=days):
        yield f"{called(leaf)} expires on {moment(leaf.not_valid_after_utc)}, in fewer than {days} days. Get a new one."
    if is_ca(leaf):
        yield f"{called(leaf)} is a CA's (CA:TRUE), which some browsers refuse for a server. Give another one."
    key = key_of(leaf)
    usual = isinstance(getattr(key, "curve", None), (ec.SECP256R1, ec.SECP384R1))
    if not usual and not isinstance(key, (rsa.RSAPublicKey, dsa.DSAPublicKey)):
        yield f"{called(leaf)} has a kind of key that not all browsers know. Give one with RSA, EC P-256 or EC P-384."


def path_warnings(path: list[x509.Certificate], now: datetime, days: int) -> Iterator[str]:
    """Yield the issuers of a server's certificate that are not valid now, or expire before it."""
    leaf, *above = path
    for link in above:
        ends = link.not_valid_after_utc
        early = ends < leaf.not_valid_after_utc or ends <= now + timedelta(days=days)
        if ends < now:
            yield f"{called(link)} in its chain expired on {moment(ends)} and is not sent. Give its successor."
        elif not is_valid(link, now):
            yield f"{called(link)} in its chain is not sent, as it is valid {term(link)}. Give its predecessor, too."
        elif early:
            yield f"{called(link)} in its chain expires on {moment(ends)}. Give its successor before that."


def issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Return whether one certificate was signed with another's key; names do if signatures cannot be checked."""
    if is_signed_weakly(certificate):
        return certificate.issuer == issuer.subject
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def is_root(certificate: x509.Certificate) -> bool:
    """Return whether a certificate is self-signed."""
    return certificate.issuer == certificate.subject and issued(certificate, certificate)


def is_valid(certificate: x509.Certificate, now: datetime) -> bool:
    """Return whether a certificate is valid at a time."""
    return certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc


def is_ca(certificate: x509.Certificate) -> bool:
    """Return whether a certificate says that it is a CA's."""
    constraints = extension(certificate, x509.BasicConstraints)
    return constraints is not None and constraints.ca


def may_issue(certificate: x509.Certificate) -> bool:
    """Return whether a certificate may be a CA's; old roots do not say that they are."""
    return is_ca(certificate) or extension(certificate, x509.BasicConstraints) is None


def is_signed_weakly(certificate: x509.Certificate) -> bool:
    """Return whether the signature of a certificate can be forged."""
    try:
        return isinstance(certificate.signature_hash_algorithm, (MD5, SHA1))
    except UnsupportedAlgorithm:
        return False


def key_of(certificate: x509.Certificate) -> PublicKeyTypes | None:
    """Return the key of a certificate, or nothing if it is of an unknown kind."""
    try:
        return certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return None


def encoded(key: PublicKeyTypes | None) -> bytes:
    """Return a key in a form that can be compared."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) if key else b""


def extension(certificate: x509.Certificate, kind: type[x509.ExtensionType]) -> Any:
    """Return an extension of a certificate, or nothing if it has none that can be read."""
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType, ValueError):
        return None


def named(name: x509.Name) -> str:
    """Write a name for a message."""
    return f'"{name.rfc4514_string()}"'


def called(certificate: x509.Certificate) -> str:
    """Write whose a certificate is for a message; some have no subject."""
    return named(certificate.subject) if certificate.subject else f'"serial {certificate.serial_number:x}"'


def listed(certificates: list[x509.Certificate]) -> str:
    """Write whose certificates are for a message, if they are not too many."""
    more = f" and {len(certificates) - NAMED} more" if len(certificates) > NAMED else ""
    return "; ".join(certificate.subject.rfc4514_string() for certificate in certificates[:NAMED]) + more


def moment(time: datetime) -> str:
    """Write a time for a message."""
    return f"{time:%Y-%m-%d %H:%M} UTC"


def term(certificate: x509.Certificate) -> str:
    """Write the validity of a certificate for a message."""
    return f"from {moment(certificate.not_valid_before_utc)} to {moment(certificate.not_valid_after_utc)}"


class FilterModule:
    """The plugin that Ansible loads."""

    def filters(self) -> dict[str, Callable[..., dict[str, Any]]]:
        """Return the filters by name."""
        return {"certificate_chain": certificate_chain}
