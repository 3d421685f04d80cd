# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find whether a host has certificates of a CA that has the same name as this one, and another key."""

from __future__ import annotations

DOCUMENTATION = r"""
name: other_ca
short_description: Find whether certificates are of a CA with the same name and another key
version_added: 0.1.0
author: campus.flask_sso contributors (!UNKNOWN)
description:
  - Each controller that lacks the directory of a private CA would create one of the same name, which no client trusts.
  - Certificates of CAs with other names are not judged, nor is what cannot be read.
options:
  _input:
    description: What the host has, as PEM. A certificate with its chain, or the CAs whose certificates it accepts.
    type: str
    required: true
  root:
    description: The CA's own certificate as PEM. If empty, there is none, and every CA of that name is another one.
    type: str
    required: true
  name:
    description: Common name of the CA.
    type: str
    required: true
requirements: [cryptography >= 42.0]
"""

EXAMPLES = r"""
- name: Fail if the host's certificates are of another CA
  ansible.builtin.assert:
    that: host_certificates | campus.flask_sso.other_ca(root, 'private CA') == ''
"""

RETURN = r"""
_value:
  description: The beginning of the other CA's key identifier, in hexadecimal; empty if there is no other CA.
  type: str
"""

import re
from contextlib import suppress
from typing import Callable

from ansible_collections.campus.flask_sso.plugins.plugin_utils.certificates import needs_cryptography

with suppress(ImportError):  # needs_cryptography reports it
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

CERTIFICATE = "-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----"


@needs_cryptography
def other_ca(host: str, root: str, name: str) -> str:
    """Find whether certificates are of a CA with the same name and another key.

    :param host: What the host has, as PEM.
    :param root: The CA's own certificate as PEM, or nothing.
    :param name: Common name of the CA.
    :returns: The beginning of the other CA's key identifier, or nothing.
    """
    found, own = certificates(host), certificates(root)
    if any(is_of(certificate, ca) for certificate in found for ca in own):
        return ""
    named = {str(name)} | {common_name(ca.subject) for ca in own}
    keys = [issuer_key(certificate) for certificate in found if common_name(certificate.issuer) in named]
    return keys[-1] if keys else ""


def certificates(text: str) -> list[x509.Certificate]:
    """Read the certificates in a text, without those that are damaged.

    :param text: PEM, with anything else between.
    """
    found = []
    for block in re.findall(CERTIFICATE, text, re.DOTALL):
        with suppress(ValueError):
            found.append(x509.load_pem_x509_certificate(block.encode("utf-8")))
    return found


def is_of(certificate: x509.Certificate, ca: x509.Certificate) -> bool:
    """Return whether a certificate is a CA's own, or is signed by it.

    :param certificate: The certificate.
    :param ca: The CA's own.
    """
    try:
        if certificate.public_key() == ca.public_key():
            return True
        certificate.verify_directly_issued_by(ca)
    except (InvalidSignature, TypeError, UnsupportedAlgorithm, ValueError):
        return False
    return True


def common_name(name: x509.Name) -> str:
    """Return the common name in a name, or nothing.

    :param name: Subject or issuer of a certificate.
    """
    return "".join(str(one.value) for one in name.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[:1])


def issuer_key(certificate: x509.Certificate) -> str:
    """Return the beginning of the identifier of the key that has signed a certificate.

    :param certificate: The certificate.
    :returns: Four bytes in hexadecimal, or a question mark if the certificate does not tell.
    """
    try:
        identifier = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    except (x509.DuplicateExtension, x509.ExtensionNotFound, x509.UnsupportedGeneralNameType, ValueError):
        identifier = None
    if identifier is None and certificate.issuer == certificate.subject:
        identifier = x509.SubjectKeyIdentifier.from_public_key(certificate.public_key()).digest
    return identifier[:4].hex(":") if identifier else "?"


class FilterModule:
    """The plugin that Ansible loads."""

    def filters(self) -> dict[str, Callable[..., str]]:
        """Return the filters by name."""
        return {"other_ca": other_ca}
