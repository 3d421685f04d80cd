# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An identity provider for tests that creates valid and invalid messages."""

from __future__ import annotations

import base64
import secrets
import time
import zlib
from copy import deepcopy
from datetime import datetime, timedelta, timezone
from urllib.parse import parse_qs, quote_plus, urlsplit

import xmlsec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from lxml import etree

NAMESPACES = {
    "samlp": "urn:oasis:names:tc:SAML:2.0:protocol",
    "saml": "urn:oasis:names:tc:SAML:2.0:assertion",
    "md": "urn:oasis:names:tc:SAML:2.0:metadata",
    "ds": "http://www.w3.org/2000/09/xmldsig#",
}
DECLARATIONS = " ".join(f'xmlns:{prefix}="{name}"' for prefix, name in NAMESPACES.items())
BINDING = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-"
RSA_SHA1 = "http://www.w3.org/2000/09/xmldsig#rsa-sha1"
RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
HASHES = {RSA_SHA1: SHA1, RSA_SHA256: SHA256}

METADATA = """\
<md:EntityDescriptor {declarations} entityID="{entity_id}">
  <md:IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">
    {keys}
    <md:SingleLogoutService Binding="{binding}Redirect" Location="{base}/slo{number}"/>
    <md:SingleSignOnService Binding="{binding}POST" Location="{base}/http-post/sso{number}"/>
    <md:SingleSignOnService Binding="{binding}Redirect" Location="{base}/sso{number}"/>
  </md:IDPSSODescriptor>
</md:EntityDescriptor>"""
KEY = (
    '<md:KeyDescriptor use="{use}"><ds:KeyInfo><ds:X509Data><ds:X509Certificate>{certificate}</ds:X509Certificate>'
    "</ds:X509Data></ds:KeyInfo></md:KeyDescriptor>"
)

RESPONSE = """\
<samlp:Response {declarations} ID="{response_id}" Version="2.0" IssueInstant="{now}"{destination}{in_response_to}>
  <saml:Issuer>{response_issuer}</saml:Issuer>
  <samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:{status}"/></samlp:Status>
  <saml:Assertion ID="{assertion_id}" Version="2.0" IssueInstant="{now}">
    <saml:Issuer>{issuer}</saml:Issuer>
    <saml:Subject>
      {name_id_element}
      <saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer">
        <saml:SubjectConfirmationData{recipient}{confirms}{confirmed_until}/>
      </saml:SubjectConfirmation>
    </saml:Subject>
    <saml:Conditions NotBefore="{not_before}" NotOnOrAfter="{not_on_or_after}">{audiences}</saml:Conditions>
    <saml:AuthnStatement AuthnInstant="{authenticated_at}" SessionIndex="{session_index}"{session_until}>
      <saml:AuthnContext>
        <saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:Password</saml:AuthnContextClassRef>
      </saml:AuthnContext>
    </saml:AuthnStatement>
    {attribute_statement}
  </saml:Assertion>
</samlp:Response>"""

LOGOUT_REQUEST = """\
<samlp:LogoutRequest {declarations} ID="{request_id}" Version="2.0" IssueInstant="{now}" Destination="{destination}">
  <saml:Issuer>{issuer}</saml:Issuer>
  <saml:NameID>{name_id}</saml:NameID>{indexes}
</samlp:LogoutRequest>"""

LOGOUT_RESPONSE = """\
<samlp:LogoutResponse {declarations} ID="{response_id}" Version="2.0" IssueInstant="{now}" InResponseTo="{to}">
  <saml:Issuer>{issuer}</saml:Issuer>
  <samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:{status}"/></samlp:Status>
</samlp:LogoutResponse>"""


