# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""shibd loads its files again without a restart, or they are rolled back."""

from __future__ import annotations

import os
import re
import socketserver
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread

import pytest
import untrusted_roles
from ansible_collections.campus.flask_sso.plugins.module_utils import shibd as reload
from staged_service import Service, tree

CONFIGURATION = '<SPConfig xmlns="urn:mace:shibboleth:3.0:native:sp:config" clockSkew="180">{}</SPConfig>'
WORKS, OTHER, BROKEN = (
    CONFIGURATION.format(f'<ApplicationDefaults entityID="{name}"/>') for name in ("a", "b", "broken")
)
SIGNALS = "INFO Shibboleth.Config [3]: change detected, signaling reload thread..."
LOADS = "INFO Shibboleth.Config : reloading local resource..."
LOADED = "INFO Shibboleth.Config : adding external ApplicationOverride search path: /etc/shibboleth/sites"
CRITICAL = "CRIT Shibboleth.Application : error building MetadataProvider: no such file"
REFUSED = "CRIT Shibboleth.Config : maintaining existing configuration, error reloading resource (shibboleth2.xml)"
SEEKS = "INFO Shibboleth.Config [4]: application override (wiki) not found, searching external sources"
FOUND = "INFO Shibboleth.Config [4]: storing externally defined application override (wiki)"
MISSING = "WARN Shibboleth.Config [4]: application override (wiki) not found in external sources"


class Shibd:
    """What stands for shibd: it looks at its file when it is asked something, and logs what shibd 3.4 does.

    :param directory: Where it has its file, log and socket.
    """

    def __init__(self, directory: Path) -> None:
        self.configuration = directory / "shibboleth2.xml"
        self.log = directory / "shibd.log"
        self.log.touch()
        self.quiet = False
        self.deaf = 0  # how many newer files it misses
        self.seen = int(self.configuration.stat().st_mtime)
        self.loaded: list[str] = []
        self.asked: list[str] = []
        self.overrides: set[str] = set()

    def say(self, *lines: str) -> None:
        """Log lines."""
        with self.log.open("a") as log:
            log.writelines(f"2026-11-26 21:15:21 {line}\n" for line in lines if not self.quiet)

    def answer(self, question: str) -> None:
        """Do what shibd does for a question."""
        self.asked.append(re.search("name='(.*?)::", question)[1])
        newest = int(self.configuration.stat().st_mtime)
        if newest > self.seen:
            self.seen = newest
            self.say(SIGNALS)
            if self.deaf:
                self.deaf -= 1
                return
            text = self.configuration.read_text()
            self.loaded.append(text)
            self.overrides.clear()
            self.say("ERROR Shibboleth.SSO.SAML2 [7] [default]: a user did something", LOADS)
            self.say(*([CRITICAL] if "broken" in text else []), LOADED)
        elif self.asked[-1] == "wiki" and not self.overrides:
            override = self.configuration.parent / "sites/wiki-override.xml"
            if override.exists():
                self.overrides.add("wiki")
            text = override.read_text() if self.overrides else ""
            self.say(
                SEEKS,
                *([CRITICAL.replace(" :", " [4]:")] if "broken" in text else []),
                FOUND if self.overrides else MISSING,
            )


