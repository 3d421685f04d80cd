# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The roles without a host: what their preflight says about variables, and what their templates make of them."""

from __future__ import annotations

from collections import ChainMap
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible_collections.campus.flask_sso.plugins.action.preflight import ActionModule, variables_in

ROOT = Path(__file__).parents[2]
ROLES = ROOT / "roles"
#: Where a role has its checks.
CHECKED_IN = {"saml_sp": "description"}
NAME = "app.example.org"


def trusted(value: Any) -> Any:
    """Mark all strings in a value as templates that Ansible may evaluate, as those in roles are.

    :param value: The value, as YAML has it.
    """
    if isinstance(value, dict):
        return {key: trusted(part) for key, part in value.items()}
    if isinstance(value, list):
        return [trusted(part) for part in value]
    return trust_as_template(value) if isinstance(value, str) else value


@cache
def own_variables() -> dict[str, Any]:
    """Return the defaults and variables of all roles, as they are written."""
    found: dict[str, Any] = {}
    for kind in ("defaults", "vars"):
        for path in sorted(ROLES.glob(f"*/{kind}/**/*.yml")):
            if "platforms" not in path.parts:
                found |= trusted(yaml.safe_load(path.read_text("utf-8")) or {})
    return found


@cache
def checks(role: str) -> tuple[list[str], dict[str, Any]]:
    """Return the names of a role's lists of checks, and the variables of the task that has them.

    :param role: Name of the role.
    """
    task = preflight(role)
    names = task["campus.flask_sso.preflight"]["checks"]
    return names if isinstance(names, list) else [names], trusted(task["vars"])


@cache
def preflight(role: str) -> dict[str, Any]:
    """Return the task that checks the variables of a role.

    :param role: Name of the role.
    """
    path = ROLES / role / "tasks" / f"{CHECKED_IN.get(role, 'preflight')}.yml"
    return next(
        task for task in reversed(yaml.safe_load(path.read_text("utf-8"))) if "campus.flask_sso.preflight" in task
    )


@cache
def options(role: str) -> dict[str, dict[str, Any]]:
    """Return the options of a role, by name.

    :param role: Name of the role.
    """
    specs = yaml.safe_load((ROLES / role / "meta/argument_specs.yml").read_text("utf-8"))["argument_specs"]
    return {name: option for spec in specs.values() for name, option in spec["options"].items()}


@cache
def read_by(condition: str, role: str) -> set[str]:
    """Return which variables a check reads.

    :param condition: Its template.
    :param role: Name of the role.
    """
    return variables_in(condition, own_variables() | checks(role)[1])


