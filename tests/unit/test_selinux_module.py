# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A module of SELinux's policy is installed once, removed whole, and refused without a change."""

from pathlib import Path

import pytest
from ansible_collections.campus.flask_sso.plugins.modules import selinux_module


class Host:
    """A host with SELinux, whose policy is a directory.

    :param run_module: The fixture.
    :param programs: The fixture.
    :param directory: Where it is.
    """

    def __init__(self, run_module, programs, directory: Path) -> None:
        self.run_module = run_module
        self.directory = directory
        self.policy = directory / "policy"
        self.booleans = directory / "booleans"
        self.asked = directory / "asked"
        for path in (self.policy, self.booleans):
            path.mkdir()
        (self.booleans / "connect").write_text("off")
        record = f'echo "${{0##*/}} $@" >> {self.asked}'
        programs(
            {
                "semodule": f"""case $1 in
                    --list) ls {self.policy} ;;
                    --install) grep -q nosuch_t "$2" && echo 'cannot resolve nosuch_t' >&2 && exit 1
                        {record}; name=${{2##*/}}; cp "$2" {self.policy}/"${{name%.cil}}" ;;
                    --remove) {record}; rm {self.policy}/"$2" ;;
                    esac""",
                "restorecon": record,
                "getsebool": f'echo "$1 --> $(cat {self.booleans}/"$1")"',
                "setsebool": f'{record}; echo "$3" > {self.booleans}/"$2"',
            }
        )

    def run(self, **options) -> dict:
        """Run the module."""
        usual = {"name": "site", "directory": str(self.directory / "kept"), "paths": [str(self.policy), "/none"]}
        return self.run_module(selinux_module, **usual | options)

    def commands(self) -> list[str]:
        """Return the commands that changed something since the last call."""
        said = self.asked.read_text().splitlines() if self.asked.exists() else []
        self.asked.unlink(missing_ok=True)
        return [line.split()[0] for line in said]


@pytest.fixture
def host(run_module, programs, tmp_path) -> Host:
    """A host without a module."""
    return Host(run_module, programs, tmp_path)


def test_a_module_is_installed_once_and_its_paths_are_labelled(host):
    assert host.run(content="(allow a b)")["changed"]
    assert (host.policy / "site").read_text() == "(allow a b)"
    assert host.commands() == ["semodule", "restorecon"]
    assert not host.run(content="(allow a b)")["changed"]
    assert host.commands() == []


def test_a_changed_module_replaces_the_former(host):
    host.run(content="(allow a b)")
    found = host.run(content="(allow a c)")
    assert found["changed"]
    assert (found["diff"]["before"], found["diff"]["after"]) == ("(allow a b)", "(allow a c)")
    assert (host.policy / "site").read_text() == "(allow a c)"


def test_a_module_that_was_removed_is_installed_again(host):
    host.run(content="(allow a b)")
    (host.policy / "site").unlink()
    assert host.run(content="(allow a b)")["changed"]
    assert (host.policy / "site").exists()


def test_a_module_that_does_not_fit_is_refused_and_nothing_changes(host):
    host.run(content="(allow a b)")
    host.commands()
    found = host.run(content="(allow a nosuch_t)", booleans=["connect"])
    assert found["failed"]
    assert "cannot resolve nosuch_t The policy is as it was" in found["msg"]
    assert host.commands() == []
    assert (host.policy / "site").read_text() == "(allow a b)"
    assert not host.run(content="(allow a b)")["changed"]


def test_check_mode_changes_nothing(host):
    found = host.run(content="(allow a b)", booleans=["connect"], check_mode=True)
    assert (found["changed"], found["booleans"]) == (True, ["connect"])
    assert host.commands() == []


def test_a_boolean_is_switched_on_and_named_only_if_it_is_off(host):
    assert host.run(content="(allow a b)", booleans=["connect"])["booleans"] == ["connect"]
    found = host.run(content="(allow a b)", booleans=["connect"])
    assert (found["changed"], found["booleans"]) == (False, [])


def test_a_removed_module_leaves_no_trace_and_the_default_labels(host):
    host.run(content="(allow a b)", booleans=["connect"])
    host.commands()
    assert host.run(state="absent")["changed"]
    assert host.commands() == ["semodule", "restorecon"]
    assert list(host.policy.iterdir()) == list((host.directory / "kept").iterdir()) == []
    assert (host.booleans / "connect").read_text().strip() == "on"
    assert not host.run(state="absent")["changed"]


def test_a_host_without_the_tools_is_told_what_to_install(host, monkeypatch):
    monkeypatch.setattr(selinux_module.AnsibleModule, "get_bin_path", lambda *_arguments, **_options: None)
    found = host.run(content="(allow a b)")
    assert found["failed"]
    assert "there is no command semodule. Install the package policycoreutils" in found["msg"]
