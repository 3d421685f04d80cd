# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Have a running shibd load its files again, and read in its log whether it could. Sessions and pending logins go on.

Whenever shibd is asked something, it looks at the time of ``shibboleth2.xml``. If that is newer, a thread of its own
loads the file and all that it names, and shibd goes on with them, or with what it had. The application of a further
site is loaded when shibd is first asked for it.
"""

from __future__ import annotations

import base64
import os
import re
import socket
import time
from collections.abc import Generator
from contextlib import ExitStack, closing
from typing import Any, NamedTuple
from xml.etree import ElementTree as ET

NAMESPACE = "{urn:mace:shibboleth:3.0:native:sp:config}"
#: What of its files shibd builds again when it loads them; it reads everything else only when it starts.
RELOADED = [f"{NAMESPACE}ApplicationDefaults", f"{NAMESPACE}Policy"]
DEFAULT = "default"  # the application of the first site
#: httpd asks the same: which headers the attributes of an application could have.
QUESTION = "<wddxPacket version='1.0' lowercase='no'><header/><data><null name='{}'/></data></wddxPacket>"
BEGIN_SECONDS = 6  # until shibd says that it loads its files
AGAIN_SECONDS = 2  # while it loads some, it does not notice that there are newer ones
LOAD_SECONDS = 300  # the metadata of a federation is large
POLL_SECONDS = 0.02

#: The thread that loads the files has no name; those that answer have one like "[12]".
LINE = re.compile(r"\S+ \S+ (?P<level>[A-Z]+) (?P<category>\S+) (?P<thread>\[\d+\])?[^:]*: (?P<message>.*)")
FAULTS = {"ERROR", "CRIT", "FATAL", "ALERT", "EMERG"}
LOADS = "Shibboleth.Config reloading local resource"
LOADED = "Shibboleth.Config adding external ApplicationOverride search path"  # the end of ApplicationDefaults
REFUSED = "Shibboleth.Config maintaining existing configuration"
SEEKS = "Shibboleth.Config application override ({}) not found, searching external sources"
FOUND = "Shibboleth.Config storing externally defined application override ({})"
MISSING = "Shibboleth.Config application override ({}) not found in external sources"


class UnknownError(Exception):
    """It cannot be told whether shibd has loaded its files; the message says why."""


class Line(NamedTuple):
    """A line of shibd's log."""

    text: str
    level: str
    thread: str | None
    said: str  # the category of the message, and the message


def read_at_start(content: str) -> str:
    """Return what shibd reads only when it starts, in a form that can be compared.

    :param content: Content of ``shibboleth2.xml`` or ``security-policy.xml``, in Base64 as in a snapshot.
    :returns: The document without :data:`RELOADED`, comments and indentation.
    :raises ET.ParseError: if it is not XML.
    """
    text = base64.b64decode(content).decode("utf-8", "replace")
    return ET.canonicalize(text, strip_text=True, exclude_tags=RELOADED)


def parsed(log: str) -> list[Line]:
    """Return the lines of a log, without those that continue a message.

    :param log: Its text.
    """
    matches = filter(None, map(LINE.match, log.splitlines()))
    return [Line(one.string, one["level"], one["thread"], f"{one['category']} {one['message']}") for one in matches]


def split(lines: list[Line], begin: str, *ends: str) -> tuple[list[Line], list[Line]]:
    """Return what one thread has logged from a message to the next of some others, and what all have logged since.

    :param lines: The log.
    :param begin: How the first message begins.
    :param ends: How the last one may begin.
    :returns: Two lists; empty if a message is missing.
    """
    first = next((number for number, line in enumerate(lines) if line.said.startswith(begin)), len(lines))
    own = []
    for number, line in enumerate(lines[first:], first + 1):
        if line.thread == lines[first].thread:
            own.append(line)
            if line.said.startswith(ends):
                return own, lines[number:]
    return [], []


def outcome(lines: list[Line], application: str) -> str | None:
    """Return what became of the files.

    :param lines: What shibd has logged since they became newer.
    :param application: Name of the site's application.
    :returns: The lines about faults, empty if there are none; None if shibd has not finished.
    """
    loaded, since = split(lines, LOADS, LOADED, REFUSED)
    missing = MISSING.format(application)
    if loaded and application != DEFAULT and not loaded[-1].said.startswith(REFUSED):
        further, _since = split(since, SEEKS.format(application), FOUND.format(application), missing)
        loaded = loaded + further if further else []
    faults = [line.text for line in loaded if line.level in FAULTS or line.said.startswith(missing)]
    return "\n".join(faults) if loaded else None


def ask(connection: socket.socket, application: str) -> None:
    """Ask shibd for the headers of an application, and wait for the answer.

    :param connection: Connection to shibd.
    :param application: Name of the application.
    :raises OSError: if there is no answer.
    """
    question = QUESTION.format(f"{application}::getHeaders::Application").encode("ascii")
    connection.sendall(len(question).to_bytes(4, "big") + question)
    left = 4 + int.from_bytes(connection.recv(4, socket.MSG_PEEK | socket.MSG_WAITALL), "big")
    while left:
        part = connection.recv(left)
        if not part:
            raise ConnectionError("shibd has closed the connection")
        left -= len(part)


