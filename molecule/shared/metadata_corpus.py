# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Metadata in the forms that identity providers' products write, and documents that are odd or broken in one way.

All are made here, from facts about the forms. Each says whether the module saml_metadata accepts it, and shibd.
"""

from __future__ import annotations

import base64
import codecs
import copy
import textwrap
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from lxml import etree
from signxml import XMLSigner

IDP = "https://idp.example.org/idp"
NAMESPACES = {
    "md": "urn:oasis:names:tc:SAML:2.0:metadata",
    "ds": "http://www.w3.org/2000/09/xmldsig#",
    "ds11": "http://www.w3.org/2009/xmldsig11#",
    "xenc": "http://www.w3.org/2001/04/xmlenc#",
    "saml": "urn:oasis:names:tc:SAML:2.0:assertion",
    "mdui": "urn:oasis:names:tc:SAML:metadata:ui",
    "mdattr": "urn:oasis:names:tc:SAML:metadata:attribute",
    "mdrpi": "urn:oasis:names:tc:SAML:metadata:rpi",
    "alg": "urn:oasis:names:tc:SAML:metadata:algsupport",
    "shibmd": "urn:mace:shibboleth:metadata:1.0",
    "remd": "http://refeds.org/metadata",
    "fed": "http://docs.oasis-open.org/wsfed/federation/200706",
    "auth": "http://docs.oasis-open.org/wsfed/authorization/200706",
    "wsa": "http://www.w3.org/2005/08/addressing",
    "xsi": "http://www.w3.org/2001/XMLSchema-instance",
    "other": "urn:example:other",
}
DECLARATIONS = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in NAMESPACES.items())
SAML1 = "urn:oasis:names:tc:SAML:1.1:protocol urn:mace:shibboleth:1.0"
SAML2 = "urn:oasis:names:tc:SAML:2.0:protocol"
BINDINGS = "urn:oasis:names:tc:SAML:2.0:bindings:"
FORMAT = "urn:oasis:names:tc:SAML:2.0:nameid-format:"


def certificate(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, begins: int = -1, ends: int = 3650) -> str:
    """Return a self-signed certificate of a key as base64, valid between two days from now."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "idp.example.org")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(
        name, name, key.public_key(), 7, now + timedelta(days=begins), now + timedelta(days=ends)
    )
    return base64.b64encode(builder.sign(key, SHA256()).public_bytes(Encoding.DER)).decode()


