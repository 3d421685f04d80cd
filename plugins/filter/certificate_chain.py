# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put a certificate and its intermediates in the order that a server sends them in."""

from __future__ import annotations

DOCUMENTATION = r"""
name: certificate_chain
short_description: Put a certificate and its intermediates in the order that a server sends them in
version_added: 0.1.0
author: campus.flask_sso contributors
description:
  - Reads certificates as authorities hand them out, single or many in a file, as PEM, DER or PKCS#7 (C(.p7b)).
  - Returns PEM, the certificate first and then each one that signed the one before it. Roots are left out, as whoever
    trusts them has them.
options:
  _input:
    description: File with the certificate, base64-encoded as M(ansible.builtin.slurp) returns it.
    type: str
    required: true
  pool:
    description: File with certificates that may have signed it, in the same form; in any order. Each has to be of use.
    type: str
    default: ""
requirements: [cryptography]
"""

EXAMPLES = r"""
- name: Show what the server shall send
  ansible.builtin.debug:
    msg: "{{ certificate.content | campus.flask_sso.certificate_chain(bundle.content) }}"
"""

RETURN = r"""
_value:
  description: The chain as PEM.
  type: str
"""

import base64
from typing import Callable

from ansible.errors import AnsibleFilterError
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

READERS = (
    x509.load_pem_x509_certificates,
    lambda data: [x509.load_der_x509_certificate(data)],
    pkcs7.load_pem_pkcs7_certificates,
    pkcs7.load_der_pkcs7_certificates,
)


def read(data: bytes) -> list[x509.Certificate]:
    """Read the certificates in a file.

    :param data: The file.
    :returns: The certificates, at least one.
    :raises AnsibleFilterError: if there are none, or the file has another form.
    """
    for reader in READERS:
        try:
            found = reader(data)
        except (ValueError, TypeError):
            continue
        if found:
            return found
    raise AnsibleFilterError("holds no certificate in the form of PEM, DER or PKCS#7.")


def issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Tell whether one certificate was signed with another's key.

    :param certificate: The certificate.
    :param issuer: Who may have issued it.
    """
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def certificate_chain(certificate: str, pool: str = "") -> str:
    """Put a certificate and its intermediates in order.

    :param certificate: File with the certificate, base64-encoded.
    :param pool: File with certificates that may have signed it, base64-encoded.
    :returns: The chain as PEM, without roots.
    :raises AnsibleFilterError: if a file cannot be read, or the second has nothing to do with the first.
    """
    first, *others = read(base64.b64decode(certificate))
    others += read(base64.b64decode(pool)) if pool else []
    chain = [first]
    while issuers := [other for other in others if other not in chain and issued(chain[-1], other)]:
        chain.append(issuers[0])
    strangers = [other.subject.rfc4514_string() for other in others if other not in chain]
    if strangers:
        raise AnsibleFilterError(f"does not belong to what issued the certificate: {'; '.join(strangers)}.")
    sent = [link for link in chain if link is first or not issued(link, link)]
    return "".join(link.public_bytes(Encoding.PEM).decode("ascii") for link in sent)


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, Callable[..., str]]:
        """Name the filters."""
        return {"certificate_chain": certificate_chain}
