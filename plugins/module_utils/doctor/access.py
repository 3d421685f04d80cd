# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Access rules that a user did not meet: what they ask for, and what the user's session had, by names."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .model import UnseenError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .site import Site, VirtualHost

# shibd's own form since version 3, with its fields in the order of tranLogFormat; earlier ones wrote sentences.
FIELDS, SESSION_FIELD = 15, 1
TRANSACTION = re.compile(r"^[^|]+\|Shibboleth-TRANSACTION\.Login\|(.*)$")
SENTENCE = re.compile(r"New session \(ID: .*\(ClientAddress: ([^)\s]+)\)")
NUMBERED = re.compile(r"([\w.:-]+) ?\((\d+)(?: values?)?\)")
LISTED = re.compile(rf"{NUMBERED.pattern}(?:, ?{NUMBERED.pattern})*,?")
CHECKED = re.compile(r"type=\"AttributeChecker\"[^>]*?\battributes=\"([^\"]*)\"")
CLIENT = re.compile(r"\[client (\S+?)(?::\d+)?\]")


@dataclass
class Session:
    """A session that shibd has made: the visitor's address, and the names of attributes with numbers of values."""

    client: str
    attributes: dict[str, str] = field(default_factory=dict)


def has_failed(line: str) -> bool:
    """Return whether a line about a login is about one that gave no session.

    :param line: A line of shibd's transaction.log.
    """
    match = TRANSACTION.match(line)
    fields = match[1].split("|") if match else []
    return len(fields) >= FIELDS and not fields[SESSION_FIELD]


def sessions(text: str) -> list[Session]:
    """Read which sessions shibd has made.

    :param text: Its transaction.log.
    :returns: The sessions in their order.
    """
    found: list[Session] = []
    for line in text.splitlines():
        login, sentence = TRANSACTION.match(line), SENTENCE.search(line)
        fields = login[1].split("|") if login else []
        if sentence:
            found.append(Session(sentence[1]))
        elif len(fields) >= FIELDS and fields[SESSION_FIELD]:
            listed = next((each for each in fields if LISTED.fullmatch(each)), "")
            found.append(Session(fields[-1].strip(), dict(NUMBERED.findall(listed))))
        elif found and not login:
            found[-1].attributes.update(NUMBERED.findall(line.rpartition("|")[2]))
    return found


def wanted(site: VirtualHost, path: str) -> dict[str, list[str]]:
    """Return what the rule of a path asks for: that of the longest section that has it.

    :param site: The virtual host.
    :param path: The path of a request.
    :returns: Names of attributes or claims, each with its values.
    """
    section = longest = ""
    rules: dict[str, dict[str, list[str]]] = {}
    for name, words in site.directives:
        if name in ("<location", "</location"):
            section = words[0] if words else ""
            if name == "<location" and f"{path}/".startswith(f"{section.rstrip('/')}/") and len(section) > len(longest):
                longest = section
        elif name == "require" and section:
            for attribute, value in asked(words):
                rules.setdefault(section, {}).setdefault(attribute, []).append(value)
    return rules.get(longest, {})


def asked(words: list[str]) -> list[tuple[str, str]]:
    """Read the arguments of a Require.

    :param words: The arguments.
    :returns: Attributes or claims with a value each; nothing for other kinds of rules.
    """
    kind, *rest = words or [""]
    if kind == "shib-attr" and rest:
        return [(rest[0], value) for value in rest[1:]]
    if kind == "claim":
        return [(name, value) for name, _colon, value in (word.partition(":") for word in rest)]
    return []


def last_session(site: Site, client: str) -> Session | None:
    """Return the last session of an address, if shibd's log has one.

    :param site: The site.
    :param client: The address.
    """
    log = "/var/log/shibboleth/transaction.log"
    known = sessions(site.host.read(log)) if site.host.find(log) else []
    return next((session for session in reversed(known) if session.client == client), None)


def requirement(site: Site, client: str) -> str:
    """Say which attributes are required, and what the last session of a user had.

    :param site: The site.
    :param client: The user's address.
    :returns: A sentence for each that is known. Several sites differ in what they require.
    """
    try:
        lists = CHECKED.findall(site.shibboleth) if len(site.sites) == 1 else []
    except UnseenError:
        return ""
    required = lists[0].split() if lists else []
    asked_for = f" Required: {', '.join(required)}." if required else ""
    return asked_for + possession(last_session(site, client), required)


def possession(session: Session | None, names: Iterable[str]) -> str:
    """Say what a session had, and which of some names it lacked.

    :param session: The session, if it is known.
    :param names: The names.
    """
    if not session:
        return " What this user had is in no log."
    had = session.attributes
    missing = [name for name in names if name not in had]
    numbered = ", ".join(f"{name} ({number})" for name, number in sorted(had.items())) or "no attribute"
    lacked = f" It had no {' and no '.join(missing)}." if missing else ""
    return f" The last session from that address had, with numbers of values: {numbered}.{lacked}"


def explanation(site: Site, path: str, line: str) -> str:
    """Say what the rule of a path asks for, and what the refused user's last session had.

    :param site: The site.
    :param path: The path.
    :param line: The line of httpd about the refusal.
    :returns: Sentences, or nothing if no rule asks for an attribute. Of values, they have only those of the rule.
    """
    rules = [found for each in site.sites if (found := wanted(each, path))]
    if not rules:
        return ""
    rule = "; ".join(f"{name} {' or '.join(values)}".strip() for name, values in rules[0].items())
    client = CLIENT.search(line)
    return f" It asks for: {rule}." + possession(last_session(site, client[1]) if client else None, rules[0])
