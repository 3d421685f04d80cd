# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Validation of the identity provider's messages, as strict as the SAML specification.

python3-saml accepts messages with missing or merely similar values, and xmlsec supports far more than SAML allows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from copy import deepcopy
from typing import Any

import xmlsec
from lxml import etree
from onelogin.saml2.constants import OneLogin_Saml2_Constants as Constants
from onelogin.saml2.logout_request import OneLogin_Saml2_Logout_Request
from onelogin.saml2.response import OneLogin_Saml2_Response
from onelogin.saml2.settings import OneLogin_Saml2_Settings
from onelogin.saml2.utils import OneLogin_Saml2_Utils
from onelogin.saml2.xml_utils import OneLogin_Saml2_XML

DS, XENC = f"{{{Constants.NS_DS}}}", f"{{{Constants.NS_XENC}}}"
EXC_C14N = "http://www.w3.org/2001/10/xml-exc-c14n#"
XENC11 = "http://www.w3.org/2009/xmlenc11#"

#: Elements allowed in signatures and in encrypted data. With others, xmlsec would read keys from files and URLs, derive
#: keys for minutes, and run transforms.
ALLOWED_ELEMENTS = {
    *(f"{DS}{name}" for name in ("Signature", "SignedInfo", "CanonicalizationMethod", "SignatureMethod")),
    *(f"{DS}{name}" for name in ("Reference", "Transforms", "Transform", "DigestMethod", "DigestValue")),
    *(f"{DS}{name}" for name in ("SignatureValue", "KeyInfo", "KeyName", "KeyValue", "RSAKeyValue", "Modulus")),
    *(f"{DS}{name}" for name in ("Exponent", "X509Data", "X509Certificate", "X509SubjectName", "X509SKI")),
    *(f"{DS}{name}" for name in ("X509IssuerSerial", "X509IssuerName", "X509SerialNumber")),
    *(f"{XENC}{name}" for name in ("EncryptedData", "EncryptedKey", "EncryptionMethod", "KeySize", "OAEPparams")),
    *(f"{XENC}{name}" for name in ("CipherData", "CipherValue", "CarriedKeyName", "ReferenceList", "DataReference")),
    f"{{{EXC_C14N}}}InclusiveNamespaces",
    f"{{{XENC11}}}MGF",
}

#: Allowed algorithms by element. For encryption, those that shibd accepts by default, without RSA 1.5 and 3DES, which
#: are broken. CBC mode is allowed because many identity providers still use it.
ALLOWED_ALGORITHMS = {
    f"{DS}CanonicalizationMethod": {
        *(EXC_C14N, f"{EXC_C14N}WithComments"),
        *("http://www.w3.org/TR/2001/REC-xml-c14n-20010315", "http://www.w3.org/2006/12/xml-c14n11"),
    },
    # SAML core, 5.4.4
    f"{DS}Transform": {f"{Constants.NS_DS}enveloped-signature", EXC_C14N, f"{EXC_C14N}WithComments"},
    f"{DS}SignatureMethod": {
        *(
            f"http://www.w3.org/2001/04/xmldsig-more#{key}-sha{bits}"
            for key in ("rsa", "ecdsa")
            for bits in (256, 384, 512)
        ),
        *(f"http://www.w3.org/2007/05/xmldsig-more#sha{bits}-rsa-MGF1" for bits in (256, 384, 512)),
    },
    f"{DS}DigestMethod": {Constants.SHA256, Constants.SHA384, Constants.SHA512},
    f"{XENC}EncryptionMethod": {
        *(f"{XENC11}aes{bits}-gcm" for bits in (128, 192, 256)),
        *(Constants.AES128_CBC, Constants.AES192_CBC, Constants.AES256_CBC),
        *(Constants.RSA_OAEP_MGF1P, f"{XENC11}rsa-oaep"),
    },
}

#: Allowed signature algorithms, in XML and in queries.
SIGNATURE_ALGORITHMS = ALLOWED_ALGORITHMS[f"{DS}SignatureMethod"]

