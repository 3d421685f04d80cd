# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find why a server would refuse all certificates that a CA issued."""

from __future__ import annotations

DOCUMENTATION = r"""
name: ca_faults
short_description: Find why a server would refuse all certificates that a CA issued
version_added: 0.1.0
author: campus.flask_sso contributors (!UNKNOWN)
description:
  - Reads a file with CAs, and one with their certificate revocation lists (CRLs), as httpd and OpenSSL do.
  - A server that checks the CRLs of the whole chain needs a valid one for each CA. Without it, it refuses all
    certificates that the CA issued.
options:
  _input:
    description: PEM file on the controller with the CAs.
    type: path
    required: true
  crl_file:
    description: PEM file on the controller with their CRLs. If empty, CRLs are not checked.
    type: path
    default: ""
requirements: [cryptography >= 42.0]
"""

EXAMPLES = r"""
- name: Fail if valid certificates would be refused
  ansible.builtin.assert:
    that: ca_file | campus.flask_sso.ca_faults(crl_file) | length == 0
"""

RETURN = r"""
_value:
  description: One sentence for each fault.
  type: list
  elements: str
"""

import re
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Callable

from ansible.errors import AnsibleFilterError
from ansible_collections.campus.flask_sso.plugins.plugin_utils.certificates import needs_cryptography, read_certificates

with suppress(ImportError):  # needs_cryptography reports it
    from cryptography import x509

CRL = rb"-----BEGIN X509 CRL-----.+?-----END X509 CRL-----"


@needs_cryptography
def ca_faults(ca_file: str, crl_file: str = "") -> list[str]:
    """Find why a server would refuse all certificates that a CA issued.

    :param ca_file: PEM file with the CAs.
    :param crl_file: PEM file with their CRLs; empty without CRLs.
    :returns: One sentence for each fault.
    """
    data = Path(ca_file).read_bytes()
    if b"PRIVATE KEY-----" in data:
        return [f'"{ca_file}" holds a private key. Write a file with CA certificates only.']
    try:
        certificates = x509.load_pem_x509_certificates(data)
    except ValueError:
        return [form_fault(ca_file)]
    if not crl_file:
        return []
    try:
        found = [x509.load_pem_x509_crl(block) for block in re.findall(CRL, Path(crl_file).read_bytes(), re.DOTALL)]
    except ValueError:
        found = []
    if not found:
        return [f'"{crl_file}" contains no CRL as PEM, or an invalid one.']
    faults = (crl_fault(certificate, found) for certificate in certificates)
    return [f'"{crl_file}": {fault}' for fault in faults if fault]


def form_fault(ca_file: str) -> str:
    """Describe what a file contains instead of PEM, which is all that servers read here.

    :param ca_file: File that is not PEM.
    """
    try:
        read_certificates(ca_file)
    except AnsibleFilterError as error:
        return str(error)
    return (
        f'"{ca_file}" holds certificates, but not as PEM. Convert it with "openssl x509 -in FILE -out ca.pem", or'
        ' PKCS#7 (.p7b) with "openssl pkcs7 -print_certs -in FILE -out ca.pem", and "-inform DER" if it is binary.'
    )


def crl_fault(ca: x509.Certificate, crls: list[x509.CertificateRevocationList]) -> str:
    """Describe the fault of a CA's CRL, or return nothing if one is valid.

    :param ca: The CA's certificate.
    :param crls: The CRLs of all CAs.
    """
    who, now = ca.subject.rfc4514_string(), datetime.now(timezone.utc)
    key: Any = ca.public_key()  # of a type that signs, as its owner issues certificates
    own = [one for one in crls if one.issuer == ca.subject and one.is_signature_valid(key)]
    if not own:
        return f"has no CRL of {who}."
    begun = [one for one in own if one.last_update_utc <= now]
    if not begun:
        return f"the CRL of {who} is not valid before {own[0].last_update_utc:%Y-%m-%d %H:%M} UTC."
    ends = [one.next_update_utc for one in begun if one.next_update_utc]
    if len(ends) < len(begun) or now < max(ends):
        return ""
    return f"the CRL of {who} expired on {max(ends):%Y-%m-%d %H:%M} UTC."


class FilterModule:
    """The plugin that Ansible loads."""

    def filters(self) -> dict[str, Callable[..., list[str]]]:
        """Return the filters by name."""
        return {"ca_faults": ca_faults}
