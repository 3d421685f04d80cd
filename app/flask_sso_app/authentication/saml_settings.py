# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The setting ``SAML``: validated at the start, and converted to the settings of python3-saml."""

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
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from flask_sso_app.authentication.saml_store import Store
from flask_sso_app.identity import parse_datetime
from flask_sso_app.settings import SettingsError, credential_path, read_credential

#: All keys with their defaults; a value has to be of the default's type.
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
    "slo": "/saml/logout",
    "slo_post": "",
    "metadata": "/saml/metadata",
    "attributes": [],
    "required": [],
    "lifetime": 28800,
    "timeout": 3600,
    "clock_skew": 60,
    "bound_to_address": False,
}
REQUIRED = ("entity_id", "site", "idp_metadata", "certificate")

#: Options of an attribute beside id, name and default. The first value is the default, and no scope means no check.
#: shibd's check against the scopes in the identity provider's metadata is not supported.
ATTRIBUTE_OPTIONS = {
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
    # The identity provider decides how users authenticate, for example with a second factor.
    "requestedAuthnContext": False,
    # The user is identified by attributes. If they are missing, the application says which, instead of python3-saml.
    "wantNameId": False,
    "wantAttributeStatement": False,
    "allowRepeatAttributeName": True,
    "allowSingleLabelDomains": True,
}


@dataclass(frozen=True, repr=False)
class ServiceProvider:
    """The application as a SAML service provider.

    :param config: the setting ``SAML`` with its defaults.
    :param settings: settings of python3-saml, with the private key.
    :param decryption_keys: private keys (PEM) for messages that the identity provider encrypts.
    :param idp_valid_until: time in seconds when the identity provider's metadata expires.
    :param metadata: metadata of this service provider, as XML.
    :param store: pending requests, used message IDs and sessions.
    """

    config: dict[str, Any]
    settings: OneLogin_Saml2_Settings
    decryption_keys: tuple[str, ...]
    idp_valid_until: float
    metadata: bytes
    store: Store


def load(app: Flask) -> ServiceProvider:
    """Return the service provider that the setting ``SAML`` describes.

    :raises SettingsError: if the setting, or a file that it names, is wrong or missing.
    """
    config = validate_config(app)
    prefixes = ["", "encryption_"] if config["encryption_certificate"] or config["encryption_key"] else [""]
    pairs = [load_key_pair(config, prefix) for prefix in prefixes]
    (certificate, key), (encryption_certificate, _key) = pairs[0], pairs[-1]
    decryption_keys = tuple(pair[1] for pair in reversed(pairs))
    site = config["site"]
    sp = {
        "entityId": config["entity_id"],
        "assertionConsumerService": {"url": site + config["acs"], "binding": Constants.BINDING_HTTP_POST},
        "singleLogoutService": {"url": site + config["slo"], "binding": Constants.BINDING_HTTP_REDIRECT},
        "x509cert": certificate,
        "privateKey": key,
    }
    idp, idp_valid_until = load_idp_metadata(config["idp_metadata"], config["idp_entity_id"])
    try:
        settings = OneLogin_Saml2_Settings({"strict": True, "sp": sp, "idp": idp, "security": SECURITY})
        for private_key in decryption_keys:
            OneLogin_Saml2_Utils.sign_binary("test", private_key)
    except OneLogin_Saml2_Error as error:
        raise config_error(f"is rejected by python3-saml: {error}.") from None
    except xmlsec.Error:
        raise config_error("has a key that cannot sign: use an RSA key.") from None
    # In python3-saml the clock skew is a constant for the whole process.
    Constants.ALLOWED_CLOCK_DRIFT = config["clock_skew"]
    metadata = build_metadata(sp, encryption_certificate, config["slo_post"] and site + config["slo_post"])
    return ServiceProvider(config, settings, decryption_keys, idp_valid_until, metadata, open_store(config["store"]))