NAME_ID = f"{{{Constants.NS_SAML}}}NameID"
NAME_FORMAT_PREFIX = Constants.ATTRNAME_FORMAT_UNSPECIFIED.removesuffix("unspecified")

SUBJECT_CONFIRMATION = "/saml:Subject/saml:SubjectConfirmation"


class InvalidMessageError(Exception):
    """A message is rejected; the text is for the log, not for the user."""


class SamlResponse(OneLogin_Saml2_Response):
    """A response of the identity provider, to be validated with :meth:`validate`.

    :param settings: settings of python3-saml.
    :param response: the response in Base64.
    :param decryption_keys: private keys (PEM) that may decrypt the assertion.
    :raises Exception: many of python3-saml and lxml, if the response cannot be parsed or decrypted.
    """

    def __init__(self, settings: OneLogin_Saml2_Settings, response: str, decryption_keys: Iterable[str]):
        self.decryption_keys = decryption_keys
        super().__init__(settings, response)

    def validate(self, request: dict[str, Any], request_id: str) -> None:
        """Validate the response, and decrypt its NameID.

        :param request: the HTTP request as python3-saml expects it.
        :param request_id: ID of the AuthnRequest that the response has to answer.
        :raises InvalidMessageError: if the response is not valid.
        :raises Exception: many of python3-saml, for the same reason.
        """
        self.is_valid(request, request_id, raise_exceptions=True)
        sp = self._settings.get_sp_data()
        acs_url = sp["assertionConsumerService"]["url"]
        if self.get_in_response_to() != request_id:
            raise InvalidMessageError("InResponseTo is missing")
        if self.document.get("Destination", acs_url) != acs_url:
            raise InvalidMessageError("Destination is longer than the URL of the ACS")
        expires = []
        # The response around the assertion may be unsigned, so the assertion itself has to name request and ACS.
        for data in self._query_assertion(f"{SUBJECT_CONFIRMATION}/saml:SubjectConfirmationData"):
            if data.get("InResponseTo") != request_id:
                raise InvalidMessageError("SubjectConfirmationData has another InResponseTo or none")
            if data.get("Recipient") != acs_url:
                raise InvalidMessageError("SubjectConfirmationData has another Recipient or none")
            if not data.get("NotOnOrAfter"):
                raise InvalidMessageError("SubjectConfirmationData has no NotOnOrAfter")
            expires.append(validate_times(data))
        self.valid_scd_not_on_or_after = max(expires)
        restrictions = self._query_assertion("/saml:Conditions/saml:AudienceRestriction")
        if not restrictions or not all(
            sp["entityId"] in [audience.text for audience in restriction] for restriction in restrictions
        ):
            raise InvalidMessageError("AudienceRestriction does not name this service provider")
        for data in self._query_assertion("/saml:Subject/saml:EncryptedID/xenc:EncryptedData"):
            encrypted_id = data.getparent()
            encrypted_id.getparent().replace(encrypted_id, decrypt(data, self.decryption_keys))

    def process_signed_elements(self) -> list[str]:
        """Return the signed elements; before that, restrict what xmlsec will process."""
        validate_xml_security(self.get_xml_document())
        return super().process_signed_elements()

    def get_session_not_on_or_after(self) -> int | None:
        """Return when the identity provider wants the session to end, plus the clock skew; None if it does not say."""
        expires = super().get_session_not_on_or_after()
        return expires and expires + Constants.ALLOWED_CLOCK_DRIFT

    def _decrypt_assertion(self, xml: etree._Element) -> etree._Element:
        validate_xml_security(xml)
        for data in xml.findall("saml:EncryptedAssertion/xenc:EncryptedData", Constants.NSMAP):
            xml.replace(data.getparent(), decrypt(data, self.decryption_keys))
        return xml

    def _query_assertion(self, xpath_expr: str) -> list[Any]:
        found = super()._query_assertion(xpath_expr)
        if xpath_expr != SUBJECT_CONFIRMATION:
            return found
        # python3-saml ignores the clock skew here, so hide the times from it; validate() checks them.
        found = deepcopy(found)
        for data in (child for confirmation in found for child in confirmation):
            for name in ("NotBefore", "NotOnOrAfter"):
                data.attrib.pop(name, None)
        return found

    def read_attributes(self, mappings: list[dict[str, Any]]) -> dict[str, list[str]]:
        """Return the attributes by id, without duplicate values, as shibd does with the same mappings.

        :param mappings: the setting ``attributes``.
        """
        attributes: dict[str, dict[str, None]] = {mapping["id"]: {} for mapping in mappings}
        for element in [
            *self._query_assertion("/saml:Subject/saml:NameID"),
            *self._query_assertion("/saml:AttributeStatement/saml:Attribute"),
        ]:
            for mapping in mappings:
                if matches(element, mapping):
                    attributes[mapping["id"]].update(dict.fromkeys(self.decode_values(element, mapping)))
        for mapping in mappings:
            if "default" in mapping and not attributes[mapping["id"]]:
                attributes[mapping["id"]] = {mapping["default"]: None}
        return {name: list(values) for name, values in attributes.items()}

    def decode_values(self, element: etree._Element, mapping: dict[str, Any]) -> Iterator[str]:
        """Yield the values of an attribute or of the subject's NameID, without empty ones and those of another type.

        :param element: the Attribute or NameID.
        :param mapping: the entry of the setting ``attributes``; its ``decoder`` and ``scope`` say what a value is.
        """
        values = [element] if element.tag == NAME_ID else element.findall("saml:AttributeValue", Constants.NSMAP)
        if mapping.get("decoder", "string") == "string":
            texts = [OneLogin_Saml2_XML.element_text(value) or "" for value in values if value.find("*") is None]
            yield from (text for text in texts if text and ("scope" not in mapping or text.partition("@")[2]))
            return
        idp, sp = self._settings.get_idp_data()["entityId"], self._settings.get_sp_data()["entityId"]
        for name_id in (name_id for value in values for name_id in value.iter(NAME_ID)):
            text = (OneLogin_Saml2_XML.element_text(name_id) or "").strip()
            if text and mapping["decoder"] == "nameid":
                yield text
            elif text and (name_id.get("NameQualifier") or idp, name_id.get("SPNameQualifier") or sp) == (idp, sp):
                yield f"{idp}!{sp}!{text}"

    @property
    def authn_instant(self) -> str:
        """AuthnInstant of the first AuthnStatement, or an empty string."""
        return next(
            (statement.get("AuthnInstant", "") for statement in self._query_assertion("/saml:AuthnStatement")), ""
        )


