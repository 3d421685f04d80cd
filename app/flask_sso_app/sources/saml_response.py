# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A message of the identity provider, as strict as the SAML specification.

python3-saml lets pass what is absent or merely similar, and xmlsec does whatever a message asks for.
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
EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
XENC11 = "http://www.w3.org/2009/xmlenc11#"

#: All that a signature or something encrypted may consist of. xmlsec would also fetch keys from files and addresses,
#: derive them for minutes, and run transforms.
PARTS = {
    *(f"{DS}{name}" for name in ("Signature", "SignedInfo", "CanonicalizationMethod", "SignatureMethod")),
    *(f"{DS}{name}" for name in ("Reference", "Transforms", "Transform", "DigestMethod", "DigestValue")),
    *(f"{DS}{name}" for name in ("SignatureValue", "KeyInfo", "KeyName", "KeyValue", "RSAKeyValue", "Modulus")),
    *(f"{DS}{name}" for name in ("Exponent", "X509Data", "X509Certificate", "X509SubjectName", "X509SKI")),
    *(f"{DS}{name}" for name in ("X509IssuerSerial", "X509IssuerName", "X509SerialNumber")),
    *(f"{XENC}{name}" for name in ("EncryptedData", "EncryptedKey", "EncryptionMethod", "KeySize", "OAEPparams")),
    *(f"{XENC}{name}" for name in ("CipherData", "CipherValue", "CarriedKeyName", "ReferenceList", "DataReference")),
    f"{{{EXCLUSIVE}}}InclusiveNamespaces",
    f"{{{XENC11}}}MGF",
}

