# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A hostile value of a variable is refused before anything changes, or it is one harmless word of the files that have it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple
from urllib.parse import quote

import file_formats
import hostile_roles
import pytest

#: What has a meaning to a shell, to a template or to one of the files.
ATTACKS = {
    "line": "x\nLoadModule evil_module /tmp/evil.so",
    "carriage return": "x\rExecStart=/tmp/evil",
    "nul": "x\0y",
    "line of Unicode": "x\u2028User=root\x85y",
    "quote": "\" evil ' evil ",
    "quote and line": '"\n[Service]\nExecStartPre=/tmp/evil\n"',
    "end of a section": "/></VirtualHost><VirtualHost *:80>",
    "backslash": '\\" evil \\',
    "template": "{{ lookup('pipe', 'id') }}{% set x = 1 %}{# #}",
    "variable of httpd": "${PATH}",
    "expressions": "%{SSL_CLIENT_VERIFY} %h %n %(evil) @(exec://id)",
    "shell": "; touch /tmp/evil & `id` $(id) $HOME | tee > /tmp/evil",
    "XML": '"/><Evil a="1">&evil;<!-- ]]>',
    "parent": "../../../../etc/cron.d/evil",
    "option": "--upload-pack=touch --index-url=https://evil.example # evil",
    "spaces": "  x  y  ",
    "huge": "x" * 132_000,
    "emoji": "é😀",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> hostile_roles.Site:
    """A site of which nothing is wrong."""
    return hostile_roles.Site(tmp_path_factory.mktemp("controller"))


def role_of(variable: str) -> str:
    """Return the role of a variable.

    :param variable: Its name.
    """
    return next(path.name for path in hostile_roles.ROLES.iterdir() if variable.startswith(f"{path.name}_"))


@pytest.mark.parametrize(
    "role", [path.parent.parent.name for path in sorted(hostile_roles.ROLES.glob("*/tasks/preflight.yml"))] + ["saml_sp"]
)
def test_nothing_is_wrong_with_the_site_itself(site, role):
    assert site.faults(role, {}) == []


class Place(NamedTuple):
    """Where a text is free, and the files that have it."""

    variable: str
    #: What makes a value of the variable.
    make: Callable[[str], Any]
    #: What reads the templates, or the values of variables.
    files: dict[str, Callable]
    #: How the files have the text.
    form: Callable[[str], str] = str
    #: Variables that are needed, too.
    beside: Mapping[str, Any] = {}
    #: The role that makes the files, if it is another one.
    role: str = ""

    @property
    def maker(self) -> str:
        """The role that makes the files."""
        return self.role or role_of(self.variable)

    def variables(self, text: str) -> dict[str, Any]:
        """Return variables with a text."""
        return {**self.beside, self.variable: self.make(text)}


UPN = {"id": "upn", "name": "upn"}
FRAGMENT = {"fragment.conf.j2": file_formats.httpd}
SITE = {"site.conf.j2": file_formats.httpd}
SANDBOX = {"sandbox.j2": file_formats.systemd, "flask_app__properties": file_formats.properties}
COMPANIONS = {"flask_app__companion_files": file_formats.units}
INDEX = {"flask_app_index_url": "https://index.example.org/", "flask_app_index_username": "alice"}
PLACES = {
    "a header": Place(
        "apache_ssl_security_headers", lambda text: {"X-Text": text}, SITE, lambda text: text.replace("%", "%%")
    ),
    "a directory that httpd serves": Place("apache_ssl_static", lambda text: {"/static": f"/srv/{text}"}, SITE),
    "a path that httpd serves": Place("apache_ssl_static", lambda text: {f"/{text}": "/srv"}, SITE),
    "a subject of certificates": Place("client_certificates_allowed", lambda text: [{"subject": text}], FRAGMENT),
    "a path that needs a login": Place("shibboleth_sp_protected", lambda text: [{"path": f"/{text}"}], FRAGMENT),
    "a value that a login needs": Place(
        "shibboleth_sp_protected", lambda text: [{"path": "/a", "attributes": {"cern_roles": ["one", text]}}], FRAGMENT
    ),
    "a context that a login needs": Place(
        "shibboleth_sp_protected", lambda text: [{"path": "/a", "authn_contexts": [text]}], FRAGMENT
    ),
    "an identity provider": Place(
        "shibboleth_sp_only_idps", lambda text: [text], {"shibboleth2.xml.j2": file_formats.xml}
    ),
    "a default of an attribute": Place(
        "saml_sp_attributes",
        lambda text: [UPN, {"id": "mail", "name": "mail", "default": text}],
        {"shibboleth2.xml.j2": file_formats.xml},
        lambda text: text.replace("\\", "\\\\").replace("$", "\\$"),
        {"saml_sp_remote_user": ["upn"]},
        "shibboleth_sp",
    ),
    "a name of an attribute": Place(
        "saml_sp_attributes",
        lambda text: [{"id": "upn", "name": text}],
        {"attribute-map.xml.j2": file_formats.xml},
        beside={"saml_sp_remote_user": ["upn"]},
        role="shibboleth_sp",
    ),
    "an entityID": Place(
        "saml_sp_entity_id",
        lambda text: f"urn:{text}",
        {"shibboleth2.xml.j2": file_formats.xml},
        role="shibboleth_sp",
    ),
    "a path that the proxy leaves out": Place("uwsgi_proxy_excluded_paths", lambda text: [f"/{text}"], FRAGMENT),
    "a path that the HTTP proxy leaves out": Place("reverse_proxy_excluded_paths", lambda text: [f"/{text}"], FRAGMENT),
    "an environment variable": Place(
        "flask_app_environment",
        lambda text: {"NAME": text},
        {"environment.j2": file_formats.environment_file, "mod_wsgi.py.j2": file_formats.python},
    ),
    "an environment variable of the server": Place("flask_app_server_environment", lambda text: {"NAME": text}, SANDBOX),
    "a path that the application writes to": Place("flask_app_writable_paths", lambda text: [f"/srv/{text}"], SANDBOX),
    "an argument of a worker": Place(
        "flask_app_workers", lambda text: [{"name": "mail", "command": ["celery", text]}], COMPANIONS
    ),
    "an argument of a step": Place(
        "flask_app_before_switch", lambda text: [{"command": ["flask", text]}], {"flask_app__before": list}
    ),
    "a calendar": Place(
        "flask_app_timers",
        lambda text: [{"name": "night", "command": ["flask"], "calendar": text}],
        COMPANIONS,
        str.strip,
    ),
    "a password of the index": Place(
        "flask_app_index_password",
        str,
        {"pip.conf.j2": file_formats.ini},
        lambda text: quote(text, safe=""),
        INDEX,
    ),
    "an index": Place("flask_app_index_url", lambda text: f"https://index.example.org/{text}", {"pip.conf.j2": file_formats.ini}),
    "the name of a release": Place("flask_app_release_note", str, {"flask_app__recorded_release": dict}),
}
#: No hostile text, and nowhere else in these files.
HARMLESS = "guestbook"


def with_text(read: Any, text: str) -> Any:
    """Return what was read, with a text for the harmless word.

    :param read: What was read.
    :param text: The text.
    """
    if isinstance(read, dict):
        return {with_text(key, text): with_text(value, text) for key, value in read.items()}
    if isinstance(read, (list, tuple)):
        return [with_text(part, text) for part in read]
    return read.replace(HARMLESS, text) if isinstance(read, str) else read


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("case", PLACES)
def test_text_is_refused_or_one_harmless_word(site, case, attack):
    """The file is that of a harmless word, with the hostile one in its place."""
    place, text = PLACES[case], ATTACKS[attack]
    faults = site.faults(role_of(place.variable), place.variables(text))
    if faults:
        assert any(place.variable in fault for fault in faults), faults
        return
    for name, read in place.files.items():
        harmless = read_harmless(site, case, name)
        hostile = read(site.made(place.maker, name, place.variables(text)))
        assert with_text(hostile, HARMLESS) == with_text(harmless, place.form(text))
        assert with_text(harmless, "") != harmless


@cache
def read_harmless(site: hostile_roles.Site, case: str, name: str) -> Any:
    """Return a file or variable with the harmless word, as it is read.

    :param site: The site.
    :param case: Where the word is.
    :param name: Name of the template or the variable.
    """
    place = PLACES[case]
    return with_text(place.files[name](site.made(place.maker, name, place.variables(HARMLESS))), HARMLESS)
