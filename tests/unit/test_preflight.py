# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A role's preflight names all faults at once, in a line each, and a playbook those of all its parts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import untrusted_roles
import yaml
from ansible.errors import AnsibleActionFail
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible_collections.campus.flask_sso.plugins.action.preflight import ActionModule

ROLES = Path(__file__).parents[2] / "roles"
LOUD = {"that": "{{ volume <= 11 }}", "otherwise": "volume is {{ volume }}. Write at most 11."}
NAMED = {"that": "{{ band | length > 0 }}", "otherwise": "band is not set. Write its name."}
PAIRED = {"that": "{{ volume * gain <= 11 }}", "otherwise": "gain is {{ gain }}. Write less."}


def trusted(value):
    """Mark all strings in a value as templates that Ansible may evaluate, as those in playbooks and inventories are."""
    if isinstance(value, dict):
        return {key: trusted(part) for key, part in value.items()}
    if isinstance(value, list):
        return [trusted(part) for part in value]
    return trust_as_template(value) if isinstance(value, str) else value


@pytest.fixture
def preflight() -> Callable[..., dict]:
    """Return what runs the action with these checks, options and variables, and returns its result."""

    def run(*checks: dict, options: dict | None = None, **variables) -> dict:
        variables = trusted(variables | {"checks": list(checks)})
        task = SimpleNamespace(
            action="campus.flask_sso.preflight", args={"checks": "checks"} | (options or {}), async_val=0, diff=False,
            check_mode=True, environment=None, name="",
        )  # fmt: skip
        templar = Templar(loader=DataLoader(), variables=variables)
        play_context = SimpleNamespace(check_mode=True, diff=False)
        connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir=None))
        return ActionModule(task, connection, play_context, DataLoader(), templar, None).run(None, variables)

    return run


SITE = {"that": "{{ role_path is match('/') }}", "otherwise": 'role_path is "{{ role_path }}". Write a slash first.'}
OTHER = {"that": "{{ more_path is match('/') }}", "otherwise": 'more_path is "{{ more_path }}". Write a slash first.'}


@pytest.mark.parametrize(
    ("variables", "lines"),
    [
        ({"flask_sso_path": "x"}, ['flask_sso_path is "x". Write a slash first.']),
        (
            {"flask_sso_path": "x", "role_path": "y"},
            ['role_path is "y". Write a slash first.', 'flask_sso_path is "x". Write a slash first.'],
        ),
        ({}, ['role_path is "z". Write a slash first.', 'more_path is "z". Write a slash first.']),
        (
            {"flask_sso_path": "x", "more_path": "{{ flask_sso_path | default('z') }}/more"},
            ['flask_sso_path is "x". Write a slash first.', 'more_path is "x/more". Write a slash first.'],
        ),
        (
            {"flask_sso_path": "x", "role_path": "{{ flask_app_path if parts is defined else '/' }}", "parts": []}
            | {"flask_app_path": "{{ flask_sso_path }}"},
            ['flask_sso_path is "x". Write a slash first.'],
        ),
        (
            {"flask_app_path": "x", "role_path": "{{ flask_app_path }}", "more_path": "{{ inventory_hostname }}"}
            | {"inventory_hostname": "x"},
            ['flask_app_path is "x". Write a slash first.', 'more_path is "x". Write a slash first.'],
        ),
        (
            {"flask_app__path": "x", "role_path": "{{ flask_app__path }}", "more_path": "{{ doctor_path }}"}
            | {"doctor_path": "{{ doctor_name }}", "doctor_name": "x"},
            ['role_path is "x". Write a slash first.', 'doctor_path is "x". Write a slash first.'],
        ),
    ],
    ids=[
        "of the site",
        "of one role",
        "by default",
        "made from that of the site",
        "through another role",
        "of another role",
        "of another one of a role",
    ],
)
def test_variable_is_named_as_the_user_wrote_it(preflight, variables, lines):
    """What is wrong in several roles as they have it from one variable is said once."""
    defaults = dict.fromkeys(("role_path", "more_path"), "{{ flask_sso_path | default('z') }}")
    assert said(preflight(SITE, OTHER, **defaults | variables)) == lines


