# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of a service change together or not at all, and a service that cannot run with them gets the old ones back."""

import base64
import grp
import os
import pwd
import stat
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread

import pytest
from ansible_collections.campus.flask_sso.plugins.modules import config_transaction
from hypothesis import given
from hypothesis import strategies as st

OWNER = {"owner": pwd.getpwuid(os.geteuid()).pw_name, "group": grp.getgrgid(os.getegid()).gr_name}
ACCEPT = [{"argv": ["true"]}]
REFUSE = [{"argv": ["sh", "-c", "echo line 7 is wrong; false"], "hint": "Mend line 7."}]


def tree(directory: Path) -> dict[str, tuple]:
    """Return everything below a directory: path, mode, and a file's text or a link's target."""
    return {
        str(path.relative_to(directory)): (
            stat.filemode(path.lstat().st_mode),
            os.readlink(path) if path.is_symlink() else path.read_text() if path.is_file() else None,
        )
        for path in directory.rglob("*")
    }


class Service:
    """A service with its configuration, and a transaction that changes it."""

    def __init__(self, run_module, directory: Path) -> None:
        self.run_module = run_module
        self.etc = directory / "etc"
        self.journal = directory / "journals" / "service.journal"
        self.etc.mkdir()

    def stage(self, *files: dict, **options) -> dict:
        """Stage files, whose paths are relative to the service's configuration."""
        named = [OWNER | file | {"path": str(self.etc / file["path"])} for file in files]
        usual = {"name": "service", "files": named, "journal_directory": str(self.journal.parent)}
        return self.run_module(config_transaction, **usual | options)

    def activate(self, *files: dict, **options) -> dict:
        """Make the service run with what was staged, and with these files."""
        return self.stage(*files, **{"state": "activated", "unit": "web.service"} | options)

    def revert(self, **options) -> dict:
        """Take back what is staged for anybody."""
        return self.stage(state="reverted", name=None, **options)


@pytest.fixture
def service(run_module, tmp_path) -> Service:
    """A service without any files."""
    return Service(run_module, tmp_path)


@pytest.fixture
def systemctl(service, tmp_path, monkeypatch) -> Path:
    """Have a systemctl that starts no unit whose files say "broken"; return the file of what it was asked."""
    asked = tmp_path / "asked"
    scripts = {
        "systemctl": f'echo "$@" >> {asked}\ncase $1 in *restart) ! grep -rqs broken {service.etc} ;; esac',
        "journalctl": "echo web: this is broken",
    }
    for name, script in scripts.items():
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return asked


