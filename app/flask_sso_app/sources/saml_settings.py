# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The setting ``SAML``, checked as a whole at the start, and what python3-saml makes of it."""

from __future__ import annotations

import math
import os
import re
import ssl
from dataclasses import dataclass
from datetime import timezone
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import xmlsec
from flask import Flask
from lxml import etree
from onelogin.saml2.constants import OneLogin_Saml2_Constants as Constants
from onelogin.saml2.errors import OneLogin_Saml2_Error
from onelogin.saml2.metadata import OneLogin_Saml2_Metadata
from onelogin.saml2.settings import OneLogin_Saml2_Settings
from onelogin.saml2.utils import OneLogin_Saml2_Utils
from onelogin.saml2.xml_utils import OneLogin_Saml2_XML
from sqlalchemy.exc import SQLAlchemyError

from flask_sso_app.identity import parse_instant
from flask_sso_app.settings import SettingsError, credential
from flask_sso_app.sources.saml_store import Store

#: Every key with its default; the default's type is the only one accepted. The first four have to be set.
DEFAULTS = {
    "entity_id": "",
    "site": "",
    "idp_metadata": "",
    "certificate": "",
    "key": "",
    "encryption_certificate": "",
    "encryption_key": "",
    "idp_entity_id": "",
    "store": "",
    "acs": "/saml/acs",
    "logout": "/saml/logout",
    "logout_post": "",
    "metadata": "/saml/metadata",
    "attributes": [],
    "required": [],
    "lifetime": 28800,
    "timeout": 3600,
    "clock_skew": 60,
    "bound_to_address": False,
}
NEEDED = list(DEFAULTS)[:4]

#: What an attribute may say beside id, name and default. The scopes of the identity provider are not checked here.
CHOICES = {
    "format": ("uri", "basic", "unspecified"),
    "decoder": ("string", "nameid", "qualified_nameid"),
    "scope": ("any",),
}

MD = f"{{{Constants.NS_MD}}}"

SECURITY = {
    "authnRequestsSigned": True,
    "logoutRequestSigned": True,
    "logoutResponseSigned": True,
    "wantAssertionsSigned": True,
    "rejectDeprecatedAlgorithm": True,
    "signatureAlgorithm": Constants.RSA_SHA256,
    "digestAlgorithm": Constants.SHA256,
    # How a user proves to be one, with or without a second factor, is for the identity provider to decide.
    "requestedAuthnContext": False,
    # Who a user is, attributes say: without them or a NameID the user is told what is missing.
    "wantNameId": False,
    "wantAttributeStatement": False,
    "allowRepeatAttributeName": True,
    "allowSingleLabelDomains": True,
}


@dataclass(frozen=True, repr=False)
class ServiceProvider:
    """This application in SAML's eyes.

    :param setting: the setting, with its defaults.
    :param toolkit: the same as python3-saml wants it, private key included.
    :param keys: private keys as PEM, for one of which the identity provider encrypts.
    :param valid_until: when the identity provider's description ends, in seconds.
    :param metadata: the description to register at the identity provider, as XML.
    :param store: sessions and messages.
    """

    setting: dict[str, Any]
    toolkit: OneLogin_Saml2_Settings
    keys: tuple[str, ...]
    valid_until: float
    metadata: bytes
    store: Store