def build_metadata(sp: dict[str, Any], encryption_certificate: str, slo_post_url: str) -> bytes:
    """Return the metadata of this service provider.

    :param sp: the service provider in the settings of python3-saml.
    :param encryption_certificate: certificate (PEM) with which the identity provider encrypts.
    :param slo_post_url: URL for single logout by HTTP-POST; empty if there is none.
    """
    text = OneLogin_Saml2_Metadata.builder(sp, authnsign=True, wsign=True, valid_until="", cache_duration="")
    text = OneLogin_Saml2_Metadata.add_x509_key_descriptors(text, sp["x509cert"], add_encryption=True)
    root = OneLogin_Saml2_XML.to_etree(text)
    for certificate in root.iterfind(".//md:KeyDescriptor[@use='encryption']//ds:X509Certificate", Constants.NSMAP):
        certificate.text = OneLogin_Saml2_Utils.format_cert(encryption_certificate, heads=False)
    slo = root.find(".//md:SingleLogoutService", Constants.NSMAP)
    if slo_post_url:
        slo.addnext(slo.makeelement(slo.tag, Binding=Constants.BINDING_HTTP_POST, Location=slo_post_url))
    return OneLogin_Saml2_XML.to_string(root)


def config_error(text: str) -> SettingsError:
    """Return an error about the setting ``SAML``.

    :param text: what is wrong and how to fix it, as the rest of a sentence.
    """
    return SettingsError(f"FLASK_SSO_SAML {text}")


def metadata_error(path: str, text: str) -> SettingsError:
    """Return an error about the identity provider's metadata.

    :param path: file of the metadata.
    :param text: what is wrong and how to fix it, as the rest of a sentence.
    """
    return config_error(f"has idp_metadata {path!r}, {text}")


def validate_config(app: Flask) -> dict[str, Any]:
    """Return the setting ``SAML`` with its defaults.

    :raises SettingsError: if a value is wrong or missing.
    """
    given = app.config["SAML"]
    if not isinstance(given, dict) or given.keys() - DEFAULTS.keys():
        raise config_error(f"must be a JSON object with no other keys than {', '.join(DEFAULTS)}.")
    config = {**DEFAULTS, **given}
    for name, default in DEFAULTS.items():
        if type(config[name]) is not type(default):
            raise config_error(f"has {name} {config[name]!r}, which is not of type {type(default).__name__}.")
    missing = [name for name in REQUIRED if not config[name]]
    if missing:
        raise config_error(f"lacks {', '.join(missing)}.")
    if re.search('[&<"]', config["entity_id"]):  # python3-saml writes it into messages without escaping it
        raise config_error(f"has entity_id {config['entity_id']!r}: python3-saml needs one without '&', '<' and '\"'.")
    site = urlsplit(config["site"])
    if config["site"] != f"{site.scheme}://{site.netloc}" or site.scheme not in ("https", "http")[: 1 + app.debug]:
        raise config_error(f"has an invalid site {config['site']!r}: write https://HOST without a path.")
    paths = [config["acs"], config["slo"], config["metadata"], *filter(None, [config["slo_post"]])]
    unique = len({*paths, "/login", "/logout"}) == len(paths) + 2
    if not unique or not all(re.fullmatch(r"(/[\w.~-]+)+", path) for path in paths):
        raise config_error(f"has invalid paths {paths}: write different ones, other than /login and /logout.")
    if min(config["timeout"], config["clock_skew"]) < 0 or config["lifetime"] <= 0:
        raise config_error("has an invalid lifetime, timeout or clock_skew: write seconds.")
    validate_attributes(config, app.config["ATTRIBUTES"]["identifier"])
    return config


def validate_attributes(config: dict[str, Any], identifier: str) -> None:
    """Validate the mapping of attributes.

    :param identifier: id of the attribute that identifies the user.
    :raises SettingsError: if an entry is wrong, or if no user could log in.
    """
    for entry in config["attributes"]:
        prefix = f"has the attribute {entry!r}: "
        if not isinstance(entry, dict) or not all(is_nonempty_string(entry.get(key)) for key in ("id", "name")):
            raise config_error(prefix + "write an object with the strings id and name.")
        for key, values in ATTRIBUTE_OPTIONS.items():
            if entry.get(key, values[0]) not in values:
                raise config_error(prefix + f"write {key} as one of {', '.join(values)}, or leave it out.")
        if "default" in entry and (entry["id"] == identifier or not is_nonempty_string(entry["default"])):
            raise config_error(prefix + "default is a string, and not allowed for the identifier.")
    ids = {entry["id"] for entry in config["attributes"]}
    missing = [name for name in [identifier, *config["required"]] if name not in ids]
    if missing:
        raise config_error(f"maps no attribute to {missing}, so no user could log in: add it to attributes.")


