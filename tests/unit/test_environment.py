# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An environment variable reaches an application as it is written, under every server, or is refused."""

from datetime import date, datetime

import pytest
from ansible_collections.campus.flask_sso.plugins.filter.environment_faults import environment_faults
from ansible_collections.campus.flask_sso.plugins.filter.environment_strings import environment_strings

SERVERS = ("uwsgi", "gunicorn", "mod_wsgi")


@pytest.mark.parametrize(
    ("value", "string"),
    [
        *(
            (text, text)
            for text in ("", " a ", "a\nb\n", "\t", '"', "'", "\\n", "$HOME %h `id`", "# no", "Zürich ✓", "null")
        ),
        (True, "true"),
        (None, "null"),
        (8, "8"),
        (1.5, "1.5"),
        ([1, "x\ny"], '[1, "x\\ny"]'),
        ({"since": date(2024, 2, 1)}, '{"since": "2024-02-01"}'),
        (date(2024, 2, 1), "2024-02-01"),
        (datetime(2024, 2, 1, 12, 30), "2024-02-01T12:30:00"),  # noqa: DTZ001 (YAML has such)
    ],
)
def test_value_is_a_string_or_json(value, string):
    assert environment_strings({"NAME": value}, "/app") == {"NAME": string}
    assert [environment_faults({"NAME": value}, "variable", server) for server in SERVERS] == [[], [], []]


@pytest.mark.parametrize(
    ("value", "string"),
    [
        ("src", "/app/src"),
        ("./src/:lib", "/app/src:/app/lib"),
        ("/opt/lib:src", "/opt/lib:/app/src"),
        (".", "/app"),
        ("src:", "/app/src:/app"),
    ],
)
def test_relative_python_path_begins_at_the_source(value, string):
    assert environment_strings({"PYTHONPATH": value}, "/app") == {"PYTHONPATH": string}


@pytest.mark.parametrize("name", ["T-DASH", "T SPACE", "9T", "T.DOT", "", "A=B", "ü", "A\n", 1, True, None])
@pytest.mark.parametrize("server", SERVERS)
def test_name_that_no_environment_can_have_is_refused(server, name):
    (sentence,) = environment_faults({"GOOD": "x", name: "secret"}, "flask_app_environment", server)
    assert sentence.startswith(f'flask_app_environment has "{name}", which is not a valid variable name. Write')
    assert "secret" not in sentence


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("a\0b", "a character"),
        ("\udcff", "a character"),
        ("\ufffe", "a character"),
        ("x" * 131068, "more than 131071 bytes"),
        ("ü" * 65535, "more than 131071 bytes"),
        (float("nan"), "no JSON"),
        ([float("inf")], "no JSON"),
        (b"x", "no JSON"),
        ({"x"}, "no JSON"),
    ],
)
def test_value_that_no_environment_can_hold_is_refused(value, reason):
    (sentence,) = environment_faults({"NAME": value}, "variable", "uwsgi")
    assert 'variable has "NAME", ' in sentence
    assert reason in sentence
    assert environment_faults({"NAME": "x" * 131066}, "variable", "uwsgi") == []


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("CREDENTIALS_DIRECTORY", "flask_app_credentials"),
        ("SCRIPT_NAME", "flask_app_path_prefix"),
        ("NOTIFY_SOCKET", "Remove it"),
        ("LISTEN_FDS", "Remove it"),
        ("PYTHONHOME", "Remove it"),
        ("UWSGI_HTTP", "Use a variable of flask_app"),
        ("GUNICORN_CMD_ARGS", "Use a variable of flask_app"),
    ],
)
def test_name_that_is_not_the_applications_own_is_refused(name, remedy, server):
    (sentence,) = environment_faults({name: "x"}, "variable", server)
    assert remedy in sentence


@pytest.mark.parametrize(
    "name",
    ["PYTHONPATH", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "PYTHON_ENV", "TZ", "PATH", "UWSGI", "_", "a1"],
)
@pytest.mark.parametrize("server", SERVERS)
def test_usual_names_are_accepted(name, server):
    assert environment_faults({name: "x"}, "variable", server) == []


@pytest.mark.parametrize("name", ["LD_LIBRARY_PATH", "LD_PRELOAD", "PYTHONUTF8", "PYTHONHASHSEED", "PYTHONOPTIMIZE"])
def test_what_has_an_effect_at_the_start_alone_is_refused_where_httpd_starts_python(name):
    assert [len(environment_faults({name: "x"}, "variable", server)) for server in SERVERS] == [0, 0, 1]


def test_settings_of_the_server_may_be_among_the_servers_variables():
    settings = {"UWSGI_HTTP": "x", "GUNICORN_CMD_ARGS": "x"}
    assert environment_faults(settings, "variable", "uwsgi", server_settings=True) == []


@pytest.mark.parametrize("environment", ["A=b", ["A=b"], None])
def test_what_is_no_mapping_is_refused(environment):
    assert "variable is not a mapping. Write names" in environment_faults(environment, "variable", "uwsgi")[0]


def test_python_path_is_a_string():
    assert "not a string" in environment_faults({"PYTHONPATH": ["src"]}, "variable", "uwsgi")[0]