def load(app: Flask) -> ServiceProvider:
    """Read and check the setting ``SAML``.

    :raises SettingsError: if something is wrong or missing.
    """
    setting = check(app)
    kinds = ["", "encryption_"] if setting["encryption_certificate"] or setting["encryption_key"] else [""]
    pairs = [key_pair(setting, kind) for kind in kinds]
    (certificate, key), for_encryption = pairs[0], pairs[-1][0]
    keys = tuple(pair[1] for pair in reversed(pairs))
    address = setting["site"]
    sp = {
        "entityId": plain(setting["entity_id"]),
        "assertionConsumerService": {"url": address + setting["acs"], "binding": Constants.BINDING_HTTP_POST},
        "singleLogoutService": {"url": address + setting["logout"], "binding": Constants.BINDING_HTTP_REDIRECT},
        "x509cert": certificate,
        "privateKey": key,
    }
    idp, valid_until = identity_provider(setting["idp_metadata"], setting["idp_entity_id"])
    try:
        toolkit = OneLogin_Saml2_Settings({"strict": True, "sp": sp, "idp": idp, "security": SECURITY})
        for one in keys:
            OneLogin_Saml2_Utils.sign_binary("a trial", one)
    except OneLogin_Saml2_Error as error:
        raise wrong(f"does not please python3-saml: {error}.") from None
    except xmlsec.Error:
        raise wrong("has a key that cannot sign: use an RSA key.") from None
    # python3-saml has this one in a constant, for the whole process.
    Constants.ALLOWED_CLOCK_DRIFT = setting["clock_skew"]
    metadata = describe(sp, for_encryption, setting["logout_post"] and address + setting["logout_post"])
    return ServiceProvider(setting, toolkit, keys, valid_until, metadata, open_store(setting["store"]))


def describe(sp: dict[str, Any], for_encryption: str, logout_post: str) -> bytes:
    """Return the metadata of this service provider.

    :param sp: what python3-saml knows of it.
    :param for_encryption: the certificate for whose key the identity provider shall encrypt, as PEM.
    :param logout_post: address for logouts by HTTP-POST, if there is one.
    """
    text = OneLogin_Saml2_Metadata.builder(sp, authnsign=True, wsign=True, valid_until="", cache_duration="")
    text = OneLogin_Saml2_Metadata.add_x509_key_descriptors(text, sp["x509cert"], add_encryption=True)
    root = OneLogin_Saml2_XML.to_etree(text)
    for certificate in root.iterfind(".//md:KeyDescriptor[@use='encryption']//ds:X509Certificate", Constants.NSMAP):
        certificate.text = OneLogin_Saml2_Utils.format_cert(for_encryption, heads=False)
    for logout in root.findall(".//md:SingleLogoutService", Constants.NSMAP) if logout_post else ():
        logout.addnext(logout.makeelement(logout.tag, Binding=Constants.BINDING_HTTP_POST, Location=logout_post))
    return OneLogin_Saml2_XML.to_string(root)


def wrong(text: str) -> SettingsError:
    """Return the error that the setting ``SAML`` has."""
    return SettingsError(f"FLASK_SSO_SAML {text}")


def check(app: Flask) -> dict[str, Any]:
    """Return the setting with its defaults, each value of the right form."""
    given = app.config["SAML"]
    if not isinstance(given, dict) or given.keys() - DEFAULTS.keys():
        raise wrong(f"is a JSON object, and has no keys but {', '.join(DEFAULTS)}.")
    setting = {**DEFAULTS, **given}
    for name, default in DEFAULTS.items():
        if type(setting[name]) is not type(default):
            raise wrong(f"has {name} {setting[name]!r}, which is not of type {type(default).__name__}.")
    missing = [name for name in NEEDED if not setting[name]]
    if missing:
        raise wrong(f"lacks {', '.join(missing)}.")
    site = urlsplit(setting["site"])
    if setting["site"] != f"{site.scheme}://{site.netloc}" or site.scheme not in ("https", "http")[: 1 + app.debug]:
        raise wrong(f"has a wrong site {setting['site']!r}: write https://HOST and nothing behind it.")
    paths = [setting["acs"], setting["logout"], setting["metadata"], *filter(None, [setting["logout_post"]])]
    free = len({*paths, "/login", "/logout"}) == len(paths) + 2
    if not free or not all(re.fullmatch(r"(/[\w.~-]+)+", path) for path in paths):
        raise wrong(f"has wrong paths {paths}: write different ones of this site, other than /login and /logout.")
    if min(setting["timeout"], setting["clock_skew"]) < 0 or setting["lifetime"] <= 0:
        raise wrong("has a wrong lifetime, timeout or clock_skew: write seconds.")
    check_attributes(setting, app.config["ATTRIBUTES"]["identifier"])
    return setting