def additions(path: str) -> Generator[str, None, None]:
    """Yield, each time, what was added to a log since the first time, also when a new file takes its place.

    :param path: The file.
    :returns: An iterator without end.
    :raises OSError: if it cannot be read.
    """
    text = ""
    with ExitStack() as opened:
        stream = opened.enter_context(open(path, encoding="utf-8", errors="replace"))
        stream.seek(0, os.SEEK_END)
        while True:
            yield text[: text.rfind("\n") + 1]
            replaced = os.path.exists(path) and not os.path.samestat(os.stat(path), os.fstat(stream.fileno()))
            text += stream.read()
            if replaced:
                stream = opened.enter_context(open(path, encoding="utf-8", errors="replace"))
                text += stream.read()


class Shibd:
    """The host's shibd.

    :param directory: Its configuration directory.
    :param application: Name of the site's application.
    :param log: Its log.
    :param runtime_directory: Directory of its socket.
    """

    def __init__(self, directory: str, application: str, log: str, runtime_directory: str) -> None:
        self.configuration = os.path.join(directory, "shibboleth2.xml")
        self.policies = os.path.join(directory, "security-policy.xml")
        self.application = application
        self.log = log
        self.runtime_directory = runtime_directory
        self._time = 0  # what the file had when shibd was last told

    def needs_start(self, path: str, before: dict[str, Any], after: dict[str, Any]) -> bool:
        """Return whether shibd reads what has changed in a file only when it starts.

        :param path: The file.
        :param before: What :func:`snapshot.snapshot` returned when shibd last loaded it.
        :param after: What it returns now.
        """
        if path not in (self.configuration, self.policies):
            return False
        if before == after:  # changed, and changed back after an interruption: shibd may have started in between
            return True
        try:
            return read_at_start(before["content"]) != read_at_start(after["content"])
        except (KeyError, ET.ParseError):  # there is or was no such file, or it is not XML
            return True

    def reload(self, back: bool = False) -> str:
        """Have shibd load its files, and wait until it has.

        :param back: Whether files were rolled back. A further site that was new is gone then.
        :returns: The lines of its log about faults; empty if it runs with the files.
        :raises UnknownError: if that cannot be told.
        """
        override = os.path.join(os.path.dirname(self.configuration), "sites", f"{self.application}-override.xml")
        if back and not os.path.exists(override):
            self.application = DEFAULT
        try:
            family, address = self._listener()
            with closing(additions(self.log)) as log, socket.socket(family) as connection:
                next(log)
                connection.settimeout(LOAD_SECONDS)
                connection.connect(address)
                return self._reload(log, connection)
        except (OSError, ValueError, ET.ParseError) as error:
            raise UnknownError(f"it could not be asked to load its files ({error})") from error

    def _reload(self, log: Generator[str, None, None], connection: socket.socket) -> str:
        """Tell shibd that there are new files, and ask it for the application until it has loaded them."""
        began = told = time.monotonic()
        self._renew()
        application = DEFAULT
        while True:
            ask(connection, application)
            lines = parsed(next(log))
            faults = outcome(lines, application)
            if faults is not None and application == self.application:
                return faults
            now = time.monotonic()
            if faults is not None:
                application = self.application  # not before, or shibd also loads it for what ran so far
            elif any(line.said.startswith(LOADS) for line in lines):
                if now - began > LOAD_SECONDS:
                    raise UnknownError(f"it has not loaded its files within {LOAD_SECONDS} seconds")
            elif now - began > BEGIN_SECONDS:
                raise UnknownError(f"{self.log} does not say that it loads its files")
            elif now - told > AGAIN_SECONDS:
                told = now
                self._renew()
            time.sleep(POLL_SECONDS)

    def _renew(self) -> None:
        """Give the configuration a newer time; shibd compares whole seconds."""
        self._time = max(int(time.time()), int(os.stat(self.configuration).st_mtime) + 1, self._time + 1)
        os.utime(self.configuration, (self._time, self._time))

    def _listener(self) -> tuple[socket.AddressFamily, str | tuple[str, int]]:
        """Return where shibd listens."""
        root = ET.parse(self.configuration).getroot()  # noqa: S314 (shibd has validated it)
        if (listener := root.find(f"{NAMESPACE}TCPListener")) is not None:
            return socket.AF_INET, (listener.get("address", "127.0.0.1"), int(listener.get("port", "1600")))
        listener = root.find(f"{NAMESPACE}UnixListener")
        name = "shibd.sock" if listener is None else listener.get("address", "shibd.sock")
        return socket.AF_UNIX, os.path.join(self.runtime_directory, name)
