# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the files of services as the services do, where Python has no parser for them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from configparser import RawConfigParser
from typing import Any

from lxml import etree


def httpd(text: str) -> list[list[str]]:
    """Read a configuration as httpd does, with ap_cfg_getline, ap_resolve_env and ap_getword_conf.

    :param text: The configuration.
    :returns: For each directive its name and its arguments. The first line of a section begins with "<".
    :raises ValueError: if it has a variable, which httpd would replace.
    """
    directives = []
    for line in text.replace("\\\n", "").split("\n"):
        line = line.strip(" \t\r")  # noqa: PLW2901 (what httpd reads)
        if not line or line.startswith("#"):
            continue
        if "${" in line.replace("${APACHE_LOG_DIR}", ""):  # which the distribution sets
            raise ValueError(f"httpd replaces a variable in {line!r}.")
        if line.startswith("<") and line.endswith(">"):
            line = line[:-1]  # noqa: PLW2901 (likewise)
        directives.append(list(httpd_words(line)))
    return directives


def httpd_words(line: str) -> Iterator[str]:
    r"""Yield the words of a line. In quotation marks, and only there, a backslash keeps such a mark.

    :param line: The line.
    """
    while line := line.lstrip(" \t"):
        mark = line[0] if line[0] in "\"'" else ""
        pattern = rf"{mark}((?:\\[\\{mark}]|[^{mark}])*){mark}?" if mark else r"([^ \t]*)"
        found = re.match(pattern, line, re.DOTALL)
        yield re.sub(rf"\\([\\{mark}])", r"\1", found[1])
        line = line[found.end() :]


def systemd_words(line: str, command: bool = False) -> list[str]:
    """Read the value of a setting as systemd does, with extract_first_word and its specifiers.

    :param line: The value.
    :param command: Whether it is a command line.
    :returns: The words.
    :raises ValueError: if systemd would replace something, or run a second command.
    """
    words = []
    while line := line.lstrip(" \t"):
        found = re.match(r'"((?:\\.|[^"\\])*)"(?=\s|\Z)|([^\s"\'\\]+)', line, re.DOTALL)
        if not found:
            raise ValueError(f"systemd does not read {line!r} as one word.")
        word = re.sub(r"\\(x[0-9a-f]{2}|.)", lambda escape: unescaped(escape[1]), found[1] or found[2] or "")
        if re.search("%", word.replace("%%", "")) or (command and re.search("[$]", word.replace("$$", ""))):
            raise ValueError(f"systemd replaces something in {word!r}.")
        if command and found[2] == ";":
            raise ValueError("systemd runs a second command.")
        word = word.replace("%%", "%")
        words.append(word.replace("$$", "$") if command else word)
        line = line[found.end() :]
    return words


def unescaped(escape: str) -> str:
    """Return what a backslash and this mean to systemd.

    :param escape: What follows the backslash.
    """
    return chr(int(escape[1:], 16)) if escape.startswith("x") and len(escape) > 1 else escape


def systemd(text: str) -> list[tuple[str, str | list[str]]]:
    """Read a unit.

    :param text: The unit.
    :returns: Each section, and each setting with its value or words.
    """
    read: list[tuple[str, str | list[str]]] = []
    for line in text.split("\n"):
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            read.append((line, ""))
            continue
        name, value = line.split("=", 1)
        command = value.startswith("/usr/bin/env ")
        has_words = command or name in ("Environment", "ReadWritePaths")
        read.append((name, systemd_words(value, command) if has_words else value.strip()))
    return read


def environment_file(text: str) -> dict[str, str]:
    """Read a file of environment variables as systemd does, with parse_env_file.

    :param text: The file.
    :returns: Names with their values.
    """
    read = {}
    for name, value in re.findall(
        r'^([A-Za-z_][A-Za-z0-9_]*)=(?:"((?:\\.|[^"\\])*)")?$', text, re.MULTILINE | re.DOTALL
    ):
        read[name] = re.sub(r'\\([\\"`$])', r"\1", value)
    return read


def python(text: str) -> list[Any]:
    """Read a program.

    :param text: The program.
    :returns: Its form, without the values in it, and the values.
    """
    tree = ast.parse(text)
    constants = [node for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    values = [node.value for node in constants]
    for node in constants:
        node.value = ""
    return [ast.dump(tree), values]


def xml(text: str) -> list[Any]:
    """Read a document.

    :param text: The document.
    :returns: Its elements, each with its attributes and its text.
    """
    root = etree.fromstring(text.encode(), etree.XMLParser(resolve_entities=False))
    return [[element.tag, dict(element.attrib), element.text] for element in root.iter()]


def ini(text: str) -> dict[str, dict[str, str]]:
    """Read a file of settings.

    :param text: The file.
    :returns: Its sections with their settings.
    """
    parser = RawConfigParser(strict=False)
    parser.read_string(text)
    return {name: dict(section) for name, section in parser.items()}


def units(files: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Read the units among files.

    :param files: The files, as staged_files gets them.
    :returns: The same, with what systemd reads as their content.
    """
    return [file | {"content": systemd(file["content"])} if "content" in file else file for file in files]


def properties(found: list[str]) -> list[Any]:
    """Read what systemd-run gets as properties, in which it replaces no specifiers.

    :param found: The properties.
    """
    return systemd("\n".join(found).replace("%", "%%"))
