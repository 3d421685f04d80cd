#!/usr/bin/python
# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Validate SAML metadata, and refuse what a service provider cannot or must not use."""

from __future__ import annotations

DOCUMENTATION = r"""
module: saml_metadata
short_description: Validate SAML metadata, and refuse what a service provider cannot or must not use
version_added: 0.1.0
description:
  - Reads a SAML 2.0 metadata document and fails, with a clear message, if it is not XML, has a document type (which
    allows entity expansion), is too large or expired, or describes no identity provider of the expected name, or two.
  - Requires the form that shibd requires, and that the expected identity provider has an address for logins and a
    readable key.
  - Refuses what programs interpret in different ways, such as descriptions inside of a signature.
  - Requires a reason to trust the document, O(signing_certificate), O(sha256) or O(idp_keys). Every one that is given
    has to hold. A document that comes from a place which proves nothing needs one of them, see O(trusted_source).
  - Changes nothing. It needs lxml, signxml and cryptography where it runs, usually on the controller.
author: campus.flask_sso contributors (!UNKNOWN)
requirements: [lxml >= 5.2.1, signxml >= 5.1, cryptography >= 45.0]
options:
  path:
    description: File with the document, where the module runs.
    type: path
  content_base64:
    description: The document's bytes in Base64, as M(ansible.builtin.slurp) returns them.
    type: str
  content:
    description: The document as text, which is encoded in UTF-8.
    type: str
  source:
    description: Where the document came from, for messages.
    type: str
    default: the metadata document
  entity_id:
    description:
      - entityID of the identity provider that the document must describe. Left empty, any identity provider will do, as
        in the metadata of a federation.
    type: str
    default: ""
  signing_certificate:
    description:
      - PEM of the certificate whose key must have signed the whole document. Only its key counts, neither its
        term nor who issued it.
    type: str
    default: ""
  sha256:
    description: SHA-256 that the document must have, as C(sha256sum) prints it; colons and upper case do not matter.
    type: str
    default: ""
  known_sha256:
    description: SHA-256 of a document that is not returned, as a copy of it is already in place.
    type: str
    default: ""
  idp_keys:
    description:
      - SHA-256 fingerprints of public keys (DER of SubjectPublicKeyInfo). Every key with which an identity provider in
        the document may sign has to be among them.
    type: list
    elements: str
    default: []
  trusted_source:
    description: Whether the document's source alone is trusted, such as a file that an administrator has checked.
    type: bool
    default: false
  names:
    description: Names of these options in messages; by default their own.
    type: dict
    default: {}
  max_validity_days:
    description:
      - Days for which a document may be valid at most. Above V(0), validUntil is required.
    type: int
    default: 0
  max_bytes:
    description: Largest document that is read.
    type: int
    default: 104857600
attributes:
  check_mode:
    description: It only reads.
    support: full
"""

EXAMPLES = r"""
- name: Check the metadata of one identity provider by its key
  campus.flask_sso.saml_metadata:
    path: "{{ playbook_dir }}/idp.xml"
    source: idp.xml
    entity_id: https://idp.example.org/shibboleth
    idp_keys: [7d8b3e5c0f6f0f6bd8d2a1f2c1c26c3fb3f7f1d6d9b9fb1a51ad3ce8e0f3d1aa]
  delegate_to: localhost

- name: Check the signed metadata of a federation
  campus.flask_sso.saml_metadata:
    content_base64: "{{ fetched.content }}"
    signing_certificate: "{{ lookup('ansible.builtin.file', 'federation.pem') }}"
    max_validity_days: 28
  delegate_to: localhost
"""

RETURN = r"""
sha256:
  description: SHA-256 of the document.
  returned: success
  type: str
content_base64:
  description: The document's bytes in Base64.
  returned: success, unless it is the one that O(known_sha256) names
  type: str
bindings:
  description: Bindings by which the identity provider accepts authentication requests.
  returned: success, with O(entity_id)
  type: list
  elements: str
  sample: [HTTP-Redirect, HTTP-POST]
certificates:
  description: Number of its certificates whose keys verify its signatures.
  returned: success, with O(entity_id)
  type: int
"""

