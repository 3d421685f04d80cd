# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pending requests, used message IDs and sessions, in a database that all processes and hosts share.

Secrets, and keys that identify a person, are stored as hashes only.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Iterable
from typing import Any

from sqlalchemy import JSON, BigInteger, Column, MetaData, Row, String, Table, Text, create_engine, func, select
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.schema import CreateTable
from sqlalchemy.sql import Executable

TABLES = MetaData()

#: AuthnRequests that wait for their response: ``id`` is the hash of the RelayState, ``browser`` that of the cookie.
PENDING_REQUESTS = Table(
    "saml_pending_requests",
    TABLES,
    Column("id", String(64), primary_key=True),
    Column("browser", String(64), nullable=False),
    Column("request_id", String(64), nullable=False),
    Column("next_url", Text, nullable=False),
    Column("expires", BigInteger, nullable=False),
)

#: Maximum number of pending requests. Anyone can start logins, so they must not fill the disk; the number is large so
#: that a flood of requests does not quickly displace those of users who are at the identity provider.
MAX_PENDING_REQUESTS = 20_000

#: Seconds between two purges of expired rows.
PURGE_INTERVAL = 60

#: IDs of accepted messages and assertions, against replay.
USED_IDS = Table(
    "saml_used_ids",
    TABLES,
    Column("id", String(64), primary_key=True),
    Column("expires", BigInteger, nullable=False),
)

SESSIONS = Table(
    "saml_user_sessions",
    TABLES,
    Column("id", String(64), primary_key=True),
    Column("name_id", String(64), nullable=False),
    Column("session_index", String(64), nullable=False),
    Column("data", JSON, nullable=False),
    Column("last_used", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False),
)

#: Which browser started a session, so that its next session replaces it.
BROWSERS = Table(
    "saml_browsers",
    TABLES,
    Column("id", String(64), primary_key=True),
    Column("browser", String(64), nullable=False),
    Column("expires", BigInteger, nullable=False),
)


def digest(text: str) -> str:
    """Return the hash that is stored instead of ``text``."""
    return hashlib.sha256(text.encode()).hexdigest()


def now() -> int:
    """Return the current time in seconds since the epoch."""
    return int(time.time())


