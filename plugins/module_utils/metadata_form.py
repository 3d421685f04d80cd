# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The form that shibd requires of SAML metadata when it does not validate it against the schema.

It then takes elements in any order and most values as they are. What it does ask is that elements and attributes are
known to their parent, and that some are there and not empty. With one fault, it refuses the whole document.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

try:
    from lxml import etree
except ImportError:
    etree = None  # the module reports it

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
    "idpdisc": "urn:oasis:names:tc:SAML:profiles:SSO:idp-discovery-protocol",
    "init": "urn:oasis:names:tc:SAML:profiles:SSO:request-init",
    "xml": "http://www.w3.org/XML/1998/namespace",
}
XSI = "{http://www.w3.org/2001/XMLSchema-instance}"
TERM = "validUntil cacheDuration"
ROLE = f"protocolSupportEnumeration! {TERM} *"
ROLES = "/".join(
    f"md:{name}Descriptor"
    for name in ("Role", "IDPSSO", "SPSSO", "AuthnAuthority", "AttributeAuthority", "PDP", "Affiliation")
)
PARTS = "ds:Signature? md:Extensions? md:KeyDescriptor md:Organization? md:ContactPerson md:NameIDFormat"
SSO = f"{PARTS} md:ArtifactResolutionService md:SingleLogoutService md:ManageNameIDService"

#: Elements | their attributes | their children, or "text" where they must have one. `!` has to be there and not be
#: empty, `?` may be there once, `+` has to be there; a `/` joins what counts together. `*` is anything of a namespace
#: other than the element's own, `**` anything at all. Other elements shibd ignores, or no product writes them.
FORMS = f"""
md:EntitiesDescriptor | {TERM} * | ds:Signature? md:Extensions? md:EntityDescriptor/md:EntitiesDescriptor+
md:EntityDescriptor | entityID! {TERM} * | ds:Signature? md:Extensions? md:Organization? md:ContactPerson
  md:AdditionalMetadataLocation md:AffiliationDescriptor? {ROLES}+
md:RoleDescriptor | {ROLE} | **
md:IDPSSODescriptor | {ROLE} | {SSO} md:SingleSignOnService+ md:NameIDMappingService md:AssertionIDRequestService
  md:AttributeProfile saml:Attribute
md:SPSSODescriptor | {ROLE} | {SSO} md:AssertionConsumerService+ md:AttributeConsumingService
md:AuthnAuthorityDescriptor | {ROLE} | {PARTS} md:AssertionIDRequestService md:AuthnQueryService+
md:AttributeAuthorityDescriptor | {ROLE} | {PARTS} md:AssertionIDRequestService md:AttributeService+
  md:AttributeProfile saml:Attribute
md:PDPDescriptor | {ROLE} | {PARTS} md:AssertionIDRequestService md:AuthzService+
md:AffiliationDescriptor | affiliationOwnerID! {TERM} * | ds:Signature? md:Extensions? md:AffiliateMember+
  md:KeyDescriptor
md:Extensions | | *+
md:Organization | * | md:Extensions? md:OrganizationName+ md:OrganizationDisplayName+ md:OrganizationURL+
md:ContactPerson | contactType! * | md:Extensions? md:Company? md:GivenName? md:SurName? md:EmailAddress
  md:TelephoneNumber
md:OrganizationName md:OrganizationDisplayName md:OrganizationURL md:ServiceName md:ServiceDescription
  mdui:DisplayName mdui:Description mdui:Keywords mdui:InformationURL mdui:PrivacyStatementURL | xml:lang! | text
md:Company md:GivenName md:SurName md:EmailAddress md:TelephoneNumber md:NameIDFormat md:AttributeProfile
  md:AffiliateMember mdui:IPHint mdui:DomainHint mdui:GeolocationHint ds:KeyName ds:Modulus ds:Exponent
  ds:X509Certificate ds:X509CRL ds:X509SKI ds:X509SubjectName ds:X509IssuerName ds:X509SerialNumber
  ds11:PublicKey xenc:KeySize xenc:OAEPparams | | text
md:AdditionalMetadataLocation | namespace! | text
md:SingleSignOnService md:SingleLogoutService md:ManageNameIDService md:NameIDMappingService md:AuthnQueryService
  md:AssertionIDRequestService md:AttributeService md:AuthzService init:RequestInitiator | Binding! Location! * | *
md:ArtifactResolutionService md:AssertionConsumerService idpdisc:DiscoveryResponse | Binding! Location! index! * | *
md:AttributeConsumingService | index! isDefault | md:ServiceName+ md:ServiceDescription md:RequestedAttribute+
md:RequestedAttribute saml:Attribute | Name! * | **
saml:AttributeValue | * | **
md:KeyDescriptor | use | ds:KeyInfo! md:EncryptionMethod
md:EncryptionMethod | Algorithm | xenc:KeySize? xenc:OAEPparams? *
ds:KeyInfo | Id | ds:KeyName/ds:KeyValue/ds:X509Data/ds:MgmtData/ds:RetrievalMethod/ds:PGPData/ds:SPKIData/*+
ds:X509Data | | ds:X509Certificate/ds:X509CRL/ds:X509SKI/ds:X509SubjectName/ds:X509IssuerSerial/*+
ds:X509IssuerSerial | | ds:X509IssuerName! ds:X509SerialNumber!
ds:KeyValue | | ds:RSAKeyValue/ds:DSAKeyValue/ds11:ECKeyValue/*!
ds:RSAKeyValue | | ds:Modulus! ds:Exponent!
ds11:ECKeyValue | Id | ds11:NamedCurve/ds11:ECParameters! ds11:PublicKey!
ds11:NamedCurve | URI! |
ds11:DEREncodedKeyValue | Id | text
ds:Signature | * | ds:SignedInfo! ds:SignatureValue! ds:KeyInfo? ds:Object
ds:SignedInfo | * | ds:CanonicalizationMethod! ds:SignatureMethod! ds:Reference+
mdui:UIInfo | | mdui:DisplayName mdui:Description mdui:Keywords mdui:Logo mdui:InformationURL
  mdui:PrivacyStatementURL *
mdui:Logo | height! width! xml:lang | text
mdui:DiscoHints | | mdui:IPHint mdui:DomainHint mdui:GeolocationHint *
mdrpi:RegistrationInfo | registrationAuthority! registrationInstant * | mdrpi:RegistrationPolicy *
mdrpi:PublicationInfo | publisher! creationInstant * | mdrpi:UsagePolicy *
mdrpi:RegistrationPolicy mdrpi:UsagePolicy | xml:lang | text
mdrpi:PublicationPath | | mdrpi:Publication
mdrpi:Publication | publisher! creationInstant publicationId |
mdattr:EntityAttributes | | saml:Attribute/saml:Assertion+
alg:DigestMethod alg:SigningMethod | Algorithm! * | **
shibmd:Scope | regexp | text
shibmd:KeyAuthority | * | ds:KeyInfo+
"""
INSTANT = re.compile(r"([0-9]{4}(?:-[0-9]{2}){2}T[0-9]{2}(?::[0-9]{2}){2})(?:[.][0-9]*)?(Z|[+-][0-9]{2}:[0-9]{2})?")
DURATION = re.compile(r"-?P(?=.)([0-9]+Y)?([0-9]+M)?([0-9]+D)?(T(?=.)([0-9]+H)?([0-9]+M)?([0-9]+([.][0-9]*)?S)?)?")