import base64
import binascii
import codecs
import hashlib
import re
import traceback
from datetime import datetime, timedelta, timezone

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.campus.flask_sso.plugins.module_utils.libraries import library_faults
from ansible_collections.campus.flask_sso.plugins.module_utils.metadata_form import fault, instant

try:
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key
    from lxml import etree
    from signxml import SignatureConfiguration, XMLVerifier
    from signxml.exceptions import SignXMLException
except ImportError:
    etree = None
    MISSING = traceback.format_exc()
else:
    MISSING = ""

#: The oldest libraries that it works with: signxml takes a certificate object since 5.1, and itself needs the others.
OLDEST = {"lxml": "5.2.1", "signxml": "5.1", "cryptography": "45.0"}
METADATA = "{urn:oasis:names:tc:SAML:2.0:metadata}"
SIGNATURE = "{http://www.w3.org/2000/09/xmldsig#}"
SIGNATURE_11 = "{http://www.w3.org/2009/xmldsig11#}"
KEY_FORMS = {
    METADATA + "EncryptionMethod",
    "{http://www.w3.org/2001/04/xmlenc#}KeySize",
    "{http://www.w3.org/2001/04/xmlenc#}OAEPparams",
    "{http://www.w3.org/2009/xmlenc11#}MGF",
    *(SIGNATURE + name for name in ("DigestMethod", "KeyInfo", "KeyName", "X509Data", "X509Certificate", "X509SKI")),
    *(SIGNATURE + name for name in ("X509SubjectName", "X509IssuerSerial", "X509IssuerName", "X509SerialNumber")),
}
SAML2 = "urn:oasis:names:tc:SAML:2.0:protocol"
BINDINGS = "urn:oasis:names:tc:SAML:2.0:bindings:"
#: Bindings by which shibd sends requests.
ASKED_BY = ("HTTP-Redirect", "HTTP-POST", "HTTP-POST-SimpleSign")
DECLARATION = re.compile(rb"""(?:\xef\xbb\xbf)?<\?xml[^>]*?\sencoding\s*=\s*["']([^"']*)["'][^>]*>""")
UTF_16 = re.compile(rb"utf-?16|(iso-10646-)?ucs-?2", re.IGNORECASE)
REMEDY = "Ask its publisher for a corrected one, or correct a copy"

# In these, all programs read the same bytes as "<", unlike in UTF-7.
ENCODINGS = re.compile(r"utf-?8|utf-?16(le|be)?|(us-)?ascii|iso-8859-\d{1,2}|(windows-|cp)125\d", re.IGNORECASE)


class MetadataError(ValueError):
    """A fault of a document, and what to do."""


def refuse_encoding(encoding):
    """Require an encoding that all programs read in the same way.

    :param str encoding: Its name.
    :raises MetadataError: if it is another.
    """
    if not ENCODINGS.fullmatch(encoding):
        raise MetadataError(f"is in the encoding {encoding}, which not all programs read alike. Save it as UTF-8")


def readable(document):
    """Return a document as lxml reads it, where shibd reads it although it names another encoding than its own.

    Windows' tools leave "UTF-16" in what they save as UTF-8.

    :param bytes document: The document.
    :raises MetadataError: if it is in UTF-16 and names another encoding, which shibd does not read, or names one that
        not all programs read alike (libxml2 knows UTF-7 on some machines and not on others).
    """
    wide = document.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    start = document[:400].decode("utf-16", "replace").lstrip("\ufeff").encode("utf-8") if wide else document[:400]
    found = DECLARATION.match(start)
    if found:
        refuse_encoding(found[1].decode("ascii", "replace"))
    if not found or bool(UTF_16.match(found[1])) == wide:
        return document
    if wide:
        raise MetadataError(
            f"is in UTF-16, but says that it is {found[1].decode('ascii', 'replace')}. Save it as UTF-8"
        )
    return document[found.end() :]


