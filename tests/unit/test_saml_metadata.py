# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Metadata is accepted only if it can and may be worked with."""

import contextlib
from datetime import UTC, datetime

import pytest
from ansible_collections.campus.flask_sso.plugins.modules import saml_metadata
from hypothesis import given
from hypothesis import strategies as st

ENTITY = "https://idp.example.org/"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
GOOD = (
    '<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="https://idp.example.org/"{}>'
    '<IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"/></EntityDescriptor>'
)
BOMB = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><x>&b;</x>'


def examine(document, max_bytes=10_000):
    """Examine a document at a fixed time."""
    saml_metadata.examine(document if isinstance(document, bytes) else document.encode(), ENTITY, NOW, max_bytes)


@pytest.mark.parametrize("attribute", ["", ' validUntil="2026-01-01T00:00:01Z"', ' validUntil="2026-01-01T00:00:01"'])
def test_good_metadata_is_accepted(attribute):
    """Also in an aggregate, and with a validity that has not ended."""
    document = GOOD.format(attribute)
    examine(document)
    examine(f'<EntitiesDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata">{document}</EntitiesDescriptor>')


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("<html>", "is not XML"),
        (BOMB, "document type"),
        ("<html/>", "begins with <html>"),
        (GOOD.format("").replace("IDPSSO", "SPSSO"), "no SAML 2 identity provider"),
        (GOOD.format("").replace("idp.", "other."), "https://other.example.org/, not https://idp.example.org/"),
        (GOOD.format(' validUntil="2025-12-31T23:59:59Z"'), "was valid until 2025-12-31 23:59"),
        (GOOD.format(' validUntil="soon"'), "which is no date"),
        (GOOD.format("").ljust(10_001), "10001 bytes, more than the 10000"),
    ],
)
def test_bad_metadata_is_refused_in_plain_words(document, words):
    """The message says what is wrong."""
    with pytest.raises(saml_metadata.MetadataError, match=words.replace("(", r"\(")):
        examine(document)


@given(st.one_of(st.binary(), st.text().map(str.encode), st.text().map(lambda text: GOOD.format(text).encode())))
def test_no_document_breaks_the_module(document):
    """Whatever comes in is accepted or refused, never a traceback."""
    with contextlib.suppress(saml_metadata.MetadataError):
        examine(document)
