# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one identity object that the application works with, whichever way a user came in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Session:
    """How and when the user was authenticated.

    :param id: the session's secret id; never show it whole.
    :param identity_provider: entityID of the identity provider.
    :param authenticated_at: authentication instant.
    :param context: authentication context class.
    """

    id: str = field(repr=False)
    identity_provider: str = ""
    authenticated_at: datetime | None = None
    context: str = ""

    @property
    def reference(self) -> str:
        """The start of the id: enough to find the session in a log, too little to take it over."""
        return f"{self.id[:9]}…"


@dataclass(frozen=True)
class Identity:
    """A user who is logged in.

    :param source: name of the adapter that vouches for the user.
    :param identifier: stable and unique; the only field that is never empty.
    :param name: full name.
    :param email: email address.
    :param groups: names of the groups, in the order sent.
    :param attributes: all known attributes with their values.
    :param session: how and when the user was authenticated.
    """

    source: str
    identifier: str
    name: str
    email: str
    groups: tuple[str, ...]
    attributes: Mapping[str, tuple[str, ...]]
    session: Session

    @classmethod
    def from_attributes(
        cls,
        source: str,
        fields: Mapping[str, str],
        attributes: Mapping[str, tuple[str, ...]],
        session: Session | None,
    ) -> Identity | None:
        """Build the identity from what an identity provider sent.

        :param fields: field of the identity to name of the attribute.
        :return: None without a session, or without exactly one value of the identifier.
        """

        def values(field: str) -> tuple[str, ...]:
            return attributes.get(fields.get(field, ""), ())

        def first(field: str) -> str:
            return next(iter(values(field)), "")

        if session is None or len(values("identifier")) != 1:
            return None
        return cls(
            source=source,
            identifier=first("identifier"),
            name=first("name"),
            email=first("email"),
            groups=values("groups"),
            attributes=attributes,
            session=session,
        )

    @property
    def display_name(self) -> str:
        """What to call the user."""
        return self.name or self.identifier

    @property
    def initials(self) -> str:
        """One or two letters for a badge."""
        words = self.display_name.split()
        return "".join(word[0] for word in dict.fromkeys((words[0], words[-1]))).upper() if words else "?"

    def to_json(self) -> dict[str, Any]:
        """Return what may leave the application: everything but the session's id."""
        session = self.session
        return {
            "source": self.source,
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


def parse_instant(text: str) -> datetime | None:
    """Return a time of the form ``2026-01-31T12:00:00Z``, or None if it has another form."""
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
