# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Explain the last logins: what shibd and mod_auth_openidc write about a failed one, in words for its user's helper."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from . import access
from .model import Severity, UnseenError, redacted

if TYPE_CHECKING:
    from .site import Site

STAMPED = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)[|, ]")
HTTPD_STAMPED = re.compile(r"^\[\w{3} (\w{3} \d\d \d\d:\d\d:\d\d)(?:\.\d+)? (\d{4})\]")
SUCCESS = re.compile(r"Shibboleth-TRANSACTION\.Login|New session \(ID:")
# httpd's access log, in the form of this collection and in httpd's own ones, which have the whole request line.
ACCESS = re.compile(
    r"^(?P<client>\S+) \S+ (?P<user>.*?) \[(?P<time>[^\]]+)\]"
    r' "[A-Z]+ (?P<path>[^?\s"]*)(?P<query>\S*)[^"]*" (?P<status>\d{3}) '
)
NO_USER = ("", "-", '""')
# shibd names every format of an attribute but the customary one.
URI = "urn:oasis:names:tc:SAML:2.0:attrname-format:uri"
PROVIDER = re.compile(r"(?:\||from \(IdP: )(https?://[^|)\s]+|urn:[^|)\s]+)")


RULE, REFUSED = "FS916", r'AH01631: user \S+: authorization failure for "([^"?]+)'


@dataclass(frozen=True)
class Reason:
    """Why a login fails, and the lines of a log that say so; {0} is what the first group matched: a name, no value."""

    code: str
    title: str
    pattern: str
    cause: str
    remedy: str
    severity: Severity = Severity.WARNING
    after: tuple[str, ...] = ()  # what would explain it
    ordinary: bool = False  # whether it also happens on a site without a fault