def qualified(short):
    """Return a name as lxml has it; what has no prefix, as it is.

    :param str short: The name, with a prefix of :data:`NAMESPACES`.
    """
    prefix, colon, local = short.partition(":")
    return f"{{{NAMESPACES[prefix]}}}{local}" if colon else short


def local(tag):
    """Return a name without its namespace, but for XML's own.

    :param str tag: The name as lxml has it.
    """
    return tag.replace(f"{{{NAMESPACES['xml']}}}", "xml:").rpartition("}")[2]


def instant(text):
    """Return a time that SAML writes, or None if it is none.

    :param str text: The time, such as ``2026-01-31T12:00:00Z``; without a zone it is in UTC.
    :returns: datetime, to the second.
    """
    found = INSTANT.fullmatch(text)
    try:
        return datetime.fromisoformat(found[1] + (found[2] or "Z").replace("Z", "+00:00")) if found else None
    except ValueError:
        return None


#: How to check the values of some attributes, unless they are empty, and which are allowed.
VALUES = {
    "use": (re.compile("signing|encryption").fullmatch, "signing or encryption"),
    "contactType": (
        re.compile("technical|support|administrative|billing|other").fullmatch,
        "technical, support, administrative, billing or other",
    ),
    "cacheDuration": (DURATION.fullmatch, 'a duration such as "PT6H"'),
    **dict.fromkeys(
        ("validUntil", "creationInstant", "registrationInstant"),
        (instant, 'a date and time such as "2026-01-31T12:00:00Z"'),
    ),
}


