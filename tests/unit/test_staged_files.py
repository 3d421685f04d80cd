# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of a service are written together or not at all."""

import base64
import errno
import os
import stat
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import pytest
from ansible_collections.campus.flask_sso.plugins.module_utils import journal, snapshot, staging
from ansible_collections.campus.flask_sso.plugins.modules import staged_files
from hypothesis import given
from hypothesis import strategies as st
from staged_service import ACCEPT, OWNER, REFUSE, Service, tree


def test_a_kept_file_is_written_once_and_changes_only_its_mode(service, systemctl):
    """A secret that is generated on the host stays the same."""
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


def test_wrong_mode_alone_is_corrected(service):
    (service.etc / "a.conf").write_text("a\n")
    (service.etc / "a.conf").chmod(0o666)
    assert service.stage({"path": "a.conf", "content": "a\n"})["changed"]
    assert tree(service.etc)["a.conf"] == ("-rw-r--r--", "a\n")


def test_unknown_owner_is_refused_before_anything_is_written(service):
    result = service.stage({"path": "a.conf", "content": "a\n"}, {"path": "b.conf", "owner": "no-such-account"})
    assert result["failed"]
    assert "b.conf" in result["msg"]
    assert "Create the account first." in result["msg"]
    assert tree(service.etc) == {}


def test_check_mode_reports_what_would_change_and_writes_nothing(service):
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
    assert result["msg"].endswith("` reports:\nline 7 is wrong\nFix line 7.")
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


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a link away")
def test_link_of_another_account_is_not_followed(service):
    """Or root would change the owner of its target."""
    (service.etc / "elsewhere").mkdir()
    (service.etc / "public").symlink_to("elsewhere")
    os.lchown(service.etc / "public", 65534, 65534)
    before = (service.etc / "elsewhere").stat()
    result = service.stage({"path": "public", "state": "directory", "mode": "0700"})
    assert "is a link that another account has created" in result["msg"]
    assert (service.etc / "elsewhere").stat().st_mode == before.st_mode


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a directory away")
@pytest.mark.parametrize("others", ["", "site", "site/releases"])
def test_link_of_root_is_followed_where_no_other_account_can_lead_it_elsewhere(service, others):
    """One that may rename links gives "current", which is root's, another name, and has the release lead anywhere."""
    (service.etc / "victim").mkdir(mode=0o755)
    (service.etc / "site/releases").mkdir(parents=True)
    (service.etc / "site/releases/1").symlink_to(service.etc / "victim")
    (service.etc / "site/public").symlink_to("releases/1")
    if others:
        os.chown(service.etc / others, 65534, 65534)
    result = service.stage({"path": "site/public", "state": "directory", "mode": "0700"})
    assert stat.S_IMODE((service.etc / "victim").stat().st_mode) == (0o755 if others else 0o700)
    assert ("or could lead elsewhere" in result.get("msg", "")) == bool(others)


def test_purged_patterns_remove_what_is_neither_named_nor_excluded(service):
    for name in ("stock.conf", "ours.conf", "other.conf", "note.txt"):
        (service.etc / name).write_text("before\n")
    service.stage(
        {"path": "ours.conf", "content": "after\n"},
        purge=[str(service.etc / "*.conf")],
        exclude=["*/other.*"],
        checks=ACCEPT,
    )
    assert sorted(tree(service.etc)) == ["note.txt", "other.conf", "ours.conf"]


def test_removal_that_was_interrupted_counts_as_changed(service):
    (service.etc / "stock.conf").write_text("stock\n")
    options = {"purge": [str(service.etc / "*.conf")], "exclude": ["*/other-*"]}
    service.stage({"path": "other-a.conf"})
    assert service.stage(**options)["changed_paths"] == [str(service.etc / "stock.conf")]
    assert service.stage(**options)["changed_paths"] == [str(service.etc / "stock.conf")]


def test_failed_check_rolls_back_what_other_tasks_staged_before(service, systemctl):
    """The run ends here, so it would stay inactive until some later restart of a service."""
    service.stage({"path": "a.conf", "content": "a\n"})
    service.stage({"path": "other.conf"}, name="other")
    assert service.stage({"path": "b.conf"}, checks=REFUSE)["failed"]
    assert tree(service.etc) == {}
    assert list(service.journal.parent.iterdir()) == []
    assert not systemctl.exists()


def test_failed_check_leaves_what_another_site_has_staged(service):
    """Its run was interrupted, and it may be the cause: the message names it."""
    service.stage({"path": "a.conf", "content": "a\n"}, site="a")
    before = tree(service.etc)
    result = service.stage({"path": "b.conf"}, site="b", checks=REFUSE)
    assert "What is staged for a was checked, too" in result["msg"]
    assert tree(service.etc) == before
    assert service.stage({"path": "a.conf", "content": "a\n"}, site="a")["changed"]


def test_file_that_another_site_has_staged_counts_as_changed(service):
    """Both need it, and the service does not run with it yet."""
    shared = {"path": "shared.conf"}
    service.stage(shared, site="a")
    assert service.stage(shared, site="b")["changed_paths"] == [str(service.etc / "shared.conf")]


