# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Metadata is accepted, or refused with a clear message; whatever a document contains, nothing else happens."""

import base64
import codecs
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from xml.sax.saxutils import quoteattr

import metadata_corpus
import pytest
from ansible_collections.campus.flask_sso.plugins.modules import saml_metadata
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree
from signxml import XMLSigner

from flask_sso_app.authentication.saml_settings import load_idp_metadata
from flask_sso_app.settings import SettingsError

IDP = "https://idp.example.org"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
NAMESPACE = "urn:oasis:names:tc:SAML:2.0:metadata"
SAML2 = "urn:oasis:names:tc:SAML:2.0:protocol"


@dataclass
class Signer:
    """A key, and the self-signed certificate that carries it."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def pem(self) -> str:
        """The certificate as PEM."""
        return self.certificate.public_bytes(Encoding.PEM).decode()

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the public key."""
        return sha256(self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()

    @property
    def key_info(self) -> str:
        """The certificate as metadata carries it."""
        der = base64.b64encode(self.certificate.public_bytes(Encoding.DER)).decode()
        return f"<X509Data><X509Certificate>\n{der}\n</X509Certificate></X509Data>"

    def sign(self, document: str) -> str:
        """Return the document with an enveloped signature as its root's first child."""
        signed = XMLSigner(signature_algorithm="ecdsa-sha256").sign(
            etree.fromstring(document), key=self.key, cert=self.pem, reference_uri="#all"
        )
        return etree.tostring(signed).decode()


def new_signer(days: int = 1) -> Signer:
    """Make a signer whose certificate ends so many days after the time of these tests."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "signer")])
    builder = x509.CertificateBuilder(
        name, name, key.public_key(), 1, NOW - timedelta(days=9), NOW + timedelta(days=days)
    )
    return Signer(key, builder.sign(key, SHA256()))


SIGNER = new_signer()
OTHER = new_signer()


SERVICE = (
    '<SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"'
    ' Location="https://idp.example.org/sso"/>'
)


def key_descriptor(key_info: str, use: str = ' use="signing"') -> str:
    """Return a key as metadata carries it."""
    return (
        f'<KeyDescriptor{use}><KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#">{key_info}</KeyInfo></KeyDescriptor>'
    )


def entity(entity_id: str = IDP, role: str = "IDPSSODescriptor", protocol: str = SAML2, valid_until: str = "") -> str:
    """Return the smallest description of an entity with which users could log in."""
    validity = f" validUntil={quoteattr(valid_until)}" if valid_until else ""
    return (
        f'<EntityDescriptor xmlns="{NAMESPACE}" entityID={quoteattr(entity_id)}{validity}>'
        f"<{role} protocolSupportEnumeration={quoteattr(protocol)}>{key_descriptor(SIGNER.key_info)}{SERVICE}</{role}>"
        "</EntityDescriptor>"
    )


def federation(*entities: str, valid_until: str = "") -> str:
    """Return a document that describes several entities."""
    validity = f' validUntil="{valid_until}"' if valid_until else ""
    return f'<EntitiesDescriptor xmlns="{NAMESPACE}"{validity}>{"".join(entities)}</EntitiesDescriptor>'


OPTIONS = {
    "entity_id": IDP,
    "signing_certificate": "",
    "sha256": "",
    "idp_keys": [],
    "trusted_source": True,
    "names": {},
    "max_validity_days": 0,
    "max_bytes": 100_000,
}


def examine(document: str | bytes, **options) -> None:
    """Examine a document at the time of these tests; by default its source is trusted."""
    data = document.encode("utf-8") if isinstance(document, str) else document
    saml_metadata.examine(data, NOW, OPTIONS | options)


@pytest.mark.parametrize(
    "document",
    [
        entity(),
        '<?xml version="1.0" encoding="UTF-8"?>\n<!-- Größe -->\n' + entity(),
        entity(protocol=f"urn:mace:shibboleth:1.0 {SAML2}"),
        entity(valid_until="2026-01-01T00:00:01Z"),
        entity(valid_until="2026-01-01T00:30:00.5+00:00"),
        federation(entity("https://other.example.org", valid_until="2020-01-01T00:00:00Z"), entity()),
        federation(federation(entity())),
    ],
)
def test_metadata_of_the_identity_provider_is_accepted(document):
    examine(document)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("", "is not XML"),
        ("<html><br></html>", "is not XML"),
        (entity()[:-5], "is not XML"),
        ("<html/>", "begins with <html>"),
        ("<html/>", "EntityDescriptor"),
        (entity().replace(NAMESPACE, "urn:other"), "begins with <{urn:other}EntityDescriptor>"),
        ("<!DOCTYPE EntityDescriptor>" + entity(), "carries a document type"),
        (
            f'<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>{entity("&b;&b;")}',
            "carries a document type (<!DOCTYPE), which metadata never needs. Get it from another source",
        ),
        (f'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>{entity("&a;")}', "carries a document type"),
        (entity(role="SPSSODescriptor"), "describes no SAML 2 identity provider"),
        (entity(role="SPSSODescriptor"), "perhaps it is the metadata of a service provider"),
        (entity(protocol="urn:oasis:names:tc:SAML:1.1:protocol"), "describes no SAML 2 identity provider"),
        (federation(), "describes no SAML 2 identity provider"),
        (entity("https://other.example.org"), f"describes https://other.example.org, not {IDP}. Correct the entityID"),
        (entity(valid_until="2026-01-01T00:00:00Z"), "was valid until 2026-01-01 00:00 UTC. Get a fresh copy"),
        (entity(valid_until="2026-01-01T01:00:00+02:00"), "was valid until 2026-01-01 01:00 UTC+02:00"),
        (entity(valid_until="soon"), 'has validUntil="soon", which is not a date'),
        (federation(entity(), valid_until="2020-01-01T00:00:00Z"), "was valid until 2020-01-01"),
        (entity() + " " * 100_000, "more than the 100000 bytes that are read"),
    ],
)
def test_anything_else_is_refused_with_a_clear_message(document, words):
    with pytest.raises(saml_metadata.MetadataError) as refusal:
        examine(document)
    assert words in str(refusal.value)


def test_deep_document_is_refused():
    with pytest.raises(saml_metadata.MetadataError):
        examine("<a>" * 10_000 + "</a>" * 10_000)


def accepted(document: str | bytes) -> bool:
    """Whether a document is accepted; any error but a refusal fails the test."""
    try:
        examine(document)
    except saml_metadata.MetadataError:
        return False
    return True


TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)
DATES = st.datetimes(timezones=st.timezones() | st.none()).map(datetime.isoformat)
ENTITIES = st.builds(
    entity,
    entity_id=st.just(IDP) | TEXT,
    role=st.sampled_from(["IDPSSODescriptor", "SPSSODescriptor", "Organization"]),
    protocol=st.just(SAML2) | TEXT,
    valid_until=DATES | TEXT,
)
DOCUMENTS = st.recursive(ENTITIES, lambda inner: st.lists(inner, max_size=3).map(lambda parts: federation(*parts)))


@given(st.binary())
def test_no_bytes_do_anything_but_get_refused(document):
    assert not accepted(document)


@given(DOCUMENTS)
def test_metadata_of_any_shape_is_accepted_or_refused(document):
    if accepted(document):
        assert f'entityID="{IDP}"' in document


@given(DOCUMENTS, st.data())
def test_damaged_metadata_is_accepted_or_refused(document, data):
    whole = document.encode("utf-8")
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, len(whole)))
    accepted(whole[:start] + data.draw(st.binary(max_size=8)) + whole[end:])


@given(st.just(entity()) | DOCUMENTS, TEXT)
def test_document_type_is_never_accepted(document, name):
    assert not accepted(f"<!DOCTYPE {name} [<!ENTITY a 'x'>]>{document}")


def test_module_accepts_a_document_or_names_its_source(run_module):
    result = run_module(saml_metadata, content=entity(), entity_id=IDP, trusted_source=True)
    assert result["sha256"] == sha256(entity().encode()).hexdigest()
    assert not result["changed"]
    result = run_module(saml_metadata, content="<html/>", entity_id=IDP, source="idp.xml")
    assert result["failed"]
    assert result["msg"].startswith("idp.xml begins with <html>")
    assert result["msg"].endswith("Nothing was changed.")


def keyed(*key_infos: str, use: str = ' use="signing"') -> str:
    """Return the description of an identity provider with these keys, in a document that can be signed."""
    keys = "".join(key_descriptor(info, use) for info in key_infos)
    return entity().replace(key_descriptor(SIGNER.key_info), keys).replace("entityID=", 'ID="all" entityID=', 1)


def test_document_from_anywhere_is_refused_with_the_key_to_compare():
    with pytest.raises(saml_metadata.MetadataError) as refusal:
        examine(keyed(SIGNER.key_info), trusted_source=False)
    assert "not verified against anything that you trust" in str(refusal.value)
    assert SIGNER.fingerprint in str(refusal.value)


@pytest.mark.parametrize("key", [SIGNER.fingerprint, SIGNER.fingerprint.upper(), ":".join(SIGNER.fingerprint)])
def test_pinned_key_is_accepted(key):
    examine(keyed(SIGNER.key_info), trusted_source=False, idp_keys=[key, OTHER.fingerprint])


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (keyed(OTHER.key_info), f"carries the signing key {OTHER.fingerprint}, which is not among idp_keys"),
        (keyed(SIGNER.key_info, OTHER.key_info), f"carries the signing key {OTHER.fingerprint}"),
        (keyed(SIGNER.key_info, OTHER.key_info, use=""), f"carries the signing key {OTHER.fingerprint}"),
        (keyed(SIGNER.key_info + OTHER.key_info), f"carries the signing key {OTHER.fingerprint}"),
        (keyed(SIGNER.key_info + "<KeyValue/>"), "in another form than a certificate"),
        (keyed("<KeyName>idp</KeyName>"), "in another form than a certificate"),
        (keyed("<X509Data><X509Certificate>AAAA</X509Certificate></X509Data>"), "a certificate that cannot be read"),
        (keyed(SIGNER.key_info, use=' use="encryption"'), "carries no signing key"),
        (
            federation(keyed(SIGNER.key_info), keyed(OTHER.key_info).replace(IDP, "https://other.example.org")),
            f"carries the signing key {OTHER.fingerprint}",
        ),
    ],
)
def test_any_key_beside_the_pinned_one_is_refused(document, words):
    with pytest.raises(saml_metadata.MetadataError) as refusal:
        examine(document, idp_keys=[SIGNER.fingerprint])
    assert words in str(refusal.value)


KEY_INFO = '<KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#">'
ENCRYPTION_METHOD = (
    '<EncryptionMethod Algorithm="http://www.w3.org/2009/xmlenc11#rsa-oaep"><DigestMethod'
    ' xmlns="http://www.w3.org/2000/09/xmldsig#" Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/></EncryptionMethod>'
)


def test_usual_parts_of_a_key_are_accepted():
    described = keyed(SIGNER.key_info + "<KeyName>idp</KeyName>")
    examine(
        described.replace("</KeyDescriptor>", ENCRYPTION_METHOD + "</KeyDescriptor>"), idp_keys=[SIGNER.fingerprint]
    )


@pytest.mark.parametrize(
    ("place", "hidden", "words"),
    [
        (
            "</KeyDescriptor>",
            f'<EncryptionMethod Algorithm="x">{OTHER.key_info}</EncryptionMethod>'.replace(
                "<X509Data>", '<X509Data xmlns="http://www.w3.org/2000/09/xmldsig#">'
            ),
            "carries a certificate elsewhere",
        ),
        (
            "</KeyDescriptor>",
            f"<EncryptionMethod>{KEY_INFO}<KeyValue/></KeyInfo></EncryptionMethod>",
            "in another form",
        ),
        ("</KeyInfo>", "<KeyValue/>", "in another form"),
        ("</KeyInfo>", f"<KeyName>{OTHER.key_info}</KeyName>", "carries a certificate elsewhere"),
        ("</X509Certificate>", "<!-- -->AAAA", "or with something in it"),
        ("</X509Certificate>", "<KeyName/>AAAA", "or with something in it"),
    ],
    ids=["beside KeyInfo", "another KeyInfo", "KeyValue", "in KeyName", "behind a comment", "behind an element"],
)
def test_key_that_other_programs_would_find_is_refused(place, hidden, words):
    """They search at any depth, or drop comments."""
    examine(keyed(SIGNER.key_info), idp_keys=[SIGNER.fingerprint])
    with pytest.raises(saml_metadata.MetadataError) as refusal:
        examine(keyed(SIGNER.key_info).replace(place, hidden + place, 1), idp_keys=[SIGNER.fingerprint])
    assert words in str(refusal.value)


@pytest.mark.parametrize(
    "document",
    [
        federation(keyed(SIGNER.key_info), keyed(SIGNER.key_info)),
        federation(keyed(SIGNER.key_info), entity(role="SPSSODescriptor")),
        keyed(SIGNER.key_info).replace("</EntityDescriptor>", "<IDPSSODescriptor/></EntityDescriptor>"),
    ],
    ids=["two entities", "an entity with another role", "two roles"],
)
def test_identity_provider_that_is_described_twice_is_refused(document):
    with pytest.raises(saml_metadata.MetadataError, match=f"describes {IDP} twice"):
        examine(document)


def test_end_of_the_role_counts():
    role = entity().replace("<IDPSSODescriptor", '<IDPSSODescriptor validUntil="2025-12-31T00:00:00Z"')
    with pytest.raises(saml_metadata.MetadataError, match="was valid until 2025-12-31"):
        examine(role)


def test_pinned_document_is_accepted_and_every_other_refused():
    examine(entity(), trusted_source=False, sha256=sha256(entity().encode()).hexdigest().upper())
    with pytest.raises(saml_metadata.MetadataError, match=r"has the SHA-256 [0-9a-f]{64}, not sha256"):
        examine(entity() + " ", trusted_source=False, sha256=sha256(entity().encode()).hexdigest())


@pytest.mark.parametrize("signer", [SIGNER, new_signer(days=-1)], ids=["valid", "expired"])
def test_document_signed_by_the_pinned_key_is_accepted(signer):
    examine(signer.sign(keyed(SIGNER.key_info)), trusted_source=False, signing_certificate=signer.pem)


GENUINE = SIGNER.sign(keyed(SIGNER.key_info))
WRAPPED = federation(GENUINE, entity("https://evil.example.org"))
INNER = GENUINE[GENUINE.index("<ds:Signature") : GENUINE.index("</ds:Signature>") + len("</ds:Signature>")]
MOVED = WRAPPED.replace(INNER, "").replace("<EntityDescriptor", INNER + "<EntityDescriptor", 1)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (keyed(SIGNER.key_info), "is not signed. Get the signed metadata"),
        (OTHER.sign(keyed()), "is not signed with the key of the pinned certificate"),
        (GENUINE.replace(IDP, "https://evil.example.org"), "or was changed after that"),
        (GENUINE.replace("</EntityDescriptor>", "<Organization/></EntityDescriptor>"), "or was changed after that"),
        (WRAPPED, "is not signed. Get the signed metadata"),
        (MOVED, "does not cover all of it"),
    ],
    ids=["unsigned", "by another key", "tampered with", "added to", "wrapped", "wrapped, and the signature moved up"],
)
def test_document_that_the_pinned_key_has_not_signed_as_a_whole_is_refused(document, words):
    with pytest.raises(saml_metadata.MetadataError) as refusal:
        examine(document, entity_id="", signing_certificate=SIGNER.pem)
    assert words in str(refusal.value)


FORGED = keyed(OTHER.key_info)
DS_OBJECT = f"<ds:Object>{FORGED}</ds:Object></ds:Signature>"


@pytest.mark.parametrize(
    ("place", "hidden", "words"),
    [
        ("</ds:Signature>", DS_OBJECT, r"hides <\{.*\}Object> in a signature"),
        ("</ds:Signature>", FORGED + "</ds:Signature>", r"hides <\{.*\}EntityDescriptor> in a signature"),
        ("</ds:KeyInfo>", FORGED + "</ds:KeyInfo>", r"hides <\{.*\}EntityDescriptor> in <\{.*\}KeyInfo>"),
    ],
    ids=["Object", "entity", "entity in KeyInfo"],
)
def test_nothing_hides_in_a_signature(place, hidden, words):
    """It is not part of what it signs, and the application reads the whole text."""
    changed = GENUINE.replace(place, hidden)
    assert changed != GENUINE
    with pytest.raises(saml_metadata.MetadataError, match=words):
        examine(changed, signing_certificate=SIGNER.pem)


@pytest.mark.parametrize(
    "document",
    [
        entity().replace(
            "</EntityDescriptor>", f"<Extensions>{entity('https://evil')}</Extensions></EntityDescriptor>"
        ),
        federation(entity(), "<Extensions><IDPSSODescriptor/></Extensions>"),
    ],
)
def test_description_in_another_place_is_refused(document):
    with pytest.raises(saml_metadata.MetadataError, match="where some programs would read it and others not"):
        examine(document)


@pytest.mark.parametrize("certificate", ["-----BEGIN NOTHING-----", "0\udc82"], ids=["no certificate", "DER"])
def test_pinned_certificate_that_is_none_is_named(certificate):
    with pytest.raises(saml_metadata.MetadataError, match="the certificate of its signer is not PEM"):
        examine(GENUINE, signing_certificate=certificate)


@pytest.mark.parametrize(
    ("valid_until", "words"),
    [
        ("", "has no expiry date"),
        ("2026-02-01T00:00:00Z", "is valid until 2026-02-01 00:00 UTC, longer than 28 days"),
        ("2025-12-31T00:00:00Z", "was valid until 2025-12-31 00:00 UTC"),
    ],
)
def test_document_without_an_early_expiry_is_refused_if_one_is_required(valid_until, words):
    examine(federation(entity(), valid_until="2026-01-29T00:00:00Z"), max_validity_days=28)
    with pytest.raises(saml_metadata.MetadataError) as refusal:
        examine(federation(entity(), valid_until=valid_until), max_validity_days=28)
    assert words in str(refusal.value)


@given(st.data())
def test_no_change_of_a_signed_document_is_accepted(data):
    """Whatever byte is replaced: the change is refused, or what was signed says the same."""
    place = data.draw(st.integers(0, len(GENUINE) - 1))
    changed = GENUINE[:place] + data.draw(st.characters(codec="ascii")) + GENUINE[place + 1 :]
    try:
        examine(changed, entity_id="", signing_certificate=SIGNER.pem)
    except saml_metadata.MetadataError:
        return
    root = saml_metadata.parse(changed.encode())
    signed = saml_metadata.signed_by(root, SIGNER.pem, NOW)
    genuine = saml_metadata.signed_by(saml_metadata.parse(GENUINE.encode()), SIGNER.pem, NOW)
    assert etree.tostring(signed, method="c14n") == etree.tostring(genuine, method="c14n")


@pytest.mark.parametrize("name", metadata_corpus.ACCEPTED)
def test_what_identity_providers_write_is_accepted(run_module, tmp_path, name):
    """From a file, whose bytes come back; the application reads the same, unless its preflight says that it cannot."""
    path, document = tmp_path / "idp.xml", metadata_corpus.ACCEPTED[name]
    path.write_bytes(document)
    result = run_module(saml_metadata, path=str(path), entity_id=metadata_corpus.IDP, trusted_source=True)
    assert "failed" not in result, result["msg"]
    assert base64.b64decode(result["content_base64"]) == document
    if "HTTP-Redirect" in result["bindings"] and result["certificates"]:
        described, _ = load_idp_metadata(str(path), metadata_corpus.IDP)
        assert described["entityId"] == metadata_corpus.IDP
    else:
        with pytest.raises(SettingsError):
            load_idp_metadata(str(path), metadata_corpus.IDP)


@pytest.mark.parametrize("name", [*metadata_corpus.REFUSED, *metadata_corpus.USELESS])
def test_what_shibd_refuses_or_cannot_use_is_refused_with_a_clear_message(name):
    document, words = (metadata_corpus.REFUSED | metadata_corpus.USELESS)[name]
    with pytest.raises(saml_metadata.MetadataError) as refusal:
        saml_metadata.examine(
            document if isinstance(document, bytes) else document.encode(),
            datetime.now(UTC),
            OPTIONS | {"entity_id": metadata_corpus.IDP},
        )
    assert words in str(refusal.value)


def test_line_of_a_fault_is_named():
    document = metadata_corpus.ODD["lines of Windows"].replace("</md:IDP", "<md:NameIDFormat/></md:IDP")
    words = r"<NameIDFormat> in line 12 \(of \S+/idp\) is empty.* Ask its publisher for a corrected one"
    with pytest.raises(saml_metadata.MetadataError, match=words):
        examine(document, entity_id=metadata_corpus.IDP)


def test_digest_is_that_of_the_bytes(run_module, tmp_path):
    """As sha256sum prints it, newlines at the end and all; an editor of another system may have written it."""
    document = codecs.BOM_UTF8 + entity().encode().replace(b"><", b">\r\n<") + b"\n\n"
    (tmp_path / "idp.xml").write_bytes(document)
    digest = sha256(document).hexdigest()
    colons = ":".join(digest[place : place + 2] for place in range(0, 64, 2)).upper()
    for document_from in {"path": str(tmp_path / "idp.xml")}, {"content_base64": base64.b64encode(document).decode()}:
        for pin in digest, colons:
            result = run_module(saml_metadata, **document_from, entity_id=IDP, sha256=pin)
            assert result["sha256"] == digest, result
            assert base64.b64decode(result["content_base64"]) == document
        assert "content_base64" not in run_module(
            saml_metadata, **document_from, entity_id=IDP, trusted_source=True, known_sha256=digest
        )


@pytest.mark.parametrize(
    ("document_from", "words"),
    [
        ({"path": "/nowhere/idp.xml"}, "idp.xml cannot be read (No such file or directory). Correct the path"),
        ({"content_base64": "a"}, "idp.xml is not in Base64"),
        ({}, "one of the following is required: path, content_base64, content"),
    ],
)
def test_document_that_is_not_there_is_named(run_module, document_from, words):
    result = run_module(saml_metadata, **document_from, source="idp.xml")
    assert result["failed"]
    assert words in result["msg"]


def test_encoding_that_programs_read_in_different_ways_is_refused():
    """In UTF-7, what one program takes for the end of a comment hides another key from it, and shows it to the next."""
    document = '<?xml version="1.0" encoding="UTF-7"?>' + entity()
    with pytest.raises(
        saml_metadata.MetadataError, match="is in the encoding UTF-7, which not all programs read alike"
    ):
        examine(document)


@pytest.mark.parametrize("options", [{}, {"idp_keys": ["ab" * 32]}, {"trusted_source": False}])
def test_certificate_of_a_version_that_does_not_exist_is_refused(run_module, tmp_path, options):
    """The library raises an error of its own for it, which must not end the module without a message."""
    odd = base64.b64encode(
        base64.b64decode(metadata_corpus.RSA).replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x04", 1)
    )
    (tmp_path / "idp.xml").write_text(metadata_corpus.PLAIN.replace(metadata_corpus.RSA, odd.decode()))
    defaults = {"entity_id": metadata_corpus.IDP, "source": "idp.xml", "trusted_source": True}
    result = run_module(saml_metadata, **defaults | options, path=str(tmp_path / "idp.xml"))
    assert result["failed"]
    assert "idp.xml" in result["msg"]