class Site:
    """A site with all roles, of which nothing is wrong but what a test sets.

    :param directory: A directory for its files on the controller.
    """

    def __init__(self, directory: Path) -> None:
        self.loader = DataLoader()
        source = directory / "application"
        source.mkdir()
        for name in ("requirements.txt", "wsgi.py"):
            (source / name).touch()
        profiles = {
            role: yaml.safe_load((ROLES / role / "profiles/cern.yml").read_text("utf-8"))
            for role in ("openid_connect", "saml_sp")
        }
        found_on_host = {
            "ansible_check_mode": True,
            "ansible_facts": {
                "distribution": "Debian",
                "distribution_major_version": "12",
                "distribution_version": "12.15",
                "os_family": "Debian",
                "python_version": "3.11.2",
            },
            "ansible_managed": "flask_sso",
            "apache_ssl__found": {"key": {"public": "", "msg": ""}, "replaced": False} | {
                name: []
                for name in (
                    "conflicting_hosts", "elsewhere", "files", "listens", "loaded", "locations", "pages", "served",
                    "unmanaged",
                )
            },
            "base_system_host": {
                "firewall": "", "ipv6": True, "listeners": [], "packages": [], "selinux": "", "selinux_missing": [],
            },
            "flask_app__fetched": {"skipped": True},
            "flask_app__found": {"conflicts": []},
            "flask_app__source": {"excluded": [], "requirements_sha256": "1" * 64, "sha256": "0" * 64},
            "inventory_dir": str(directory),
            "inventory_hostname": "web",
            "openid_connect__discovery": {"skipped": True},
            "openid_connect__keys": {"skipped": True},
            "openid_connect__profile": trusted(profiles["openid_connect"]),
            "saml_sp__form": {"skipped": True},
            "saml_sp__download": {"skipped": True},
            "saml_sp__metadata": {"skipped": True},
            "saml_sp__profile": trusted(profiles["saml_sp"]),
            "shibboleth_sp__answer": {"skipped": True},
            "shibboleth_sp__keys": {"links": ["active"]},
            "shibboleth_sp__place": {"home": "/etc/shibboleth", "further": False, "others": [], "services": {}},
        }  # fmt: skip
        settings = {
            "flask_app_source": str(source),
            "flask_sso_server_name": NAME,
            "load_balancer_nodes": {"web1": "192.0.2.11"},
            "load_balancer_ready_path": "/readyz",
            "openid_connect_client_id": "web",
            "openid_connect_client_secret": "not-a-secret",
            "private_ca_directory": str(directory / "ca"),
        }
        self.given = found_on_host | settings

    def _variables(self, role: str, variables: dict[str, Any]) -> dict[str, Any]:
        """Return all variables, as they are within a role.

        :param role: Name of the role.
        :param variables: Those that are different.
        """
        place = {"ansible_search_path": [str(ROLES / role)], "role_path": str(ROLES / role)}
        return dict(ChainMap(variables, place, self.given, own_variables()))

    def faults(self, role: str, variables: dict[str, Any]) -> list[str]:
        """Return what the preflight of a role says about variables, by its checks that read one of them.

        :param role: Name of the role.
        :param variables: Values that are no templates, as those of `!unsafe` are. Without any, all checks count.
        """
        names, of_task = checks(role)
        written = own_variables() | of_task
        reading = [
            check
            for name in names
            for check in written[name]
            if not variables or not variables.keys().isdisjoint(read_by(check["that"], role))
        ]
        return self._action(role, variables, of_task | {"reading": reading}, ["reading"], self._sites(role))

    def _sites(self, role: str) -> list[str]:
        """Return which variables of a role have the name of a site.

        :param role: Name of the role.
        """
        written = preflight(role)["campus.flask_sso.preflight"].get("sites", [])
        return Templar(loader=self.loader, variables=self._variables(role, {})).template(trusted(written))

    def type_faults(self, role: str, variables: dict[str, Any]) -> list[str]:
        """Return what the preflight of a role says about variables, without its own checks.

        :param role: Name of the role.
        :param variables: Values that are no templates.
        """
        return self._action(role, variables, {}, [], [])

    def _action(
        self, role: str, variables: dict[str, Any], of_task: dict[str, Any], checks: list[str], sites: list[str]
    ) -> list[str]:
        """Run the preflight's action.

        :param role: Name of the role.
        :param variables: Values that are no templates.
        :param of_task: Variables of the task.
        :param checks: Names of the lists of checks.
        :param sites: Names of the variables with the name of a site.
        :returns: The faults.
        """
        all_variables = self._variables(role, variables | of_task)
        # The types of other variables are not checked again and again.
        other = options(role).keys() - variables.keys() if variables else set()
        seen = {name: value for name, value in all_variables.items() if name not in other}
        arguments = {"checks": checks, "sites": sites, "roles": [role], "collect": True}
        task = SimpleNamespace(
            action="campus.flask_sso.preflight",
            args=arguments,
            async_val=0,
            diff=False,
            check_mode=True,
            environment=None,
            name="",
        )
        connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir=None))
        play = SimpleNamespace(check_mode=True, diff=False)
        templar = Templar(loader=self.loader, variables=all_variables)
        return ActionModule(task, connection, play, self.loader, templar, None).run(None, seen)["faults"]

    def made(self, role: str, name: str, variables: dict[str, Any]) -> Any:
        """Return what a role makes of variables.

        :param role: Name of the role.
        :param name: Name of a template or of a variable.
        :param variables: Variables that are different.
        """
        expression = f"lookup('ansible.builtin.template', '{name}')" if name.endswith(".j2") else name
        templar = Templar(loader=self.loader, variables=self._variables(role, variables))
        return templar.template(trust_as_template(f"{{{{ {expression} }}}}"))
