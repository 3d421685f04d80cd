# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find why users could not log in, or not safely, at an OpenID Connect provider."""

from __future__ import annotations

DOCUMENTATION = r"""
name: provider_faults
short_description: Find why an OpenID Connect provider cannot be used
version_added: 0.1.0
author: campus.flask_sso contributors (!UNKNOWN)
description:
  - Reads the discovery document of a provider. A site needs the authorization code flow with PKCE (S256), a way to
    authenticate itself, signatures with public keys, and https addresses.
  - With O(keys), it also looks for a key that can verify signatures by O(algorithm).
positional: issuer, algorithm, methods, keys, pkce_unannounced
options:
  _input:
    description: The discovery document in Base64.
    type: str
    required: true
  issuer:
    description: Issuer that the document has to name.
    type: str
    required: true
  algorithm:
    description: Algorithm with which the provider has to sign ID tokens.
    type: str
    required: true
  methods:
    description: Ways in which the site can authenticate itself, one of which the provider has to support.
    type: list
    elements: str
    required: true
  keys:
    description: The provider's key set (JWKS) in Base64. If empty, it is not checked.
    type: str
    default: ""
  pkce_unannounced:
    description: Whether a provider is accepted whose document does not say whether it supports PKCE.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Refuse a provider that has no PKCE
  ansible.builtin.assert:
    that: faults | length == 0
  vars:
    faults: >-
      {{ document.content_base64
         | campus.flask_sso.provider_faults('https://idp.example.org', 'RS256', ['client_secret_basic']) }}
"""

RETURN = r"""
_value:
  description: One clause for each fault, which the document's address can precede.
  type: list
  elements: str
"""

import base64
import json
import re
from collections.abc import Iterator
from typing import Any, Callable

#: An address that stands in quotation marks in httpd's configuration.
ADDRESS = re.compile(r"https://(?!.*\$\{)[\x21\x23-\x5b\x5d-\x7e]+")

#: Endpoints, and whether a provider has to have them.
ENDPOINTS = {
    "authorization_endpoint": True,
    "token_endpoint": True,
    "jwks_uri": True,
    "userinfo_endpoint": False,
    "end_session_endpoint": False,
    "revocation_endpoint": False,
}

#: What the site uses and the provider has to name, and what to do if it does not.
FEATURES = {
    "response_types_supported": ("code", "Enable it at the provider, or use another one."),
    "code_challenge_methods_supported": (
        "S256",
        "Enable it at the provider. For Entra ID, which has no such list, set openid_connect_pkce_unannounced.",
    ),
}

#: How a site authenticates itself at a provider that does not say what it supports.
DEFAULT_METHODS = ["client_secret_basic"]


def provider_faults(
    discovery: str, issuer: str, algorithm: str, methods: list[str], keys: str = "", pkce_unannounced: bool = False
) -> list[str]:
    """Find why a provider cannot be used.

    :param discovery: Its discovery document in Base64.
    :param issuer: Issuer that the document has to name.
    :param algorithm: Algorithm with which it has to sign ID tokens.
    :param methods: Ways in which the site can authenticate itself.
    :param keys: Its key set in Base64, or nothing.
    :param pkce_unannounced: Whether it may leave out whether it supports PKCE.
    :returns: One clause for each fault.
    """
    document = read_object(discovery)
    if document is None:
        return ["is not a JSON object. Correct openid_connect_issuer."]
    if pkce_unannounced:
        document.setdefault("code_challenge_methods_supported", ["S256"])
    faults = [
        *issuer_faults(document, issuer),
        *endpoint_faults(document),
        *feature_faults(document),
        *authentication_faults(document, methods),
    ]
    algorithms = document.get("id_token_signing_alg_values_supported")
    if not isinstance(algorithms, list) or algorithm not in algorithms:
        faults.append(
            f"has {json.dumps(algorithms)} as its id_token_signing_alg_values_supported, and "
            f"openid_connect_signature_algorithm is {algorithm}. Write the one that the provider uses for the site."
        )
    if keys and not has_signing_key(read_object(keys), algorithm):
        faults.append(
            f"names the keys {document.get('jwks_uri')}, where no public key for signatures by {algorithm} is. Correct "
            "openid_connect_signature_algorithm, or ask the provider's administrator."
        )
    return faults


def read_object(text: str) -> dict[str, Any] | None:
    """Read a JSON object.

    :param text: Its text in Base64.
    :returns: The object, or None if it is something else.
    """
    try:
        found = json.loads(base64.b64decode(text).decode("utf-8"))
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def issuer_faults(document: dict[str, Any], issuer: str) -> Iterator[str]:
    """Compare the issuer, character by character, as the module does with that of each token.

    :param document: The discovery document.
    :param issuer: Issuer that it has to name.
    :returns: One clause for each fault.
    """
    if document.get("issuer") != issuer:
        yield (
            f'is of the issuer {json.dumps(document.get("issuer"))}, and openid_connect_issuer is "{issuer}". If the '
            "provider is the right one, write its issuer exactly so."
        )


def endpoint_faults(document: dict[str, Any]) -> Iterator[str]:
    """Find endpoints that are missing or not safe.

    :param document: The discovery document.
    :returns: One clause for each fault.
    """
    for name, required in ENDPOINTS.items():
        address = document.get(name)
        if (required or name in document) and not (isinstance(address, str) and ADDRESS.fullmatch(address)):
            yield f"has {json.dumps(address)} as its {name}, which is no https address. Use another provider."


def feature_faults(document: dict[str, Any]) -> Iterator[str]:
    """Find what the site uses and the provider does not support.

    :param document: The discovery document.
    :returns: One clause for each fault.
    """
    for name, (used, remedy) in FEATURES.items():
        supported = document.get(name, [])
        if not isinstance(supported, list) or used not in supported:
            yield f"has {json.dumps(supported)} as its {name}, and the site needs {used}. {remedy}"


def authentication_faults(document: dict[str, Any], methods: list[str]) -> Iterator[str]:
    """Find out that the site cannot authenticate itself when it asks for tokens.

    :param document: The discovery document.
    :param methods: Ways in which the site can.
    :returns: One clause for each fault.
    """
    supported = document.get("token_endpoint_auth_methods_supported", DEFAULT_METHODS)
    if not isinstance(supported, list) or not any(method in supported for method in methods):
        yield (
            f"has {json.dumps(supported)} as its token_endpoint_auth_methods_supported, and the site has "
            f"{' and '.join(methods)}. Enable one at the provider, or change openid_connect_client_authentication or "
            "openid_connect_client_key_file."
        )


def has_signing_key(keys: dict[str, Any] | None, algorithm: str) -> bool:
    """Tell whether a key set has a public key that verifies signatures.

    :param keys: The key set, or None if there is none.
    :param algorithm: Algorithm of the signatures.
    :returns: Whether it has one.
    """
    found = keys.get("keys") if keys else None
    kind = "EC" if algorithm.startswith("ES") else "RSA"
    return isinstance(found, list) and any(
        isinstance(key, dict) and key.get("kty") == kind and key.get("use", "sig") == "sig" for key in found
    )


class FilterModule:
    """The plugin that Ansible loads."""

    def filters(self) -> dict[str, Callable[..., list[str]]]:
        """Return the filters by name."""
        return {"provider_faults": provider_faults}
