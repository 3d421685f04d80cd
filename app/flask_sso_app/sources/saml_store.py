# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is logged in, who waits for an answer, and what was used: in a database, the same for all processes and hosts.

Of a secret, and of whatever names a person in a key, only the hash is kept.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Iterable
from typing import Any

from sqlalchemy import JSON, BigInteger, Column, MetaData, Row, String, Table, Text, create_engine, func, select
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.schema import CreateTable
from sqlalchemy.sql import Executable

TABLES = MetaData()

#: Messages sent that wait for their answer: ``browser`` is the one that may bring it.
WAITING = Table(
    "saml_waiting",
    TABLES,
    Column("id", String(64), primary_key=True),
    Column("browser", String(64), nullable=False),
    Column("message", String(64), nullable=False),
    Column("target", Text, nullable=False),
    Column("expires", BigInteger, nullable=False),
)

#: Most messages that wait. Anybody can begin logins, so they must not fill the disk; and so many that a flood does not
#: soon push out the users who are at the identity provider.
MOST_WAITING = 20_000

#: Seconds between two searches for what has expired.
SWEEP = 60

#: IDs of messages and assertions that were accepted once.
USED = Table(
    "saml_used",
    TABLES,
    Column("id", String(64), primary_key=True),
    Column("expires", BigInteger, nullable=False),
)

SESSIONS = Table(
    "saml_sessions",
    TABLES,
    Column("id", String(64), primary_key=True),
    Column("name_id", String(64), nullable=False),
    Column("session_index", String(64), nullable=False),
    Column("facts", JSON, nullable=False),
    Column("seen", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False),
)

#: Which browser began a session, so that its next one takes the place.
BROWSERS = Table(
    "saml_browsers",
    TABLES,
    Column("id", String(64), primary_key=True),
    Column("browser", String(64), nullable=False),
    Column("expires", BigInteger, nullable=False),
)


def digest(text: str) -> str:
    """Return what the store keeps instead of ``text``."""
    return hashlib.sha256(text.encode()).hexdigest()


def now() -> int:
    """Return the time, in seconds."""
    return int(time.time())


class Store:
    """The database behind an SQLAlchemy URL.

    Each change is one statement, and the number of rows that it changed says who was first: no locks, any database.
    """

    def __init__(self, url: str):
        self.engine = create_engine(url, pool_pre_ping=True)
        try:
            self.create()
        except DBAPIError:  # another process may have done it in the same moment; a real fault comes again
            self.create()
        self.swept = 0
        self.engine.dispose()  # a server that forks from here on must not share a connection

    def create(self) -> None:
        """Create the tables that are not there yet."""
        for table in TABLES.sorted_tables:
            self.change(CreateTable(table, if_not_exists=True))

    def change(self, statement: Executable) -> int:
        """Run a statement in a transaction of its own and return how many rows it changed."""
        with self.engine.begin() as connection:
            return connection.execute(statement).rowcount

    def first(self, query: Executable) -> Row | None:
        """Return the first row that a query finds."""
        with self.engine.connect() as connection:
            return connection.execute(query).first()

    def wait(self, key: str, browser: str, message: str, target: str, seconds: int) -> None:
        """Remember a message that was sent, and forget what has expired or is too much.

        :param key: secret that the answer will bring.
        :param browser: secret that the browser with the answer will bring.
        :param message: ID of the message.
        :param target: where to go after the answer.
        """
        self.forget()
        row = {"id": digest(key), "browser": digest(browser), "message": message, "target": target}
        self.change(WAITING.insert().values(**row, expires=now() + seconds))

    def forget(self) -> None:
        """Forget what has expired, now and then, and the oldest tenth of the messages if too many wait."""
        if now() >= self.swept + SWEEP:
            self.swept = now()
            for table in TABLES.sorted_tables:
                self.change(table.delete().where(table.c.expires <= now()))
        waiting = self.first(select(func.count()).select_from(WAITING))
        if waiting and waiting[0] >= MOST_WAITING:
            age = WAITING.c.expires
            oldest = self.first(select(age).order_by(age).offset(MOST_WAITING // 10).limit(1))
            if oldest:  # no other process was faster
                self.change(WAITING.delete().where(age <= oldest[0]))

    def take(self, key: str, browser: str) -> Row | None:
        """Return the ``message`` and ``target`` that wait for this answer; nobody gets them again."""
        row = (WAITING.c.id == digest(key)) & (WAITING.c.browser == digest(browser)) & (WAITING.c.expires > now())
        found = self.first(select(WAITING.c.message, WAITING.c.target).where(row))
        return found if found and self.change(WAITING.delete().where(row)) else None

    def use(self, key: str, expires: int) -> bool:
        """Mark an ID as used. False if it was used before: the primary key lets one insert through, on any host."""
        try:
            self.change(USED.insert().values(id=digest(key), expires=expires))
        except IntegrityError:
            return False
        return True

    def start(self, name_id: str, session_index: str, facts: dict[str, Any], expires: int, browser: str) -> str:
        """Begin a session, end the one that the same browser began before, and return the secret id.

        :param browser: the secret that the browser with the answer brought.
        """
        before = BROWSERS.c.browser == digest(browser)
        self.change(SESSIONS.delete().where(SESSIONS.c.id.in_(select(BROWSERS.c.id).where(before))))
        self.change(BROWSERS.delete().where(before))
        key = secrets.token_urlsafe(32)
        row = {"id": digest(key), "name_id": digest(name_id), "session_index": digest(session_index)}
        self.change(SESSIONS.insert().values(**row, facts=facts, seen=now(), expires=expires))
        self.change(BROWSERS.insert().values(id=row["id"], browser=digest(browser), expires=expires))
        return key

    def find(self, key: str, timeout: int) -> dict[str, Any] | None:
        """Return the facts of a session that has neither ended nor been idle for ``timeout`` seconds."""
        row = (SESSIONS.c.id == digest(key)) & (SESSIONS.c.expires > now())
        if timeout:
            row &= SESSIONS.c.seen > now() - timeout
        found = self.first(select(SESSIONS.c.facts, SESSIONS.c.seen).where(row))
        if found and timeout and found.seen < now() - timeout // 10:  # not a write for each request
            self.change(SESSIONS.update().where(row).values(seen=now()))
        return found.facts if found else None

    def end(self, key: str) -> dict[str, Any] | None:
        """End a session and return its facts."""
        facts = self.find(key, 0)
        self.change(SESSIONS.delete().where(SESSIONS.c.id == digest(key)))
        return facts

    def end_all(self, name_id: str, session_indexes: Iterable[str]) -> int:
        """End the sessions of a NameID, if indexes are given only those, and return how many they were.

        One that came without an index could be any of them.
        """
        row = SESSIONS.c.name_id == digest(name_id)
        indexes = [digest(index) for index in session_indexes]
        if indexes:
            row &= SESSIONS.c.session_index.in_([*indexes, digest("")])
        return self.change(SESSIONS.delete().where(row))
