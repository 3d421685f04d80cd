# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON Web Tokens as the provider signs them, and as others would."""

from __future__ import annotations

import base64
import hmac
import json
import time
import uuid
from typing import Any

import bench_client
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

ISSUER = bench_client.ISSUER
CLIENT = "flask-example"
HASHES = {"RS512": hashes.SHA512()}
STRANGERS_KEY = rsa.generate_private_key(65537, 2048)
LONG_AGO = 1_600_000_000
# What is different from any token that the provider signs for the site.
FORGERIES: dict[str, dict[str, Any]] = {
    "another-key": {"key": STRANGERS_KEY},
    "another-key-id": {"key": STRANGERS_KEY, "kid": "strangers"},
    "no-signature": {"alg": "none"},
    "client-secret-as-key": {"alg": "HS256"},
    "another-algorithm": {"alg": "RS512"},
    "another-issuer": {"iss": "https://evil.example"},
    "no-issuer": {"iss": None},
    "another-audience": {"aud": "another-site"},
    "other-audiences": {"aud": ["another-site", "flask"]},
    "no-audience": {"aud": None},
    "expired": {"exp": LONG_AGO},
}


def claims(**changes: Any) -> dict[str, Any]:
    """Return the claims of a token for the site that is issued now; None as a value removes a claim."""
    now = int(time.time())
    usual = {"iss": ISSUER, "aud": CLIENT, "iat": now, "exp": now + 120, "jti": str(uuid.uuid4())}
    return {name: value for name, value in (usual | changes).items() if value is not None}


def sign(content: dict[str, Any], key: RSAPrivateKey, **header: str) -> str:
    """Return a token with the signature of `key`.

    With `alg="HS256"`, the client secret signs it instead, which both sides have; with `alg="none"`, nothing does.
    """
    header = {"alg": "RS256", "kid": "bench", "typ": "JWT"} | header
    signed = ".".join(encode(json.dumps(part).encode()) for part in (header, content))
    if header["alg"] == "none":
        signature = b""
    elif header["alg"] == "HS256":
        secret = (bench_client.ARTIFACTS / "bench" / "client-secret").read_bytes()
        signature = hmac.digest(secret, signed.encode(), "sha256")
    else:
        signature = key.sign(signed.encode(), padding.PKCS1v15(), HASHES.get(header["alg"], hashes.SHA256()))
    return f"{signed}.{encode(signature)}"


def encode(content: bytes) -> str:
    """Encode as base64url without padding."""
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