def parse(document):
    """Parse a document from an untrusted source.

    :param bytes document: The document.
    :returns: The root element.
    :raises MetadataError: if it is not XML, carries a document type, or is not metadata.
    """
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(readable(document), parser)
    except etree.XMLSyntaxError as error:
        remedy = "Check that the source gives metadata, not a web page, and all of it and nothing else"
        if "ncod" in error.msg:
            remedy = "Save it as UTF-8, or name its encoding in its first line"
        raise MetadataError(f"is not XML ({error.msg}). {remedy}") from error
    refuse_encoding(root.getroottree().docinfo.encoding or "UTF-8")
    if root.getroottree().docinfo.xml_version not in ("1.0", "1.1"):
        raise MetadataError(
            f"is written in XML {root.getroottree().docinfo.xml_version}, which no program reads. Get XML 1.0"
        )
    if root.getroottree().docinfo.doctype:
        raise MetadataError(
            "carries a document type (<!DOCTYPE), which metadata never needs. Get it from another source"
        )
    if root.tag not in (METADATA + "EntityDescriptor", METADATA + "EntitiesDescriptor"):
        raise MetadataError(
            f"begins with <{root.tag}>, not with SAML metadata's EntityDescriptor or EntitiesDescriptor"
        )
    return root


def unambiguous(root):
    """Require that all programs read the same in the document.

    A signature is not part of what it signs, so nothing may hide there; and programs differ in where else they look.

    :param root: Root element.
    :raises MetadataError: if it hides something.
    """
    for signature in root.iter(SIGNATURE + "Signature"):
        for part in signature.iterchildren("*"):
            if part.tag not in [SIGNATURE + name for name in ("SignedInfo", "SignatureValue", "KeyInfo")]:
                raise MetadataError(f"hides <{part.tag}> in a signature, which does not cover it. Do not use it")
    groups, entities = METADATA + "EntitiesDescriptor", METADATA + "EntityDescriptor"
    for kind, place in {groups: groups, entities: groups, METADATA + "IDPSSODescriptor": entities}.items():
        for element in root.iter(kind):
            if element is not root and element.getparent().tag != place:
                raise MetadataError(
                    f"hides <{kind}> in <{element.getparent().tag}>, where some programs would read it and others not."
                    " Do not use it"
                )


def signed_by(root, certificate, now):
    """Verify the signature over the whole document.

    :param root: Root element.
    :param str certificate: PEM of the signer's certificate.
    :param datetime now: The time of the check.
    :returns: The root element of what was signed.
    :raises MetadataError: if there is no such signature, or it is not valid.
    """
    try:
        signer = x509.load_pem_x509_certificate(certificate.encode("utf-8", "surrogateescape"))
    except (ValueError, x509.InvalidVersion) as error:
        raise MetadataError(f"cannot be checked, because the certificate of its signer is not PEM ({error})") from error
    if root.find(SIGNATURE + "Signature") is None:
        raise MetadataError("is not signed. Get the signed metadata, or choose another way to trust it")
    term = (signer.not_valid_before_utc, signer.not_valid_after_utc)
    expected = SignatureConfiguration(location="./", verification_time=min(max(now, term[0]), term[1]))
    try:
        signed = XMLVerifier().verify(root, x509_cert=signer, id_attribute="ID", expect_config=expected).signed_xml
    except (SignXMLException, ValueError, etree.LxmlError) as error:
        raise MetadataError(
            "is not signed with the key of the pinned certificate"
            f" (SHA-256 {signer.fingerprint(SHA256()).hex()[:16]}...), or was changed"
            f" after that ({error}). Do not use it. If the federation has announced a new key, pin the new certificate"
        ) from error
    if signed is None or (signed.tag, signed.get("ID")) != (root.tag, root.get("ID")):
        raise MetadataError("carries a signature that does not cover all of it. Do not use it")
    return signed