def said(result: dict) -> list[str]:
    """Return the lines of a failure below its heading, without their dashes."""
    assert result["failed"]
    heading, *lines = result["msg"].splitlines()
    assert heading.startswith(f"{len(lines)} fault")
    assert all(line.startswith("- ") for line in lines)
    return [line.removeprefix("- ") for line in lines]


def test_no_fault_is_no_failure_and_no_message(preflight):
    assert preflight(LOUD, NAMED, volume=11, band="Spinal Tap") == {"changed": False, "faults": []}


def test_one_fault_is_one_line(preflight):
    assert said(preflight(LOUD, NAMED, volume=12, band="Spinal Tap")) == ["volume is 12. Write at most 11."]


def test_all_faults_are_named_in_the_order_of_the_checks(preflight):
    faults = said(preflight(NAMED, LOUD, volume=12, band=""))
    assert faults == ["band is not set. Write its name.", "volume is 12. Write at most 11."]


def test_fault_of_several_lines_is_one_line(preflight):
    check = {"that": "{{ false }}", "otherwise": "band is\n{{ band }}.\nWrite its name.\n"}
    assert said(preflight(check, band="a\nb")) == ["band is a b. Write its name."]


def test_list_of_faults_is_a_line_for_each_and_none_comes_twice(preflight):
    check = {"that": "{{ faults | length == 0 }}", "otherwise": "{{ faults }}"}
    assert said(preflight(check, faults=["one", "two", "one"])) == ["one", "two"]


@pytest.mark.parametrize(
    ("gain", "reason"),
    [
        ("{{ missing }}", "'missing' is undefined"),
        ("{{ [] | no_such_filter }}", "no_such_filter"),
        ("{{ 1 / 0 }}", "division by zero"),
    ],
)
def test_condition_that_cannot_be_evaluated_is_a_fault_with_the_reason(preflight, gain, reason):
    [fault] = said(preflight(PAIRED, volume="x", gain=gain))
    assert fault.startswith("gain or volume cannot be checked: ")
    assert reason in fault


def test_condition_that_cannot_be_evaluated_for_a_fault_that_is_named_is_passed_over(preflight):
    """Whatever the order of the checks is, and where the variable stands behind another one."""
    check = {"that": "{{ loudness <= 11 }}", "otherwise": "too loud"}
    whole = {"that": "{{ volume is integer }}", "otherwise": 'volume is "{{ volume }}". Write a whole number.'}
    faults = said(preflight(check, PAIRED, whole, volume="all", gain=2, loudness="{{ [volume | pow(2)] | first }}"))
    assert faults == ['volume is "all". Write a whole number.']


def test_other_faults_do_not_hide_a_condition_that_cannot_be_evaluated(preflight):
    faults = said(preflight(NAMED, PAIRED, band="", volume="{{ missing }}", gain=1))
    assert [fault.split(" is ")[0] for fault in faults] == ["band", "gain or volume cannot be checked: 'missing'"]


def test_message_that_cannot_be_written_is_a_fault_as_well(preflight):
    [fault] = said(preflight({"that": "{{ volume <= 11 }}", "otherwise": "{{ missing }}"}, volume=12))
    assert fault == "volume cannot be checked: 'missing' is undefined"


@pytest.mark.parametrize("otherwise", ["", [], "{{ [] }}", "{{ none }}", 7])
def test_fault_without_words_is_a_fault(preflight, otherwise):
    assert len(said(preflight({"that": "{{ false }}", "otherwise": otherwise}))) == 1


def test_condition_is_true_or_false_and_nothing_else(preflight):
    [fault] = said(preflight({"that": "{{ volume }}", "otherwise": "silent"}, volume=1))
    assert fault == "volume cannot be checked: it gives 1, neither true nor false"


def test_checks_are_evaluated_one_by_one_and_messages_only_for_faults(preflight):
    fine = {"that": "{{ volume <= 11 }}", "otherwise": "{{ missing }}"}
    assert said(preflight(fine, NAMED, fine, volume=1, band="")) == ["band is not set. Write its name."]


def test_value_of_a_variable_is_no_template(preflight):
    """A text of a user is never a template, nor is the answer of a host."""
    check = {"that": "{{ found.text == '' }}", "otherwise": "{{ found.text }}"}
    result = preflight(check, found="{{ '{' ~ '{ volume }' ~ '}' and {'text': '{' ~ '{ volume }' ~ '}'} }}", volume=1)
    assert said(result) == ["{{ volume }}"]


