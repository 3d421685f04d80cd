# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who a user is, the site believes only if the provider says it to this site, for this login, with its key."""

from collections.abc import Callable
from typing import Any

import bench_client
import httpx
import pytest
import tokens
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

# What is different from an ID token that logs a user in.
FORGERIES = tokens.FORGERIES | {
    "another-login": {"nonce": "x"},
    "no-nonce": {"nonce": None},
    "another-party": {"azp": "another-site"},
    "no-expiry": {"exp": None},
    "issued-long-ago": {"iat": tokens.LONG_AGO},
    "no-time-of-issue": {"iat": None},
    "another-access-token": {"at_hash": "x"},
    "another-code": {"c_hash": "x"},
    "no-subject": {"sub": None},
    "a-logout-token": {"nonce": None, "events": {"http://schemas.openid.net/event/backchannel-logout": {}}},
}
Say = Callable[..., None]


def log_in(
    visitor: httpx.Client, say: Say, key: RSAPrivateKey, kid: str = "bench", alg: str = "RS256", **changes: Any
) -> None:
    """Log in as cpayne with an ID token for ghopper, but for the changes, in place of the provider's."""
    request = visitor.get("/login", follow_redirects=False).next_request
    user = {"sub": "ghopper", "cern_upn": "ghopper", "nonce": request.url.params["nonce"]}
    say("token", id_token=tokens.sign(tokens.claims(**user | changes), key, kid=kid, alg=alg))
    bench_client.answer_provider(visitor, visitor.get(request.url), "cpayne")


def test_id_token_logs_a_user_in(visitor: httpx.Client, provider_says: Say, provider_key: RSAPrivateKey) -> None:
    """This is the token that the next test forges: the provider's key has signed it for this login."""
    log_in(visitor, provider_says, provider_key)
    assert visitor.get("/api/me").json()["identifier"] == "ghopper"


@pytest.mark.parametrize("forged", FORGERIES.values(), ids=FORGERIES)
def test_forged_id_token_logs_no_user_in(
    visitor: httpx.Client, provider_says: Say, provider_key: RSAPrivateKey, forged: dict[str, Any]
) -> None:
    """Although it comes from the provider's own address, where mod_auth_openidc accepts one without a signature."""
    log_in(visitor, provider_says, **{"key": provider_key} | forged)
    for path in ("/api/me", "/login"):
        answer = visitor.get(path, follow_redirects=False)
        assert (answer.status_code == 401) or answer.next_request.url.host == bench_client.IDP_HOST


@pytest.mark.parametrize(("subject", "department"), [("ghopper", "Another"), ("cpayne", "Université")])
def test_user_information_is_of_the_same_user(
    visitor: httpx.Client, provider_says: Say, recorder: None, subject: str, department: str
) -> None:
    """What the provider says of another user is ignored."""
    provider_says("userinfo", sub=subject, department="Another")
    bench_client.saml_login(visitor, "/login", "ghopper")
    variables = dict(visitor.get("/").json()["variables"])
    assert (variables["upn"], variables["Department"].encode("latin-1").decode()) == ("ghopper", department)


@pytest.mark.usefixtures("rolled_key")
def test_new_key_of_the_provider_needs_no_deployment(user: httpx.Client) -> None:
    """The next login reads the keys again, and no session ends; a token that another key signed is refused above."""
    with bench_client.client() as visitor:
        bench_client.saml_login(visitor, "/login", "cpayne")
        assert visitor.get("/api/me").json()["identifier"] == "cpayne"
    assert user.get("/api/me").json()["identifier"] == "ghopper"