def instant(seconds: float = 0) -> str:
    """Return the current time plus so many seconds, in the format of SAML."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))


def random_id() -> str:
    return f"_{secrets.token_hex(16)}"


class KeyPair:
    """A private key, by default an RSA one, and its certificate."""

    def __init__(self, private=None):
        self.private = private or rsa.generate_private_key(65537, 2048)
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tests")])
        day = timedelta(days=1)
        builder = x509.CertificateBuilder(name, name, self.private.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(datetime.now(timezone.utc) - day)
        builder = builder.not_valid_after(datetime.now(timezone.utc) + day)
        self.key = self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        certificate = builder.sign(self.private, SHA256())
        self.certificate = certificate.public_bytes(Encoding.PEM)
        self.base64 = base64.b64encode(certificate.public_bytes(Encoding.DER)).decode()

    def sign(self, element: etree._Element, method=xmlsec.Transform.RSA_SHA256, hashed=xmlsec.Transform.SHA256) -> None:
        """Sign an element as SAML specifies, with the certificate in the signature."""
        signature = xmlsec.template.create(element, xmlsec.Transform.EXCL_C14N, method, ns="ds")
        element.insert(1, signature)
        reference = xmlsec.template.add_reference(signature, hashed, uri=f"#{element.get('ID')}")
        xmlsec.template.add_transform(reference, xmlsec.Transform.ENVELOPED)
        xmlsec.template.add_transform(reference, xmlsec.Transform.EXCL_C14N)
        xmlsec.template.add_x509_data(xmlsec.template.ensure_key_info(signature))
        xmlsec.tree.add_ids(element, ["ID"])
        context = xmlsec.SignatureContext()
        context.key = xmlsec.Key.from_memory(self.key, xmlsec.KeyFormat.PEM, None)
        context.key.load_cert_from_memory(self.certificate, xmlsec.KeyFormat.PEM)
        context.sign(signature)

    def sign_text(self, text: str, hashed=SHA256) -> str:
        """Return the signature of a query, percent-encoded."""
        return quote_plus(base64.b64encode(self.private.sign(text.encode(), padding.PKCS1v15(), hashed())))

    def encrypt(
        self,
        element: etree._Element,
        wrapper: str = "EncryptedAssertion",
        cipher=xmlsec.Transform.AES256_GCM,
        transport=xmlsec.Transform.RSA_OAEP,
        bits: int = 256,
    ) -> None:
        """Encrypt an element in place, with this certificate.

        :param wrapper: name of the element that contains the encrypted data.
        """
        data = xmlsec.template.encrypted_data_create(element, cipher, type=xmlsec.EncryptionType.ELEMENT, ns="xenc")
        xmlsec.template.encrypted_data_ensure_cipher_value(data)
        key = xmlsec.template.add_encrypted_key(
            xmlsec.template.encrypted_data_ensure_key_info(data, ns="ds"), transport
        )
        xmlsec.template.encrypted_data_ensure_cipher_value(key)
        manager = xmlsec.KeysManager()
        manager.add_key(xmlsec.Key.from_memory(self.certificate, xmlsec.KeyFormat.CERT_PEM, None))
        context = xmlsec.EncryptionContext(manager)
        context.key = xmlsec.Key.generate(xmlsec.KeyData.AES, bits, xmlsec.KeyDataType.SESSION)
        parent = etree.Element(etree.QName(NAMESPACES["saml"], wrapper), nsmap=NAMESPACES)
        element.getparent().replace(element, parent)
        parent.append(element)
        context.encrypt_xml(data, element)


class Message:
    """A message that the service provider sends by HTTP-Redirect."""

    def __init__(self, location: str):
        self.url = location.partition("?")[0]
        self.query = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
        text = self.query.get("SAMLRequest") or self.query["SAMLResponse"]
        self.document = etree.fromstring(zlib.decompress(base64.b64decode(text), -15))
        self.id, self.relay_state = self.document.get("ID"), self.query.get("RelayState")

    def find(self, path: str) -> list:
        """Return the result of an XPath query."""
        return self.document.xpath(path, namespaces=NAMESPACES)

    def verify(self, keys: KeyPair) -> None:
        """Assert that the message is signed with SHA-256."""
        assert self.query["SigAlg"] == RSA_SHA256
        signed = "&".join(
            f"{name}={quote_plus(self.query[name])}"
            for name in ("SAMLRequest", "SAMLResponse", "RelayState", "SigAlg")
            if name in self.query
        )
        signature = base64.b64decode(self.query["Signature"])
        keys.private.public_key().verify(signature, signed.encode(), padding.PKCS1v15(), SHA256())


class IdentityProvider:
    """The identity provider of one service provider.

    :param sp: entityID of the service provider.
    :param acs: URL of its assertion consumer service.
    :param slo: URL of its single logout service.
    :param entity_id: entityID of the identity provider.
    """

    def __init__(self, sp: str, acs: str, slo: str, entity_id: str = "https://idp.example.org/metadata"):
        self.sp, self.acs, self.slo, self.entity_id = sp, acs, slo, entity_id
        self.keys = KeyPair()

    def metadata(self, base: str = "https://idp.example.org", number: str = "", use: str = "signing", more=()) -> str:
        """Return the metadata of the identity provider.

        :param more: further signing keys.
        """
        keys = "".join(KEY.format(use=use, certificate=pair.base64) for pair in [*more, self.keys])
        return METADATA.format(
            declarations=DECLARATIONS, entity_id=self.entity_id, keys=keys, binding=BINDING, base=base, number=number
        )

    def response(self, to: str, **changes) -> etree._Element:
        """Return an unsigned response; it is valid except for ``changes``."""
        facts = {
            "declarations": DECLARATIONS,
            "now": instant(),
            "response_id": random_id(),
            "assertion_id": random_id(),
            "destination": f' Destination="{self.acs}"',
            "in_response_to": f' InResponseTo="{to}"',
            "recipient": f' Recipient="{self.acs}"',
            "confirms": f' InResponseTo="{to}"',
            "confirmed_until": f' NotOnOrAfter="{instant(300)}"',
            "issuer": self.entity_id,
            "response_issuer": self.entity_id,
            "status": "Success",
            "not_before": instant(-1),
            "not_on_or_after": instant(300),
            "authenticated_at": instant(),
            "session_index": "session-1",
            "session_until": "",
            "audiences": "".join(
                f"<saml:AudienceRestriction><saml:Audience>{one}</saml:Audience></saml:AudienceRestriction>"
                for one in changes.pop("audience", [self.sp])
            ),
            "name_id_element": f"<saml:NameID>{changes.pop('name_id', 'ghopper-opaque')}</saml:NameID>",
            "attribute_statement": attribute_statement(changes.pop("attributes", {"upn": ["ghopper"]})),
        }
        assert changes.keys() <= facts.keys()
        return etree.fromstring(RESPONSE.format(**facts | changes))

    def signed(self, to: str, keys: KeyPair | None = None, **changes) -> etree._Element:
        """Return a response with a signed assertion."""
        response = self.response(to, **changes)
        (keys or self.keys).sign(assertion_of(response))
        return response

    def redirect(self, kind: str, text: str, relay_state: str | None = None, algorithm=RSA_SHA256, keys=None) -> str:
        """Return a signed query with a message, for HTTP-Redirect."""
        deflated = zlib.compress(text.encode())[2:-4]
        query = f"{kind}={quote_plus(base64.b64encode(deflated))}"
        if relay_state is not None:
            query += f"&RelayState={quote_plus(relay_state)}"
        query += f"&SigAlg={quote_plus(algorithm)}"
        return f"{query}&Signature={(keys or self.keys).sign_text(query, HASHES[algorithm])}"

    def posted(self, kind: str, text: str, relay_state: str | None = None, keys=None, **algorithms) -> dict[str, str]:
        """Return a form with a signed message, for HTTP-POST."""
        document = etree.fromstring(text)
        (keys or self.keys).sign(document, **algorithms)
        form = {kind: base64.b64encode(etree.tostring(document)).decode()}
        return form if relay_state is None else form | {"RelayState": relay_state}

    def logout_request(self, name_id: str = "ghopper-opaque", indexes=(), age: float = 0, **changes) -> str:
        """Return a LogoutRequest."""
        facts = {
            "declarations": DECLARATIONS,
            "request_id": random_id(),
            "now": instant(-age),
            "destination": self.slo,
            "issuer": self.entity_id,
            "name_id": name_id,
            "indexes": "".join(f"<samlp:SessionIndex>{index}</samlp:SessionIndex>" for index in indexes),
        }
        return LOGOUT_REQUEST.format(**facts | changes)

    def logout_response(self, to: str, status: str = "Success") -> str:
        """Return a LogoutResponse."""
        return LOGOUT_RESPONSE.format(
            declarations=DECLARATIONS,
            response_id=random_id(),
            now=instant(),
            to=to,
            issuer=self.entity_id,
            status=status,
        )


def attribute_statement(attributes: dict[str, list[str]]) -> str:
    """Return an AttributeStatement in the format of CERN, or an empty string without attributes."""
    elements = "".join(
        f'<saml:Attribute Name="{name}" NameFormat="urn:oasis:names:tc:SAML:2.0:attrname-format:basic">'
        + "".join(f"<saml:AttributeValue>{value}</saml:AttributeValue>" for value in values)
        + "</saml:Attribute>"
        for name, values in attributes.items()
    )
    return elements and f"<saml:AttributeStatement>{elements}</saml:AttributeStatement>"


def assertion_of(response: etree._Element) -> etree._Element:
    return response.find("saml:Assertion", NAMESPACES)


def signature_of(element: etree._Element) -> etree._Element:
    return element.find("ds:Signature", NAMESPACES)


def forge(element: etree._Element) -> etree._Element:
    """Return a copy with another user and another ID."""
    forged = deepcopy(element)
    forged.set("ID", random_id())
    for value in forged.iter("{*}AttributeValue", "{*}NameID"):
        value.text = "mallory"
    return forged


def without_signature(element: etree._Element) -> etree._Element:
    copy = deepcopy(element)
    copy.remove(signature_of(copy))
    return copy


def wrap(response: etree._Element, variant: int, keys: KeyPair) -> etree._Element:
    """Return a response with signature wrapping: a forged element replaces the signed one, which moves elsewhere.

    The numbers are those of Somorovsky et al., "On Breaking SAML: Be Whoever You Want to Be" (2012), as tools use them.

    :param keys: signs the response, too, for the variants that attack its signature.
    """
    if variant <= 2:
        keys.sign(response)
        forged, original = forge(response), without_signature(response)
        signature = signature_of(forged)
        signature.append(original) if variant == 1 else signature.addprevious(original)
        return forged
    assertion = assertion_of(response)
    forged, original = forge(assertion), without_signature(assertion)
    if variant in (3, 4, 7):
        forged.remove(signature_of(forged))
    if variant == 3:
        assertion.addprevious(forged)
    elif variant == 4:
        response.replace(assertion, forged)
        forged.append(assertion)
    elif variant == 5:
        response.replace(assertion, forged)
        response.append(original)
    elif variant == 6:
        response.replace(assertion, forged)
        signature_of(forged).append(original)
    elif variant == 7:
        extensions = etree.Element(etree.QName(NAMESPACES["samlp"], "Extensions"))
        response.find("saml:Issuer", NAMESPACES).addnext(extensions)
        extensions.append(forged)
    else:
        response.replace(assertion, forged)
        etree.SubElement(signature_of(forged), etree.QName(NAMESPACES["ds"], "Object")).append(original)
    return response