def expiry(element):
    """When an element's validity ends.

    :param element: An EntityDescriptor or EntitiesDescriptor.
    :returns: datetime, or None without one.
    :raises MetadataError: if it has a form that SAML does not allow.
    """
    text = element.get("validUntil")
    moment = instant(text) if text else None
    if text and not moment:
        raise MetadataError(
            f'has validUntil="{text}", which is not a date and time such as 2026-01-31T12:00:00Z. {REMEDY}'
        )
    return moment


def in_force(elements, now, max_validity_days):
    """Require that a document has not expired and is not valid for too long.

    :param list elements: The elements whose validity counts, the document's root first.
    :param datetime now: The time of the check.
    :param int max_validity_days: The longest validity, in days; 0 allows any, or none.
    :raises MetadataError: if it is not.
    """
    for element in elements:
        moment = expiry(element)
        if moment and moment <= now:
            raise MetadataError(f"was valid until {moment:%Y-%m-%d %H:%M %Z}. Get a fresh copy")
    if max_validity_days:
        moment = expiry(elements[0])
        if moment is None:
            raise MetadataError("has no expiry date (validUntil), so an attacker could replay an old copy")
        if moment > now + timedelta(days=max_validity_days):
            raise MetadataError(
                f"is valid until {moment:%Y-%m-%d %H:%M %Z}, longer than {max_validity_days} days. Get it from a source"
                " that renews it more often, or allow a longer validity"
            )


def fingerprints(key):
    """Return the fingerprints of the keys in a KeyDescriptor.

    :param key: The element.
    :returns: list of SHA-256 of public keys, as hexadecimal digits.
    :raises MetadataError: if it carries a key in a form that is not compared, or none.
    """
    found = key.findall(f"{SIGNATURE}KeyInfo/{SIGNATURE}X509Data/{SIGNATURE}X509Certificate")
    texts = ["".join((certificate.text or "").split()) for certificate in found]
    if not texts or any(part.tag not in KEY_FORMS for part in key.iterdescendants("*")):
        raise MetadataError("carries a signing key in another form than a certificate, which cannot be compared")
    if list(key.iter(SIGNATURE + "X509Certificate")) != found or any(len(certificate) for certificate in found):
        raise MetadataError(
            "carries a certificate elsewhere than in KeyInfo/X509Data, or with something in it, which programs read in"
            " different ways. Do not use it"
        )
    try:
        certificates = [x509.load_der_x509_certificate(base64.b64decode(text, validate=True)) for text in texts]
        keys = [one.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) for one in certificates]
    except (ValueError, binascii.Error, UnsupportedAlgorithm, x509.InvalidVersion) as error:
        raise MetadataError(f"carries a certificate that cannot be read ({error})") from error
    return [hashlib.sha256(public).hexdigest() for public in keys]


def signing_keys(root):
    """Name the keys with which identity providers may sign.

    :param root: Root element of the document.
    :returns: list of fingerprints, in the document's order, each once.
    :raises MetadataError: if one of them cannot be read.
    """
    keys = root.iterfind(f".//{METADATA}IDPSSODescriptor/{METADATA}KeyDescriptor")
    return list(dict.fromkeys(name for key in keys if key.get("use") != "encryption" for name in fingerprints(key)))


def pinned(root, idp_keys, called):
    """Require that identity providers sign with known keys only.

    :param root: Root element of the document.
    :param list idp_keys: Fingerprints of the known keys; colons and upper case do not matter.
    :param str called: Name of that list in messages.
    :raises MetadataError: if there is another key, or none.
    """
    known = {key.replace(":", "").lower() for key in idp_keys}
    found = signing_keys(root)
    unknown = [key for key in found if key not in known]
    if not found:
        raise MetadataError(f"carries no signing key, so there is nothing to compare with {called}")
    if unknown:
        raise MetadataError(
            f"carries the signing key {', '.join(unknown)}, which is not among {called}. If the identity provider has"
            f" announced a new key, compare this fingerprint with the announcement and add it to {called}; otherwise"
            " an attacker may impersonate it"
        )


