# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An earlier release runs again with its settings, and a rollback finds the right one."""

import json
import os
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
import yaml
from ansible_collections.campus.flask_sso.plugins.modules import release_info

ROLE = Path(__file__).parents[2] / "roles/flask_app"
REMOVE_UNUSED = ROLE / "files/remove_unused.sh"
SETTINGS = ("environment", "current")


class Application:
    """An application whose releases are deployed and rolled back.

    :param service: The service that its releases run as.
    :param run_module: The fixture.
    :param directory: Directory of the releases.
    """

    def __init__(self, service, run_module: Callable[..., dict], directory: Path) -> None:
        self.service, self.run_module = service, run_module
        self.path, self.records = directory / "releases", directory / "records"

    def build(self, release: str) -> Path:
        """Build a release, as the role does, and return its directory."""
        path, venv = self.path / release, self.path.parent / "venvs" / release
        for directory in (path, venv):
            directory.mkdir(parents=True, exist_ok=True)
            (directory / "complete").touch()
        (path / "venv").unlink(missing_ok=True)
        (path / "venv").symlink_to(venv)
        return path

    def deploy(self, release: str, settings: str = "", settings_too: Iterable[str] = (), **options) -> dict:
        """Deploy a release with an environment, by default one that names it, and with further staged files."""
        return self.activate(self.stage(release, settings, settings_too) | options)

    def stage(self, release: str, settings: str = "", settings_too: Iterable[str] = ()) -> dict:
        """Build a release and stage its settings; return what is recorded of it."""
        path = self.build(release)
        self.service.stage(
            {"path": "environment", "secret": settings or f"of {release}\n", "mode": "0600"},
            {"path": "current", "state": "link", "target": str(path)},
        )
        return {
            "directory": str(self.records),
            "id": release,
            "path": str(path),
            "link": str(self.service.etc / "current"),
            "settings": [str(self.service.etc / name) for name in (*SETTINGS, *settings_too)],
        }

    def activate(self, recorded: dict) -> dict:
        """Activate a release that was staged."""
        return self.service.activate(release=recorded, sockets=["web.socket"], standby="standby.service")

    def remove_unused(self, release: str, keep: int) -> list[str]:
        """Remove what the application no longer uses, and return which releases are left."""
        top = self.path.parent
        below = (ROLE / "files/below.py").read_text()
        arguments = [top, release, str(keep), top / "wheels/1", self.records, below]
        subprocess.run(["/bin/sh", "-c", REMOVE_UNUSED.read_text(), "sh", *arguments], check=True)
        return sorted(os.listdir(self.path))

    def look(self, release: str = "") -> dict:
        """Return what the module says about a release to roll back to."""
        return self.run_module(release_info, directory=str(self.records), release=release)

    def roll_back(self, release: str = "", **options) -> dict:
        """Roll back to a release."""
        target = self.look(release)["target"]
        again = {"directory": str(self.records), "id": target}
        return self.service.activate(unit=None, release=again, **options)

    @property
    def running(self) -> tuple[str, str]:
        """The release that runs, and its environment."""
        return (self.service.etc / "current").readlink().name, (self.service.etc / "environment").read_text()


@pytest.fixture
def application(service, systemctl, run_module, tmp_path) -> Application:
    """An application without any release."""
    return Application(service, run_module, tmp_path / "srv")


def test_earlier_release_runs_again_with_its_settings(application, systemctl):
    application.deploy("a", settings="first\n")
    (application.service.etc / "environment").chmod(0o640)  # by hand: not what was recorded
    application.deploy("b")
    systemctl.write_text("")
    assert application.roll_back()["changed"]
    assert application.running == ("a", "first\n")
    assert stat.S_IMODE((application.service.etc / "environment").stat().st_mode) == 0o600
    # As it was activated then: through its standby.
    asked = [line for line in systemctl.read_text().splitlines() if "restart" in line]
    assert asked == ["restart standby.service", "restart web.service"]
    assert application.look()["current"] == "a"


def test_release_runs_again_with_the_settings_that_it_had_last(application):
    application.deploy("a", settings="first\n")
    application.deploy("a", settings="second\n")
    application.deploy("b")
    application.roll_back()
    assert application.running == ("a", "second\n")


