# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find all faults in the variables of a role, and fail once. The module of the same name has the documentation."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.parameters import remove_values
from ansible.plugins.action import ActionBase

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
#: A name of a site.
SITE = re.compile(r"[a-z][a-z0-9_-]{0,62}")
#: A variable that may have the value of another one.
SAME = re.compile(r"\{\{ *([a-z][a-z0-9_]*)\b.*\}\}", re.DOTALL)
ROLES = Path(__file__).parents[2] / "roles"
#: Variables that contain all others; a template that reads one of them does not read all of its content.
WHOLE = {"ansible_facts", "group_names", "groups", "hostvars", "vars"}
#: Placeholder for a value that does not exist yet.
UNKNOWN = object()
#: What no file of a service can have in a value: it would end the line, or is no text.
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")
#: By type, what the value of a variable has to be. Ansible accepts a text, too, but converts it for modules only.
FORMS: dict[str, tuple[type, str]] = {
    "dict": (Mapping, "not a mapping. Write names with their values, one a line."),
    "list": (list, 'not a list. Write its elements in brackets, for example "[one, two]".'),
}
#: Variables that may have several lines, or whose own checks say what they may have.
FREE = {
    "apache_ssl_raw",
    "flask_app_after_switch",
    "flask_app_before_switch",
    "flask_app_credentials",
    "flask_app_environment",
    "flask_app_server_environment",
    "flask_app_site_checks",
    "flask_app_site_environment",
    "flask_app_site_files",
    "flask_app_timers",
    "flask_app_workers",
    "private_ca_host_certificates",
    "private_ca_passphrases",
    "private_ca_public_key",
    "saml_sp_attributes",
    "saml_sp_own_metadata",
}


@dataclass
class Outcome:
    """The result of a check."""

    #: The faults, one sentence or more each.
    faults: list[str] = field(default_factory=list)
    #: Why it could not be evaluated, if it could not.
    error: str = ""
    #: Its condition, a template.
    that: str = ""