RSA_KEY = rsa.generate_private_key(65537, 2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
RSA = certificate(RSA_KEY)
EC = certificate(EC_KEY)
PUBLIC = base64.b64encode(RSA_KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()
MODULUS = base64.b64encode(RSA_KEY.public_key().public_numbers().n.to_bytes(256, "big")).decode()
POINT = base64.b64encode(EC_KEY.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)).decode()


def x509_data(*certificates: str) -> str:
    """Return KeyInfo's content with certificates."""
    inner = "".join(f"<ds:X509Certificate>{one}</ds:X509Certificate>" for one in certificates)
    return f"<ds:X509Data>{inner}</ds:X509Data>"


def key(info: str | None = None, use: str = ' use="signing"', more: str = "") -> str:
    """Return a KeyDescriptor; by default with the RSA key's certificate."""
    return f"<md:KeyDescriptor{use}><ds:KeyInfo>{info or x509_data(RSA)}</ds:KeyInfo>{more}</md:KeyDescriptor>"


def service(name: str, *bindings: str, attributes: str = "") -> str:
    """Return the addresses of a service."""
    where = f"https://idp.example.org/{name}"
    return "".join(f'<md:{name} Binding="{BINDINGS}{one}" Location="{where}"{attributes}/>' for one in bindings)


def texts(*elements: str, attributes: str = ' xml:lang="en"') -> str:
    """Return elements with a text."""
    return "".join(f"<{name}{attributes}>https://example.org/{name[-3:]}</{name}>" for name in elements)


SSO = service("SingleSignOnService", "HTTP-Redirect", "HTTP-POST")
SLO = service("SingleLogoutService", "HTTP-Redirect", "HTTP-POST")
ARTIFACT = service("ArtifactResolutionService", "SOAP", attributes=' index="0"')
NAME_IDS = "".join(f"<md:NameIDFormat>{FORMAT}{one}</md:NameIDFormat>" for one in ("persistent", "transient"))
ATTRIBUTE = '<saml:Attribute Name="urn:oid:0.9.2342.19200300.100.1.3" FriendlyName="mail"/>'
ORGANIZATION = texts("md:OrganizationName", "md:OrganizationDisplayName", "md:OrganizationURL").join(
    ["<md:Organization>", "</md:Organization>"]
)
CONTACT = (
    '<md:ContactPerson contactType="technical"><md:GivenName>Ops</md:GivenName>'
    "<md:EmailAddress>mailto:ops@example.org</md:EmailAddress></md:ContactPerson>"
)
SECURITY_CONTACT = CONTACT.replace("technical", "other").replace(
    "contactType", 'remd:contactType="http://refeds.org/metadata/contactType/security" contactType'
)
SCOPE = '<shibmd:Scope regexp="false">example.org</shibmd:Scope>'
LOGO = '<mdui:Logo height="16" width="16">https://example.org/logo.png</mdui:Logo>'
UI = (
    texts("mdui:DisplayName", "mdui:Description", "mdui:InformationURL", "mdui:PrivacyStatementURL").join(
        ["<mdui:UIInfo>", f"{LOGO}</mdui:UIInfo>"]
    )
    + "<mdui:DiscoHints><mdui:IPHint>192.0.2.0/24</mdui:IPHint><mdui:DomainHint>example.org</mdui:DomainHint>"
    "<mdui:GeolocationHint>geo:47.3,8.5</mdui:GeolocationHint></mdui:DiscoHints>"
)
REGISTRATION = (
    '<mdrpi:RegistrationInfo registrationAuthority="https://example.org"'
    ' registrationInstant="2020-01-01T00:00:00Z">'
    f"{texts('mdrpi:RegistrationPolicy')}</mdrpi:RegistrationInfo>"
)
PUBLICATION = (
    '<mdrpi:PublicationInfo publisher="https://example.org" creationInstant="2026-01-01T00:00:00Z">'
    f"{texts('mdrpi:UsagePolicy')}</mdrpi:PublicationInfo>"
)
ENTITY_ATTRIBUTES = (
    '<mdattr:EntityAttributes><saml:Attribute Name="http://macedir.org/entity-category-support">'
    "<saml:AttributeValue>http://refeds.org/category/research-and-scholarship</saml:AttributeValue>"
    "</saml:Attribute></mdattr:EntityAttributes>"
)
ALGORITHMS = (
    '<alg:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/>'
    '<alg:SigningMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256" MinKeySize="2048"/>'
)


def extensions(*inner: str) -> str:
    """Return extensions from other namespaces."""
    return f"<md:Extensions>{''.join(inner)}</md:Extensions>"


def role(*inner: str, name: str = "IDPSSODescriptor", protocol: str = SAML2, attributes: str = "") -> str:
    """Return the description of a role."""
    return f'<md:{name} protocolSupportEnumeration="{protocol}"{attributes}>{"".join(inner)}</md:{name}>'


def entity(*inner: str, entity_id: str = IDP, attributes: str = "") -> str:
    """Return the description of an entity."""
    return (
        f'<md:EntityDescriptor {DECLARATIONS} entityID="{entity_id}"{attributes}>{"".join(inner)}</md:EntityDescriptor>'
    )


def group(*inner: str, attributes: str = "") -> str:
    """Return a description of several entities."""
    return f"<md:EntitiesDescriptor {DECLARATIONS}{attributes}>{''.join(inner)}</md:EntitiesDescriptor>"


def federation_role(kind: str) -> str:
    """Return a role of WS-Federation, as Microsoft's products have it."""
    endpoint = "<wsa:EndpointReference><wsa:Address>https://idp.example.org/wsfed</wsa:Address></wsa:EndpointReference>"
    return role(
        key(),
        '<fed:ClaimTypesOffered><auth:ClaimType Uri="http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name">'
        "<auth:DisplayName>Name</auth:DisplayName></auth:ClaimType></fed:ClaimTypesOffered>"
        f"<fed:PassiveRequestorEndpoint>{endpoint}</fed:PassiveRequestorEndpoint>",
        name="RoleDescriptor",
        protocol=NAMESPACES["fed"],
        attributes=f' xsi:type="fed:{kind}"',
    )


SERVICE_PROVIDER = role(
    key(),
    service("AssertionConsumerService", "HTTP-POST", attributes=' index="0" isDefault="true"'),
    name="SPSSODescriptor",
    attributes=' WantAssertionsSigned="true"',
)
AUTHORITY = role(
    key(use=""),
    service("AttributeService", "SOAP"),
    name="AttributeAuthorityDescriptor",
    protocol=f"{SAML1} {SAML2}",
)
WRAPPED = "\n" + textwrap.fill(RSA, 64) + "\n"
PEM = f"-----BEGIN CERTIFICATE-----{WRAPPED}-----END CERTIFICATE-----"
INDENTED = WRAPPED.replace("\n", "\n\t        ")
RSA_VALUE = (
    f"<ds:KeyValue><ds:RSAKeyValue><ds:Modulus>{MODULUS}</ds:Modulus>"
    "<ds:Exponent>AQAB</ds:Exponent></ds:RSAKeyValue></ds:KeyValue>"
)
PLAIN = entity(role(key(), SSO))
OTHER = entity(role(key(), SSO), entity_id="https://other.example.org/idp")


def later(days: int = 14, form: str = "%Y-%m-%dT%H:%M:%SZ") -> str:
    """Return the attribute validUntil."""
    return f' validUntil="{datetime.now(UTC) + timedelta(days=days):{form}}"'


#: The peculiarities of each product.
PRODUCTS = {
    # KeyName beside the certificate, artifact resolution, requests have to be signed
    "Keycloak": entity(
        role(
            key("<ds:KeyName>FfbW</ds:KeyName>" + x509_data(RSA)),
            ARTIFACT,
            service("SingleLogoutService", "HTTP-POST", "HTTP-Redirect", "HTTP-Artifact", "SOAP"),
            NAME_IDS,
            service("SingleSignOnService", "HTTP-POST", "HTTP-Redirect", "SOAP", "HTTP-Artifact"),
            attributes=' WantAuthnRequestsSigned="true"',
        )
    ),
    # the same in a group of one
    "Keycloak before 18": group(entity(role(key(), SSO)), attributes=' Name="urn:keycloak"'),
    # roles of WS-Federation first, several keys at any time
    "Entra ID": entity(
        federation_role("SecurityTokenServiceType"),
        federation_role("ApplicationServiceType"),
        role(key(), key(x509_data(EC)), SLO, SSO),
        attributes=' ID="_4b8e"',
    ),
    # both roles of SAML beside those of WS-Federation, attributes, a contact without anything in it
    "AD FS": entity(
        federation_role("ApplicationServiceType"),
        federation_role("SecurityTokenServiceType"),
        SERVICE_PROVIDER,
        role(key(use=' use="encryption"'), key(), SLO, NAME_IDS, SSO, ATTRIBUTE),
        '<md:ContactPerson contactType="support"/>',
        attributes=' ID="_6fb1"',
    ),
    # certificate in lines
    "Okta": entity(role(key(x509_data(WRAPPED)), NAME_IDS, SSO, attributes=' WantAuthnRequestsSigned="false"')),
    # ends after five years, a date with thousandths
    "Google Workspace": entity(role(key(), NAME_IDS, SSO), attributes=later(1800, "%Y-%m-%dT%H:%M:%S.000Z")),
    # term in minutes, a contact that is an empty shell
    "PingFederate": entity(
        role(key(), SLO, NAME_IDS, SSO, ATTRIBUTE, attributes=' WantAuthnRequestsSigned="false"'),
        '<md:ContactPerson contactType="administrative"/>',
        attributes=' ID="PfAb-1" cacheDuration="PT1440M"',
    ),
    # attributes in the role
    "Auth0": entity(role(key(), SLO, NAME_IDS, SSO, ATTRIBUTE.replace("/>", ' NameFormat="urn:x"/>'))),
    # names before addresses
    "authentik": entity(role(key(), NAME_IDS, SLO, SSO), attributes=' ID="_authentik"'),
    # three roles, an organization; a bare key where no certificate was made
    "LemonLDAP::NG": entity(
        role(
            key(RSA_VALUE),
            key(x509_data(RSA), use=' use="encryption"'),
            ARTIFACT.replace("index", 'isDefault="true" index'),
            SLO,
            NAME_IDS,
            SSO,
            attributes=' WantAuthnRequestsSigned="true"',
        ),
        SERVICE_PROVIDER,
        AUTHORITY,
        ORGANIZATION,
    ),
    # scope and names in the role, addresses of SAML 1, comments, an attribute authority
    "Shibboleth IdP": entity(
        "<!-- made by the installer -->",
        role(
            extensions(SCOPE, UI),
            key(x509_data(INDENTED)),
            key(use=' use="encryption"'),
            ARTIFACT.replace(f"{BINDINGS}SOAP", "urn:oasis:names:tc:SAML:1.0:bindings:SOAP-binding"),
            SLO,
            NAME_IDS,
            '<md:SingleSignOnService Binding="urn:mace:shibboleth:1.0:profiles:AuthnRequest"'
            ' Location="https://idp.example.org/idp/profile/Shibboleth/SSO"/>',
            SSO,
            protocol=f"{SAML2} {SAML1}",
        ),
        AUTHORITY,
        attributes=later(1000),
    ),
    # one key for both uses, a contact
    "SimpleSAMLphp": entity(role(key(), key(use=' use="encryption"'), SLO, NAME_IDS, SSO), CONTACT),
    # prefixes ns0, ns1; entity attributes, an organization
    "pysaml2 and SATOSA": entity(
        extensions(ENTITY_ATTRIBUTES, ALGORITHMS), role(extensions(UI), key(use=""), SSO), ORGANIZATION, CONTACT
    )
    .replace("<md:", "<ns0:")
    .replace("</md:", "</ns0:")
    .replace("xmlns:md=", "xmlns:ns0=")
    .replace("<ds:", "<ns1:")
    .replace("</ds:", "</ns1:")
    .replace("xmlns:ds=", "xmlns:ns1="),
    # groups with a publisher, entities with a registrar
    "eduGAIN": group(
        extensions(PUBLICATION),
        OTHER,
        entity(extensions(REGISTRATION, ENTITY_ATTRIBUTES), role(extensions(SCOPE, UI), key(), SSO), ORGANIZATION),
        attributes=f' ID="_20260101" Name="http://edugain.org" cacheDuration="PT6H"{later()}',
    ),
    # one entity as a query service answers, a security contact in a namespace of its own
    "InCommon": entity(
        extensions(PUBLICATION, REGISTRATION),
        role(extensions(SCOPE, UI), key(), SSO),
        ORGANIZATION,
        CONTACT,
        SECURITY_CONTACT,
        attributes=f' ID="_incommon" cacheDuration="P0DT6H0M0.000S"{later()}',
    ),
    # a group in a group, logos inside of the document
    "SWITCHaai": group(
        group(
            entity(
                role(
                    extensions(SCOPE, UI.replace("https://example.org/logo.png", "data:image/png;base64,AA==")),
                    key(),
                    SSO,
                )
            ),
            attributes=' Name="http://aai.example.org/interfederation"',
        ),
        OTHER,
        attributes=f' ID="AAI-1" Name="http://aai.example.org/"{later()}',
    ),
}


def change(old: str, new: str, document: str = PLAIN) -> str:
    """Return a document in which a text is another one."""
    assert old in document, old
    return document.replace(old, new)


def with_key(*keys: str) -> str:
    """Return the description of an identity provider with these keys."""
    return entity(role(*keys, SSO))


def beside(*inner: str, attributes: str = "") -> str:
    """Return the description of an entity with something beside its role."""
    return entity(role(key(), SSO), *inner, attributes=attributes)


def inside(*inner: str, attributes: str = "") -> str:
    """Return the description of an identity provider with something in its role."""
    return entity(role(key(), *inner, SSO, attributes=attributes))


def until(text: str) -> str:
    """Return the description of an identity provider with this validUntil."""
    return beside(attributes=f' validUntil="{text}"')


def declared(encoding: str, text: str = "Jürgen") -> str:
    """Return a document that names its encoding, with a text that shows it."""
    return f'<?xml version="1.0" encoding="{encoding}"?>\n' + beside(change("Ops", text, CONTACT))


NAMED_UI = inside(extensions(UI))
ENCRYPTION = (
    '<md:EncryptionMethod Algorithm="http://www.w3.org/2009/xmlenc11#rsa-oaep"><xenc:KeySize>256</xenc:KeySize>'
)
ENCRYPTION += '<ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/></md:EncryptionMethod>'
EC_VALUE = (
    '<ds:KeyValue><ds11:ECKeyValue><ds11:NamedCurve URI="urn:oid:1.2.840.10045.3.1.7"/>'
    f"<ds11:PublicKey>{POINT}</ds11:PublicKey></ds11:ECKeyValue></ds:KeyValue>"
)

#: Documents that violate the schema, or look wrong, but work.
ODD = {
    "elements in another order": entity(CONTACT, role(SSO, NAME_IDS, SLO, key()), extensions(SCOPE)),
    "ID that begins with a digit": beside(attributes=' ID="3f2504e0"'),
    "ID that is empty": beside(attributes=' ID=""'),
    "boolean in capitals": inside(attributes=' WantAuthnRequestsSigned="True"'),
    "boolean that is none": inside(attributes=' WantAuthnRequestsSigned="optional"'),
    "number that is none": inside(change('"0"', '"first"', ARTIFACT)),
    "unknown attribute": beside(attributes=' version="2" other:version="2"'),
    "attributes of XML Schema": beside(attributes=' xsi:schemaLocation="urn:a b.xsd" xml:base="https://example.org/"'),
    "unknown type": inside(attributes=' xsi:type="fed:Something"'),
    "extension in an address": inside(change("/>", "><other:x/></md:SingleLogoutService>", SLO)),
    "extension in a key": with_key(key(x509_data(RSA) + "<other:x/>")),
    "unknown extension": beside(extensions('<other:x a="b"><other:y>z</other:y></other:x>')),
    "text between elements": inside("see below"),
    "contact without anything in it": beside('<md:ContactPerson contactType="technical"/>'),
    "name that is a space": beside(change("https://example.org/URL", " ", ORGANIZATION)),
    "language that is none": beside(change('xml:lang="en"', 'xml:lang="not one"', ORGANIZATION)),
    "registration policy without language": beside(extensions(change(' xml:lang="en"', "", REGISTRATION))),
    "scope without regexp": inside(extensions("<shibmd:Scope>example.org</shibmd:Scope>")),
    "logo with pixels": change('"16"', '"16px"', NAMED_UI),
    "end without zone": until("2040-01-01T00:00:00"),
    "end in another zone": until("2040-01-01T00:00:00+02:00"),
    "end with nanoseconds": until("2040-01-01T00:00:00.123456789Z"),
    "end of all days": until("9999-12-31T23:59:59Z"),
    "end that is empty": until(""),
    "term in years": beside(attributes=' cacheDuration="P1Y2M3DT4H5M6.7S"'),
    "term that is empty": beside(attributes=' cacheDuration=""'),
    "another entity that has ended": group(
        PLAIN, change("entityID", 'validUntil="2020-01-01T00:00:00Z" entityID', OTHER)
    ),
    "addresses for POST alone": entity(role(key(), service("SingleSignOnService", "HTTP-POST"))),
    "addresses without TLS": change("https://idp.example.org/Single", "http://idp.example.org/Single"),
    "address with a query": change('SingleSignOnService"', 'sso?a=1&amp;b=2"'),
    "key without use": with_key(key(use="")),
    "key with an empty use": with_key(key(use=' use=""')),
    "key that is there twice": with_key(key(), key()),
    "key beside one that cannot be read": with_key(key(x509_data("AAAA")), key()),
    "key of an elliptic curve": with_key(key(x509_data(EC))),
    "key without a certificate": with_key(key(RSA_VALUE)),
    "key of a curve without a certificate": with_key(key(EC_VALUE)),
    "key in DER": with_key(key(f"<ds11:DEREncodedKeyValue>{PUBLIC}</ds11:DEREncodedKeyValue>")),
    "key for encryption with methods": with_key(key(), key(use=' use="encryption"', more=ENCRYPTION)),
    "certificate in lines": with_key(key(x509_data(WRAPPED))),
    "certificate in lines of Windows": with_key(key(x509_data(WRAPPED.replace("\n", "&#13;\n")))),
    "certificate with spaces": with_key(key(x509_data(" ".join(WRAPPED.split())))),
    "certificate in CDATA": with_key(key(x509_data(f"<![CDATA[{RSA}]]>"))),
    "certificate with a comment": with_key(key(x509_data(f"{RSA[:64]}<!-- . -->{RSA[64:]}"))),
    "certificate that has expired": with_key(key(x509_data(certificate(RSA_KEY, -99, -9)))),
    "certificate that is not yet valid": with_key(key(x509_data(certificate(RSA_KEY, 9, 99)))),
    "certificate and its chain": with_key(key(x509_data(RSA, EC))),
    "comments, and a stylesheet": f'<?xml-stylesheet href="a.xsl"?><!-- . -->{PLAIN}<!-- . -->',
    "newlines around": f"\n\n{PLAIN}\n\n\n",
    "XML 1.1": f'<?xml version="1.1"?>{PLAIN}',
    "standalone": f'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>{PLAIN}',
    "lines of Windows": PLAIN.replace("><", ">\r\n<"),
    "XInclude, which is ignored": beside(
        extensions('<i:include xmlns:i="http://www.w3.org/2001/XInclude" href="file:///etc/passwd"/>')
    ),
    "an affiliation": group(
        PLAIN, '<md:EntityDescriptor entityID="urn:a"><md:AffiliationDescriptor affiliationOwnerID="urn:b">'
        "<md:AffiliateMember>urn:c</md:AffiliateMember></md:AffiliationDescriptor></md:EntityDescriptor>"
    ),
}  # fmt: skip
#: The same in the encodings in which documents are found.
ENCODED = {
    "UTF-8 with a byte order mark": codecs.BOM_UTF8 + declared("UTF-8").encode(),
    "UTF-8 without a declaration": declared("UTF-8").partition("\n")[2].encode(),
    "UTF-8 that says it is UTF-16": declared("utf-16").encode(),
    "UTF-8 with a mark that says it is Latin-1": codecs.BOM_UTF8 + declared("ISO-8859-1").encode(),
    "UTF-16 little-endian": codecs.BOM_UTF16_LE + declared("UTF-16").encode("utf-16-le"),
    "UTF-16 big-endian": codecs.BOM_UTF16_BE + declared("UTF-16").encode("utf-16-be"),
    "UTF-16 without a declaration": codecs.BOM_UTF16_LE + declared("").partition("\n")[2].encode("utf-16-le"),
    "ISO-8859-1": declared("ISO-8859-1").encode("iso8859-1"),
    "ISO-8859-15": declared("iso-8859-15", "€").encode("iso8859-15"),
    "windows-1252": declared("windows-1252", "\N{LEFT DOUBLE QUOTATION MARK}€\N{RIGHT DOUBLE QUOTATION MARK}").encode(
        "cp1252"
    ),
    "US-ASCII": declared("US-ASCII", "Jurgen").encode("ascii"),
}
SIGNED = XMLSigner().sign(etree.fromstring(beside(attributes=' ID="a"')), key=RSA_KEY, reference_uri="a")
ACCEPTED = {name: text.encode() for name, text in (PRODUCTS | ODD).items()} | ENCODED
ACCEPTED["signed by an unknown key"] = etree.tostring(SIGNED)

NO_KEY = "carries no readable key to verify signatures with, so no user could log in"
HERE = f"in line 1 (of {IDP})"
FORM = "has a form that shibd refuses: "
#: Documents that shibd refuses, and the module's message.
REFUSED = {
    "Organization in part": (beside("<md:Organization/>"), f"{FORM}<Organization> {HERE} has no <OrganizationName>"),
    "OrganizationURL empty": (
        beside(change("https://example.org/URL", "", ORGANIZATION)), f"{FORM}<OrganizationURL> {HERE} is empty"
    ),
    "OrganizationName only commented": (
        beside(change("https://example.org/ame", "<!-- . -->", ORGANIZATION)), f"{FORM}<OrganizationName> {HERE} is"
    ),
    "names without language": (beside(change(' xml:lang="en"', "", ORGANIZATION)), "has no xml:lang, or an empty one"),
    "language without its namespace": (beside(change("xml:lang", "lang", ORGANIZATION)), "has the attribute lang"),
    "two organizations": (beside(ORGANIZATION, ORGANIZATION), "has more than one <Organization>"),
    "EmailAddress empty": (beside(change("mailto:ops@example.org", "", CONTACT)), f"<EmailAddress> {HERE} is empty"),
    "contact of an own kind": (
        beside(change("technical", "security", CONTACT)), 'has contactType="security", which is not technical, support'
    ),
    "contact of no kind": (beside("<md:ContactPerson/>"), f"<ContactPerson> {HERE} has no contactType"),
    "NameIDFormat empty": (inside("<md:NameIDFormat/>"), f"<NameIDFormat> {HERE} is empty"),
    "Extensions empty": (inside("<md:Extensions> </md:Extensions>"), f"<Extensions> {HERE} has no elements"),
    "Extensions of SAML's own": (inside(extensions(NAME_IDS)), f"<Extensions> {HERE} has <NameIDFormat> in it"),
    "two Extensions": (inside(extensions(SCOPE), extensions(SCOPE)), "has more than one <Extensions>"),
    "element of another namespace": (inside("<other:x/>"), "has <x> in it, which is not allowed there"),
    "attribute of no schema": (with_key(key(use=' id="k"')), f"<KeyDescriptor> {HERE} has the attribute id"),
    "processing instruction": (inside("<?php ?>"), f"<IDPSSODescriptor> {HERE} has a processing instruction"),
    "no SingleSignOnService": (entity(role(key())), "has no <SingleSignOnService>"),
    "service without Location": (inside(SLO.replace(" Location=", " location=")), "has no Location, or an empty one"),
    "service without Binding": (inside('<md:SingleSignOnService Location="https://a.example"/>'), "has no Binding"),
    "indexed service without index": (inside(change(' index="0"', "", ARTIFACT)), "has no index"),
    "use in capitals": (with_key(key(use=' use="Signing"')), 'has use="Signing", which is not signing or encryption'),
    "KeyDescriptor empty": (with_key("<md:KeyDescriptor/>"), f"<KeyDescriptor> {HERE} has no <KeyInfo>"),
    "KeyInfo empty": (with_key(key(" ")), f"<KeyInfo> {HERE} has no"),
    "X509Certificate empty": (with_key(key(x509_data(""))), f"<X509Certificate> {HERE} is empty"),
    "protocols missing": (change(f'"{SAML2}"', '""'), "describes no SAML 2 identity"),
    "service provider without address": (beside(role(name="SPSSODescriptor")), "has no <AssertionConsumerService>"),
    "end that is a date": (until("2040-01-01"), 'has validUntil="2040-01-01", which is not a date and time such as'),
    "end in words": (until("soon"), 'has validUntil="soon", which is not a date'),
    "end on a day that is none": (until("2040-02-30T00:00:00Z"), "which is not a date and time"),
    "end with a space": (until("2040-01-01 00:00:00Z"), "which is not a date and time"),
    "end of another role": (beside(change("Want", 'validUntil="soon" Want', SERVICE_PROVIDER)), "which is not a date"),
    "end in the past": (until("2020-01-01T00:00:00Z"), "was valid until 2020-01-01 00:00 UTC. Get a fresh copy"),
    "term in seconds": (beside(attributes=' cacheDuration="86400"'), 'which is not a duration such as "PT6H"'),
    "term in weeks": (beside(attributes=' cacheDuration="P1W"'), "which is not a duration"),
    "registration on a date": (
        beside(extensions(change("T00:00:00Z", "", REGISTRATION))), 'has registrationInstant="2020-01-01", which is not'
    ),
    "Scope empty": (inside(extensions("<shibmd:Scope/>")), f"<Scope> {HERE} is empty"),
    "Logo without size": (change(' height="16"', "", NAMED_UI), f"<Logo> {HERE} has no height"),
    "EntityAttributes empty": (beside(extensions("<mdattr:EntityAttributes/>")), f"<EntityAttributes> {HERE} has no"),
    "Attribute without Name": (inside(change("Name=", "x=", ATTRIBUTE)), f"<Attribute> {HERE} has no Name"),
    "one broken entity of several": (
        group(PLAIN, change("SingleSignOn", "SingleLogout", OTHER)), "(of https://other.example.org/idp) has no <Sing"
    ),
    "entity without roles": (group(PLAIN, entity(entity_id="urn:a")), "has no <RoleDescriptor> or"),
    "empty group": (group(PLAIN, group()), "has no <EntityDescriptor> or <EntitiesDescriptor>"),
    "document type": (f"<!DOCTYPE a>{PLAIN}", "carries a document type"),
    "XML 1.2": (f'<?xml version="1.2"?>{PLAIN}', "is written in XML 1.2"),
    "declaration after a newline": (f'\n<?xml version="1.0"?>{PLAIN}', "is not XML (XML declaration allowed only at"),
    "address with a bare &": (change('SingleSignOnService"', 'sso?a=1&b=2"'), "is not XML (EntityRef: expecting ';'"),
    "undeclared prefix": (inside("<undeclared:x/>"), "is not XML (Namespace prefix undeclared"),
    "text after the end": (f"{PLAIN}\nsent by mail", "is not XML (Extra content at the end"),
    "half of it": (PLAIN[: len(PLAIN) // 2], "is not XML ("),
    "web page": ("<html><body/></html>", "begins with <html>, not with SAML metadata's EntityDescriptor"),
    "nothing": ("", "is not XML ("),
    "Latin-1 without a declaration": (
        declared("").partition("\n")[2].encode("latin-1"), "Save it as UTF-8, or name its encoding in its first line"
    ),
    "Latin-1 that says it is UTF-8": (declared("UTF-8").encode("latin-1"), "Save it as UTF-8, or name its encoding"),
    "UTF-16 that says it is UTF-8": (
        codecs.BOM_UTF16_LE + declared("UTF-8").encode("utf-16-le"), "is in UTF-16, but says that it is UTF-8. Save it"
    ),
    "unknown encoding": (declared("x-unknown", "Jurgen"), "is in the encoding x-unknown, which not all"),
    "two marks": (codecs.BOM_UTF8 * 2 + PLAIN.encode(), "is not XML ("),
}  # fmt: skip
#: Documents that shibd loads, but that fail at every login, or may be read in two ways.
USELESS = {
    "no key": (entity(role(SSO)), NO_KEY),
    "key for encryption alone": (with_key(key(use=' use="encryption"')), NO_KEY),
    "name of a key": (with_key(key("<ds:KeyName>idp</ds:KeyName>")), NO_KEY),
    "certificate that is none": (with_key(key(x509_data("AAAA"))), NO_KEY),
    "certificate with PEM's lines": (with_key(key(x509_data(PEM))), "without the lines -----BEGIN CERTIFICATE-----"),
    "certificate with written newlines": (with_key(key(x509_data(f"{RSA[:64]}\\n{RSA[64:]}"))), NO_KEY),
    "public key as a certificate": (with_key(key(x509_data(PUBLIC))), NO_KEY),
    "key that is none": (with_key(key(change(MODULUS, "???", RSA_VALUE))), NO_KEY),
    "addresses of SAML 1 alone": (
        change(f"{BINDINGS}HTTP-", "urn:mace:shibboleth:1.0:profiles:"), "and none for HTTP-Redirect or HTTP-POST"
    ),
    "address without host": (change("https://idp.example.org/Single", "/Single"), "which is not a web address"),
    "address of another kind": (change("https://idp.example.org/Single", "javascript:"), "which is not a web address"),
    "role that has ended": (inside(attributes=' validUntil="2020-01-01T00:00:00Z"'), "was valid until 2020-01-01"),
    "entity twice": (group(PLAIN, PLAIN), f"describes {IDP} twice"),
    "role twice": (entity(role(key(), SSO), role(key(), SSO)), f"describes {IDP} twice"),
    "zero byte at the end": (f"{PLAIN}\0", "is not XML ("),
}  # fmt: skip

#: Everything of which the form is known, once.
COMPLETE = group(
    extensions(PUBLICATION, '<mdrpi:PublicationPath><mdrpi:Publication publisher="urn:a"/></mdrpi:PublicationPath>'),
    entity(
        extensions(REGISTRATION, ENTITY_ATTRIBUTES, ALGORITHMS, "<other:x><other:y/></other:x>"),
        federation_role("SecurityTokenServiceType"),
        role(
            extensions(
                SCOPE,
                change("</mdui:UIInfo>", f"{texts('mdui:Keywords')}</mdui:UIInfo>", UI),
                "<shibmd:KeyAuthority><ds:KeyInfo><ds:KeyName>a</ds:KeyName></ds:KeyInfo></shibmd:KeyAuthority>",
            ),
            key(
                x509_data(RSA).replace(
                    "</ds:X509Data>",
                    "<ds:X509IssuerSerial><ds:X509IssuerName>CN=a</ds:X509IssuerName>"
                    "<ds:X509SerialNumber>7</ds:X509SerialNumber></ds:X509IssuerSerial>"
                    "<ds:X509SubjectName>CN=a</ds:X509SubjectName><ds:X509SKI>AQAB</ds:X509SKI></ds:X509Data>",
                )
                + RSA_VALUE
                + EC_VALUE
                + f"<ds11:DEREncodedKeyValue>{PUBLIC}</ds11:DEREncodedKeyValue>",
                more=ENCRYPTION,
            ),
            ORGANIZATION,
            change(
                "<md:GivenName>",
                f"{extensions(SCOPE)}<md:Company>a</md:Company><md:SurName>b</md:SurName>"
                "<md:TelephoneNumber>1</md:TelephoneNumber><md:GivenName>",
                CONTACT,
            ),
            ARTIFACT,
            SLO,
            service("ManageNameIDService", "SOAP"),
            NAME_IDS,
            SSO,
            service("NameIDMappingService", "SOAP"),
            service("AssertionIDRequestService", "URI"),
            "<md:AttributeProfile>urn:a</md:AttributeProfile>",
            change("/>", "><saml:AttributeValue>a</saml:AttributeValue></saml:Attribute>", ATTRIBUTE),
            attributes=f' cacheDuration="PT1H"{later()}',
        ),
        role(
            extensions(
                '<d:DiscoveryResponse xmlns:d="urn:oasis:names:tc:SAML:profiles:SSO:idp-discovery-protocol"'
                ' Binding="urn:a" Location="https://a.example" index="1"/>'
                '<i:RequestInitiator xmlns:i="urn:oasis:names:tc:SAML:profiles:SSO:request-init"'
                ' Binding="urn:a" Location="https://a.example"/>'
            ),
            service("AssertionConsumerService", "HTTP-POST", attributes=' index="0" isDefault="true"'),
            '<md:AttributeConsumingService index="1">'
            f"{texts('md:ServiceName', 'md:ServiceDescription')}"
            '<md:RequestedAttribute Name="a" isRequired="true"/></md:AttributeConsumingService>',
            name="SPSSODescriptor",
        ),
        role(service("AuthnQueryService", "SOAP"), name="AuthnAuthorityDescriptor"),
        AUTHORITY,
        role(service("AuthzService", "SOAP"), name="PDPDescriptor"),
        '<md:AdditionalMetadataLocation namespace="urn:a">https://a.example</md:AdditionalMetadataLocation>',
        attributes=f' cacheDuration="PT1H"{later()}',
    ),
    ODD["an affiliation"],
    attributes=f' cacheDuration="PT1H"{later()}',
)


def add_child(namespace: str) -> Callable[[etree._Element], None]:
    """Return a function that adds an unknown child to an element."""
    return lambda element: element.insert(0, etree.Element(f"{namespace}unknown"))


def empty(element: etree._Element) -> None:
    """Remove the content of an element."""
    del element[:]
    element.text = None


DAMAGE = {
    "removed": lambda element: element.getparent().remove(element),
    "emptied": empty,
    "doubled": lambda element: element.addnext(copy.deepcopy(element)),
    "moved": lambda element: element.getparent().append(element),
    "with an unknown attribute": lambda element: element.set("unknown", "1"),
    "with an attribute of another namespace": lambda element: element.set(f"{{{NAMESPACES['other']}}}a", "1"),
    "with a child of another namespace": add_child(f"{{{NAMESPACES['other']}}}"),
    "with a child of no namespace": add_child(""),
    "with an instruction": lambda element: element.append(etree.ProcessingInstruction("a")),
    "with a comment": lambda element: element.append(etree.Comment("a")),
    "with another text": lambda element: setattr(element, "text", "other"),
}


def damaged() -> Iterator[tuple[str, bytes]]:
    """Yield the complete document with every kind of damage to every element and attribute, one at a time."""
    root = etree.fromstring(COMPLETE)
    for index, original in enumerate(root.iter("*")):
        values = [(name, value) for name in original.attrib for value in ("", "other", " 1 ")]
        damage = dict(DAMAGE) | {
            f"with {name}={value!r}": lambda element, name=name, value=value: element.set(name, value)
            for name, value in values
        }
        for kind, apply in damage.items():
            if original is root and kind in ("removed", "doubled", "moved"):
                continue
            changed = copy.deepcopy(root)
            apply(next(element for place, element in enumerate(changed.iter("*")) if place == index))
            yield f"{etree.QName(original).localname} ({index}) {kind}", etree.tostring(changed)
