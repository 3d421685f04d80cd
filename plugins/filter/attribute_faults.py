# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find attributes that a service provider, or a server behind it, would silently treat in another way."""

from __future__ import annotations

DOCUMENTATION = r"""
name: attribute_faults
short_description: Find what would silently go wrong with a list of attributes
version_added: 0.1.0
author: campus.flask_sso contributors (!UNKNOWN)
description:
  - Reads a list of attributes as O(campus.flask_sso.saml_sp#role:description:saml_sp_attributes) has it.
  - Ids become variables of httpd, and headers for an HTTP server. Ids that are taken there, or look the same there, are
    faults, and so are entries that contradict each other.
options:
  _input:
    description: The entries, each with id and name.
    type: list
    elements: dict
    required: true
  identifiers:
    description: Ids that say who a user is.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Refuse attributes that would not arrive as they are meant
  ansible.builtin.assert:
    that: saml_sp_attributes | campus.flask_sso.attribute_faults(saml_sp_remote_user) | length == 0
"""

RETURN = r"""
_value:
  description: One sentence for each fault.
  type: list
  elements: str
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, Callable

#: With a dot in its name, mod_shib exports an empty value.
ID = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")

#: Names of variables of httpd, mod_shib, CGI and the servers, in the one spelling of :func:`spelling`.
RESERVED = re.compile(
    r"(http|shib|ssl|tls|remote|server|request|redirect|content|context|script|path|query|document|gateway|proxy|wsgi|uwsgi"
    r"|mod-wsgi|gunicorn|werkzeug|force|no|downgrade)-.*|https|path|auth-type|unique-id|nokeepalive|dont-vary"
)


def attribute_faults(attributes: list[dict[str, Any]], identifiers: list[str] | None = None) -> list[str]:
    """Find what would silently go wrong with a list of attributes.

    :param attributes: The entries, each with id and name.
    :param identifiers: Ids that say who a user is.
    :returns: One sentence for each fault.
    """
    if not attributes:
        return ["has no attributes. Add at least the one that says who a user is."]
    alike: dict[str, dict[str, None]] = defaultdict(dict)
    entries: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for one in attributes:
        alike[spelling(one["id"])][one["id"]] = None
        entries[one["id"]].append(one)
    faults = [
        f"has the ids {quoted(ids)}, which some servers cannot distinguish, as capital letters and "
        f'"_" instead of "-" make no difference there. Change one of them.'
        for ids in alike.values()
        if len(ids) > 1
    ]
    for name, same in entries.items():
        faults += id_faults(name, same)
        faults += default_faults(name, same, name in (identifiers or ()))
        faults += [fault for one in same for fault in entry_faults(one)]
    return faults


def id_faults(name: Any, entries: list[dict[str, Any]]) -> Iterator[str]:
    """Find faults of an id and of the entries that share it.

    :param name: The id.
    :param entries: Its entries.
    :returns: One sentence for each fault.
    """
    if not isinstance(name, str) or not ID.fullmatch(name):
        yield f'has the id "{name}". Write letters, digits, "_" and "-", a letter first, for example "mail".'
    elif RESERVED.fullmatch(spelling(name)):
        yield f'has the id "{name}", which httpd or a server uses itself. Choose another one, such as "my_{name}".'
    if len({(one["name"], one.get("format", "uri")) for one in entries}) < len(entries):
        yield f'has the id "{name}" twice with the same name and format. Keep one of these entries.'
    if len({kind(one) for one in entries}) > 1:
        yield f'has the id "{name}" with different decoders or scopes. Write the same for all, or choose another id.'


def default_faults(name: Any, entries: list[dict[str, Any]], identifies: bool) -> Iterator[str]:
    """Find faults of an id's default.

    :param name: The id.
    :param entries: Its entries.
    :param identifies: Whether it says who a user is.
    :returns: One sentence for each fault.
    """
    defaults = list(dict.fromkeys(one["default"] for one in entries if "default" in one))
    if len(defaults) > 1:
        yield f'has the defaults {quoted(defaults)} for "{name}". Keep one of them.'
    if defaults and any(one.get("required") for one in entries):
        yield f'has a default for "{name}", which is required. Keep one of both.'
    if defaults and identifies:
        yield f'has a default for "{name}", by which users log in: all who lack it would be one user. Leave it out.'
    if defaults and {kind(one) for one in entries} != {("string", "")}:
        yield f'has a default for "{name}", whose values are not plain text. Leave out one or the other.'


def entry_faults(entry: dict[str, Any]) -> Iterator[str]:
    """Find faults of one entry.

    :param entry: The entry.
    :returns: One sentence for each fault.
    """
    for key in ("name", "default"):
        text = entry.get(key, "-")
        if not isinstance(text, str) or not text or text != text.strip() or not text.isprintable():
            yield (
                f'has {text!r} as the {key} of "{entry["id"]}". Write a text, in quotes if it looks like a number '
                "or a truth value, without line breaks and without spaces at its ends."
            )
    decoder, scope = kind(entry)
    if scope and decoder != "string":
        yield f'has scope and the decoder "{decoder}" for "{entry["id"]}". A NameID has no scope: leave one out.'


def kind(entry: dict[str, Any]) -> tuple[str, str]:
    """Return how an entry decodes a value.

    :param entry: The entry.
    :returns: Its decoder and its scope, which may be empty.
    """
    return entry.get("decoder", "string"), entry.get("scope", "")


def spelling(name: Any) -> str:
    """Write a name as servers do when they get it in a header.

    :param name: The name.
    :returns: The same string for all names that such servers do not distinguish.
    """
    return str(name).lower().replace("_", "-")


def quoted(names: Iterable[Any]) -> str:
    """List names in a sentence.

    :param names: The names.
    :returns: The names, each in quotation marks.
    """
    return " and ".join(f'"{name}"' for name in names)


class FilterModule:
    """The plugin that Ansible loads."""

    def filters(self) -> dict[str, Callable[..., list[str]]]:
        """Return the filters by name."""
        return {"attribute_faults": attribute_faults}