def test_unit_that_does_not_run_or_is_not_enabled_counts_as_changed(service, systemctl):
    path = systemctl.with_name("bin") / "systemctl"
    units = {"units": ["web.socket", "other.service"]}
    file = {"path": "a.conf"}
    service.stage(file)
    service.activate()
    assert not service.stage(file, **units)["changed"]
    for verb in ("is-active", "is-enabled"):
        path.write_text(f'#!/bin/sh\ncase "$*" in *{verb}*web.socket) false ;; esac\n')
        for check_mode in (True, False):
            result = service.stage(file, **units, check_mode=check_mode)
            assert result["changed"]
            assert result["changed_paths"] == []
            assert result["stopped_units"] == ["web.socket"]


SITE = {"name": "service", "site": "site"}


def test_exceptions_may_go_with_an_empty_list_of_patterns(service):
    assert service.stage({"path": "a", "content": "x"}, purge=[], exclude=["*/b"])["changed"]


NOTHING = {"purge": ["/nowhere/*"]}
LINK = {"path": "/nowhere/a", "state": "link"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (SITE, "one of the following is required: files, purge"),
        (SITE | {"exclude": ["*"], "files": []}, "exclude means nothing without purge or restore"),
        (SITE | NOTHING | {"unit": "web.service"}, "Unsupported parameters"),
        (SITE | {"files": [LINK]}, "all of the following are missing: target"),
        (SITE | {"files": [LINK | {"target": "b", "content": "", "secret": ""}]}, "parameters are mutually exclusive"),
        (NOTHING, "missing required arguments: name, site"),
        (SITE | NOTHING | {"site": None}, 'site is "". Write a name without a slash.'),
        (SITE | NOTHING | {"name": "a/b"}, 'name is "a/b". Write a name without a slash.'),
    ],
)
def test_options_that_mean_nothing_are_refused(run_module, options, said):
    assert said in run_module(staged_files, **options)["msg"]


@pytest.mark.parametrize("options", [{"purge": ["*"]}, {"files": [OWNER | {"path": "a", "state": "absent"}]}])
def test_path_that_depends_on_the_working_directory_is_refused(service, monkeypatch, options):
    (service.etc / "a").write_text("")
    monkeypatch.chdir(service.etc)
    assert "Write an absolute path." in service.stage(**options)["msg"]
    assert (service.etc / "a").exists()


@pytest.mark.parametrize("writer", [snapshot, journal], ids=["of the service", "of the journals"])
def test_full_disk_leaves_every_file_as_it_was(service, monkeypatch, writer):
    """Nothing can be written there any more, not even the former content of a file."""

    def refuse(path, *_args):
        raise OSError(errno.ENOSPC, "No space left on device", path)

    (service.etc / "a.conf").write_text("a\n")
    (service.etc / "b.conf").write_text("b\n")
    before = tree(service.etc)
    monkeypatch.setattr(writer, "replace_file", refuse)
    result = service.stage({"path": "a.conf", "content": "new\n"}, {"path": "b.conf", "state": "absent"})
    assert result["failed"]
    assert "every file is as it was" in result["msg"]
    assert "No space left on device" in result["msg"]
    assert tree(service.etc) == before
    assert not service.journal.exists()


def test_what_was_written_without_a_check_is_checked(service):
    """The run was killed during the check, so nothing differs in the next one."""
    file = {"path": "a.conf", "content": "refused"}
    with patch.object(staging.Staging, "_problem", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        service.stage(file)
    assert tree(service.etc)
    assert service.stage(file, checks=REFUSE)["failed"]
    assert tree(service.etc) == {}


def test_what_a_killed_run_was_about_to_write_is_removed(service, systemctl):
    """It may be a secret, and would keep a directory from being removed with the site."""
    files = ({"path": "new", "state": "directory"}, {"path": "new/key", "secret": "x"})
    service.stage(*files)
    service.activate()
    (service.etc / "new" / f"{snapshot.TEMPORARY}1").touch()
    (service.etc / f"{snapshot.TEMPORARY}2").mkdir()  # by another account, to be in the way
    service.stage(*files)
    (service.etc / f"{snapshot.TEMPORARY}2").rmdir()
    assert sorted(tree(service.etc)) == ["new", "new/key"]
    (service.etc / "new" / f"{snapshot.TEMPORARY}1").touch()
    service.stage(restore=True)
    assert tree(service.etc) == {}


def test_journal_survives_a_power_failure_before_a_file_changes(service, monkeypatch):
    done = []
    monkeypatch.setattr(journal, "sync_directory", lambda path: done.append(("sync", path)))
    monkeypatch.setattr(staging, "restore_all", done.extend)
    service.stage({"path": "a.conf", "content": "new"})
    assert done == [("sync", str(service.journals)), str(service.etc / "a.conf")]


@pytest.mark.parametrize("kind", ["file", "directory", "link"])
def test_what_is_written_gets_the_label_of_its_own_name(service, monkeypatch, kind):
    """With SELinux, a file that is renamed into place would keep the label of its temporary name."""
    labels = {}

    class SELinux:
        is_selinux_enabled = staticmethod(lambda: 1)
        matchpathcon = staticmethod(lambda path, _mode: [0, f"label of {path}"])
        lsetfilecon = staticmethod(labels.__setitem__)

    monkeypatch.setattr(snapshot, "selinux", SELinux)
    service.stage({"path": "new", "state": kind, **({"target": "/"} if kind == "link" else {})})
    path = str(service.etc / "new")
    assert labels[path] == f"label of {path}"