#: Algorithms by element. Those of encryption are what shibd accepts by default, without the broken RSA 1.5 and 3DES:
#: many identity providers still encrypt in CBC mode.
ALGORITHMS = {
    f"{DS}CanonicalizationMethod": {
        *(EXCLUSIVE, f"{EXCLUSIVE}WithComments"),
        *("http://www.w3.org/TR/2001/REC-xml-c14n-20010315", "http://www.w3.org/2006/12/xml-c14n11"),
    },
    # what SAML allows (core, 5.4.4)
    f"{DS}Transform": {f"{Constants.NS_DS}enveloped-signature", EXCLUSIVE, f"{EXCLUSIVE}WithComments"},
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

#: Those of a query, too.
SIGNATURES = ALGORITHMS[f"{DS}SignatureMethod"]

NAME_ID = f"{{{Constants.NS_SAML}}}NameID"
ATTRIBUTE_FORMAT = Constants.ATTRNAME_FORMAT_UNSPECIFIED.removesuffix("unspecified")

CONFIRMATION = "/saml:Subject/saml:SubjectConfirmation"


class RefusedError(Exception):
    """A message is not accepted; the text is for the log."""


class Response(OneLogin_Saml2_Response):
    """A response that :meth:`check` accepts or refuses.

    :param settings: those of python3-saml.
    :param response: the response as it was posted.
    :param keys: private keys as PEM, for one of which the assertion may be encrypted.
    """

    def __init__(self, settings: OneLogin_Saml2_Settings, response: str, keys: Iterable[str]):
        self.keys = keys
        super().__init__(settings, response)

    def check(self, request: dict[str, Any], message: str) -> None:
        """Refuse the response unless it answers a message to this service provider, and only that.

        :param request: the request as python3-saml knows one.
        :param message: ID of the message that it has to answer.
        :raises Exception: as python3-saml has many of its own.
        """
        self.is_valid(request, message, raise_exceptions=True)
        sp = self._settings.get_sp_data()
        address = sp["assertionConsumerService"]["url"]
        if self.get_in_response_to() != message:
            raise RefusedError("its InResponseTo is missing")
        if self.document.get("Destination", address) != address:
            raise RefusedError("its Destination only begins with this address")
        ends = []
        # The response around the assertion need not be signed, so the assertion itself has to name request and address.
        for data in self._query_assertion(f"{CONFIRMATION}/saml:SubjectConfirmationData"):
            if data.get("InResponseTo") != message:
                raise RefusedError("its SubjectConfirmationData names another request, or none")
            if data.get("Recipient") != address:
                raise RefusedError("its SubjectConfirmationData names another recipient, or none")
            if not data.get("NotOnOrAfter"):
                raise RefusedError("its SubjectConfirmationData never expires")
            ends.append(check_times(data))
        self.valid_scd_not_on_or_after = max(ends)
        restrictions = self._query_assertion("/saml:Conditions/saml:AudienceRestriction")
        if not restrictions or not all(
            sp["entityId"] in [audience.text for audience in restriction] for restriction in restrictions
        ):
            raise RefusedError("its audience is not restricted to this service provider")
        for data in self._query_assertion("/saml:Subject/saml:EncryptedID/xenc:EncryptedData"):
            whole = data.getparent()
            whole.getparent().replace(whole, decrypt(data, self.keys))

    def process_signed_elements(self) -> list[str]:
        """Find the signed elements, in a document that :func:`check_profile` lets pass."""
        check_profile(self.get_xml_document())
        return super().process_signed_elements()

    def get_session_not_on_or_after(self) -> int | None:
        """Return when the session at the identity provider ends, by a clock that is as wrong as it may be."""
        end = super().get_session_not_on_or_after()
        return end and end + Constants.ALLOWED_CLOCK_DRIFT

    def _decrypt_assertion(self, xml: etree._Element) -> etree._Element:
        check_profile(xml)
        for data in xml.findall("saml:EncryptedAssertion/xenc:EncryptedData", Constants.NSMAP):
            xml.replace(data.getparent(), decrypt(data, self.keys))
        return xml

    def _query_assertion(self, xpath_expr: str) -> list[Any]:
        found = super()._query_assertion(xpath_expr)
        if xpath_expr != CONFIRMATION:
            return found
        # python3-saml forgets the clock skew here, so it sees no times; check() judges them.
        found = deepcopy(found)
        for data in (data for one in found for data in one):
            for name in ("NotBefore", "NotOnOrAfter"):
                data.attrib.pop(name, None)
        return found

    def read(self, entries: Iterable[dict[str, Any]]) -> dict[str, list[str]]:
        """Return the attributes by id, as shibd gives them out by the same entries; a value counts once.

        :param entries: the setting ``attributes``.
        """
        attributes: dict[str, dict[str, None]] = {one["id"]: {} for one in entries}
        for element in [
            *self._query_assertion("/saml:Subject/saml:NameID"),
            *self._query_assertion("/saml:AttributeStatement/saml:Attribute"),
        ]:
            for one in entries:
                if is_meant(element, one):
                    attributes[one["id"]].update(dict.fromkeys(self.decode(element, one)))
        for one in entries:
            if "default" in one and not attributes[one["id"]]:
                attributes[one["id"]] = {one["default"]: None}
        return {name: list(values) for name, values in attributes.items()}

    def decode(self, element: etree._Element, entry: dict[str, Any]) -> Iterator[str]:
        """Return the values of an attribute, or of the subject's NameID. What is empty, or of another kind, is none.

        :param entry: says what a value is.
        """
        values = [element] if element.tag == NAME_ID else element.findall("saml:AttributeValue", Constants.NSMAP)
        if entry.get("decoder", "string") == "string":
            texts = [OneLogin_Saml2_XML.element_text(one) or "" for one in values if one.find("*") is None]
            yield from (text for text in texts if text and ("scope" not in entry or text.partition("@")[2]))
            return
        idp, sp = self._settings.get_idp_data()["entityId"], self._settings.get_sp_data()["entityId"]
        for one in (name for value in values for name in value.iter(NAME_ID)):
            text = (OneLogin_Saml2_XML.element_text(one) or "").strip()
            if text and entry["decoder"] == "nameid":
                yield text
            elif text and (one.get("NameQualifier") or idp, one.get("SPNameQualifier") or sp) == (idp, sp):
                yield f"{idp}!{sp}!{text}"

    @property
    def authenticated_at(self) -> str:
        """The authentication instant."""
        return next(
            (statement.get("AuthnInstant", "") for statement in self._query_assertion("/saml:AuthnStatement")), ""
        )


def is_meant(element: etree._Element, entry: dict[str, Any]) -> bool:
    """Tell whether an entry is about an attribute or, where its name is the format of a NameID, about the subject's.

    :param element: the attribute or NameID.
    :param entry: an entry of the setting ``attributes``; without a format it takes any.
    """
    if element.tag == NAME_ID:
        name, formats = element.get("Format") or Constants.NAMEID_UNSPECIFIED, {"uri"}
    else:
        name, kind = element.get("Name"), element.get("NameFormat") or Constants.ATTRNAME_FORMAT_UNSPECIFIED
        formats = {kind.removeprefix(ATTRIBUTE_FORMAT)} | ({"uri"} if kind.endswith(":unspecified") else set())
    return entry["name"] == name and ("format" not in entry or entry["format"] in formats)


def check_times(data: etree._Element) -> int:
    """Refuse SubjectConfirmationData whose time is over or has not begun, by clocks as different as they may be.

    :return: when its time is over.
    :raises RefusedError: if it is, or has not begun.
    """
    now, skew = OneLogin_Saml2_Utils.now(), Constants.ALLOWED_CLOCK_DRIFT
    end = OneLogin_Saml2_Utils.parse_SAML_to_time(data.get("NotOnOrAfter")) + skew
    if end <= now:
        raise RefusedError("its SubjectConfirmationData has expired")
    if data.get("NotBefore") and OneLogin_Saml2_Utils.parse_SAML_to_time(data.get("NotBefore")) - skew > now:
        raise RefusedError("its SubjectConfirmationData is not valid yet")
    return end


def check_profile(document: etree._Element) -> None:
    """Refuse, before xmlsec touches it, a document with more than SAML's profile of signature and encryption.

    xmlsec follows references and runs transforms before it knows whether the signature is good.

    :raises RefusedError: if there is an element, an algorithm, an address or an ID that should not be.
    """
    names = set()
    for element in document.iter("*"):
        check_part(element)
        for name, value in element.attrib.items():
            local = etree.QName(name).localname
            if local == "URI" and not value.startswith("#"):
                raise RefusedError(f"it has a {etree.QName(element).localname} that SAML does not allow: {value}")
            if local.lower() in ("id", "assertionid"):
                if value in names:
                    raise RefusedError("it has one ID twice")
                names.add(value)


def check_part(element: etree._Element) -> None:
    """Refuse a part of a signature, or of something encrypted, that is unknown or names another algorithm.

    :raises RefusedError: if it is one.
    """
    parent, kind = element.getparent(), etree.QName(element)
    around = "" if parent is None else parent.tag
    if element.tag not in PARTS and (around in PARTS or kind.namespace in (Constants.NS_DS, Constants.NS_XENC)):
        raise RefusedError(f"it has a {kind.localname} that SAML does not allow")
    if element.tag == f"{DS}Signature" and len(element.findall(f"{DS}SignedInfo/{DS}Reference")) != 1:
        raise RefusedError("it has a Signature that SAML does not allow: not of one element")
    accepted, algorithm = ALGORITHMS.get(element.tag), element.get("Algorithm")
    # The digest in an EncryptionMethod is OAEP's, where any will do.
    if accepted and algorithm not in accepted and around != f"{XENC}EncryptionMethod":
        raise RefusedError(f"it has a {kind.localname} that is not accepted: {algorithm}")


def decrypt(data: etree._Element, keys: Iterable[str]) -> etree._Element:
    """Decrypt an element in its place.

    :param data: the EncryptedData.
    :param keys: private keys as PEM; the first that fits does it.
    :raises RefusedError: if none does.
    """
    for key in keys:
        with suppress(xmlsec.Error):
            return OneLogin_Saml2_Utils.decrypt_element(data, key, inplace=True)
    raise RefusedError("it is encrypted, and not for a key of this service provider")


def name_of(request: etree._Element, keys: Iterable[str]) -> str | None:
    """Return whom a signed LogoutRequest names.

    :param keys: private keys as PEM, for one of which the name may be encrypted.
    :raises Exception: as python3-saml and xmlsec have many of their own.
    """
    check_profile(request)
    for data in request.findall("saml:EncryptedID/xenc:EncryptedData", Constants.NSMAP):
        request.replace(data.getparent(), decrypt(data, keys))
    return OneLogin_Saml2_Logout_Request.get_nameid(request)


def check_signed(document: etree._Element, settings: OneLogin_Saml2_Settings) -> None:
    """Refuse a message that the identity provider has not signed as a whole.

    :param settings: those of python3-saml, with the identity provider's certificates.
    :raises Exception: as python3-saml has many of its own.
    """
    check_profile(document)
    if [one.get("URI") for one in document.iterfind(f"{DS}Signature//{DS}Reference")] != [f"#{document.get('ID')}"]:
        raise RefusedError("it is not signed")
    OneLogin_Saml2_Utils.validate_sign(
        document,
        xpath="/*/ds:Signature",
        multicerts=settings.get_idp_data()["x509certMulti"]["signing"],
        raise_exceptions=True,
    )
