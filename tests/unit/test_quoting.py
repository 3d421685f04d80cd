# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a filter quotes for a format, the format's own parser reads as it was; what has no quotation is an error."""

import ast
import re
import shlex
from configparser import RawConfigParser

import file_formats
import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.campus.flask_sso.plugins.filter.cil_path import cil_path
from ansible_collections.campus.flask_sso.plugins.filter.environment_file_value import environment_file_value
from ansible_collections.campus.flask_sso.plugins.filter.httpd_argument import httpd_argument
from ansible_collections.campus.flask_sso.plugins.filter.ini_value import ini_value
from ansible_collections.campus.flask_sso.plugins.filter.python_literal import python_literal
from ansible_collections.campus.flask_sso.plugins.filter.systemd_word import systemd_word
from ansible_collections.campus.flask_sso.plugins.filter.xml_text import IMPOSSIBLE, xml_text
from ansible_collections.campus.flask_sso.plugins.filter.yaml_value import yaml_value
from hypothesis import assume, given
from hypothesis import strategies as st
from lxml import etree

#: What no text has, as Python shows it.
SURROGATE = re.compile(r"\\ud[89a-f]")
#: Characters with a meaning in some format come more often than by chance.
SPECIAL = st.sampled_from("\"'\\$%{}()[]<>&;#`~^*?|=:@,- \t\n\r\0\x7f\x85\u2028é😀")
TEXTS = st.lists(SPECIAL | st.characters()).map("".join)


def quoted(quote, text: str, **options) -> str:
    """Return what a filter makes of a text. Those without a quotation are no examples."""
    try:
        return quote(text, **options)
    except AnsibleFilterError:
        assume(False)
        raise


@given(TEXTS, TEXTS)
def test_httpd_reads_an_argument_as_it_was(one, other):
    line = f"Alias {quoted(httpd_argument, one)} {quoted(httpd_argument, other)}"
    assert file_formats.httpd(line) == [["Alias", one, other]]


@given(TEXTS)
def test_httpd_reads_a_format_as_it_was(text):
    [[_directive, read]] = file_formats.httpd(f"Header {quoted(httpd_argument, text, formatted=True)}")
    assert "%" not in read.replace("%%", "")
    assert read.replace("%%", "%") == text


@given(TEXTS)
def test_xml_is_read_as_it_was(text):
    written = quoted(xml_text, text)
    element = etree.fromstring(f'<a b="{written}">{written}</a>')
    assert (element.get("b"), element.text or "") == (text, text)


@given(st.lists(TEXTS), st.booleans())
def test_systemd_reads_words_as_they_were(words, command):
    line = " ".join(quoted(systemd_word, word, command=command) for word in words)
    assert "\n" not in line
    assert file_formats.systemd_words(line, command) == words


@given(TEXTS)
def test_environment_file_is_read_as_it_was(text):
    """A shell's rules are those of systemd."""
    assert shlex.split(environment_file_value(text)) == [text] or "$" in text or "`" in text
    assert file_formats.environment_file(f"A={environment_file_value(text)}\nB=\n") == {"A": text, "B": ""}


@given(TEXTS)
def test_python_reads_a_literal_as_it_was(text):
    literal = python_literal(text)
    assert literal.isascii()
    assert literal.isprintable()
    assert ast.literal_eval(literal) == text


@given(TEXTS)
def test_pip_reads_a_setting_as_it_was(text):
    parser = RawConfigParser()
    parser.read_string(f"[global]\nindex-url = {quoted(ini_value, text)}\n")
    assert dict(parser["global"]) == {"index-url": text}


@given(st.recursive(TEXTS, lambda part: st.lists(part) | st.dictionaries(TEXTS, part), max_leaves=5))
def test_yaml_is_read_as_it_was(value):
    assume(not SURROGATE.search(repr(value)))
    written = yaml_value(value)
    assert written.isascii()
    assert written.isprintable()
    assert yaml.safe_load(f"- a: {written}\n  b: 1\n") == [{"a": value, "b": 1}]


@pytest.mark.parametrize("text", ["a\nb", "a\0", "\x1b[0m", "a\x7f", "${PATH}"])
def test_what_httpd_cannot_have_is_an_error(text):
    with pytest.raises(AnsibleFilterError, match="httpd cannot have"):
        httpd_argument(text)


@pytest.mark.parametrize("text", ["a\0", "\x1b", "\ufffe", "\udcff"])
def test_what_xml_cannot_have_is_an_error(text):
    with pytest.raises(AnsibleFilterError, match="XML cannot have"):
        xml_text(text)


def test_xml_has_a_form_for_what_its_parser_reads_and_nothing_else():
    """These are the ranges of its specification, of which not one code point is missing."""
    possible = {*range(0x20, 0xD800), *range(0xE000, 0xFFFE), *range(0x10000, 0x110000), 0x9, 0xA, 0xD}
    every = "".join(map(chr, range(0x110000)))
    assert set(map(ord, IMPOSSIBLE.findall(every))) == set(range(0x110000)) - possible


@pytest.mark.parametrize("text", ["a\0", "\ufdd0", "\ufffe", "\udcff"])
def test_what_a_unit_cannot_have_is_an_error(text):
    with pytest.raises(AnsibleFilterError, match="A unit of systemd cannot have"):
        systemd_word(text)


@pytest.mark.parametrize("text", ["a\nb", " a", "a ", "\ta", "a\x85b", "\0"])
@pytest.mark.parametrize("uwsgi", [False, True])
def test_what_has_a_meaning_in_an_ini_file_is_an_error(text, uwsgi):
    with pytest.raises(AnsibleFilterError, match="cannot be a setting"):
        ini_value(text, uwsgi)


@pytest.mark.parametrize("text", ["%h", "%(name)", "$(HOME)", "@(/etc/passwd)", "@(exec://id)", "100%"])
def test_what_uwsgi_would_replace_is_an_error(text):
    assert ini_value(text) == text
    with pytest.raises(AnsibleFilterError, match='"%", "\\$\\(" and "@\\("'):
        ini_value(text, uwsgi=True)


@pytest.mark.parametrize("value", [8080, 1.5, True])
@pytest.mark.parametrize("quote", [httpd_argument, xml_text, systemd_word, ini_value, python_literal])
def test_numbers_are_text(quote, value):
    assert str(value) in quote(value)


@given(st.from_regex(r"(/[A-Za-z0-9._+@-]{1,9}){1,4}", fullmatch=True), TEXTS)
def test_a_file_context_matches_its_path_alone(path, other):
    pattern = re.compile(quoted(cil_path, path).strip('"'))
    assert pattern.fullmatch(path)
    assert other == path or not pattern.fullmatch(other)


def test_a_file_context_may_cover_what_is_below():
    pattern = re.compile(cil_path("/srv/app.d", below=True).strip('"'))
    assert pattern.fullmatch("/srv/app.d")
    assert pattern.fullmatch("/srv/app.d/x/y")
    assert not pattern.fullmatch("/srv/app.dx")
    assert not pattern.fullmatch("/srv/appxd/x")


@pytest.mark.parametrize("path", ["srv", "/srv/a b", '/srv/"', "/srv/(a)", "/", "", "/srv/a\n"])
def test_a_path_that_no_file_context_can_have_is_an_error(path):
    with pytest.raises(AnsibleFilterError, match="Write an absolute path without spaces"):
        cil_path(path)
