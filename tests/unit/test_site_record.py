# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What site.yml records of a site's variables is true whatever becomes of the run, as a release relies on it."""

from typing import Any

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from untrusted_roles import ROOT, Site, trusted

OLD, NEW = {"apache_ssl_hsts_seconds": "1"}, {"apache_ssl_hsts_seconds": "2"}


def tasks() -> list[dict[str, Any]]:
    """Return the tasks of site.yml, those of the files that it includes among them."""
    *_, play = yaml.safe_load((ROOT / "playbooks/site.yml").read_text("utf-8"))
    return [
        inner | {"included_when": task["when"]} if file else inner
        for task in play["tasks"]
        for file in [task.get("ansible.builtin.include_tasks")]
        for inner in (yaml.safe_load((ROOT / "playbooks" / file).read_text("utf-8")) if file else [task])
    ]


def recording() -> list[int]:
    """Return the places of the tasks that write the record."""
    return [place for place, task in enumerate(tasks()) if "flask_app_site_variables" in task.get("vars", {})]


def runs(
    task: dict[str, Any], recorded: dict[str, str], check_mode: bool = False, tags: tuple[str, ...] = ("all",)
) -> bool:
    """Return whether a task runs where that is recorded, and the site's variables are new."""
    site = {
        name: value
        for file in ("cluster", "site")
        for name, value in trusted(yaml.safe_load((ROOT / f"playbooks/vars/{file}.yml").read_text("utf-8"))).items()
    }
    nothing_else = {
        "site_authentication": {"part": {}},
        "site_balanced": False,
        "site_missing_packages": [],
        "site_retired": [],
    }
    host = {"base_system_host": {"selinux": ""}, "base_system_upgrade": False}
    run = {"ansible_check_mode": check_mode, "ansible_run_tags": tags}
    known = site | nothing_else | host | run | {"flask_app_part": {"variables": recorded}, "site_variables": NEW}
    templar = Templar(loader=DataLoader(), variables=known)
    return all(templar.evaluate_conditional(trusted(task[condition])) for condition in ("included_when", "when"))


def test_record_is_emptied_after_the_checks_and_before_anything_changes():
    checks = max(place for place, task in enumerate(tasks()) if "before anything changes" in task["name"])
    emptying, filling = recording()
    assert all(task["name"].startswith("Check ") for task in tasks()[checks + 1 : emptying])
    assert filling == len(tasks()) - 1
    assert tasks()[emptying]["vars"] == {"flask_app_site_variables": {}}


def test_httpd_loads_its_files_after_the_application():
    """Handlers run in the order in which roles were included last, and that of flask_app is imported."""
    included = [task.get("ansible.builtin.include_role", {}) for task in tasks()]
    roles = [role.get("name", "").rpartition(".")[2] for role in included[: recording()[1]]]
    assert "flask_app" not in roles


def test_record_is_emptied_by_runs_that_deploy_only_a_part():
    task = tasks()[recording()[0]]
    assert task["tags"] == task["ansible.builtin.include_tasks"]["apply"]["tags"] == ["always"]
    assert "tags" not in tasks()[recording()[1]]


@pytest.mark.parametrize(("recorded", "emptied", "filled"), [(OLD, True, True), (NEW, False, False), ({}, False, True)])
def test_record_changes_with_the_variables_alone(recorded, emptied, filled):
    emptying, filling = (tasks()[place] for place in recording())
    assert (runs(emptying, recorded), runs(filling, recorded)) == (emptied, filled)
    for place in (emptying, filling):
        assert not runs(place, recorded, check_mode=True)
        assert not runs(place, recorded, tags=("preflight",))
    assert runs(emptying, recorded, tags=("configure",)) == emptied


def test_variables_that_are_made_from_facts_say_the_same_in_a_release():
    keywords = ("gather_facts", "gather_subset")
    plays = [yaml.safe_load((ROOT / f"playbooks/{name}.yml").read_text("utf-8"))[-1] for name in ("site", "release")]
    site, release = ({word: play[word] for word in keywords if word in play} for play in plays)
    assert site == release


def test_a_release_without_the_path_for_a_balancer_cannot_come_back_where_there_is_one(tmp_path):
    variables = {"flask_app_ready_path": "/readyz"}
    interface = Site(tmp_path).made("flask_app", "flask_app__recorded_release.interface", variables)
    assert interface["flask_app_ready_path"] == "/readyz"


@pytest.mark.parametrize(("server", "alone"), [("uwsgi", True), ("gunicorn", True), ("mod_wsgi", False)])
def test_a_release_alone_applies_paths_that_no_sandbox_of_httpd_hides(tmp_path, server, alone):
    variables = Site(tmp_path).made("flask_app", "flask_app_part.release_variables", {"flask_app_server": server})
    assert ("flask_app_writable_paths" in variables) is alone
    assert "flask_app_source" in variables
