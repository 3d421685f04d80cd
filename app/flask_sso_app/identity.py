# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The identity of a user, the same for all authentication methods."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Session:
    """How and when the user was authenticated.

    :param id: session ID; it may be secret, so never show all of it.
    :param identity_provider: entityID of the identity provider.
    :param authenticated_at: time of the authentication.
    :param context: authentication context class.
    """

    id: str = field(repr=False)
    identity_provider: str = ""
    authenticated_at: datetime | None = None
    context: str = ""

    @property
    def reference(self) -> str:
        """The start of the ID: enough to find the session in a log, too short to hijack it."""
        return f"{self.id[:9]}…"


@dataclass(frozen=True)
class Identity:
    """A user who is logged in.

    :param authentication: name of the authentication method.
    :param identifier: stable, unique name of the user; the only field that is never empty.
    :param name: full name.
    :param email: email address.
    :param groups: names of the groups, in the order received.
    :param attributes: all attributes that the application reads, with their values.
    :param session: how and when the user was authenticated.
    """

    authentication: str
    identifier: str
    name: str
    email: str
    groups: tuple[str, ...]
    attributes: Mapping[str, tuple[str, ...]]
    session: Session

    @classmethod
    def from_attributes(
        cls,
        authentication: str,
        fields: Mapping[str, str],
        attributes: Mapping[str, tuple[str, ...]],
        session: Session | None,
    ) -> Identity | None:
        """Create an identity from the attributes of an identity provider.

        :param authentication: name of the authentication method.
        :param fields: maps fields of the identity to names of attributes.
        :param attributes: the attributes with their values.
        :param session: how and when the user was authenticated.
        :return: None without a session, or without exactly one value of the identifier.
        """

        def values(field: str) -> tuple[str, ...]:
            return attributes.get(fields.get(field, ""), ())

        def first(field: str) -> str:
            return next(iter(values(field)), "")

        if session is None or len(values("identifier")) != 1:
            return None
        return cls(
            authentication=authentication,
            identifier=first("identifier"),
            name=first("name"),
            email=first("email"),
            groups=values("groups"),
            attributes=attributes,
            session=session,
        )

    @property
    def display_name(self) -> str:
        """The name to show."""
        return self.name or self.identifier

    @property
    def initials(self) -> str:
        """One or two letters for a badge."""
        words = self.display_name.split()
        return "".join(word[0] for word in dict.fromkeys((words[0], words[-1]))).upper() if words else "?"

    def to_json(self) -> dict[str, Any]:
        """Return the identity for JSON, without the session ID."""
        session = self.session
        return {
            "authentication": self.authentication,
            "identifier": self.identifier,
            "name": self.name,
            "email": self.email,
            "groups": self.groups,
            "attributes": dict(self.attributes),
            "session": {
                "identity_provider": session.identity_provider,
                "authenticated_at": session.authenticated_at and session.authenticated_at.isoformat(),
                "context": session.context,
            },
        }


def parse_datetime(text: str) -> datetime | None:
    """Parse a time such as ``2026-01-31T12:00:00Z``; None if it has another form."""
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