def is_nonempty_string(value: object) -> bool:
    """Tell whether a value is a string that is not empty."""
    return isinstance(value, str) and value != ""


def read_file(name: str, path: str) -> bytes:
    """Return the content of a file.

    :param name: key of the setting, for the error message.
    :raises SettingsError: if the file cannot be read.
    """
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise config_error(f"has {name} {path!r}, which cannot be read: {error.strerror}.") from None


def load_key_pair(config: dict[str, Any], prefix: str) -> tuple[str, str]:
    """Return certificate and private key (PEM). The systemd credential ``saml_key`` takes precedence over the file.

    :param prefix: prefix of the keys ``certificate`` and ``key`` of the setting.
    :raises SettingsError: if one of them is missing, or if they do not belong together.
    """
    certificate, name = f"{prefix}certificate", f"{prefix}key"
    key = str(credential_path(f"saml_{name}") or config[name])
    if not key:
        raise config_error(f"lacks {name}: write its path, or give the service the systemd credential 'saml_{name}'.")
    texts = read_file(certificate, config[certificate]), read_file(name, key)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(config[certificate], key, lambda: "")
    except (OSError, ValueError) as error:
        raise config_error(f"has {certificate} and {name}, which cannot be used together: {error}.") from None
    return first_pem_block(texts[0]), first_pem_block(texts[1])


def first_pem_block(data: bytes) -> str:
    """Return the first PEM block of a file. The file may hold more: a chain, or the certificate as readable text."""
    found = re.search(r"-----BEGIN ([A-Z ]+)-----.+?-----END \1-----", data.decode(errors="replace"), re.DOTALL)
    return found[0] if found else ""


def entity_descriptors(element: etree._Element) -> list[etree._Element]:
    """Return the EntityDescriptors in an element, but not those inside of signatures and extensions."""
    if element.tag == f"{MD}EntitiesDescriptor":
        return [entity for child in element for entity in entity_descriptors(child)]
    return [element] if element.tag == f"{MD}EntityDescriptor" else []


def find_idp_descriptor(root: etree._Element, path: str, entity_id: str) -> etree._Element:
    """Return the IDPSSODescriptor of the identity provider.

    :param path: file of the metadata, for error messages.
    :param entity_id: entityID; may be empty if the metadata describes a single identity provider.
    :raises SettingsError: unless there is exactly one.
    """
    entities = [
        (str(entity.get("entityID")), entity.findall(f"{MD}IDPSSODescriptor")) for entity in entity_descriptors(root)
    ]
    idps = sorted({name for name, descriptors in entities if descriptors})
    if not entity_id and len(idps) == 1:
        (entity_id,) = idps
    if entity_id not in idps:
        text = ", ".join(idps[:5]) or "no identity provider"
        raise metadata_error(path, f"which describes {text}: set idp_entity_id to one of its entityIDs.")
    # An entity of that name without an IDPSSODescriptor counts, too: the entity itself must not be described twice.
    found = [descriptor for name, descriptors in entities if name == entity_id for descriptor in descriptors or [None]]
    if len(found) > 1:
        raise metadata_error(path, f"which describes {entity_id} twice: use metadata that does it once.")
    return found[0]


def expiration(descriptor: etree._Element, path: str) -> float:
    """Return when a descriptor expires, in seconds: the earliest validUntil of it and its ancestors.

    :param path: file of the metadata, for error messages.
    :raises SettingsError: if a validUntil is not a date.
    """
    times = [math.inf]
    for element in (descriptor, *descriptor.iterancestors()):
        text = element.get("validUntil")
        if not text:
            continue
        time = parse_datetime(re.sub(r"\.\d*", "", text))
        if time is None:
            raise metadata_error(path, f"where validUntil={text!r} is not a date: get a current copy.")
        times.append((time if time.tzinfo else time.replace(tzinfo=timezone.utc)).timestamp())
    return min(times)