def only_role(root, entity_id):
    """Find the one description of an identity provider.

    :param root: Root element of the document.
    :param str entity_id: Its entityID.
    :returns: list of the element, and of those around it.
    :raises MetadataError: if there is another one.
    """
    entities = [one for one in root.iter(METADATA + "EntityDescriptor") if one.get("entityID") == entity_id]
    roles = [role for one in entities for role in one.iterchildren(METADATA + "IDPSSODescriptor")]
    if len(entities) > 1 or len(roles) > 1:
        raise MetadataError(
            f"describes {entity_id} twice, and programs differ in which one they use. Get metadata that does it once"
        )
    return [roles[0], *roles[0].iterancestors()]


def loads(element, load):
    """Return whether the certificate or key that an element has in Base64 can be loaded.

    :param element: The element.
    :param load: The function that loads it.
    """
    try:
        # Like shibd, ignore what is not Base64.
        load(base64.b64decode(element.xpath("string()").encode("ascii", "ignore")))
    except (ValueError, binascii.Error, UnsupportedAlgorithm, x509.InvalidVersion):
        return False
    return True


def not_empty(data):
    """Load the number or point that a bare key is made of.

    :param bytes data: The number or point.
    :raises ValueError: if there is none.
    """
    if not data:
        raise ValueError("empty")


def usable(role):
    """Require that users can be sent to an identity provider, and that its responses can be verified.

    shibd loads metadata that allows neither, and refuses every login.

    :param role: Its IDPSSODescriptor.
    :returns: dict with ``bindings`` and ``certificates``, see RETURN.
    :raises MetadataError: if no user could log in.
    """
    services = role.iterchildren(METADATA + "SingleSignOnService")
    known = [(one.get("Binding").replace(BINDINGS, ""), one.get("Location")) for one in services]
    bindings = [binding for binding, _location in known if binding in ASKED_BY]
    if not bindings:
        raise MetadataError(
            f"has SingleSignOnService for {', '.join(binding for binding, _location in known)} alone, and none for"
            " HTTP-Redirect or HTTP-POST. Enable one at the identity provider"
        )
    for binding, location in known:
        if binding in ASKED_BY and not re.fullmatch(r"https?://[^\s/]\S*", location):
            raise MetadataError(
                f'has SingleSignOnService for {binding} at "{location}", which is not a web address. {REMEDY}'
            )
    keys = [key for key in role.iterchildren(METADATA + "KeyDescriptor") if key.get("use") != "encryption"]

    def count(tag, load):
        return sum(loads(one, load) for key in keys for one in key.iter(tag))

    certificates = count(SIGNATURE + "X509Certificate", lambda der: x509.load_der_x509_certificate(der).public_key())
    bare = {
        SIGNATURE + "Modulus": not_empty,
        SIGNATURE_11 + "PublicKey": not_empty,
        SIGNATURE_11 + "DEREncodedKeyValue": load_der_public_key,
    }
    if not certificates and not any(count(tag, load) for tag, load in bare.items()):
        raise MetadataError(
            "carries no readable key to verify signatures with, so no user could log in. It needs a"
            ' KeyDescriptor whose use is "signing", or left out, and whose X509Certificate holds a certificate in'
            f" Base64, without the lines -----BEGIN CERTIFICATE----- and -----END CERTIFICATE-----. {REMEDY}"
        )
    return {"bindings": list(dict.fromkeys(bindings)), "certificates": certificates}


