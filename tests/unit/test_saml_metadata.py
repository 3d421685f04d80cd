# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Metadata is accepted, or refused in plain words; whatever a document holds, nothing else happens."""

from datetime import UTC, datetime
from xml.sax.saxutils import quoteattr

import pytest
from ansible_collections.campus.flask_sso.plugins.modules import saml_metadata
from hypothesis import given
from hypothesis import strategies as st

IDP = "https://idp.example.org"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
NAMESPACE = "urn:oasis:names:tc:SAML:2.0:metadata"
SAML2 = "urn:oasis:names:tc:SAML:2.0:protocol"


def entity(entity_id: str = IDP, role: str = "IDPSSODescriptor", protocol: str = SAML2, valid_until: str = "") -> str:
    """Return the smallest description of an entity."""
    validity = f" validUntil={quoteattr(valid_until)}" if valid_until else ""
    return (
        f'<EntityDescriptor xmlns="{NAMESPACE}" entityID={quoteattr(entity_id)}{validity}>'
        f"<{role} protocolSupportEnumeration={quoteattr(protocol)}/></EntityDescriptor>"
    )


def federation(*entities: str, valid_until: str = "") -> str:
    """Return a document that describes several entities."""
    validity = f' validUntil="{valid_until}"' if valid_until else ""
    return f'<EntitiesDescriptor xmlns="{NAMESPACE}"{validity}>{"".join(entities)}</EntitiesDescriptor>'


def examine(document: str | bytes, entity_id: str = IDP, max_bytes: int = 100_000) -> None:
    """Examine a document at the time of these tests."""
    data = document.encode("utf-8") if isinstance(document, str) else document
    saml_metadata.examine(data, entity_id, NOW, max_bytes)


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
        (entity().replace(NAMESPACE, "urn:other"), "begins with <{urn:other}EntityDescriptor>"),
        ("<!DOCTYPE EntityDescriptor>" + entity(), "carries a document type"),
        (f'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>{entity("&a;")}', "carries a document type"),
        (entity(role="SPSSODescriptor"), "describes no SAML 2 identity provider"),
        (entity(protocol="urn:oasis:names:tc:SAML:1.1:protocol"), "describes no SAML 2 identity provider"),
        (federation(), "describes no SAML 2 identity provider"),
        (entity("https://other.example.org"), f"describes https://other.example.org, not {IDP}"),
        (entity(valid_until="2026-01-01T00:00:00Z"), "was valid until 2026-01-01 00:00 UTC"),
        (entity(valid_until="2026-01-01T01:00:00+02:00"), "was valid until 2026-01-01 01:00 UTC+02:00"),
        (entity(valid_until="soon"), 'has validUntil="soon", which is no date'),
        (federation(entity(), valid_until="2020-01-01T00:00:00Z"), "was valid until 2020-01-01"),
        (entity() + " " * 100_000, "more than the 100000 that are read"),
    ],
)
def test_anything_else_is_refused_in_plain_words(document, words):
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


def test_module_hands_on_the_document_or_names_its_source(run_module):
    result = run_module(saml_metadata, content=entity(), entity_id=IDP)
    assert result["content"] == entity()
    assert not result["changed"]
    result = run_module(saml_metadata, content="<html/>", entity_id=IDP, source="idp.xml")
    assert result["failed"]
    assert result["msg"].startswith("idp.xml begins with <html>")
    assert result["msg"].endswith("Nothing was changed.")