class ActionModule(ActionBase):
    """The plugin that Ansible loads."""

    _requires_connection = False

    def run(self, tmp: None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Evaluate the checks.

        :param tmp: Unused; part of Ansible's interface.
        :param task_vars: The task's variables, as they are written.
        :returns: The result, with the faults.
        """
        result = super().run(tmp, task_vars)
        variables = task_vars or {}
        _validation, options = self.validate_argument_spec(
            argument_spec={
                "checks": {"type": "list", "elements": "str", "default": []},
                "collect": {"type": "bool", "default": False},
                "collected": {"type": "list", "elements": "str", "default": []},
                "roles": {"type": "list", "elements": "str", "default": []},
                "secrets": {"type": "list", "elements": "str", "default": [], "no_log": False},
                "sites": {"type": "list", "elements": "str", "default": []},
            }
        )
        collected = [
            fault for name in options["collected"] for fault in self._value(variables.get(name, {})).get("faults", [])
        ]
        collected += [fault for name in options["sites"] for fault in self._site_faults(name, variables)]
        collected += [fault for role in options["roles"] for fault in self._argument_faults(role, variables)]
        checks = [check for name in options["checks"] for check in self._checks(name, variables)]
        outcomes = [self._evaluate(check) for check in checks]
        known = " ".join([*collected, *(fault for outcome in outcomes for fault in outcome.faults)])
        faults = [*collected, *(fault for outcome in outcomes for fault in lines(outcome, known, variables))]
        faults = [NAME.sub(lambda name: self._name_as_written(name[0], variables), fault) for fault in faults]
        secrets = [self._value(variables.get(name), variables.get(name)) for name in options["secrets"]]
        hidden = {text for text in texts(secrets) if text}
        faults = remove_values(list(dict.fromkeys(" ".join(fault.split()) for fault in faults)), hidden)
        if faults and not options["collect"]:
            return result | {"failed": True, "msg": message(faults)}
        return result | {"changed": False, "faults": faults}

    def _checks(self, name: str, variables: dict[str, Any]) -> list[Mapping[str, Any]]:
        """Get a list of checks, whose templates are still templates.

        :param name: Name of the variable.
        :param variables: The task's variables.
        :returns: The checks.
        :raises AnsibleActionFail: if the variable has none.
        """
        checks = variables.get(name)
        if not isinstance(checks, list) or not all(
            isinstance(check, Mapping) and set(check) == {"that", "otherwise"} for check in checks
        ):
            raise AnsibleActionFail(f'"{name}" is not a list of checks, each with "that" and "otherwise".')
        return checks

    def _site_faults(self, name: str, variables: Mapping[str, Any]) -> list[str]:
        """Check the name of a site, which files and directories get.

        :param name: Name of the variable. If it is not set, its role is not loaded yet, and takes the whole site's.
        :param variables: The task's variables.
        :returns: The fault, if there is one.
        """
        name = name if name in variables else "flask_sso_site"
        site = self._value(variables.get(name, "flask_app"), "")
        if isinstance(site, str) and SITE.fullmatch(site):
            return []
        remedy = 'write lower-case letters, digits, "_" and "-", a letter first, 63 at most.'
        return [f'{name} is "{site}". Files and directories get this name: {remedy}']

    def _argument_faults(self, role: str, variables: Mapping[str, Any]) -> list[str]:
        """Compare the variables that are set with a role's argument specification.

        :param role: Name of a role of this collection.
        :param variables: The task's variables.
        :returns: The faults. Values that cannot be evaluated before the role is loaded are not checked.
        """
        specs = self._loader.load_from_file(str(ROLES / role / "meta/argument_specs.yml"))["argument_specs"]
        options = {name: option for spec in specs.values() for name, option in spec["options"].items()}
        given = {name: self._value(variables[name], UNKNOWN) for name in options if name in variables}
        known = {name: value for name, value in given.items() if value is not UNKNOWN}
        validator = ArgumentSpecValidator({name: options[name] for name in known})
        faults = validator.validate(known, validate_role_argument_spec=True).error_messages
        faults += [
            f"{name} is {FORMS[kind][1]}"
            for name, value in known.items()
            if (kind := options[name]["type"]) in FORMS and not isinstance(value, FORMS[kind][0])
        ]
        return faults + [
            f"{name} has a line break or another control character. Write text on one line."
            for name, value in known.items()
            if name not in FREE and any(CONTROL.search(text) for text in texts(value, keys=True))
        ]

    def _name_as_written(self, name: str, variables: Mapping[str, Any]) -> str:
        """Find by which name the user has set a variable.

        :param name: Name of a role's variable, or any other word.
        :param variables: The task's variables.
        :returns: The name of the variable of another role, or of the whole site, that the role's has its value from, if
            there is one. Roles then have the same fault, which is reported once. A variable that has its value from one
            of its own role is another thing, and may be set to mend the fault.
        """
        template = variables.get(name)
        found = SAME.fullmatch(template) if isinstance(template, str) else None
        if not found or found[1] not in variables or owner(found[1]) in ("", owner(name)):
            return name
        own, other = self._value(template, UNKNOWN), self._value(variables[found[1]], UNKNOWN)
        return self._name_as_written(found[1], variables) if own is not UNKNOWN and own == other else name

    def _value(self, template: Any, *substitute: Any) -> Any:
        """Evaluate a template.

        :param template: The template, or a container of templates.
        :param substitute: What to return where it has no value.
        :returns: Its value.
        :raises AnsibleError: if it has none, and there is no substitute.
        """
        try:
            return self._templar.template(template)
        except AnsibleError:
            if not substitute:
                raise
            return substitute[0]

    def _evaluate(self, check: Mapping[str, Any]) -> Outcome:
        """Evaluate a check.

        :param check: Its templates.
        :returns: Its result.
        """
        try:
            holds = self._value(check["that"])
            if not isinstance(holds, bool):
                return Outcome(error=f"it gives {holds!r}, neither true nor false", that=check["that"])
            if holds:
                return Outcome()
            said = self._value(check["otherwise"])
            faults = [str(fault) for fault in (said if isinstance(said, list) else [said])]
        except AnsibleError as error:
            return Outcome(error=str(error), that=check["that"])
        return Outcome(faults=faults or [f"This is not true: {check['that']}"])


def owner(name: str) -> str:
    """Find whose variable it is.

    :param name: Name of a variable.
    :returns: The role, or "flask_sso" for those of the whole site; empty for those that are set elsewhere, or are a
        role's internals.
    """
    owners = ("flask_sso", *(role.name for role in ROLES.iterdir()))
    return "" if "__" in name else max((owner for owner in owners if name.startswith(f"{owner}_")), key=len, default="")


def lines(outcome: Outcome, known: str, variables: Mapping[str, Any]) -> list[str]:
    """List the faults of a check.

    :param outcome: The result of a check.
    :param known: All faults that are known.
    :param variables: The task's variables.
    :returns: Its faults. A check that cannot be evaluated is one, unless a known fault names a variable that it reads.
    """
    if not outcome.error:
        return outcome.faults
    read = variables_in(outcome.that, variables)
    if read & set(NAME.findall(known)):
        return []
    directly = sorted(set(NAME.findall(outcome.that)) & read)
    return [f"{' or '.join(directly) or 'A condition'} cannot be checked: {outcome.error}"]


def variables_in(template: str, variables: Mapping[str, Any]) -> set[str]:
    """Find which variables a template reads.

    :param template: The template.
    :param variables: All variables, as they are written.
    :returns: Names of those that it reads, and of those that these are made from.
    """
    found: set[str] = set()
    unread = [template]
    while unread:
        for name in set(NAME.findall(unread.pop())) & variables.keys() - found - WHOLE:
            found.add(name)
            unread += [text for text in texts(variables[name]) if "{{" in text]
    return found


def texts(value: Any, keys: bool = False) -> Iterator[str]:
    """Find the strings in a value.

    :param value: A string, a number, or a list or mapping of such values.
    :param keys: Whether the keys of mappings count, too.
    :returns: The strings, and the numbers as strings.
    """
    if isinstance(value, Mapping):
        value = [*(value if keys else ()), *value.values()]
    if isinstance(value, Collection) and not isinstance(value, (str, bytes)):
        for part in value:
            yield from texts(part, keys)
    elif value is not None and not isinstance(value, bool):
        yield str(value)


def message(faults: list[str]) -> str:
    """Put faults into one message.

    :param faults: A line for each.
    :returns: The lines below a heading.
    """
    heading = "1 fault, to fix" if len(faults) == 1 else f"{len(faults)} faults, to fix"
    return "\n".join([f"{heading} before anything is changed:", *(f"- {fault}" for fault in faults)])