class Listener(socketserver.ThreadingUnixStreamServer):
    """shibd's socket."""

    daemon_threads = True

    def __init__(self, path: Path, shibd: Shibd) -> None:
        class Connection(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                while size := self.rfile.read(4):
                    shibd.answer(self.rfile.read(int.from_bytes(size, "big")).decode())
                    self.wfile.write(b"\0\0\0\3yes")

        super().__init__(str(path), Connection)


@pytest.fixture
def shibd(service: Service, monkeypatch) -> Iterator[Shibd]:
    """Have shibd run with a configuration; waiting for it is quick."""
    monkeypatch.setattr(reload, "BEGIN_SECONDS", 0.3)
    monkeypatch.setattr(reload, "AGAIN_SECONDS", 0.05)
    (service.etc / "shibboleth2.xml").write_text(WORKS)
    daemon = Shibd(service.etc)
    with Listener(service.etc / "shibd.sock", daemon) as server:
        Thread(target=server.serve_forever, args=[0.01]).start()
        yield daemon
        server.shutdown()


@pytest.fixture
def change(service: Service, systemctl: Path) -> Callable[..., dict]:
    """Stage files and activate them; return what the activation returned."""

    def apply(*files: dict, application: str = "default") -> dict:
        service.stage(*files)
        place = {
            "directory": str(service.etc),
            "log": str(service.etc / "shibd.log"),
            "runtime_directory": str(service.etc),
        }
        return service.activate(action="reload", shibd=place | {"application": application})

    return apply


def restarts(systemctl: Path) -> list[str]:
    """Return how systemd was told to have the unit load its files."""
    return [line for line in systemctl.read_text().splitlines() if "restart" in line]


def configuration(text: str) -> dict:
    """Return the file to stage; shibd does not load it before it is activated."""
    return {"path": "shibboleth2.xml", "content": text, "keep_time": True}


def override(text: str) -> list[dict]:
    """Return the files of a further site to stage."""
    return [{"path": "sites", "state": "directory"}, {"path": "sites/wiki-override.xml", "content": text}]


def test_shibd_loads_its_files_without_a_restart(shibd, change, systemctl, capsys):
    assert change(configuration(OTHER))["changed"]
    assert capsys.readouterr().err == ""
    assert shibd.loaded == [OTHER]
    assert restarts(systemctl) == []


def test_shibd_loads_again_when_only_another_file_has_changed(shibd, change, systemctl):
    change({"path": "attribute-map.xml", "content": "<Attributes/>"})
    change({"path": "attribute-map.xml", "state": "absent"})
    assert shibd.loaded == [WORKS, WORKS]
    assert restarts(systemctl) == []


def test_shibd_does_not_load_what_is_staged(service, shibd):
    service.stage(configuration(OTHER))
    shibd.answer("<null name='default::x'/>")
    assert shibd.loaded == []


def test_files_that_shibd_could_not_load_are_rolled_back_and_it_has_the_previous_ones(
    service, shibd, change, systemctl
):
    result = change(configuration(BROKEN), {"path": "new"})
    assert result["failed"]
    assert "rolled back to the previous ones, and it runs with those" in result["msg"]
    assert result["msg"].endswith(CRITICAL)  # and not what a user did meanwhile
    assert shibd.loaded == [BROKEN, WORKS]
    assert restarts(systemctl) == []
    assert "new" not in tree(service.etc)


def test_shibd_that_misses_newer_files_is_told_again(shibd, change, systemctl):
    shibd.deaf = 1
    change(configuration(OTHER))
    assert shibd.loaded == [OTHER]
    assert restarts(systemctl) == []


def test_shibd_is_restarted_if_its_log_does_not_tell(shibd, change, systemctl, capsys):
    shibd.quiet = True
    assert change(configuration(OTHER))["changed"]
    assert "does not say that it loads its files" in capsys.readouterr().err
    assert restarts(systemctl) == ["restart web.service"]


def test_shibd_is_restarted_if_it_does_not_answer(service, shibd, change, systemctl, capsys):
    (service.etc / "shibd.sock").unlink()
    assert change(configuration(OTHER))["changed"]
    assert "could not be asked" in capsys.readouterr().err
    assert restarts(systemctl) == ["restart web.service"]


def test_application_of_a_further_site_is_loaded_too(shibd, change):
    change(*override("new"), application="wiki")
    assert shibd.loaded == [WORKS]
    assert shibd.overrides == {"wiki"}
    assert shibd.asked.index("wiki") > shibd.asked.index("default")


def test_new_site_that_shibd_refuses_costs_the_others_nothing(service, shibd, change, systemctl):
    assert "it runs with those" in change(*override("broken"), application="wiki")["msg"]
    assert shibd.loaded == [WORKS, WORKS]
    assert restarts(systemctl) == []
    assert "sites" not in tree(service.etc)


def test_shibd_may_have_started_with_what_was_staged_and_then_changed_back(service, shibd, change, systemctl):
    service.stage(configuration(OTHER))
    change(configuration(WORKS))
    assert restarts(systemctl) == ["restart web.service"]


def test_nothing_new_is_nothing_to_load(service, shibd, change, systemctl):
    assert not change()["changed"]
    assert shibd.asked == []


def log(*lines: str) -> list[reload.Line]:
    """Return lines of shibd's log."""
    return reload.parsed("".join(f"2026-11-26 21:15:21 {line}\n" for line in lines))


@pytest.mark.parametrize(
    ("lines", "application", "faults"),
    [
        ([SIGNALS], "default", None),
        ([SIGNALS, LOADS, CRITICAL], "default", None),
        ([LOADED, LOADS], "default", None),  # the end of an earlier one
        ([SIGNALS, LOADS, LOADED, CRITICAL], "default", []),
        ([LOADS, CRITICAL, LOADED], "default", [CRITICAL]),
        ([LOADS, REFUSED], "wiki", [REFUSED]),
        ([SEEKS, FOUND, LOADS, LOADED], "wiki", None),  # for what ran before
        ([LOADS, LOADED, SEEKS], "wiki", None),
        ([LOADS, LOADED, SEEKS, FOUND], "wiki", []),
        ([LOADS, LOADED, SEEKS, CRITICAL.replace(" :", " [4]:"), FOUND], "wiki", [CRITICAL.replace(" :", " [4]:")]),
        ([LOADS, LOADED, SEEKS, CRITICAL.replace(" :", " [5]:"), FOUND], "wiki", []),  # another thread
        ([LOADS, LOADED, SEEKS, MISSING], "wiki", [MISSING]),
    ],
)
def test_log_says_what_became_of_the_files(lines, application, faults):
    told = reload.outcome(log(*lines), application)
    assert (told if told is None else [line[20:] for line in told.splitlines()]) == faults


def test_log_that_a_new_one_replaces_is_read_to_its_end(tmp_path):
    path = tmp_path / "shibd.log"
    path.write_text("before\n")
    read = reload.additions(str(path))
    assert next(read) == ""
    with path.open("a") as stream:
        stream.write("a\nhalf")
        stream.flush()
        assert next(read) == "a\n"
        stream.write(" b\n")
    os.rename(path, tmp_path / "shibd.log.1")
    assert next(read) == "a\nhalf b\n"
    path.write_text("c\n")
    assert next(read) == "a\nhalf b\nc\n"
    read.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> untrusted_roles.Site:
    """The roles without a host."""
    return untrusted_roles.Site(tmp_path_factory.mktemp("site"))


@pytest.mark.parametrize(
    ("variables", "restarted"),
    [
        ({"saml_sp_attributes": [{"id": "upn", "name": "upn"}, {"id": "more", "name": "more", "default": "x"}]}, False),
        ({"saml_sp_session_lifetime": 60, "saml_sp_unsolicited_login": True}, False),
        ({"saml_sp_mdq_url": "https://mdq.example.org/"}, False),
        ({"shibboleth_sp__keys": {"links": ["active", "next"]}}, False),
        ({"shibboleth_sp_listener": "tcp"}, True),
        ({"shibboleth_sp_sealer_file": "/keys"}, True),
    ],
)
def test_only_what_shibd_reads_at_its_start_restarts_it(site, service, shibd, change, systemctl, variables, restarted):
    usual = {"shibboleth_sp__keys": {"links": ["active"]}}
    before, after = (site.made("shibboleth_sp", "shibboleth2.xml.j2", usual | given) for given in ({}, variables))
    assert before != after
    shibd.configuration.write_text(before)
    change(configuration(after))
    assert restarts(systemctl) == (["restart web.service"] if restarted else [])


@pytest.mark.parametrize(
    ("old", "new", "restarted"), [('expires="60"', 'expires="61"', False), ("<Excluded", "<Included", True)]
)
def test_new_algorithms_restart_shibd_and_new_policies_do_not(
    site, service, shibd, change, systemctl, old, new, restarted
):
    before = site.made("shibboleth_sp", "security-policy.xml.j2", {})
    (service.etc / "security-policy.xml").write_text(before)
    change({"path": "security-policy.xml", "content": before.replace(old, new)})
    assert restarts(systemctl) == (["restart web.service"] if restarted else [])


def test_files_for_which_shibd_starts_again_and_has_the_former_ones_by_a_start(service, shibd, change, systemctl):
    """What it had read at its start, it reads at the next one."""
    result = change(configuration(CONFIGURATION.format("<TCPListener/><ApplicationDefaults entityID='broken'/>")))
    assert result["failed"]
    assert restarts(systemctl) == ["restart web.service"] * 2
    assert shibd.loaded == []