def matches(element: etree._Element, mapping: dict[str, Any]) -> bool:
    """Tell whether a mapping applies to an attribute, or to the subject's NameID.

    :param element: the Attribute or NameID.
    :param mapping: an entry of the setting ``attributes``. Its name is that of the attribute or the format of the
        NameID; without a format it matches any.
    """
    if element.tag == NAME_ID:
        name, formats = element.get("Format") or Constants.NAMEID_UNSPECIFIED, {"uri"}
    else:
        name, name_format = element.get("Name"), element.get("NameFormat") or Constants.ATTRNAME_FORMAT_UNSPECIFIED
        formats = {name_format.removeprefix(NAME_FORMAT_PREFIX)}
        if name_format == Constants.ATTRNAME_FORMAT_UNSPECIFIED:  # shibd treats it as uri, too
            formats.add("uri")
    return mapping["name"] == name and ("format" not in mapping or mapping["format"] in formats)


def validate_times(data: etree._Element) -> int:
    """Validate NotBefore and NotOnOrAfter of a SubjectConfirmationData, with the clock skew.

    :return: when it expires.
    :raises InvalidMessageError: if it has expired or is not yet valid.
    """
    now, skew = OneLogin_Saml2_Utils.now(), Constants.ALLOWED_CLOCK_DRIFT
    expires = OneLogin_Saml2_Utils.parse_SAML_to_time(data.get("NotOnOrAfter")) + skew
    if expires <= now:
        raise InvalidMessageError("SubjectConfirmationData has expired")
    if data.get("NotBefore") and OneLogin_Saml2_Utils.parse_SAML_to_time(data.get("NotBefore")) - skew > now:
        raise InvalidMessageError("SubjectConfirmationData is not yet valid")
    return expires