class Store:
    """The database behind an SQLAlchemy URL.

    Each change is a single statement. Where processes compete, the number of changed rows says which of them was
    first, so the store needs no locks and works with any database.

    :param url: SQLAlchemy URL, as text or an object.
    :raises sqlalchemy.exc.SQLAlchemyError: if the database cannot be used.
    :raises ImportError: if the driver of the database is missing.
    """

    def __init__(self, url: str | URL):
        self.engine = create_engine(url, pool_pre_ping=True, hide_parameters=True)  # values are not logged
        try:
            self.create_tables()
        except DBAPIError:  # another process may have created them at the same time; a real error occurs again
            self.create_tables()
        self.last_purge = 0
        self.engine.dispose()  # a server that forks after this must not share a connection

    def create_tables(self) -> None:
        """Create the tables that do not exist yet."""
        for table in TABLES.sorted_tables:
            self.execute(CreateTable(table, if_not_exists=True))

    def execute(self, statement: Executable) -> int:
        """Execute a statement in its own transaction and return the number of changed rows."""
        with self.engine.begin() as connection:
            return connection.execute(statement).rowcount

    def fetch_first(self, query: Executable) -> Row | None:
        """Return the first row of a query, or None."""
        with self.engine.connect() as connection:
            return connection.execute(query).first()

    def add_request(self, relay_state: str, browser_id: str, request_id: str, next_url: str, lifetime: int) -> None:
        """Store an AuthnRequest until its response arrives.

        :param relay_state: secret that the response has to carry.
        :param browser_id: secret in the cookie of the browser that has to deliver the response.
        :param request_id: ID of the request.
        :param next_url: where to go after the login.
        :param lifetime: seconds within which the response has to arrive.
        """
        self.purge()
        row = {"id": digest(relay_state), "browser": digest(browser_id), "request_id": request_id}
        self.execute(PENDING_REQUESTS.insert().values(**row, next_url=next_url, expires=now() + lifetime))

    def purge(self) -> None:
        """Delete expired rows once per interval, and the oldest tenth of the pending requests if there are too many."""
        if now() >= self.last_purge + PURGE_INTERVAL:
            self.last_purge = now()
            for table in TABLES.sorted_tables:
                self.execute(table.delete().where(table.c.expires <= now()))
        count = self.fetch_first(select(func.count()).select_from(PENDING_REQUESTS))
        if count and count[0] >= MAX_PENDING_REQUESTS:
            expires = PENDING_REQUESTS.c.expires
            limit = self.fetch_first(select(expires).order_by(expires).offset(MAX_PENDING_REQUESTS // 10).limit(1))
            if limit:  # None if another process deleted them first
                self.execute(PENDING_REQUESTS.delete().where(expires <= limit[0]))

    def pop_request(self, relay_state: str, browser_id: str) -> Row | None:
        """Delete a pending request and return its ``request_id`` and ``next_url``.

        :return: None if there is no such request, if it is another browser's, or if it has expired.
        """
        table = PENDING_REQUESTS.c
        condition = (table.id == digest(relay_state)) & (table.browser == digest(browser_id)) & (table.expires > now())
        row = self.fetch_first(select(table.request_id, table.next_url).where(condition))
        return row if row and self.execute(PENDING_REQUESTS.delete().where(condition)) else None

    def mark_used(self, message_id: str, expires: int) -> bool:
        """Mark an ID as used.

        :param expires: time after which the message would be rejected anyway.
        :return: False if the ID was already used. The primary key admits a single insert, from any host.
        """
        try:
            self.execute(USED_IDS.insert().values(id=digest(message_id), expires=expires))
        except IntegrityError:
            return False
        return True

    def create_session(self, data: dict[str, Any], expires: int, browser_id: str) -> str:
        """Create a session, delete the previous one of the same browser, and return the secret session ID.

        :param data: what :meth:`get_session` returns; ``name_id`` and ``session_index`` are those for single logout.
        :param expires: time when the session ends at the latest.
        :param browser_id: secret in the cookie of the browser.
        """
        same_browser = BROWSERS.c.browser == digest(browser_id)
        self.execute(SESSIONS.delete().where(SESSIONS.c.id.in_(select(BROWSERS.c.id).where(same_browser))))
        self.execute(BROWSERS.delete().where(same_browser))
        session_id = secrets.token_urlsafe(32)
        row = {
            "id": digest(session_id),
            "name_id": digest(data["name_id"].get("Value") or ""),
            "session_index": digest(data["session_index"]),
        }
        self.execute(SESSIONS.insert().values(**row, data=data, last_used=now(), expires=expires))
        self.execute(BROWSERS.insert().values(id=row["id"], browser=digest(browser_id), expires=expires))
        return session_id

    def get_session(self, session_id: str, timeout: int) -> dict[str, Any] | None:
        """Return the data of a session, or None if it has ended.

        :param timeout: seconds after which an unused session ends; 0 for no limit.
        """
        condition = (SESSIONS.c.id == digest(session_id)) & (SESSIONS.c.expires > now())
        if timeout:
            condition &= SESSIONS.c.last_used > now() - timeout
        row = self.fetch_first(select(SESSIONS.c.data, SESSIONS.c.last_used).where(condition))
        if row and timeout and row.last_used < now() - timeout // 10:  # avoids a write for each request
            self.execute(SESSIONS.update().where(condition).values(last_used=now()))
        return row.data if row else None

    def delete_session(self, session_id: str) -> dict[str, Any] | None:
        """Delete a session and return its data."""
        data = self.get_session(session_id, 0)
        self.execute(SESSIONS.delete().where(SESSIONS.c.id == digest(session_id)))
        return data

    def delete_sessions(self, name_id: str, session_indexes: Iterable[str]) -> int:
        """Delete the sessions of a NameID and return their number.

        :param session_indexes: if not empty, only the sessions with one of these indexes, or without any.
        """
        condition = SESSIONS.c.name_id == digest(name_id)
        indexes = [digest(index) for index in session_indexes]
        if indexes:
            condition &= SESSIONS.c.session_index.in_([*indexes, digest("")])
        return self.execute(SESSIONS.delete().where(condition))