def examine(document, now, options):
    """Check a metadata document.

    :param bytes document: The document.
    :param datetime now: The time of the check, for validity and signatures.
    :param dict options: The module's options.
    :returns: dict with what :func:`usable` found out.
    :raises MetadataError: if anything is wrong.
    """
    if len(document) > options["max_bytes"]:
        raise MetadataError(f"has more than the {options['max_bytes']} bytes that are read")
    called = {name: name for name in options} | options["names"]
    digest = hashlib.sha256(document).hexdigest()
    if options["sha256"] and digest != options["sha256"].replace(":", "").lower():
        raise MetadataError(
            f"has the SHA-256 {digest}, not {called['sha256']} {options['sha256']}. Look at what has changed"
            f" before you write the new one into {called['sha256']}"
        )
    root = whole = parse(document)
    unambiguous(root)
    if options["signing_certificate"]:
        root = signed_by(root, options["signing_certificate"], now)
    providers = {
        entity.get("entityID"): entity
        for entity in root.iter(METADATA + "EntityDescriptor")
        for role in entity.iterchildren(METADATA + "IDPSSODescriptor")
        if SAML2 in role.get("protocolSupportEnumeration", "").split()
    }
    wanted = options["entity_id"]
    if not providers:
        raise MetadataError(
            "describes no SAML 2 identity provider (IDPSSODescriptor); perhaps it is the metadata of a service provider"
        )
    if wanted and wanted not in providers:
        raise MetadataError(
            f"describes {', '.join(sorted(map(str, providers))[:5])}, not {wanted}. Correct the entityID or the source"
        )
    counted = only_role(root, wanted) if wanted else []
    in_force([root, *counted], now, options["max_validity_days"])
    if options["idp_keys"]:
        pinned(root, options["idp_keys"], called["idp_keys"])
    problem = fault(whole)
    if problem:
        raise MetadataError(f"has a form that shibd refuses: {problem}. {REMEDY}")
    found = usable(counted[0]) if wanted else {}
    if not (options["trusted_source"] or options["signing_certificate"] or options["sha256"] or options["idp_keys"]):
        raise MetadataError(
            "is not verified against anything that you trust, so an attacker may replace it and log in. It carries"
            f" the signing key {', '.join(signing_keys(root)) or '(none)'}: compare it with what the identity provider"
            f" says elsewhere and write it into {called['idp_keys']}. Or give {called['signing_certificate']} or"
            f" {called['sha256']}; or, if you trust the source, set {called['trusted_source']}"
        )
    return found


def bytes_of(options):
    """Return the document's bytes, from any of the options.

    :param dict options: The module's options.
    :raises MetadataError: if it cannot be read.
    """
    if options["path"]:
        try:
            with open(options["path"], "rb") as stream:
                return stream.read(options["max_bytes"] + 1)
        except OSError as error:
            raise MetadataError(f"cannot be read ({error.strerror}). Correct the path, or the file's mode") from error
    if options["content"] is not None:
        return options["content"].encode("utf-8", "surrogateescape")
    try:
        return base64.b64decode(options["content_base64"])
    except binascii.Error as error:
        raise MetadataError(f"is not in Base64 ({error}). Give content_base64 what slurp returned") from error


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path"},
            "content_base64": {"type": "str"},
            "content": {"type": "str"},
            "source": {"type": "str", "default": "the metadata document"},
            "entity_id": {"type": "str", "default": ""},
            "signing_certificate": {"type": "str", "default": ""},
            "sha256": {"type": "str", "default": ""},
            "known_sha256": {"type": "str", "default": ""},
            "idp_keys": {"type": "list", "elements": "str", "default": [], "no_log": False},
            "trusted_source": {"type": "bool", "default": False},
            "names": {"type": "dict", "default": {}},
            "max_validity_days": {"type": "int", "default": 0},
            "max_bytes": {"type": "int", "default": 104857600},
        },
        required_one_of=[("path", "content_base64", "content")],
        mutually_exclusive=[("path", "content_base64", "content")],
        supports_check_mode=True,
    )
    faults = library_faults(**OLDEST)
    if faults:
        module.fail_json(msg=f"{faults}. Nothing was changed.")
    if etree is None:
        module.fail_json(msg=missing_required_lib("lxml, signxml and cryptography"), exception=MISSING)
    try:
        document = bytes_of(module.params)
        found = examine(document, datetime.now(timezone.utc), module.params)
    except MetadataError as error:
        module.fail_json(msg=f"{module.params['source']} {error}. Nothing was changed.")
    digest = hashlib.sha256(document).hexdigest()
    if digest != module.params["known_sha256"]:
        found["content_base64"] = base64.b64encode(document).decode("ascii")
    module.exit_json(changed=False, sha256=digest, **found)


if __name__ == "__main__":
    main()
