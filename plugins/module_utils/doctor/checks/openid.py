# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenID Connect: mod_auth_openidc in httpd (FS8)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import urlsplit

from ..model import Finding, UnseenError, check, error, note, ok, warning
from ..site import Site, VirtualHost


def sites(site: Site) -> list[VirtualHost]:
    """Return the virtual hosts whose users log in by OpenID Connect.

    :param site: The site.
    :raises UnseenError: if there is none.
    """
    found = [each for each in site.sites if each.values("OIDCClientID")]
    if not found:
        raise UnseenError("no site here uses mod_auth_openidc")
    return found


@check(
    "FS801",
    "Sessions survive a reload of httpd",
    cause=(
        "Sessions of OpenID Connect are in httpd's memory. Each reload, also that of the nightly rotation of logs, "
        "ends all of them."
    ),
    remedy="Set OIDCCacheType file, as openid_connect does, or memcache or redis.",
    after=("FS201",),
)
def cache(site: Site) -> Iterator[Finding]:
    """Read where the module keeps them; by default, that is the memory."""
    for each in sites(site):
        kind = each.value("OIDCCacheType") or "shm"
        if kind == "shm" and not each.value("OIDCSessionType").startswith("client-cookie"):
            yield warning(f"OIDCCacheType of {each.name} is shm.")
        else:
            yield ok(f"Sessions of {each.name} are in: {kind}.")


@check(
    "FS802",
    "The provider has the claims of access rules",
    cause=(
        "An access rule asks for a claim that the provider does not list. It may be nested in another claim, or come "
        "only for this site."
    ),
    remedy=(
        "Look at what the provider sends. A nested claim is written with a dot, such as realm_access.roles: in "
        "openid_connect_attributes, or by hand, Require claim."
    ),
    after=("FS201",),
)
def claims(site: Site) -> Iterator[Finding]:
    """Compare the rules with the provider's discovery document."""
    for each in sites(site):
        rules = [words for words in each.values("Require") if words and words[0].lower() == "claim"]
        wanted = sorted({claim.partition(":")[0].partition("~")[0] for words in rules for claim in words[1:]})
        issuer = each.value("OIDCProviderIssuer").rstrip("/")
        url = each.value("OIDCProviderMetadataURL") or f"{issuer}/.well-known/openid-configuration"
        if not wanted:
            yield ok(f"{each.name} asks for no claim.")
            continue
        try:
            listed = json.loads(site.host.request(url, urlsplit(url).hostname or "").body).get("claims_supported")
        except (OSError, ValueError) as fault:
            raise UnseenError(f"{url} is no discovery document: {fault}") from fault
        unknown = [claim for claim in wanted if listed and claim not in listed and "." not in claim]
        if unknown:
            yield note(f"{each.name} asks for {', '.join(unknown)}, which {urlsplit(url).hostname} does not list.")
        else:
            yield ok(f"{each.name} asks for {', '.join(wanted)}.")


@check(
    "FS803",
    "Logins end where they began",
    cause=(
        "The login begins at one name and ends at another, the one of the redirect URI. The browser has its cookie for"
        " the first name only, so the login begins again and again."
    ),
    remedy="Set OIDCRedirectURI to a path, or to the site's own name; register the same address at the provider.",
    after=("FS201",),
)
def redirect(site: Site) -> Iterator[Finding]:
    """Compare the name in the redirect URI with the site's."""
    for each in sites(site):
        target = each.value("OIDCRedirectURI")
        host = urlsplit(target).hostname
        if host and host != each.name.lower():
            yield error(f"A login at {each.name} ends at {host}.")
        else:
            yield ok(f"A login at {each.name} ends there.")