def is_readable(certificate: str) -> bool:
    """Tell whether a certificate in Base64 can be read. As shibd, the application ignores those that cannot."""
    pem = OneLogin_Saml2_Utils.format_cert(certificate)
    try:
        xmlsec.Key.from_memory(pem, xmlsec.constants.KeyDataFormatCertPem, None)
    except xmlsec.Error:
        return False
    return True


def load_idp_metadata(path: str, entity_id: str) -> tuple[dict[str, Any], float]:
    """Return the identity provider for the settings of python3-saml, and when its metadata expires, in seconds.

    The parser of python3-saml takes the first of several entities, and uses an encryption key if there is no signing
    key. This one reads exactly what ``plugins/modules/saml_metadata.py`` validates. URLs are XML-escaped, as
    python3-saml writes them into messages unchanged.

    :param path: file of the metadata.
    :param entity_id: entityID; may be empty if the metadata describes a single identity provider.
    :raises SettingsError: if the file is not metadata, or the identity provider in it cannot be used.
    """
    try:
        # Some tools on Windows write UTF-8 but declare UTF-16.
        text = re.sub(
            rb"^(\xef\xbb\xbf)?<\?xml[^>]*\bUTF-?16[^>]*>", b"", read_file("idp_metadata", path), flags=re.IGNORECASE
        )
        root = OneLogin_Saml2_XML.to_etree(text)
        etree.strip_tags(root, etree.Comment)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise metadata_error(path, f"which is not metadata: {error}.") from None

    def find(element: etree._Element, query: str) -> list[Any]:
        return element.xpath(query, namespaces=Constants.NSMAP, redirect=Constants.BINDING_HTTP_REDIRECT)

    descriptor = find_idp_descriptor(root, path, entity_id)
    entity_id = descriptor.getparent().get("entityID")
    sso_urls = find(descriptor, "md:SingleSignOnService[@Binding=$redirect]/@Location")
    if not sso_urls:
        raise metadata_error(path, f"where {entity_id} has no SingleSignOnService with HTTP-Redirect.")
    query = "md:KeyDescriptor[not(@use) or @use='' or @use='signing']/ds:KeyInfo/ds:X509Data/ds:X509Certificate"
    texts = ["".join((found.text or "").split()) for found in find(descriptor, query)]
    certificates = [text for text in texts if is_readable(text)]
    if not certificates:
        raise metadata_error(path, f"where {entity_id} has no readable signing certificate.")
    idp = {
        "entityId": entity_id,
        "singleSignOnService": {"url": escape(sso_urls[0]), "binding": Constants.BINDING_HTTP_REDIRECT},
        "x509certMulti": {"signing": certificates},
    }
    for slo in find(descriptor, "md:SingleLogoutService[@Binding=$redirect]")[:1]:
        url = slo.get("Location")
        idp["singleLogoutService"] = {
            "url": escape(url),
            "responseUrl": escape(slo.get("ResponseLocation", url)),
            "binding": Constants.BINDING_HTTP_REDIRECT,
        }
    return idp, expiration(descriptor, path)


def open_store(url: str) -> Store:
    """Open the store, with the systemd credential ``saml_store_password`` if there is one.

    :param url: SQLAlchemy URL; if empty, an SQLite file in the state directory that only the service can read.
    :raises SettingsError: if the database cannot be used.
    """
    path = None
    if not url:
        directory = os.environ.get("STATE_DIRECTORY")
        if not directory:
            raise config_error(
                "lacks store: write an SQLAlchemy URL, or set StateDirectory= of the unit ($STATE_DIRECTORY)."
            )
        path = Path(directory.partition(":")[0], "saml.sqlite")
        url = f"sqlite:///{path}"
    try:
        if path:
            path.touch(mode=0o600)
        address = make_url(url)
        password = "" if address.get_backend_name() == "sqlite" else read_credential("saml_store_password")
        return Store(address.set(password=password) if password else address)
    except (SQLAlchemyError, ImportError, OSError) as error:
        raise config_error(
            f"has a store that cannot be used: {type(error).__name__}; check its URL, driver and permissions."
        ) from None
