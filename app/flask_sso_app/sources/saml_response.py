# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A login's answer, as strict as the SAML specification: python3-saml lets pass what is absent or merely similar."""

from __future__ import annotations

from typing import Any

from lxml import etree
from onelogin.saml2.constants import OneLogin_Saml2_Constants as Constants
from onelogin.saml2.response import OneLogin_Saml2_Response

#: Transforms that SAML allows in a signature (core, 5.4.4).
TRANSFORMS = {
    "http://www.w3.org/2000/09/xmldsig#enveloped-signature",
    "http://www.w3.org/2001/10/xml-exc-c14n#",
    "http://www.w3.org/2001/10/xml-exc-c14n#WithComments",
}

#: What SAML's profiles of XML Signature and XML Encryption have no use for.
FOREIGN = etree.XPath(
    "//ds:Object | //ds:Signature[count(ds:SignedInfo/ds:Reference) != 1]"
    " | //ds:*[@URI and not(starts-with(@URI, '#'))] | //xenc:*[@URI and not(starts-with(@URI, '#'))]",
    namespaces=Constants.NSMAP,
)
TRANSFORM = etree.XPath("//ds:Transform/@Algorithm", namespaces=Constants.NSMAP)
ID = etree.XPath("//@ID | //@Id | //@AssertionID")


class RefusedError(Exception):
    """A message is not accepted; the text is for the log."""


class Response(OneLogin_Saml2_Response):
    """A response that :meth:`check` accepts or refuses."""

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
        # The response around the assertion need not be signed, so the assertion itself has to name request and address.
        for data in self._query_assertion("/saml:Subject/saml:SubjectConfirmation/saml:SubjectConfirmationData"):
            if data.get("InResponseTo") != message:
                raise RefusedError("its SubjectConfirmationData names another request, or none")
            if data.get("Recipient") != address:
                raise RefusedError("its SubjectConfirmationData names another recipient, or none")
            if not data.get("NotOnOrAfter"):
                raise RefusedError("its SubjectConfirmationData never expires")
        restrictions = self._query_assertion("/saml:Conditions/saml:AudienceRestriction")
        if not restrictions or not all(
            sp["entityId"] in [audience.text for audience in restriction] for restriction in restrictions
        ):
            raise RefusedError("its audience is not restricted to this service provider")

    def process_signed_elements(self) -> list[str]:
        """Find the signed elements, in a document that :func:`check_profile` lets pass."""
        check_profile(self.get_xml_document())
        return super().process_signed_elements()

    def _decrypt_assertion(self, xml: etree._Element) -> etree._Element:
        check_profile(xml)
        return super()._decrypt_assertion(xml)

    @property
    def authenticated_at(self) -> str:
        """The authentication instant."""
        return next(
            (statement.get("AuthnInstant", "") for statement in self._query_assertion("/saml:AuthnStatement")), ""
        )


def check_profile(document: etree._Element) -> None:
    """Refuse, before xmlsec touches it, a document with more than SAML's profile of signature and encryption.

    xmlsec follows references and runs transforms (XSLT is one) before it knows whether the signature is good.
    """
    for element in FOREIGN(document):
        raise RefusedError(f"it has a {etree.QName(element).localname} that SAML does not allow")
    for algorithm in set(TRANSFORM(document)) - TRANSFORMS:
        raise RefusedError(f"it has a transform that SAML does not allow: {algorithm}")
    names = ID(document)
    if len(names) != len(set(names)):
        raise RefusedError("it has one ID twice")