def test_release_that_has_no_unit_runs_again(application, service, systemctl):
    """As under mod_wsgi, whose processes notice the change themselves."""
    for release in "ab":
        recorded = {
            "directory": str(application.records),
            "id": release,
            "path": str(application.build(release)),
            "settings": [str(service.etc / "mod_wsgi.py")],
        }
        service.activate({"path": "mod_wsgi.py", "secret": f"of {release}"}, release=recorded)
    assert application.roll_back()["changed"]
    assert (service.etc / "mod_wsgi.py").read_text() == "of a"
    assert "restart" not in systemctl.read_text()


def test_file_that_only_the_newer_release_has_is_removed_and_comes_back(application, service):
    """Such as the unit of a worker."""
    application.deploy("a")
    service.stage({"path": "worker.service", "content": "of b"})
    application.deploy("b", settings_too=["worker.service"])
    application.roll_back()
    assert not (service.etc / "worker.service").exists()
    application.roll_back("b")
    assert (service.etc / "worker.service").read_text() == "of b"


def test_same_rollback_again_changes_nothing(application):
    application.deploy("a")
    application.deploy("b")
    application.roll_back("a")
    assert not application.roll_back("a")["changed"]


def test_rollback_in_check_mode_changes_nothing_and_shows_no_settings(application):
    application.deploy("a", settings="hunter2\n")
    application.deploy("b")
    result = application.roll_back(check_mode=True)
    assert result["changed"]
    assert "(not shown)" in json.dumps(result)
    assert "hunter2" not in json.dumps(result)
    assert application.running == ("b", "of b\n")
    assert application.look()["current"] == "b"


def test_rolling_back_twice_goes_back_one_further_until_there_is_none(application):
    for release in "abc":
        application.deploy(release)
    application.roll_back()
    application.roll_back()
    assert application.running[0] == "a"
    found = application.look()
    assert found["target"] == ""
    assert "There is no release before a on the host." in found["fault"]
    assert all(one in found["fault"] for one in found["summary"])


def test_release_that_was_rolled_back_is_not_the_one_before_the_next(application):
    for release in "abc":
        application.deploy(release)
    application.roll_back("a")
    application.deploy("d")
    assert application.look()["target"] == "a"


def test_release_that_was_deployed_again_is_not_before_others(application):
    """Or two rollbacks would lead from a release to itself."""
    for release in "aba":
        application.deploy(release)
    assert application.look()["target"] == "b"
    application.roll_back()
    assert "There is no release before b" in application.look()["fault"]


def test_new_settings_do_not_change_what_a_rollback_goes_to(application):
    for release in "abb":
        application.deploy(release, settings=f"{len(application.look()['releases'])}\n")
    assert application.look()["target"] == "a"


def test_release_that_cannot_run_again_leaves_the_current_one(application):
    application.deploy("a")
    record = application.records / "a.json"
    application.deploy("b")
    content = json.loads(record.read_text())
    content["files"][str(application.service.etc / "environment")]["content"] = "YnJva2Vu"  # "broken"
    record.write_text(json.dumps(content))
    result = application.roll_back()
    assert result["failed"]
    assert "it runs with those" in result["msg"]
    assert application.running == ("b", "of b\n")
    assert application.look()["current"] == "b"


def test_release_that_did_not_start_is_not_recorded(application):
    application.deploy("a")
    assert application.deploy("b", settings="broken\n")["failed"]
    assert [one["id"] for one in application.look()["releases"]] == ["a"]


def test_unknown_release_is_refused_with_those_that_there_are(application):
    application.deploy("a", note="v1\nof today")
    found = application.look("b")
    assert found["target"] == ""
    assert found["fault"].startswith(
        'flask_app_release is "b", and the host has no such release. There are: a: built 2'
    )
    assert found["summary"][0].endswith(", v1 of today (current)")
    assert application.service.activate(unit=None, release={"directory": str(application.records), "id": "b"})["failed"]


def test_host_without_a_release_says_so(application):
    assert application.look()["fault"] == f"{application.records} has no release. Deploy one first."


@pytest.mark.parametrize("removed", ["releases/a", "venvs/a"])
def test_release_that_is_incomplete_is_refused(application, removed):
    application.deploy("a")
    application.deploy("b")
    shutil.rmtree(application.path.parent / removed)
    found = application.look()
    assert found["target"] == ""
    assert found["fault"].startswith("Release a cannot run: ")
    assert f"{application.path.parent / removed} was removed" in found["fault"]
    assert "was removed" in found["summary"][1]


