# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files change together and checked, or not at all."""

import getpass
import grp
import os

import pytest
from ansible_collections.campus.flask_sso.plugins.modules import config_transaction

PASS, FAIL = [{"argv": ["true"]}], [{"argv": ["sh", "-c", "echo line 7 is wrong; exit 1"], "hint": "Mend it."}]


@pytest.fixture
def stage(run, tmp_path):
    """Return a function that stages files below the test's directory."""
    account = {"owner": getpass.getuser(), "group": grp.getgrgid(os.getgid()).gr_name}

    def call(*files, **arguments):
        return run(
            config_transaction,
            name="service",
            files=[account | file | {"path": str(tmp_path / file["path"])} for file in files],
            journal_directory=str(tmp_path / "journal"),
            **arguments,
        )

    return call


def activate(run, tmp_path, monkeypatch, starts):
    """Activate what was staged; `starts` are the answers of the unit's attempts to start."""
    answers, calls = iter(starts), []

    def run_command(_module, argv, **_options):
        calls.append(argv)
        verb = argv[1] if argv[0] == "systemctl" else ""
        failed = verb in ("restart", "reload-or-restart") and not next(answers)
        return int(failed), "it is on fire" if argv[0] == "journalctl" else "", ""

    monkeypatch.setattr(config_transaction.AnsibleModule, "run_command", run_command)
    options = {"name": "service", "state": "activated", "unit": "x.service"}
    return run(config_transaction, journal_directory=str(tmp_path / "journal"), **options), calls


def test_files_are_written_with_their_modes(stage, tmp_path):
    """A directory, a file in it and a link to it, and nothing to do the second time but to activate."""
    files = (
        {"path": "d", "state": "directory", "mode": "0750"},
        {"path": "d/f", "content": "héllo", "mode": "0640"},
        {"path": "link", "state": "link", "target": "d"},
    )
    assert stage(*files, checks=PASS)["changed"]
    assert (tmp_path / "link/f").read_text("utf-8") == "héllo"
    assert [(tmp_path / name).stat().st_mode & 0o7777 for name in ("d", "d/f")] == [0o750, 0o640]


def test_a_failing_check_puts_everything_back(stage, tmp_path):
    """Contents, modes, links and absence are as before; the message has the check's words and the hint."""
    (tmp_path / "old").write_text("before")
    (tmp_path / "old").chmod(0o600)
    (tmp_path / "gone").symlink_to("old")
    result = stage(
        {"path": "old", "content": "after"},
        {"path": "new/deep", "content": "x"},
        {"path": "new", "state": "directory"},
        {"path": "gone", "state": "absent"},
        checks=FAIL,
    )
    assert result["failed"]
    assert "line 7 is wrong" in result["msg"]
    assert "Mend it." in result["msg"]
    assert ((tmp_path / "old").read_text(), (tmp_path / "old").stat().st_mode & 0o777) == ("before", 0o600)
    assert os.readlink(tmp_path / "gone") == "old"
    assert not (tmp_path / "new").exists()
    assert not list((tmp_path / "journal").iterdir())


def test_output_can_fail_a_check_that_returns_0(stage, tmp_path):
    """As with shibd -t, which reports errors and succeeds."""
    check = [{"argv": ["echo", "12:00 CRIT no metadata"], "reject": " CRIT "}]
    assert "CRIT no metadata" in stage({"path": "f"}, checks=check)["msg"]
    assert not (tmp_path / "f").exists()


def test_check_mode_writes_nothing_and_tells_the_truth(stage, tmp_path):
    """It reports the change and the difference, and runs no check."""
    result = stage({"path": "f", "content": "text"}, checks=FAIL, check=True)
    assert result["changed"]
    assert result["diff"][0]["after"] == "text"
    assert not list(tmp_path.iterdir())


def test_a_secret_is_not_shown(stage, tmp_path):
    """Neither in the difference nor anywhere else in the result."""
    result = stage({"path": "key", "secret": "hunter2hunter2"}, checks=PASS)
    assert (tmp_path / "key").read_text() == "hunter2hunter2"
    assert "hunter2" not in str(result)


def test_only_named_and_foreign_files_stay(stage, tmp_path):
    """What else matches an exclusive pattern is removed."""
    for name in ("stock.conf", "theirs-1.conf", "ours.conf"):
        (tmp_path / name).write_text("")
    patterns = {"exclusive": [str(tmp_path / "*.conf")], "foreign": ["*/theirs-*"]}
    assert str(tmp_path / "stock.conf") in stage({"path": "ours.conf"}, **patterns)["changed_paths"]
    assert sorted(path.name for path in tmp_path.glob("*.conf")) == ["ours.conf", "theirs-1.conf"]


def test_an_interrupted_run_is_healed_by_the_next(stage, run, tmp_path, monkeypatch):
    """The same files count as changed until the unit runs with them, and then no longer."""
    file = {"path": "f", "content": "new"}
    assert stage(file)["changed"]
    assert stage(file)["changed"]
    result, calls = activate(run, tmp_path, monkeypatch, starts=[True])
    assert result["changed"]
    assert ["systemctl", "restart", "x.service"] in calls
    assert not stage(file)["changed"]


def test_a_unit_that_does_not_start_gets_its_last_files_back(stage, run, tmp_path, monkeypatch):
    """All that was staged since it last ran is taken back, and the message has what the unit said."""
    (tmp_path / "f").write_text("works")
    stage({"path": "f", "content": "first attempt"})
    stage({"path": "f", "content": "second attempt"}, {"path": "g", "content": "x"})
    result, _calls = activate(run, tmp_path, monkeypatch, starts=[False, True])
    assert result["failed"]
    assert "it is on fire" in result["msg"]
    assert "runs with those" in result["msg"]
    assert ((tmp_path / "f").read_text(), (tmp_path / "g").exists()) == ("works", False)