@dataclass(frozen=True)
class Form:
    """What one type of element may and must have, from a line of :data:`FORMS`.

    :param str own: Its namespace in braces.
    :param frozenset attributes: Names of attributes that it may have.
    :param tuple required: Names of attributes that it must have.
    :param frozenset children: Names of children that it may have.
    :param tuple counted: Names of children that count together, and how often they may come: `!`, `?` or `+`.
    :param bool text: Whether it must have a text, and no children.
    """

    own: str
    attributes: frozenset
    required: tuple
    children: frozenset
    counted: tuple
    text: bool

    @classmethod
    def read(cls, tag, attributes, children):
        """Read the parts of a line."""
        attributes, text = attributes.split(), children == "text"
        counted = [
            (tuple(map(qualified, part.rstrip("!?+").split("/"))), part[-1]) for part in children.split() if not text
        ]
        return cls(
            own=tag[: tag.index("}") + 1],
            attributes=frozenset(qualified(one.rstrip("!")) for one in attributes),
            required=tuple(qualified(one[:-1]) for one in attributes if one.endswith("!")),
            children=frozenset(one for names, _often in counted for one in names),
            counted=tuple((names, often) for names, often in counted if often in "!?+"),
            text=text,
        )

    def takes(self, tag):
        """Return whether a child with that name is allowed."""
        other_namespace = tag.startswith("{") and not tag.startswith(self.own)
        return tag in self.children or "**" in self.children or (other_namespace and "*" in self.children)

    def attribute_fault(self, element):
        """Return what is wrong with an element's attributes, or None."""
        for attribute, value in element.items():
            if attribute.startswith(XSI):
                if attribute == XSI + "nil" and value in ("true", "1"):
                    return "says xsi:nil"
            elif attribute not in self.attributes:
                if "*" not in self.attributes:
                    return f"has the attribute {local(attribute)}, which is not allowed there"
            elif value and attribute in VALUES:
                judge, example = VALUES[attribute]
                if not judge(value):
                    return f'has {attribute}="{value}", which is not {example}'
        absent = [attribute for attribute in self.required if not element.get(attribute)]
        return f"has no {local(absent[0])}, or an empty one" if absent else None

    def child_fault(self, tags):
        """Return what is wrong with the names and the number of an element's children, or None.

        :param list tags: Their names.
        """
        for tag in tags:
            if tag is etree.PI:
                return "has a processing instruction (<?...?>) in it"
            if tag not in self.children and tag is not etree.Comment and not self.takes(tag):
                return f"has <{local(tag)}> in it, which is not allowed there"
        for names, often in self.counted:
            # Elements for which a "*" stands count, too: all that have no name of their own.
            count = sum(tags.count(one) for one in names)
            if "*" in names:
                count += sum(tag not in self.children for tag in tags if isinstance(tag, str))
            wanted = " or ".join(f"<{local(one)}>" for one in names if one != "*") or "elements"
            if count == 0 and often != "?":
                return f"has no {wanted}"
            if count > 1 and often != "+":
                return f"has more than one {wanted}"
        return None


def lines():
    """Yield the names of elements and the form that :data:`FORMS` gives them."""
    for line in FORMS.strip().replace("\n  ", " ").splitlines():
        tags, attributes, children = (part.strip() for part in line.split("|"))
        for tag in map(qualified, tags.split()):
            yield tag, Form.read(tag, attributes, children)


FORM = dict(lines())


def fault(root):
    """Return why shibd would not load a document, or None.

    :param root: The root element, as lxml parsed it.
    :returns: str, such as ``<OrganizationURL> in line 7 (of https://idp.example.org/idp) is empty``.
    """
    pending = [root]
    while pending:
        element = pending.pop()
        form = FORM.get(element.tag)
        if form:
            children = list(element)
            problem = form.attribute_fault(element) or form.child_fault([child.tag for child in children])
            if form.text and not problem and not element.xpath("string()"):
                problem = "is empty"
            if problem:
                owners = [one.get("entityID") for one in (element, *element.iterancestors()) if one.get("entityID")]
                where = f"in line {element.sourceline}" + "".join(f" (of {one})" for one in owners[:1])
                return f"<{local(element.tag)}> {where} {problem}"
            pending.extend(reversed(children))
    return None