def validate_xml_security(document: etree._Element) -> None:
    """Restrict signatures and encryption to what SAML allows, before xmlsec processes the document.

    xmlsec follows references and runs transforms before it verifies the signature.

    :raises InvalidMessageError: if an element, algorithm or URI is not allowed, or an ID is not unique.
    """
    ids = set()
    for element in document.iter("*"):
        validate_element(element)
        for name, value in element.attrib.items():
            local = etree.QName(name).localname
            if local == "URI" and not value.startswith("#"):
                raise InvalidMessageError(f"URI of {etree.QName(element).localname} is not allowed: {value}")
            if local.lower() in ("id", "assertionid"):
                if value in ids:
                    raise InvalidMessageError("an ID is not unique")
                ids.add(value)


def validate_element(element: etree._Element) -> None:
    """Validate an element if it is part of a signature or of encrypted data.

    :raises InvalidMessageError: if the element or its algorithm is not allowed.
    """
    parent, name = element.getparent(), etree.QName(element)
    parent_tag = "" if parent is None else parent.tag
    is_security = parent_tag in ALLOWED_ELEMENTS or name.namespace in (Constants.NS_DS, Constants.NS_XENC)
    if is_security and element.tag not in ALLOWED_ELEMENTS:
        raise InvalidMessageError(f"element {name.localname} is not allowed")
    if element.tag == f"{DS}Signature" and len(element.findall(f"{DS}SignedInfo/{DS}Reference")) != 1:
        raise InvalidMessageError("Signature does not have exactly one Reference")
    allowed, algorithm = ALLOWED_ALGORITHMS.get(element.tag), element.get("Algorithm")
    # Inside of EncryptionMethod the digest is that of OAEP, where any is secure.
    if allowed and algorithm not in allowed and parent_tag != f"{XENC}EncryptionMethod":
        raise InvalidMessageError(f"algorithm of {name.localname} is not allowed: {algorithm}")


def decrypt(data: etree._Element, keys: Iterable[str]) -> etree._Element:
    """Decrypt an element in place.

    :param data: the EncryptedData.
    :param keys: private keys (PEM), tried in turn.
    :return: the decrypted element.
    :raises InvalidMessageError: if no key can decrypt it.
    """
    for key in keys:
        with suppress(xmlsec.Error):
            return OneLogin_Saml2_Utils.decrypt_element(data, key, inplace=True)
    raise InvalidMessageError("no key of this service provider can decrypt the message")


def logout_name_id(request: etree._Element, keys: Iterable[str]) -> str | None:
    """Return the NameID of a LogoutRequest, decrypted.

    :param request: the LogoutRequest, whose signature has been validated.
    :param keys: private keys (PEM) that may decrypt the NameID.
    :raises InvalidMessageError: if no key can decrypt it.
    :raises Exception: many of python3-saml and xmlsec, if the request is malformed.
    """
    validate_xml_security(request)
    for data in request.findall("saml:EncryptedID/xenc:EncryptedData", Constants.NSMAP):
        request.replace(data.getparent(), decrypt(data, keys))
    return OneLogin_Saml2_Logout_Request.get_nameid(request)


def validate_signature(document: etree._Element, settings: OneLogin_Saml2_Settings) -> None:
    """Validate that the identity provider signed the whole message.

    :param document: root element of the message.
    :param settings: settings of python3-saml, with the identity provider's certificates.
    :raises InvalidMessageError: if the message is not signed as a whole.
    :raises Exception: many of python3-saml, if the signature is not valid.
    """
    validate_xml_security(document)
    references = [reference.get("URI") for reference in document.iterfind(f"{DS}Signature//{DS}Reference")]
    if references != [f"#{document.get('ID')}"]:
        raise InvalidMessageError("the message is not signed")
    OneLogin_Saml2_Utils.validate_sign(
        document,
        xpath="/*/ds:Signature",
        multicerts=settings.get_idp_data()["x509certMulti"]["signing"],
        raise_exceptions=True,
    )
