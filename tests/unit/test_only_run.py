# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs for several sites of one host do not overwrite each other's records."""

import fcntl
import os
from contextlib import ExitStack, contextmanager

import pytest
from ansible_collections.campus.flask_sso.plugins.module_utils import only_run
from ansible_collections.campus.flask_sso.plugins.module_utils.journal import Journal


@contextmanager
def other_run(service):
    """Be another run, which changes something."""
    service.journals.mkdir(exist_ok=True)
    descriptor = os.open(service.journals, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    try:
        yield
    finally:
        os.close(descriptor)


def another(service) -> list[dict]:
    """Return the command that another run begins with; it fails while this one goes on."""
    return [{"argv": ["flock", "--nonblock", str(service.journals), "true"], "title": "the other run"}]


def test_a_run_reads_the_records_when_the_other_has_written_them(service, monkeypatch):
    def write(_seconds: float) -> None:
        Journal(str(service.journals), "service").record("wiki", {"/etc/y": {"kind": "absent"}})
        other.close()

    monkeypatch.setattr(only_run.time, "sleep", write)
    with ExitStack() as other:
        other.enter_context(other_run(service))
        service.stage({"path": "a", "content": "a\n"}, site="app")
    assert Journal(str(service.journals), "service").sites() == ["app", "wiki"]


def test_staging_keeps_others_waiting_until_its_end(service):
    said = service.stage({"path": "a", "content": "a\n"}, checks=another(service))
    assert "the other run reports" in said["msg"]
    with other_run(service):
        pass


def test_an_activation_keeps_others_waiting_until_its_end(service, systemctl):
    service.stage({"path": "a", "content": "a\n"})
    assert "the other run failed" in service.activate(before=another(service))["msg"]
    with other_run(service):
        pass


def test_a_run_waits_for_hours_while_the_other_lives_and_then_names_it(service, monkeypatch):
    clock, warnings = [0], []

    def pass_by(_seconds: float) -> None:
        clock[0] += 600
        if clock[0] > 10 * 3600:
            other.close()

    monkeypatch.setattr(only_run.AnsibleModule, "warn", lambda _module, text, **_options: warnings.append(text))
    monkeypatch.setattr(only_run.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(only_run.time, "sleep", pass_by)
    with ExitStack() as other:
        other.enter_context(other_run(service))
        other.enter_context(only_run.held(str(service.journals / only_run.HOLDER), "wiki"))
        assert service.stage({"path": "a", "content": "a\n"})["changed"]
    (warning,) = [text for text in warnings if text.startswith("Waited")]
    assert f"seconds for a run for wiki (process {os.getpid()}, since " in warning


def test_a_run_says_who_it_is_until_its_end(service):
    look = f"cat {service.journals}/{only_run.HOLDER}; false"
    said = service.stage({"path": "a", "content": "a\n"}, site="wiki", checks=[{"argv": ["sh", "-c", look]}])
    assert '"site": "wiki"' in said["msg"]
    assert not (service.journals / only_run.HOLDER).exists()


def test_a_run_that_cannot_say_who_it_is_goes_on(service):
    (service.journals / only_run.HOLDER).mkdir(parents=True)
    assert service.stage({"path": "a", "content": "a\n"})["changed"]


@pytest.mark.parametrize("module", ["stage", "activate", "roll_back"])
def test_a_run_that_waits_in_vain_changes_nothing(service, systemctl, monkeypatch, module):
    monkeypatch.setattr(only_run, "WAIT_SECONDS", 0)
    service.stage({"path": "a", "content": "a\n"})
    before = service.journal.read_text()
    options = {"restore": True} if module == "stage" else {}
    with other_run(service):
        result = getattr(service, module)(**options)
    assert "another run has been changing this host" in result["msg"]
    assert service.journal.read_text() == before
    assert not systemctl.exists()


def test_check_mode_waits_for_no_other_run_and_creates_nothing(service):
    assert service.stage({"path": "a", "content": "a\n"}, check_mode=True)["changed"]
    assert not service.journals.exists()
    with other_run(service):
        assert service.stage({"path": "a", "content": "a\n"}, check_mode=True)["changed"]


def test_a_host_that_has_no_room_for_records_is_not_changed(service):
    service.journals.write_text("in the way")
    assert "Nothing was changed" in service.stage({"path": "a", "content": "a\n"})["msg"]
    assert not (service.etc / "a").exists()
