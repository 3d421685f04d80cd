# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read certificates and private keys in the forms that CAs and programs use."""

from __future__ import annotations

import re
import warnings
from base64 import b64decode
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import Callable, TypeVar

from ansible.errors import AnsibleFilterError
from ansible.parsing.vault import AnsibleVaultError, VaultLib, VaultSecretsContext, is_encrypted
from ansible_collections.campus.flask_sso.plugins.module_utils.libraries import library_faults

try:
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
    from cryptography.hazmat.primitives.serialization import load_der_private_key, pkcs7

    UNREADABLE: tuple[type[Exception], ...] = (ValueError, TypeError, UnsupportedAlgorithm)
except ImportError:  # needs_cryptography reports it
    UNREADABLE = (ValueError, TypeError)

Result = TypeVar("Result")

CRYPTOGRAPHY = "42.0"  # the first whose times have a time zone

# Id of a person, which files of the private CA get their names from.
PERSON = re.compile("[a-z0-9][a-z0-9._-]{0,99}")

ARMOUR = re.compile(r"-----BEGIN ([^-\n]+)-----(.*?)-----END \1-----", re.DOTALL)
# Labels of OpenSSL and Windows. Each may contain a certificate or PKCS#7, whatever the label.
LABELS = re.compile(r"(X\.?509 |TRUSTED )?CERTIFICATE|PKCS ?#?7( SIGNED DATA)?|CMS")
PKCS12 = re.compile(rb"\x30(?:[\x80-\x84].{0,4}?|.)\x02\x01\x03\x30", re.DOTALL)


def needs_cryptography(plugin: Callable[..., Result]) -> Callable[..., Result]:
    """Have a filter report that the library cryptography is missing or too old.

    :param plugin: The filter, which works with certificates or keys.
    :returns: The filter with that check.
    """

    @wraps(plugin)
    def checked(*args: object, **kwargs: object) -> Result:
        faults = library_faults(cryptography=CRYPTOGRAPHY)
        if faults:
            raise AnsibleFilterError(faults)
        return plugin(*args, **kwargs)

    return checked


def read_certificates(path: str) -> list[x509.Certificate]:
    """Read the certificates in a file: PEM, DER, PKCS#7 or base64, in any order and with anything around them.

    :param path: The file.
    :returns: The certificates, at least one.
    :raises AnsibleFilterError: if there are none, or one is broken.
    """
    blocks, bare = _split(path)
    wanted = [_decode(body) for label, body in blocks if LABELS.fullmatch(label)] if blocks else [bare]
    try:
        found = [certificate for data in wanted for certificate in _certificates_in(data)]
    except UNREADABLE:
        if blocks:
            raise AnsibleFilterError(f'"{path}" has a certificate that is broken. Copy the file again.') from None
        found = []
    if not found:
        others = f', but "{", ".join(block[0] for block in blocks)}"' if blocks else ""
        raise AnsibleFilterError(f'"{path}" holds no certificate{others}. Give one as PEM, DER, PKCS#7 or base64.')
    return found


def read_private_key(path: str) -> PrivateKeyTypes:
    """Read the private key in a file: PEM or DER, as PKCS#8 or an older form, with anything around it.

    :param path: The file.
    :returns: The key.
    :raises AnsibleFilterError: if there is none, or it has a passphrase.
    """
    blocks, bare = _split(path)
    body = next((body for label, body in blocks if label.endswith("PRIVATE KEY")), None)
    try:
        if body and "Proc-Type: 4,ENCRYPTED" in body:
            raise TypeError
        return load_der_private_key(_decode(body) if body else bare, password=None)
    except TypeError:
        raise AnsibleFilterError(
            f'"{path}" has a passphrase, unknown at boot. Remove it: "openssl pkey -in FILE -out key.pem".'
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise AnsibleFilterError(f'"{path}" holds no private key. Give one that "openssl pkey" reads.') from None


def read_bytes(path: str) -> bytes:
    """Read a file, which may be encrypted by ansible-vault.

    :param path: The file.
    :returns: Its content.
    :raises AnsibleFilterError: if it cannot be read or decrypted.
    """
    try:
        data = Path(path).read_bytes()
        return VaultLib(secrets=VaultSecretsContext.current().secrets).decrypt(data) if is_encrypted(data) else data
    except OSError as error:
        raise AnsibleFilterError(f'"{path}" cannot be read: {error.strerror}.') from None
    except (AnsibleVaultError, ReferenceError):
        raise AnsibleFilterError(f'"{path}" is an Ansible Vault, whose password the run needs.') from None


def _split(path: str) -> tuple[list[tuple[str, str]], bytes]:
    """Return the PEM blocks in a file, each with its label, and the content of a file that has none.

    :raises AnsibleFilterError: if the file cannot be read or is PKCS#12.
    """
    data = read_bytes(path)
    text = _text(data)
    blocks = ARMOUR.findall(text)
    if text.count("-----BEGIN ") > len(blocks):
        raise AnsibleFilterError(f'"{path}" begins a block that it does not end ("-----END"). Copy it again.')
    try:
        bare = b64decode("".join(text.split()), validate=True)
    except ValueError:
        bare = data
    if PKCS12.match(bare):
        raise AnsibleFilterError(
            f'"{path}" is PKCS#12 (.pfx, .p12), which has the key under a passphrase. Split it: "openssl pkcs12'
            ' -nokeys -in FILE -out certificate.pem" and "openssl pkcs12 -nocerts -nodes -in FILE -out key.pem".'
        )
    return blocks, bare


def _text(data: bytes) -> str:
    """Decode what may come from Windows, or from JSON, which writes a new line as a backslash and an n."""
    if data.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        text = data.decode("utf-16", errors="replace")
    elif b"\0" in data[:2]:
        text = data.decode("utf-16-be" if data.startswith(b"\0") else "utf-16-le", errors="replace")
    else:
        text = data.decode("utf-8-sig", errors="replace")
    return text.replace("\\n", "\n")


def _decode(body: str) -> bytes:
    """Decode base64, ignoring what a copy from a web page or a mail has added; return nothing if it is broken."""
    try:
        return b64decode(body.encode("ascii", errors="ignore"))
    except ValueError:
        return b""


def _certificates_in(data: bytes) -> list[x509.Certificate]:
    """Return the certificates in PKCS#7 or DER, where several may stand one after another.

    :raises ValueError, TypeError, UnsupportedAlgorithm: if there are none.
    """
    first, *others = list(_values(data)) or [data]
    try:
        found = [x509.load_der_x509_certificate(first)]
    except UNREADABLE:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # BER, as Java and Windows write
            return pkcs7.load_der_pkcs7_certificates(data)
    with suppress(*UNREADABLE):  # of what OpenSSL adds to a certificate that it trusts
        found.extend(map(x509.load_der_x509_certificate, others))
    return found


def _values(data: bytes) -> Iterator[bytes]:
    """Split values that stand one after another in DER; what follows them, as an editor's new line, is left out."""
    while data.startswith(b"\x30") and len(data) > 1:
        extra = data[1] & 0x7F if data[1] & 0x80 else 0
        end = 2 + extra + int.from_bytes(data[2 : 2 + extra] if extra else data[1:2], "big")
        yield data[:end]
        data = data[end:]