@pytest.fixture
def site(service) -> Iterator[str]:
    """Have a site that fails if the service's files say "broken", else leads visitors away; return its address."""

    class Site(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            broken = any("broken" in path.read_text() for path in service.etc.iterdir())
            self.send_response(500 if broken or self.headers["Host"] != host else 302)
            self.send_header("Location", "http://nowhere.invalid/")
            self.end_headers()

        def log_message(self, *_arguments) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        host = f"site.invalid:{server.server_port}"
        Thread(target=server.serve_forever).start()
        yield f"http://{host}/"
        server.shutdown()


def test_a_kept_file_is_written_once_and_changes_only_its_mode(service, systemctl):
    """A secret that a host makes for itself stays what it was first."""
    secret = {"path": "key", "keep": True, "mode": "0600"}
    assert service.stage(secret | {"secret": "first"})["changed"]
    service.activate()
    assert not service.stage(secret | {"secret": "second"})["changed"]
    assert service.stage(secret | {"secret": "third", "mode": "0640"})["changed"]
    assert tree(service.etc) == {"key": ("-rw-r-----", "first")}


def test_files_directories_and_links_are_made_in_any_order(service):
    result = service.stage(
        {"path": "sites/a.conf", "content": "a\n", "mode": "0640"},
        {"path": "current", "state": "link", "target": "sites"},
        {"path": "sites", "state": "directory", "mode": "0750"},
        checks=ACCEPT,
    )
    assert result["changed"]
    assert tree(service.etc) == {
        "sites": ("drwxr-x---", None),
        "sites/a.conf": ("-rw-r-----", "a\n"),
        "current": ("lrwxrwxrwx", "sites"),
    }


def test_wrong_mode_alone_is_put_right(service):
    (service.etc / "a.conf").write_text("a\n")
    (service.etc / "a.conf").chmod(0o666)
    assert service.stage({"path": "a.conf", "content": "a\n"})["changed"]
    assert tree(service.etc)["a.conf"] == ("-rw-r--r--", "a\n")


def test_unknown_owner_is_refused_before_anything_is_written(service):
    result = service.stage({"path": "a.conf", "content": "a\n"}, {"path": "b.conf", "owner": "nobody-of-that-name"})
    assert result["failed"]
    assert "b.conf" in result["msg"]
    assert "Create the account first." in result["msg"]
    assert tree(service.etc) == {}


def test_check_mode_says_what_would_change_and_writes_nothing(service):
    result = service.stage({"path": "a.conf", "content": "a\n"}, checks=REFUSE, check_mode=True)
    assert result["changed"]
    assert result["diff"][0]["after"] == "a\n"
    assert tree(service.etc) == {}
    assert not service.journal.parent.exists()


def test_bytes_are_written_as_they_are(service):
    """What is no text in UTF-8, with newlines of any kind at its end."""
    data = bytes(range(256)) + b"\r\n\n"
    assert service.stage({"path": "data", "content_base64": base64.b64encode(data).decode()})["changed"]
    assert (service.etc / "data").read_bytes() == data
    assert not service.stage({"path": "data", "content_base64": base64.b64encode(data).decode()})["diff"]


def test_secret_is_written_and_never_shown(service):
    (service.etc / "key").write_text("the old secret\n")
    result = service.stage({"path": "key", "secret": "the new secret\n", "mode": "0600"})
    assert (service.etc / "key").read_text() == "the new secret\n"
    assert "secret\\n" not in repr(result["diff"])
    assert stat.filemode(service.journal.stat().st_mode) == "-rw-------"
    assert stat.filemode(service.journal.parent.stat().st_mode) == "drwx------"


def test_failed_check_names_its_command_its_words_and_the_remedy(service):
    result = service.stage({"path": "a.conf", "content": "a\n"}, checks=[*ACCEPT, *REFUSE])
    assert result["failed"]
    assert "every file is as it was" in result["msg"]
    assert result["msg"].endswith("` says:\nline 7 is wrong\nMend line 7.")
    assert not service.journal.exists()


def test_output_that_is_rejected_fails_a_check_that_returns_0(service):
    checks = [{"argv": ["echo", "12:00 CRIT nothing works"], "reject": " CRIT "}]
    assert "CRIT nothing works" in service.stage({"path": "a.conf"}, checks=checks)["msg"]
    assert tree(service.etc) == {}


def test_check_that_is_not_installed_fails(service):
    result = service.stage({"path": "a.conf"}, checks=[{"argv": ["/no/such/check"]}])
    assert "/no/such/check is not installed." in result["msg"]
    assert tree(service.etc) == {}


def test_file_in_the_way_of_a_directory_fails_and_stays(service):
    (service.etc / "sites").write_text("a file\n")
    before = tree(service.etc)
    result = service.stage({"path": "a.conf"}, {"path": "sites", "state": "directory"})
    assert result["failed"]
    assert tree(service.etc) == before


NAMES = ["a", "b", "b/c", "b/d"]
KINDS = st.sampled_from(["absent", "file", "directory", "link"])


@given(st.tuples(*[KINDS] * len(NAMES)), st.tuples(*[KINDS] * len(NAMES)))
def test_failed_check_leaves_every_file_as_it_was(run_module, before, wanted):
    with TemporaryDirectory() as directory:
        service = Service(run_module, Path(directory))
        for name, kind in zip(NAMES, before, strict=True):
            path = service.etc / name
            if not path.parent.is_dir() or path.parent.is_symlink():
                continue
            if kind == "file":
                path.write_text("before\n")
            elif kind == "directory":
                path.mkdir()
            elif kind == "link":
                path.symlink_to("before")
        was = tree(service.etc)
        files = [
            {"path": name, "state": kind, "content": "after\n", "target": "after"}
            for name, kind in zip(NAMES, wanted, strict=True)
        ]
        service.stage(*files, checks=REFUSE)
        assert tree(service.etc) == was


def test_exclusive_patterns_remove_what_is_neither_named_nor_foreign(service):
    for name in ("stock.conf", "ours.conf", "foreign.conf", "note.txt"):
        (service.etc / name).write_text("before\n")
    service.stage(
        {"path": "ours.conf", "content": "after\n"},
        exclusive=[str(service.etc / "*.conf")],
        foreign=["*/foreign.*"],
        checks=ACCEPT,
    )
    assert sorted(tree(service.etc)) == ["foreign.conf", "note.txt", "ours.conf"]


def test_what_was_staged_counts_as_changed_until_the_service_runs_with_it(service, systemctl):
    file = {"path": "a.conf", "content": "a\n"}
    assert service.stage(file)["changed"]
    assert service.stage(file)["changed_paths"] == [str(service.etc / "a.conf")]  # as after an interruption
    assert service.activate()["changed"]
    assert not service.journal.exists()
    assert not service.stage(file)["changed"]
    assert not service.activate()["changed"]


def test_removal_that_was_interrupted_counts_as_changed(service):
    (service.etc / "stock.conf").write_text("stock\n")
    options = {"exclusive": [str(service.etc / "*.conf")], "foreign": ["*/foreign-*"]}
    service.stage({"path": "foreign-a.conf"})
    assert service.stage(**options)["changed_paths"] == [str(service.etc / "stock.conf")]
    assert service.stage(**options)["changed_paths"] == [str(service.etc / "stock.conf")]


def test_failed_check_takes_back_what_other_tasks_staged_before(service, systemctl):
    """The run ends here, so nobody would activate it, until some day a service happens to start anew."""
    service.stage({"path": "a.conf", "content": "a\n"})
    service.stage({"path": "other.conf"}, name="other")
    assert service.stage({"path": "b.conf"}, checks=REFUSE)["failed"]
    assert tree(service.etc) == {}
    assert list(service.journal.parent.iterdir()) == []
    assert not systemctl.exists()


def test_service_that_cannot_run_takes_along_what_is_staged_for_others(service, systemctl):
    service.stage({"path": "other.conf"}, name="other")
    service.stage({"path": "a.conf", "content": "broken\n"})
    assert service.activate()["failed"]
    assert tree(service.etc) == {}
    assert list(service.journal.parent.iterdir()) == []
    assert "other" not in systemctl.read_text()


def test_what_is_staged_for_anybody_is_taken_back_when_a_playbook_says_so(service, systemctl):
    (service.etc / "systemd/system").mkdir(parents=True)
    before = tree(service.etc)
    service.stage({"path": "systemd/system/web.service", "content": "new\n"})
    service.stage({"path": "other.conf"}, name="other")
    staged = tree(service.etc)
    assert service.revert(check_mode=True)["changed"]
    assert tree(service.etc) == staged
    assert service.revert()["changed"]
    assert tree(service.etc) == before
    assert systemctl.read_text() == "daemon-reload\n"
    assert not service.revert()["changed"]


def test_service_that_cannot_run_gets_back_what_it_last_ran_with(service, systemctl):
    (service.etc / "a.conf").write_text("works\n")
    before = tree(service.etc)
    service.stage({"path": "a.conf", "content": "half of it\n"})
    service.stage(
        {"path": "a.conf", "content": "broken\n"},
        {"path": "new", "state": "directory"},
        {"path": "new/b.conf", "content": "b\n"},
    )
    result = service.activate(sockets=["web.socket"])
    assert result["failed"]
    assert "web.service could not run with its new files" in result["msg"]
    assert "it runs with those" in result["msg"]
    assert result["msg"].endswith("web: this is broken")
    assert tree(service.etc) == before
    assert not service.journal.exists()
    assert [line for line in systemctl.read_text().splitlines() if "restart" in line] == ["restart web.service"] * 2


def test_service_that_ran_with_nothing_is_not_said_to_run(service, systemctl):
    (service.etc / "a.conf").write_text("broken as well\n")
    service.stage({"path": "a.conf", "content": "broken\n"})
    assert "does not run with those either" in service.activate()["msg"]


def test_new_unit_that_cannot_run_is_gone_again(service, systemctl):
    """Its files were made by this transaction; what ran before was another unit, and is left alone."""
    systemctl.with_name("bin").joinpath("systemctl").write_text(
        f'#!/bin/sh\necho "$@" >> {systemctl}\n'
        f"case $1 in restart) false ;; cat) test -e {service.etc}/web.service ;; esac\n"
    )
    service.stage({"path": "web.service", "content": "new"})
    result = service.activate(sockets=["web.socket"])
    assert "it is gone, as it had not been there" in result["msg"]
    assert tree(service.etc) == {}
    assert systemctl.read_text().endswith("stop web.service web.socket\n")


def test_without_a_unit_nobody_is_told(service, systemctl):
    """Whoever uses the files looks for itself, and the next run has nothing to make good."""
    service.stage({"path": "script", "content": "new"})
    assert service.activate(unit=None)["changed"]
    assert "restart" not in systemctl.read_text()
    assert not service.activate(unit=None)["changed"]


def test_files_can_be_written_when_they_are_activated(service, systemctl):
    """For those who look for themselves, and would notice too early."""
    assert service.activate({"path": "script", "content": "new"}, unit=None, check_mode=True)["changed"]
    assert tree(service.etc) == {}
    assert service.activate({"path": "script", "content": "new"}, unit=None)["changed"]
    assert not service.journal.exists()
    assert not service.activate({"path": "script", "content": "new"}, unit=None)["changed"]


def test_site_that_answered_before_and_fails_now_gets_its_files_back(service, systemctl, site):
    assert service.activate({"path": "script", "content": "works"}, unit=None, probe={"url": site})["changed"]
    before = tree(service.etc)
    result = service.activate({"path": "script", "content": "broken"}, unit=None, probe={"url": site})
    assert result["failed"]
    assert "service could not run with its new files" in result["msg"]
    assert f"Before that {site} said:\n500 Internal Server Error\n" in result["msg"]
    assert tree(service.etc) == before
    assert not service.journal.exists()


def test_site_that_did_not_answer_before_gets_its_new_files(service, systemctl, site):
    """As on a bare host, or when the new files are there to mend it."""
    (service.etc / "script").write_text("broken")
    assert service.activate({"path": "script", "content": "broken as well"}, unit=None, probe={"url": site})["changed"]
    assert service.activate({"path": "script", "content": "works"}, unit=None, probe={"url": site})["changed"]
    assert service.activate({"path": "other"}, unit=None, probe={"url": "https://site.invalid:1/"})["changed"]


def test_old_processes_finish_while_a_standby_serves(service, systemctl):
    """It serves with the new files before the unit stops, and ends when that runs again."""
    service.stage({"path": "a.conf"})
    service.activate(sockets=["web.socket"], standby="web-standby.service")
    asked = [line for line in systemctl.read_text().splitlines() if "restart" in line or "stop" in line]
    assert asked == ["restart web-standby.service", "restart web.service", "stop --no-block web-standby.service"]


def test_unit_runs_on_when_its_standby_cannot_start(service, systemctl):
    before = tree(service.etc)
    service.stage({"path": "a.conf", "content": "broken"})
    result = service.activate(standby="web-standby.service")
    assert "it runs with those" in result["msg"]
    assert "web: this is broken" in result["msg"]
    assert "restart web.service" not in systemctl.read_text()
    assert tree(service.etc) == before


def test_standby_that_is_new_does_not_keep_a_failing_release(service, systemctl, site):
    """Its file goes with the release, and what runs is restarted without it."""
    assert service.activate({"path": "script", "content": "works"})["changed"]
    path = systemctl.with_name("bin") / "systemctl"
    path.write_text(
        f'#!/bin/sh\necho "$@" >> {systemctl}\ncase "$*" in *standby*) test -e {service.etc}/standby ;; esac\n'
    )
    new = [{"path": "script", "content": "broken"}, {"path": "standby"}]
    result = service.activate(*new, standby="web-standby.service", probe={"url": site})
    assert "it runs with those" in result["msg"]
    restarts = [line for line in systemctl.read_text().splitlines() if line.startswith("restart web.")]
    assert restarts[-2:] == ["restart web.service"] * 2


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a link away")
def test_link_of_another_account_is_not_followed(service):
    """Or root would give away what it leads to."""
    (service.etc / "elsewhere").mkdir()
    (service.etc / "public").symlink_to("elsewhere")
    os.lchown(service.etc / "public", 65534, 65534)
    before = (service.etc / "elsewhere").stat()
    result = service.stage({"path": "public", "state": "directory", "mode": "0700"})
    assert "is a link that another account made" in result["msg"]
    assert (service.etc / "elsewhere").stat().st_mode == before.st_mode


def test_unit_that_does_not_run_needs_no_standby(service, systemctl):
    path = systemctl.with_name("bin") / "systemctl"
    path.write_text(
        f'#!/bin/sh\necho "$@" >> {systemctl}\ncase "$*" in *is-active*) grep -q "restart web" {systemctl} ;; esac\n'
    )
    service.stage({"path": "a.conf"})
    assert service.activate(standby="web-standby.service")["changed"]
    assert "standby" not in systemctl.read_text()


def test_socket_stays_open_unless_its_own_file_changed(service, systemctl):
    service.stage({"path": "web.service"})
    service.activate(sockets=["web.socket"])
    assert "stop" not in systemctl.read_text()
    service.stage({"path": "web.socket"})
    service.activate(sockets=["web.socket"])
    assert "stop web.service web.socket" in systemctl.read_text()


def test_reload_happens_even_when_only_another_service_changed(service, systemctl):
    assert service.activate(action="reload")["changed"]
    assert "reload-or-restart web.service" in systemctl.read_text()


def test_check_mode_leaves_the_service_alone(service, systemctl):
    service.stage({"path": "a.conf"})
    assert service.activate(check_mode=True)["changed"]
    assert not systemctl.exists()
    assert service.journal.exists()