def check_attributes(setting: dict[str, Any], identifier: str) -> None:
    """Refuse a map of attributes that would let nobody in."""
    for one in setting["attributes"]:
        if not isinstance(one, dict) or not all(isinstance(one.get(key), str) and one[key] for key in ("id", "name")):
            raise wrong(f"has an attribute {one!r}: write an object with id and name, each a text.")
        for key, values in CHOICES.items():
            if one.get(key, values[0]) not in values:
                raise wrong(f"has an attribute {one!r}: write {key} as one of {', '.join(values)}, or leave it out.")
        if "default" in one and (one["id"] == identifier or not isinstance(one["default"], str) or not one["default"]):
            raise wrong(f"has an attribute {one!r}: write a text as default, and none for who a user is.")
    absent = [
        name for name in [identifier, *setting["required"]] if name not in {one["id"] for one in setting["attributes"]}
    ]
    if absent:
        raise wrong(f"maps no attribute to {absent}, without which nobody can log in: add it to attributes.")


def plain(address: str) -> str:
    """Return an address that python3-saml can write into a message: it escapes none."""
    if re.search('[&<"]', address):
        raise wrong(f"has the entity_id {address!r}, which python3-saml cannot write: use one without '&'.")
    return address


def read(name: str, path: str) -> bytes:
    """Return what a file holds."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise wrong(f"has {name} {path!r}, which cannot be read: {error.strerror}.") from None


def key_pair(setting: dict[str, Any], kind: str = "") -> tuple[str, str]:
    """Return certificate and private key as PEM; the systemd credential ``saml_key`` wins over the file.

    :param kind: what the names of another pair begin with.
    :raises SettingsError: if one is missing, or not of the other.
    """
    certificate, name = f"{kind}certificate", f"{kind}key"
    key = str(credential(f"saml_{name}") or setting[name])
    if not key:
        raise wrong(f"lacks {name}: give the path, or give the service the systemd credential 'saml_{name}'.")
    texts = read(certificate, setting[certificate]), read(name, key)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(setting[certificate], key, lambda: "")
    except (OSError, ValueError) as error:
        raise wrong(f"has {certificate} and {name}, which cannot be used together: {error}.") from None
    return first_block(texts[0]), first_block(texts[1])


def first_block(data: bytes) -> str:
    """Return the first PEM block of a file, which may hold more, such as the certificate in words or a chain."""
    found = re.search(r"-----BEGIN ([A-Z ]+)-----.+?-----END \1-----", data.decode(errors="replace"), re.DOTALL)
    return found[0] if found else ""


def entities(element: etree._Element) -> list[etree._Element]:
    """Return the descriptions of entities. What stands in a signature or an extension is none."""
    if element.tag == f"{MD}EntitiesDescriptor":
        return [entity for child in element for entity in entities(child)]
    return [element] if element.tag == f"{MD}EntityDescriptor" else []


def find_role(root: etree._Element, path: str, wanted: str) -> etree._Element:
    """Return the one description of the identity provider.

    :param path: file of the metadata, for messages.
    :param wanted: entityID; may be empty if there is only one.
    :raises SettingsError: if there is none or another one.
    """
    described = [(str(one.get("entityID")), one.findall(f"{MD}IDPSSODescriptor")) for one in entities(root)]
    known = sorted({name for name, roles in described if roles})
    if not wanted and len(known) == 1:
        (wanted,) = known
    if wanted not in known:
        text = ", ".join(known[:5]) or "no identity provider"
        raise wrong(f"has idp_metadata {path!r}, which describes {text}: set idp_entity_id to the one that you mean.")
    roles = [role for name, roles in described if name == wanted for role in roles or [None]]
    if len(roles) > 1:
        raise wrong(f"has idp_metadata {path!r}, which describes {wanted} twice: get metadata that does it once.")
    return roles[0]


def expiry(role: etree._Element, path: str) -> float:
    """Return when a description ends, in seconds: at the first date that is on it or around it."""
    ends = [math.inf]
    for text in (one.get("validUntil") for one in (role, *role.iterancestors()) if one.get("validUntil")):
        moment = parse_instant(re.sub(r"\.\d*", "", text))
        if moment is None:
            raise wrong(f"has idp_metadata {path!r} with validUntil={text!r}, which is not a date: get a fresh copy.")
        ends.append((moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp())
    return min(ends)


def loads(certificate: str) -> bool:
    """Tell whether a certificate in Base64 can be read. One beside others that cannot is left out, as shibd does."""
    pem = OneLogin_Saml2_Utils.format_cert(certificate)
    try:
        xmlsec.Key.from_memory(pem, xmlsec.constants.KeyDataFormatCertPem, None)
    except xmlsec.Error:
        return False
    return True


def identity_provider(path: str, wanted: str) -> tuple[dict[str, Any], float]:
    """Return what python3-saml has to know of the identity provider, and until when that holds, in seconds.

    Its own reader takes the first one of several, and an encryption key for want of a signing key. This one reads
    what ``plugins/modules/saml_metadata.py`` judges, and nothing else. Addresses are escaped for python3-saml, which
    writes them into messages as they are.

    :param path: file of the metadata.
    :param wanted: entityID; may be empty if there is only one.
    :raises SettingsError: if the metadata does not describe it, once and as it has to be.
    """
    try:
        # Windows' tools leave "UTF-16" in what they save as UTF-8.
        text = re.sub(
            rb"^(\xef\xbb\xbf)?<\?xml[^>]*\bUTF-?16[^>]*>", b"", read("idp_metadata", path), flags=re.IGNORECASE
        )
        root = OneLogin_Saml2_XML.to_etree(text)
        etree.strip_tags(root, etree.Comment)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise wrong(f"has idp_metadata {path!r}, which is not metadata: {error}.") from None

    def find(element: etree._Element, query: str) -> list[Any]:
        return element.xpath(query, namespaces=Constants.NSMAP, redirect=Constants.BINDING_HTTP_REDIRECT)

    role = find_role(root, path, wanted)
    wanted = role.getparent().get("entityID")
    login = find(role, "md:SingleSignOnService[@Binding=$redirect]/@Location")
    if not login:
        raise wrong(f"has idp_metadata {path!r}, where {wanted} has no SingleSignOnService with HTTP-Redirect.")
    place = "md:KeyDescriptor[not(@use) or @use='' or @use='signing']/ds:KeyInfo/ds:X509Data/ds:X509Certificate"
    texts = ["".join((found.text or "").split()) for found in find(role, place)]
    certificates = [text for text in texts if loads(text)]
    if not certificates:
        raise wrong(f"has idp_metadata {path!r}, where {wanted} has no signing certificate, or one that is none.")
    idp = {
        "entityId": wanted,
        "singleSignOnService": {"url": escape(login[0]), "binding": Constants.BINDING_HTTP_REDIRECT},
        "x509certMulti": {"signing": certificates},
    }
    for logout in find(role, "md:SingleLogoutService[@Binding=$redirect]")[:1]:
        url = logout.get("Location")
        idp["singleLogoutService"] = {
            "url": escape(url),
            "responseUrl": escape(logout.get("ResponseLocation", url)),
            "binding": Constants.BINDING_HTTP_REDIRECT,
        }
    return idp, expiry(role, path)


def open_store(url: str) -> Store:
    """Open the store; without a URL, a file in the service's state directory that only its account can read."""
    path = None
    if not url:
        directory = os.environ.get("STATE_DIRECTORY")
        if not directory:
            raise wrong("lacks store: set an SQLAlchemy URL, or run with $STATE_DIRECTORY (systemd: StateDirectory=).")
        path = Path(directory.partition(":")[0], "saml.sqlite")
        url = f"sqlite:///{path}"
    try:
        if path:
            path.touch(mode=0o600)
        return Store(url)
    except (SQLAlchemyError, ImportError, OSError) as error:
        raise wrong(
            f"has a store that cannot be used: {type(error).__name__}; check its URL, driver and rights."
        ) from None
