#!/usr/bin/python
# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Refuse SAML metadata that a service provider could not, or must not, work with."""

from __future__ import annotations

DOCUMENTATION = r"""
module: saml_metadata
short_description: Refuse SAML metadata that a service provider could not, or must not, work with
version_added: 0.1.0
description:
  - Reads a SAML 2.0 metadata document and fails, in plain words, when it is not XML, carries a document type (the door
    of entity expansion), is too large or out of date, or describes no identity provider of the expected name.
  - Changes nothing. It needs lxml where it runs, by custom on the controller.
author: campus.flask_sso contributors
requirements: [lxml]
options:
  content:
    description: The document.
    type: str
    required: true
  source:
    description: Where the document came from, for messages.
    type: str
    default: the metadata document
  entity_id:
    description: entityID of the identity provider that the document must describe.
    type: str
    required: true
  max_bytes:
    description: Largest document that is read.
    type: int
    default: 104857600
attributes:
  check_mode:
    description: It only reads.
    support: full
"""

EXAMPLES = r"""
- name: Check the metadata
  campus.flask_sso.saml_metadata:
    content: "{{ lookup('ansible.builtin.file', 'idp.xml') }}"
    source: idp.xml
    entity_id: https://idp.example.org/shibboleth
  delegate_to: localhost
"""

RETURN = r"""
content:
  description: The document, as it was given.
  returned: success
  type: str
sha256:
  description: SHA-256 of the document.
  returned: success
  type: str
"""

import hashlib
import traceback
from datetime import datetime, timezone

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

try:
    from lxml import etree
except ImportError:
    etree = None
    LXML_ERROR = traceback.format_exc()

METADATA = "{urn:oasis:names:tc:SAML:2.0:metadata}"
SAML2 = "urn:oasis:names:tc:SAML:2.0:protocol"


class MetadataError(ValueError):
    """What is wrong with a document, and what to do."""


def parse(document):
    """Parse a document from an untrusted source.

    :param bytes document: The document.
    :returns: The root element.
    :raises MetadataError: if it is not XML, or carries a document type.
    """
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(document, parser)
    except etree.XMLSyntaxError as error:
        raise MetadataError(
            f"is not XML ({error.msg}). Check that the address gives metadata, not a web page"
        ) from error
    if root.getroottree().docinfo.doctype:
        raise MetadataError(
            "carries a document type (<!DOCTYPE), which metadata never needs. Get it from another source"
        )
    return root


def expiry(element):
    """When an element's validity ends.

    :param element: An EntityDescriptor or EntitiesDescriptor.
    :returns: datetime, or None where it does not say.
    :raises MetadataError: if it says so in no form that SAML allows.
    """
    text = element.get("validUntil")
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError as error:
        raise MetadataError(f'has validUntil="{text}", which is no date') from error
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def examine(document, entity_id, now, max_bytes):
    """Find what is wrong with a metadata document.

    :param bytes document: The document.
    :param str entity_id: entityID of the expected identity provider.
    :param datetime now: The time to judge validity at.
    :param int max_bytes: Largest size, in bytes.
    :raises MetadataError: if anything is wrong.
    """
    if len(document) > max_bytes:
        raise MetadataError(f"has {len(document)} bytes, more than the {max_bytes} that are read")
    root = parse(document)
    if root.tag not in (METADATA + "EntityDescriptor", METADATA + "EntitiesDescriptor"):
        raise MetadataError(
            f"begins with <{root.tag}>, not with SAML metadata's EntityDescriptor or EntitiesDescriptor"
        )
    providers = {
        entity.get("entityID"): entity
        for entity in root.iter(METADATA + "EntityDescriptor")
        for role in entity.iterchildren(METADATA + "IDPSSODescriptor")
        if SAML2 in role.get("protocolSupportEnumeration", "").split()
    }
    if not providers:
        raise MetadataError(
            "describes no SAML 2 identity provider (IDPSSODescriptor). Is it the metadata of a service provider?"
        )
    if entity_id not in providers:
        raise MetadataError(
            f"describes {', '.join(sorted(map(str, providers))[:5])}, not {entity_id}."
            " Correct the entityID or the source"
        )
    for element in (root, *providers[entity_id].iterancestors(), providers[entity_id]):
        moment = expiry(element)
        if moment and moment <= now:
            raise MetadataError(f"was valid until {moment:%Y-%m-%d %H:%M %Z}. Get a fresh copy")


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "content": {"type": "str", "required": True},
            "source": {"type": "str", "default": "the metadata document"},
            "entity_id": {"type": "str", "required": True},
            "max_bytes": {"type": "int", "default": 104857600},
        },
        supports_check_mode=True,
    )
    if etree is None:
        module.fail_json(msg=missing_required_lib("lxml"), exception=LXML_ERROR)
    document = module.params["content"].encode("utf-8")
    try:
        examine(document, module.params["entity_id"], datetime.now(timezone.utc), module.params["max_bytes"])
    except MetadataError as error:
        module.fail_json(msg=f"{module.params['source']} {error}. Nothing was changed.")
    module.exit_json(changed=False, content=module.params["content"], sha256=hashlib.sha256(document).hexdigest())


if __name__ == "__main__":
    main()