# Of these, only lines that shibd itself holds for faults count, except where the login goes on.
SHIBD = [
    Reason(
        "FS901",
        "Providers sign with keys that are known here",
        r"(?i)(?:verify|validating).*signature|establish security of incoming",
        "The provider signed with a key that its metadata here does not have.",
        "Fetch the metadata again (run site.yml), and ask the provider's operators whether the key was changed.",
        after=("FS902",),  # where no metadata describes the provider, it has no key, either
    ),
    Reason(
        "FS902",
        "Logins come from providers that are known here",
        r"(?i)(?:no metadata found|metadata lookup failed|unable to locate metadata).*?\(([^)]+)\)",
        "The login came from {0}, which no metadata here describes.",
        "Compare saml_sp_idp_entity_id with the provider's own metadata: each letter counts.",
    ),
    Reason(
        "FS903",
        "Assertions are for this service provider",
        r"(?i)audience",
        "The assertion is for another service provider: the entityID that is registered there is not this one's.",
        "Compare the registration at the provider with https://NAME/Shibboleth.sso/Metadata.",
    ),
    Reason(
        "FS904",
        "Assertions arrive in their time",
        r"(?i)not yet valid|no longer valid|(?:assertion|message).*expired|expired.*assertion|too old",
        "The assertion's time is past or in the future here: a clock is wrong, or the login page stayed open "
        "for too long.",
        "Compare the clocks: date -u here, and the provider's header Date. If they agree, log in again.",
        ordinary=True,
    ),
    Reason(
        "FS905",
        "No assertion comes twice",
        r"(?i)replay",
        "The same assertion came a second time: the user went back in the browser, or reloaded.",
        "Begin the login again at the site's first page.",
        ordinary=True,
    ),
    Reason(
        "FS906",
        "Providers encrypt for a key of this host",
        r"(?i)unable to (?:resolve.*)?decrypt|failed to decrypt|decryption key|unable to unwrap",
        "The provider encrypted for a key that this host lacks.",
        "Register this service provider's present metadata, which has its key: https://NAME/Shibboleth.sso/Metadata.",
    ),
    Reason(
        "FS907",
        "Answers belong to questions of the same browser",
        r"(?i)unsolicited|InResponseTo|correlat",
        "The answer belongs to no question of this browser: cookies were lost, or the login began at another name.",
        "Use one name for the site, and begin the login there; no bookmark of a login page.",
        ordinary=True,
    ),
    Reason(
        "FS908",
        "Providers do not refuse logins",
        r"(?i)status code.*(?:Responder|Requester|AuthnFailed|NoPassive|RequestDenied)",
        "The provider itself refused the login: its page or its operators know why. Often this service provider is not "
        "registered there.",
        "Ask the provider's operators, with the time of the login and the entityID.",
    ),
    Reason(
        "FS910",
        "Attributes that arrive have an id",
        r"(?i)skipping (?:unmapped )?(?:SAML .*?)?Attribute with Name: ([^\s,]+)(?:, Format:(\S+))?",
        "The attribute {0} of the format {1} arrived and has no id.",
        "To use it, add name and format to saml_sp_attributes.",
        Severity.NOTE,
    ),
    Reason(
        "FS911",
        "Attributes pass the filter",
        r"(?i)remov(?:ed|ing) value.*?attribute \(([^)]+)\)",
        "The attribute {0} arrived and was filtered, mostly as its scope is not the provider's.",
        "Compare what is behind the @ with the scopes (shibmd:Scope) in the provider's metadata; tell its operators.",
        Severity.NOTE,
    ),
]
HTTPD = [
    Reason(
        "FS912",
        "The provider accepts the client secret",
        r"oidc_.*(?:invalid_client|unauthorized_client)",
        "The provider refuses this host's client secret.",
        "Compare openid_connect_client_secret with the secret of the registration. If it is the same, the provider may "
        "expect it in the body of a request: set openid_connect_client_authentication to client_secret_post.",
    ),
    Reason(
        "FS913",
        "Logins by OpenID Connect keep their cookie",
        r"oidc_.*(?:state.*(?:mismatch|not found)|no \S* ?state cookie|restore.*state|state \S* ?has expired)",
        "The login's cookie was lost: it took too long, began at another name, or the browser keeps no cookies.",
        "Use one name for the site, the one of the redirect URI, and begin the login there.",
        ordinary=True,
    ),
    Reason(
        "FS914",
        "Tokens arrive in their time",
        r"oidc_.*(?:iat|exp|nbf).*(?:expired|future|range)",
        "The token's time is past or in the future here: a clock is wrong.",
        "Compare the clocks: date -u here, and the provider's header Date.",
        ordinary=True,
    ),
    Reason(
        "FS915",
        "Sessions fit into their cache",
        r"oidc_cache_shm_set.*(?:too large|size)",
        "A session was larger than a slot of the cache in httpd's memory, and was not kept: the user logs in again and "
        "again. Users with many roles are the first whom it meets.",
        "Keep sessions in files, as openid_connect does: OIDCCacheType file. Or set OIDCCacheShmEntrySizeMax higher.",
    ),
    Reason(
        RULE,
        "Users meet the access rules",
        REFUSED,
        "A user was logged in, and did not meet the access rule of {0}: an attribute or its value is missing.",
        "Compare name and value of the attribute in flask_sso_protected with what the provider sends. A role may be "
        "nested in another claim, and is then written with a dot, such as realm_access.roles.",
        ordinary=True,
    ),
    Reason(
        "FS917",
        "Tokens have the agreed signature",
        r"oidc_.*not signed with the expected configured algorithm: (\w+) != (\w+)",
        "The provider has signed a token with {0}, and this site accepts {1}.",
        "Have the provider sign the tokens of this site with a key, for example by RS256, and write the algorithm "
        "into openid_connect_signature_algorithm. What begins with HS needs only the client secret, and is refused.",
    ),
    Reason(
        "FS918",
        "The store of sessions answers",
        r"(?:connect to Redis server|Redis (?:\w+ )?command) \((?:attempt=(?:1|2/2) to )?([^\s)]+)\)",
        "The store of sessions, {0}, did not answer, or refused the password. Without it, no user is logged in.",
        "Compare openid_connect_session_store with the server's host, port and password, and start the server.",
    ),
]
# No program writes a line about this one. httpd's access log has the request, which otherwise ends with a redirect.
REQUIRED = Reason(
    "FS909",
    "Required attributes arrive",
    r"/AttributeChecker$",
    "A required attribute did not arrive (saml_sp_attributes).",
    "Ask the provider's operators to release it, or do not require it.",
)
REASONS = [*SHIBD, REQUIRED, *HTTPD]
WORDS = {Severity.OK: "login ", Severity.NOTE: "note  ", Severity.WARNING: "FAILED"}
FAULT = re.compile(r" (?:WARN|ERROR|CRIT|FATAL) ")


@dataclass(frozen=True)
class Login:
    """A login, or why there was none."""

    time: float
    severity: Severity
    text: str
    code: str = ""
    remedy: str = ""


def stamped(line: str) -> float:
    """Return the time of a line of a log, in seconds since 1970; 0 without one.

    :param line: The line, in the local time of its host.
    """
    shibd, httpd = STAMPED.match(line), HTTPD_STAMPED.match(line)
    try:
        if shibd:
            return datetime.strptime(shibd[1], "%Y-%m-%d %H:%M:%S").astimezone().timestamp()
        if httpd:
            return datetime.strptime(f"{httpd[1]} {httpd[2]}", "%b %d %H:%M:%S %Y").astimezone().timestamp()
    except ValueError:
        pass
    return 0


def explain(line: str, reasons: list[Reason]) -> tuple[Reason, str] | None:
    """Say what a line means for the login.

    :param line: The line.
    :param reasons: Those of its log.
    :returns: The reason, and its cause with what the line names; None if the line is about nothing that is known.
    """
    for reason in reasons:
        match = re.search(reason.pattern, line)
        if match and (reasons is HTTPD or reason.severity < Severity.WARNING or FAULT.search(line)):
            return reason, redacted(reason.cause.format(*match.groups(URI)))
    return None