@pytest.mark.parametrize("secret", ["hunter2", {"token": "hunter2"}, [{"name": "hunter2"}], "{{ 'hunter' ~ 2 }}"])
def test_secret_is_in_no_message(preflight, secret):
    shows = {"that": "{{ false }}", "otherwise": "secret is {{ secret }}. Write another one."}
    breaks = {"that": "{{ ('x' ~ secret) | bool }}", "otherwise": "no"}
    result = preflight(shows, breaks, options={"secrets": ["secret", "undefined"]}, secret=secret)
    assert "hunter2" not in str(result)
    assert "********" in said(result)[0]


def test_secret_is_in_no_result_that_is_kept(preflight):
    shows = {"that": "{{ false }}", "otherwise": "secret is {{ secret }}."}
    result = preflight(shows, options={"secrets": ["secret"], "collect": True}, secret="hunter2")  # noqa: S106
    assert result["faults"] == ["secret is ********."]


def test_collected_faults_of_two_roles_are_one_message(preflight):
    first = preflight(LOUD, options={"collect": True}, volume=12)
    second = preflight(NAMED, options={"collect": True}, band="")
    assert "failed" not in first | second
    options = {"checks": [], "collected": ["first_preflight", "second_preflight", "third_preflight"]}
    result = preflight(options=options, first_preflight=first, second_preflight=second)
    assert said(result) == ["volume is 12. Write at most 11.", "band is not set. Write its name."]


def test_collected_faults_are_passed_on_and_explain_what_cannot_be_evaluated(preflight):
    first = preflight(LOUD, options={"collect": True}, volume="{{ 12 }}")
    options = {"collect": True, "collected": ["first_preflight"]}
    second = preflight(PAIRED, NAMED, options=options, first_preflight=first, volume=12, gain="x", band="")
    assert second["faults"] == ["volume is 12. Write at most 11.", "band is not set. Write its name."]


def test_skipped_preflight_has_no_faults(preflight):
    assert preflight(options={"collected": ["first"]}, first={"skipped": True, "changed": False})["faults"] == []


def test_values_that_no_role_can_have_are_one_message(preflight):
    """What is not set has its default; what needs a role that is not loaded yet is not checked."""
    result = preflight(
        options={"roles": ["apache_ssl", "uwsgi_proxy"]},
        apache_ssl_certificate_source="heaven",
        apache_ssl_http_port="{{ 'eighty' }}",
        apache_ssl_expiry_days="{{ missing }}",
        apache_ssl_security_headers={"X-Frame-Options": "{{ missing }}"},
        apache_ssl_server_aliases="{{ [missing] }}",
        uwsgi_proxy_timeout="long",
        flask_app_threads="many",
    )
    port, timeout, source = sorted(said(result))
    assert port.startswith("argument 'apache_ssl_http_port' is of type str and we were unable to convert to int")
    assert source.startswith("value of apache_ssl_certificate_source must be one of: private_ca, provided, csr, acme, ")
    assert timeout.startswith("argument 'uwsgi_proxy_timeout' is of type str")


@pytest.mark.parametrize("checks", ["nothing", {"that": "{{ true }}"}, {"that": "", "otherwise": "", "when": ""}])
def test_mistake_in_a_role_is_distinguished_from_one_of_its_user(preflight, checks):
    with pytest.raises(AnsibleActionFail, match='"that" and "otherwise"'):
        preflight(checks)


def preflights() -> dict[str, list[dict]]:
    """Return the tasks of each role's preflight."""
    return {path.parts[-3]: yaml.safe_load(path.read_text()) for path in ROLES.glob("*/tasks/preflight.yml")}


@pytest.mark.parametrize(("role", "tasks"), preflights().items())
def test_every_preflight_ends_with_its_faults_and_can_pass_them_on(role, tasks):
    last = tasks[-1]
    assert last["register"] == f"{role}_preflight"
    assert last["campus.flask_sso.preflight"]["collect"] == "{{ flask_sso_collect_faults | default(false) }}"
    names, of_task = untrusted_roles.checks(role)
    variables = untrusted_roles.own_variables() | of_task
    checks = [check for name in names for check in variables[name]]
    assert all(set(check) == {"that", "otherwise"} for check in checks)
    assert not any("ansible.builtin.assert" in task or "ansible.builtin.fail" in task for task in tasks)