def test_release_behind_another_socket_is_refused(application):
    application.deploy("a", interface={"flask_app_socket": "/run/old.sock", "flask_app_tls": "none"})
    application.deploy("b", interface={"flask_app_socket": "/run/new.sock", "flask_app_tls": "none"})
    found = application.look()
    assert found["target"] == ""
    assert 'flask_app_socket is "/run/new.sock" and was "/run/old.sock"' in found["fault"]
    assert "flask_app_tls" not in found["fault"]


def test_only_root_reads_the_settings_and_the_list_has_none(application):
    application.deploy("a", settings="hunter2\n")
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (application.records, application.records / "a.json")]
    assert modes == [0o700, 0o600]
    assert "hunter2" not in json.dumps(application.look())


def test_clock_that_was_set_back_does_not_change_the_order(application, monkeypatch):
    application.deploy("a")
    monkeypatch.setattr("time.time", lambda: 0.0)
    application.deploy("b")
    assert application.look()["current"] == "b"
    assert application.look()["target"] == "a"


def test_release_that_cannot_be_recorded_is_not_activated(application, systemctl):
    """Or what runs, and what is on the disk, would differ after the rollback of the run that failed."""
    application.deploy("a")
    application.records.rename(application.records.with_name("kept"))
    application.records.write_text("in the way")
    systemctl.write_text("")
    result = application.deploy("b")
    assert result["failed"]
    assert "was not touched" in result["msg"]
    assert "Release b could not be recorded" in result["msg"]
    assert application.running[0] == "a"
    assert "restart" not in systemctl.read_text()
    application.records.unlink()
    application.records.with_name("kept").rename(application.records)
    assert application.deploy("b")["changed"]
    assert sorted(os.listdir(application.records)) == ["a.json", "b.json"]


def test_release_that_does_not_run_leaves_no_record(application):
    application.deploy("a")
    assert application.deploy("b", settings="broken\n")["failed"]
    assert os.listdir(application.records) == ["a.json"]


def test_release_is_not_activated_as_another_one(application):
    """Two runs at the same time: the second one stages its release before the first one activates."""
    application.deploy("a")
    first = application.stage("b")
    second = application.stage("c")
    result = application.activate(first)
    assert result["failed"]
    assert f"leads to {application.path / 'c'}, not to {application.path / 'b'}" in result["msg"]
    assert application.activate(second)["changed"]
    assert application.running[0] == application.look()["current"] == "c"


def test_release_that_another_run_has_rolled_back_is_no_success(application):
    """Whether before it was activated, or by a rollback to an earlier one."""
    application.deploy("a")
    application.deploy("b")
    staged = application.stage("c")
    application.service.roll_back()
    assert application.activate(staged)["failed"]
    staged = application.stage("d")
    application.roll_back("a")
    assert application.activate(staged)["failed"]
    assert application.look()["current"] == "a"


def test_releases_that_ran_last_stay_with_their_settings(application):
    for release in "abc":
        application.deploy(release)
    application.roll_back("a")
    application.deploy("d")
    os.utime(application.build("e"), (0, 0))  # and never activated
    assert application.remove_unused("d", 3) == ["a", "c", "d"]
    assert sorted(os.listdir(application.records)) == ["a.json", "c.json", "d.json"]
    assert sorted(os.listdir(application.path.parent / "venvs")) == ["a", "c", "d"]
    assert application.look()["target"] == "a"


def test_release_that_runs_stays_even_if_it_was_not_recorded(application):
    application.deploy("a")
    application.build("b")
    assert application.remove_unused("b", 1) == ["b"]
    assert os.listdir(application.records) == []


def test_what_another_run_has_begun_stays(application):
    """Until an hour after that; and so does what it has staged."""
    application.deploy("a")
    begun = application.build("b")
    staged = application.build("c")
    os.utime(staged, (0, 0))
    current = application.path.parent / "current"
    current.symlink_to(staged)
    assert application.remove_unused("a", 1) == ["a", "b", "c"]
    assert sorted(os.listdir(application.path.parent / "venvs")) == ["a", "b", "c"]
    current.unlink()
    os.utime(begun, (0, 0))
    assert application.remove_unused("a", 1) == ["a"]


def test_a_rollback_begins_with_its_checks():
    tasks = yaml.safe_load((ROLE / "tasks/rollback.yml").read_text("utf-8"))
    assert tasks[0]["ansible.builtin.import_tasks"] == "rollback_preflight.yml"