def logins(site: Site) -> list[Login]:
    """Read the logs of shibd and httpd.

    mod_auth_openidc writes nothing about a login that works. The access log has it, as the request to the redirect URI.

    :param site: The site; its time limits how far back.
    :returns: Logins and faults in their order, each sentence once a second.
    :raises UnseenError: if there is no such log.
    """
    logs = [
        "/var/log/shibboleth/transaction.log",
        "/var/log/shibboleth/shibd.log",
        *site.host.find("/var/log/apache2/*error.log"),
        *site.host.find("/var/log/httpd/*error_log"),
        *site.host.find("/var/log/apache2/*access.log"),
        *site.host.find("/var/log/httpd/*access_log"),
    ]
    readable = [path for path in logs if site.host.find(path)]
    if not readable:
        raise UnseenError("neither shibd nor httpd has a log here")
    found = [login for path in readable for login in _read(site, path)]
    return sorted(dict.fromkeys(found), key=lambda login: login.time)


def accessed(site: Site, text: str) -> Iterator[Login]:
    """Find in an access log what no other log has: logins by OpenID Connect that worked, and missing attributes.

    At the redirect URI, a user is known and sent on. Where mod_shib finds every attribute, it sends the user on, too.

    :param site: The site.
    :param text: The access log.
    """
    try:
        sites = [each for each in site.sites if each.value("OIDCRedirectURI")]
    except UnseenError:
        sites = []
    issuers = {urlsplit(each.value("OIDCRedirectURI")).path: each.value("OIDCProviderIssuer") for each in sites}
    for line in text.splitlines():
        found = request(line)
        time = found_time(found)
        if time < site.begin:
            continue
        is_redirect = found["status"] in ("302", "303")
        if re.search(REQUIRED.pattern, found["path"]) and not is_redirect:
            cause = REQUIRED.cause + redacted(access.requirement(site, found["client"]))
            yield Login(time, REQUIRED.severity, cause, REQUIRED.code, REQUIRED.remedy)
        # A query that is known to have no code is that of a logout.
        is_login = found["path"] in issuers and (not found["query"] or "code=" in found["query"])
        if is_login and is_redirect and found["user"] not in NO_USER:
            yield Login(time, Severity.OK, redacted(f"A login by {issuers[found['path']] or 'the provider'}."))


def found_time(found: dict[str, str]) -> float:
    """Return when a request was, in seconds since 1970; 0 if that is not known.

    :param found: What `request` returns.
    """
    try:
        return datetime.strptime(found.get("time", ""), "%d/%b/%Y:%H:%M:%S %z").timestamp()
    except ValueError:
        return 0


def request(line: str) -> dict[str, str]:
    """Read a line of an access log, as text or as JSON.

    :param line: The line.
    :returns: client, user, time, path, query and status; nothing if the line has another form.
    """
    match = ACCESS.match(line)
    if match or not line.startswith("{"):
        return match.groupdict() if match else {}
    try:
        read = json.loads(line)
        time = datetime.strptime(read["time"], "%Y-%m-%dT%H:%M:%S.%f%z").strftime("%d/%b/%Y:%H:%M:%S %z")
        named = {name: str(read[name]) for name in ("client", "user", "path", "status")}
    except (KeyError, TypeError, ValueError):
        return {}
    return {**named, "time": time, "query": ""}


def _read(site: Site, path: str) -> Iterator[Login]:
    if path.endswith(("access.log", "access_log")):
        yield from accessed(site, site.host.read(path))
        return
    for line in site.host.read(path).splitlines():
        time = stamped(line)
        if time < site.begin:
            continue
        provider = PROVIDER.search(line)
        if path.endswith("transaction.log"):
            if SUCCESS.search(line) and not access.has_failed(line):
                yield Login(time, Severity.OK, redacted(f"A login by {provider[1] if provider else 'the provider'}."))
            continue
        explained = explain(line, SHIBD if path.endswith("shibd.log") else HTTPD)
        if explained:
            reason, cause = explained
            refused = re.search(REFUSED, line)
            if refused and reason.code == RULE:
                # Where httpd's configuration cannot be read, another check says so.
                with suppress(UnseenError):
                    cause += redacted(access.explanation(site, refused[1], line))
            yield Login(time, reason.severity, cause, reason.code, reason.remedy)


def people(found: list[Login]) -> str:
    """Write logins for a person.

    :param found: The logins.
    :returns: A line for each.
    """
    lines = []
    for login in found:
        time = datetime.fromtimestamp(login.time).astimezone()
        lines.append(f"{time:%H:%M:%S} {WORDS[login.severity]} {login.text} {login.remedy}".rstrip())
    return "\n".join(lines or ["The logs of this time have no login, neither one that worked nor one that failed."])
