# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What httpd and the administrator of the provider are told about logins and programs."""

import re

import pytest
import untrusted_roles

PROVIDER = {
    name: f"https://idp.example.org/{name}"
    for name in ("issuer", "authorization_endpoint", "token_endpoint", "jwks_uri", "end_session_endpoint")
}


@pytest.fixture
def made(tmp_path):
    """Return what makes a file of the role for a provider with further metadata, from variables."""
    site = untrusted_roles.Site(tmp_path)

    def make(template: str, metadata: dict[str, object], **variables: object) -> str:
        return site.made("openid_connect", template, {"openid_connect__provider": PROVIDER | metadata} | variables)

    return make


@pytest.fixture
def fragment(made):
    """Return what makes the fragment of httpd from rules."""

    def from_rules(rules: list[dict]) -> str:
        return made("fragment.conf.j2", {}, openid_connect_protected=rules)

    return from_rules


def section(fragment: str, path: str) -> str:
    """Return what the last section of a path says."""
    return re.findall(rf"<Location {path}>\n(.*?)</Location>", fragment, re.DOTALL)[-1]


def test_provider_reaches_the_redirect_uri_if_all_paths_are_for_programs(fragment):
    """A section has what it does not set from that of "/"."""
    text = fragment([{"path": "/", "programs": True}])
    assert "AuthName programs" in section(text, "/")
    assert "AuthName users\n    OIDCPassClaimsAs environment" in section(text, "/openid-connect")


@pytest.mark.parametrize("value", [True, "true", "yes"])
def test_path_is_for_programs(fragment, value):
    text = fragment([{"path": "/api", "programs": value}])
    assert "AuthType oauth20" in section(text, "/api")
    assert "OIDCOAuthVerifyJwksUri" in text


@pytest.mark.parametrize("value", [False, "false", "no"])
def test_path_is_for_users(fragment, value):
    text = fragment([{"path": "/api", "programs": value}, {"path": "/login"}])
    assert "AuthType openid-connect" in section(text, "/api")
    assert "OIDCOAuth" not in text


@pytest.mark.parametrize(
    ("supported", "wanted", "used"),
    [
        (None, "", "client_secret_basic"),
        (["client_secret_post", "client_secret_basic"], "", "client_secret_basic"),
        (["private_key_jwt", "client_secret_post"], "", "client_secret_post"),
        (["client_secret_post", "client_secret_basic"], "client_secret_post", "client_secret_post"),
    ],
)
def test_secret_is_sent_as_the_provider_takes_it(made, supported, wanted, used):
    """The administrator of the provider reads in the sheet which way it is."""
    metadata = {"token_endpoint_auth_methods_supported": supported} if supported else {}
    chosen = {"openid_connect_client_authentication": wanted}
    assert f"\nOIDCProviderTokenEndpointAuth {used}\n" in made("fragment.conf.j2", metadata, **chosen)
    assert f"| Authentication of the site | `{used}`, with the client secret |" in made(
        "registration.md.j2", metadata, **chosen
    )


@pytest.mark.parametrize("metadata", [{}, {"backchannel_logout_supported": False}])
def test_sheet_says_that_logouts_may_not_arrive(made, metadata):
    """A provider without back-channel logout cannot end a session of the site."""
    warning = "without it, a logout there ends no session here |"
    assert warning in made("registration.md.j2", metadata)
    assert warning not in made("registration.md.j2", {"backchannel_logout_supported": True})


def test_white_space_makes_no_other_redirect_uri(fragment):
    """The module ignores it, and the rules for the redirect URI do not hold with it."""
    (pattern,) = re.findall(r'<LocationMatch "(.+)">', fragment([]))
    pattern = pattern.replace(r"\\", "\\").replace(r"\z", r"\Z")
    for path in (
        " /openid-connect/callback",
        "/openid-connect\t/callback",
        "/o penid-connect/callback",
        "/openid-connect/callback\n",
    ):
        assert re.search(pattern, path), path
    for path in ("/openid-connect/callback", "/openid-connect/callback/x", "/openid-connect", "/"):
        assert not re.search(pattern, path), path


PASSPHRASE = "p" * 64
SERVER = {"host": "store.example.org", "password": "sesame"}


def test_sessions_are_files_unless_there_is_a_store(made):
    text = made("fragment.conf.j2", {})
    assert "OIDCCacheType file\nOIDCCacheDir /var/cache/apache2/flask_app-openid-connect/" in text
    assert "OIDCRedis" not in text
    assert "OIDCCacheEncrypt On" in text


@pytest.mark.parametrize(
    ("store", "server", "database"),
    [
        (SERVER, "store.example.org:6379", ""),
        (
            SERVER | {"host": "2001:db8::7", "port": 6380, "database": 3},
            "[2001:db8::7]:6380",
            "OIDCRedisCacheDatabase 3\n",
        ),
    ],
    ids=["name", "IPv6"],
)
def test_sessions_are_encrypted_in_the_store(made, store, server, database):
    text = made("fragment.conf.j2", {}, openid_connect_session_store=store, openid_connect_passphrase=PASSPHRASE)
    assert f"OIDCCacheType redis\nOIDCRedisCacheServer {server}\n{database}# The module" in text
    assert "OIDCCacheDir" not in text
    assert "OIDCCacheEncrypt On" in text
    assert "sesame" not in text


@pytest.mark.parametrize(
    ("account", "lines"),
    [
        ({}, [r'OIDCRedisCachePassword "a\"b\\c"']),
        ({"username": "web"}, ['OIDCRedisCacheUsername "web"', r'OIDCRedisCachePassword "a\"b\\c"']),
    ],
    ids=["password", "account"],
)
def test_account_of_the_store_is_as_it_was_written(made, account, lines):
    store = SERVER | {"password": r'a"b\c'} | account
    text = made("openid_connect__store_account", {}, openid_connect_session_store=store)
    assert text == "".join(f"{line}\n" for line in lines)


@pytest.mark.parametrize("name", ["openid_connect_site", "openid_connect_issuer", "openid_connect_client_id"])
def test_store_has_no_session_of_another_site_or_provider(made, name):
    keys = {
        made("openid_connect__shared_key", {}, openid_connect_passphrase=PASSPHRASE, **{name: value})
        for value in ("one", "two", "two")
    }
    assert len(keys) == 2
    assert all(re.fullmatch("[0-9a-f]{64}", key) for key in keys)


@pytest.mark.parametrize("passphrase", ["", PASSPHRASE])
def test_passphrase_that_is_not_given_is_generated_once(made, passphrase):
    files = made("openid_connect__own", {}, openid_connect_passphrase=passphrase)
    (file,) = [each for each in files if each["path"].endswith("/passphrase.conf")]
    assert file["keep"] == (passphrase == "")
    assert re.fullmatch("OIDCCryptoPassphrase [0-9A-Za-z]{64}\n", file["secret"])
    assert passphrase not in file["secret"] or not passphrase
