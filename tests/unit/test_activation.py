# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A service runs with its new files, or they are rolled back."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from ansible_collections.campus.flask_sso.plugins.modules import activation
from staged_service import tree


@pytest.fixture
def site(service) -> Iterator[str]:
    """Have a site that fails if the service's files say "broken", else redirects visitors; return its address."""

    class Site(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            broken = any("broken" in path.read_text() for path in service.etc.iterdir())
            self.send_response(500 if broken or self.headers["Host"] != host else 302)
            self.send_header("Location", "http://nowhere.invalid/")
            self.end_headers()

        def log_message(self, *_arguments) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        host = f"site.invalid:{server.server_port}"
        Thread(target=server.serve_forever).start()
        yield f"http://{host}/"
        server.shutdown()


def test_what_was_staged_counts_as_changed_until_the_service_runs_with_it(service, systemctl):
    file = {"path": "a.conf", "content": "a\n"}
    assert service.stage(file)["changed"]
    assert service.stage(file)["changed_paths"] == [str(service.etc / "a.conf")]  # as after an interruption
    assert service.activate()["changed"]
    assert not service.journal.exists()
    assert not service.stage(file)["changed"]
    assert not service.activate()["changed"]


def test_service_that_cannot_run_rolls_back_what_is_staged_for_other_services(service, systemctl):
    service.stage({"path": "other.conf"}, name="other")
    service.stage({"path": "a.conf", "content": "broken\n"})
    assert service.activate()["failed"]
    assert tree(service.etc) == {}
    assert list(service.journal.parent.iterdir()) == []
    assert "other" not in systemctl.read_text()


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


def test_service_without_former_files_is_not_reported_to_run(service, systemctl):
    (service.etc / "a.conf").write_text("broken as well\n")
    service.stage({"path": "a.conf", "content": "broken\n"})
    assert "does not run with those either" in service.activate()["msg"]


def test_new_unit_that_cannot_run_is_gone_again(service, systemctl):
    """Its files are new in this transaction; another unit ran before, and is not touched."""
    systemctl.with_name("bin").joinpath("systemctl").write_text(
        f'#!/bin/sh\necho "$@" >> {systemctl}\n'
        f"case $1 in restart) false ;; cat) test -e {service.etc}/web.service ;; esac\n"
    )
    service.stage({"path": "web.service", "content": "new"})
    result = service.activate(sockets=["web.socket"])
    assert "it was removed, as it did not exist before" in result["msg"]
    assert tree(service.etc) == {}
    assert systemctl.read_text().endswith("stop web.service web.socket\n")


def test_without_a_unit_systemd_is_not_called(service, systemctl):
    """Processes that use the files notice the change themselves, and the next run has nothing to repair."""
    file = {"path": "script", "content": "new"}
    service.stage(file)
    assert service.activate(file)["changed"]
    assert "restart" not in systemctl.read_text()
    assert not service.activate(file)["changed"]


def test_files_can_be_written_when_they_are_activated(service, systemctl):
    """For processes that notice the change themselves, and would do so too early."""
    assert service.activate({"path": "script", "content": "new"}, check_mode=True)["changed"]
    assert tree(service.etc) == {}
    assert service.activate({"path": "script", "content": "new"})["changed"]
    assert not service.journal.exists()
    assert not service.activate({"path": "script", "content": "new"})["changed"]


def test_site_that_answered_before_and_fails_now_gets_its_files_back(service, systemctl, site):
    assert service.activate({"path": "script", "content": "works"}, probe={"url": site})["changed"]
    before = tree(service.etc)
    result = service.activate({"path": "script", "content": "broken"}, probe={"url": site})
    assert result["failed"]
    assert "service could not run with its new files" in result["msg"]
    assert f"The request of {site} failed:\n500 Internal Server Error\n" in result["msg"]
    assert tree(service.etc) == before
    assert not service.journal.exists()


def test_site_that_did_not_answer_before_gets_its_new_files(service, systemctl, site):
    """As on a bare host, or when the new files fix it."""
    (service.etc / "script").write_text("broken")
    assert service.activate({"path": "script", "content": "broken as well"}, probe={"url": site})["changed"]
    assert service.activate({"path": "script", "content": "works"}, probe={"url": site})["changed"]
    assert service.activate({"path": "other"}, probe={"url": "https://site.invalid:1/"})["changed"]


def test_old_processes_finish_while_a_standby_serves(service, systemctl):
    """It serves with the new files before the unit stops, and ends when that runs again."""
    service.stage({"path": "a.conf"})
    service.activate(sockets=["web.socket"], standby="web-standby.service")
    asked = [line for line in systemctl.read_text().splitlines() if "restart" in line or "stop" in line]
    assert asked == ["restart web-standby.service", "restart web.service", "stop --no-block web-standby.service"]


def test_unit_runs_on_when_its_standby_cannot_start(service, systemctl):
    before = tree(service.etc)
    service.stage({"path": "a.conf", "content": "broken"})
    result = service.activate(sockets=["web.socket"], standby="web-standby.service")
    assert "it runs with those" in result["msg"]
    assert "web: this is broken" in result["msg"]
    assert "restart web.service" not in systemctl.read_text()
    assert tree(service.etc) == before


def test_unit_that_does_not_run_needs_no_standby(service, systemctl):
    path = systemctl.with_name("bin") / "systemctl"
    path.write_text(
        f'#!/bin/sh\necho "$@" >> {systemctl}\ncase "$*" in *is-active*) grep -q "restart web" {systemctl} ;; esac\n'
    )
    service.stage({"path": "a.conf"})
    assert service.activate(sockets=["web.socket"], standby="web-standby.service")["changed"]
    assert "standby" not in systemctl.read_text()


def test_standby_that_is_new_does_not_keep_a_failing_release(service, systemctl, site):
    """Its file goes with the release, and what runs is restarted without it."""
    assert service.activate({"path": "script", "content": "works"})["changed"]
    path = systemctl.with_name("bin") / "systemctl"
    path.write_text(
        f'#!/bin/sh\necho "$@" >> {systemctl}\ncase "$*" in *standby*) test -e {service.etc}/standby ;; esac\n'
    )
    new = [{"path": "script", "content": "broken"}, {"path": "standby"}]
    units = {"unit": "web.service", "sockets": ["web.socket"], "standby": "web-standby.service"}
    result = service.activate(*new, **units, probe={"url": site})
    assert "it runs with those" in result["msg"]
    restarts = [line for line in systemctl.read_text().splitlines() if line.startswith("restart web.")]
    assert restarts[-2:] == ["restart web.service"] * 2


def test_socket_stays_open_unless_its_own_file_changed(service, systemctl):
    service.stage({"path": "web.service"})
    service.activate(sockets=["web.socket"])
    assert "stop" not in systemctl.read_text()
    service.stage({"path": "web.socket"})
    service.activate(sockets=["web.socket"])
    assert "stop web.service web.socket" in systemctl.read_text()


def test_a_file_that_a_reload_does_not_load_restarts_the_unit(service, systemctl):
    restart_for = [f"{service.etc}/modules*"]
    service.stage({"path": "site", "content": "new"})
    service.activate(action="reload", restart_for=restart_for)
    service.stage({"path": "modules", "content": "new"})
    service.activate(action="reload", restart_for=restart_for)
    service.stage({"path": "modules", "state": "absent"})
    service.activate(action="reload", restart_for=restart_for)
    asked = [line for line in systemctl.read_text().splitlines() if "restart web.service" in line]
    assert asked == ["reload-or-restart web.service", "restart web.service", "reload-or-restart web.service"]


def test_a_drop_in_of_the_unit_restarts_it_also_when_it_goes(service, systemctl):
    """Those of other units, and a directory alone, do not."""
    service.stage({"path": "web.service.d", "state": "directory"}, {"path": "other.service.d", "state": "directory"})
    service.activate(action="reload")
    service.stage({"path": "other.service.d/a.conf"})
    service.activate(action="reload")
    service.stage({"path": "web.service.d/a.conf", "content": "new"})
    service.activate(action="reload")
    service.stage({"path": "web.service.d/a.conf", "state": "absent"})
    service.activate(action="reload")
    service.activate(action="reload")
    asked = [line for line in systemctl.read_text().splitlines() if "restart web.service" in line]
    reload = "reload-or-restart web.service"
    assert asked == [reload, reload, "restart web.service", "restart web.service", reload]


def test_reload_happens_even_when_only_another_service_changed(service, systemctl):
    assert service.activate(action="reload")["changed"]
    assert "reload-or-restart web.service" in systemctl.read_text()


def test_check_mode_leaves_the_service_alone(service, systemctl):
    service.stage({"path": "a.conf"})
    assert service.activate(check_mode=True)["changed"]
    assert not systemctl.exists()
    assert service.journal.exists()


def test_service_that_runs_with_the_files_of_several_sites_forgets_all_of_them(service, systemctl):
    """A run of one was interrupted; the other one's completes it."""
    service.stage({"path": "a.conf"}, site="a")
    service.stage({"path": "b.conf"}, site="b")
    names = [str(service.etc / name) for name in ("a.conf", "b.conf")]
    assert service.activate(site="b")["changed_paths"] == names
    assert not service.journal.exists()
    assert not service.stage({"path": "a.conf"}, site="a")["changed"]


def test_what_no_unit_has_loaded_stays_staged_for_other_sites(service, systemctl):
    """A removal completes its own changes; the other site's run, which was interrupted, has the unit load its files."""
    service.stage({"path": "a.conf"}, site="a")
    service.stage({"path": "b.conf"}, site="b")
    service.activate(site="b", unit=None, files=[])
    assert list(json.loads(service.journal.read_text())) == [str(service.etc / "a.conf")]
    assert service.stage({"path": "a.conf"}, site="a")["changed"]


def test_service_that_cannot_run_keeps_what_another_site_has_staged(service, systemctl):
    service.stage({"path": "a.conf"}, site="a")
    service.stage({"path": "other.conf"}, site="a", name="other")
    before = tree(service.etc)
    service.stage({"path": "b.conf", "content": "broken"}, site="b")
    service.stage({"path": "more.conf"}, site="b", name="other")
    result = service.activate(site="b")
    assert "rolled back to the previous ones, and it runs with those" in result["msg"]
    assert tree(service.etc) == before
    assert not service.journal.exists()  # it runs with the other site's file now
    assert service.stage({"path": "other.conf"}, site="a", name="other")["changed"]


def test_service_that_cannot_run_with_what_another_site_has_staged_gets_back_what_it_last_ran_with(service, systemctl):
    """The service has to run; the other site's next run stages its files again."""
    service.stage({"path": "other.conf"}, site="a", name="other")
    before = tree(service.etc)
    service.stage({"path": "a.conf", "content": "broken"}, site="a")
    service.stage({"path": "b.conf"}, site="b")
    result = service.activate(site="b")
    assert (
        "rolled back to the previous ones, also those that were staged for a, and it runs with those" in result["msg"]
    )
    assert tree(service.etc) == before
    assert not service.journal.exists()
    assert service.stage({"path": "a.conf"}, site="a")["changed"]


def test_service_that_nothing_was_staged_for_is_restarted_once(service, systemctl):
    """Before the other site's files are rolled back, a start would fail again, and stop what may run still."""
    service.stage({"path": "a.conf", "content": "broken"}, site="a")
    assert service.activate(site="b", action="reload")["failed"]
    asked = [line for line in systemctl.read_text().splitlines() if "restart" in line]
    assert asked == ["reload-or-restart web.service", "restart web.service"]
    assert tree(service.etc) == {}


def test_standby_that_cannot_start_keeps_what_another_site_has_staged(service, systemctl):
    """The unit was not restarted, so it does not run with it yet."""
    service.stage({"path": "a.conf"}, site="a")
    service.stage({"path": "b.conf", "content": "broken"}, site="b")
    assert service.activate(site="b", sockets=["web.socket"], standby="web-standby.service")["failed"]
    assert service.stage({"path": "a.conf"}, site="a")["changed"]


@pytest.mark.parametrize("verb", ["is-active", "is-enabled"])
@pytest.mark.parametrize(("sockets", "kept"), [([], "web.service"), (["web.socket"], "web.socket")])
def test_unit_that_was_stopped_or_disabled_is_started_and_enabled(service, systemctl, verb, sockets, kept):
    """No file has changed, so what runs is not restarted."""
    path = systemctl.with_name("bin") / "systemctl"
    path.write_text(
        f'#!/bin/sh\necho "$@" >> {systemctl}\n'
        f'case "$*" in {verb}*{kept}) grep -qE "^(start|enable --now) {kept}" {systemctl} ;; esac\n'
    )
    options = {"sockets": sockets} if sockets else {}
    assert service.activate(**options, check_mode=True)["changed"]
    assert "enable" not in systemctl.read_text().replace("is-enabled", "")
    result = service.activate(**options)
    assert result["changed"]
    assert result["changed_paths"] == []
    asked = systemctl.read_text().splitlines()
    assert {"enable web.service", "start web.service"} <= set(asked)
    assert not sockets or "enable --now web.socket" in asked
    assert not any("restart" in line for line in asked)
    assert not service.activate(**options)["changed"]


def test_stopped_unit_that_cannot_start_is_not_reported_to_have_new_files(service, systemctl):
    (systemctl.with_name("bin") / "systemctl").write_text("#!/bin/sh\ncase $1 in *start|is-active) false ;; esac\n")
    result = service.activate()
    assert "web.service could not run, and none of its files is new." in result["msg"]
    assert result["msg"].endswith("web: this is broken")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"files": [], "action": "reload"}, "missing parameter(s) required by 'action': unit"),
        ({"files": [], "sockets": ["web.socket"]}, "missing parameter(s) required by 'sockets': unit"),
        ({"unit": "web.service", "standby": "b.service"}, "missing parameter(s) required by 'standby': sockets"),
        ({"unit": "web.service", "probe": {"url": "", "socket": "/s"}}, "parameters are required together"),
        ({"unit": "web.service", "checks": []}, "Unsupported parameters"),
        ({"unit": "web.service", "purge": []}, "Unsupported parameters"),
        ({}, "one of the following is required: unit, files"),
    ],
)
def test_options_that_mean_nothing_are_refused(run_module, options, said):
    assert said in run_module(activation, name="service", site="site", **options)["msg"]


@pytest.fixture
def companion(service, monkeypatch) -> dict:
    """A worker's unit and the link that enables it, which the service's directory has like the units of systemd."""
    monkeypatch.setattr(activation, "SETTLING_SECONDS", 0)
    (service.etc / "multi-user.target.wants").mkdir()
    link = "multi-user.target.wants/web-worker-mail.service"
    return {"path": link, "state": "link", "target": "../web-worker-mail.service"}


def asked_of_companions(systemctl) -> list[str]:
    """Return what systemctl was asked about the worker, without questions."""
    return [line for line in systemctl.read_text().splitlines() if "mail" in line and not line.startswith("is-")]


def test_companions_restart_when_the_unit_runs_and_stop_when_they_are_gone(service, systemctl, companion):
    service.stage(companion)
    service.activate(companions=["web-worker-mail.service"])
    assert asked_of_companions(systemctl) == ["reset-failed web-worker-mail.service", "restart web-worker-mail.service"]
    assert systemctl.read_text().index("restart web.service") < systemctl.read_text().index("restart web-worker-mail")
    systemctl.write_text("")
    service.stage(purge=[f"{service.etc}/multi-user.target.wants/web-worker-*.service"])
    service.activate(companions=[])
    assert asked_of_companions(systemctl) == ["stop web-worker-mail.service"]


def test_companion_that_does_not_stay_up_rolls_everything_back(service, systemctl, companion):
    systemctl.with_name("bin").joinpath("systemctl").write_text(
        f'#!/bin/sh\necho "$@" >> {systemctl}\ncase "$*" in "is-active "*mail*) false ;; esac\n'
    )
    before = tree(service.etc)
    service.stage({"path": "a.conf", "content": "new"}, companion)
    result = service.activate(companions=["web-worker-mail.service"])
    assert "web.service could not run with its new files" in result["msg"]
    assert tree(service.etc) == before
    assert asked_of_companions(systemctl)[-1] == "stop web-worker-mail.service"  # it did not exist before


def test_companion_that_was_stopped_is_started(service, systemctl):
    systemctl.with_name("bin").joinpath("systemctl").write_text(
        f'#!/bin/sh\necho "$@" >> {systemctl}\ncase "$*" in "is-active "*mail*) test -e {systemctl}.run ;;'
        f' "start "*mail*) touch {systemctl}.run ;; esac\n'
    )
    assert service.activate(companions=["web-worker-mail.timer"])["changed"]
    assert "start web-worker-mail.timer" in systemctl.read_text()
    assert not service.activate(companions=["web-worker-mail.timer"])["changed"]


def step(script: str) -> list[dict]:
    """Return a step that runs a script."""
    return [{"argv": ["sh", "-c", script], "title": "flask db upgrade"}]


def test_step_that_fails_keeps_what_runs_and_says_what_it_printed(service, systemctl):
    (service.etc / "a.conf").write_text("works\n")
    before = tree(service.etc)
    service.stage({"path": "a.conf", "content": "new\n"})
    result = service.activate(before=step("echo no such column; exit 3"))
    assert result["msg"].endswith("flask db upgrade failed (3):\nno such column")
    assert tree(service.etc) == before
    assert not service.journal.exists()
    assert not systemctl.exists()  # nothing was asked, let alone restarted


def test_steps_run_around_the_restart_and_only_for_something_new(service, systemctl):
    service.stage({"path": "a.conf", "content": "new\n"})
    steps = {"before": step(f"echo before >> {systemctl}"), "after": step(f"echo after >> {systemctl}")}
    service.stage({"path": "a.conf", "content": "new\n"})
    assert service.activate(**steps, check_mode=True)["changed"]
    assert "before" not in (systemctl.read_text() if systemctl.exists() else "")
    service.activate(**steps)
    asked = systemctl.read_text().splitlines()
    assert asked[0] == "before"
    assert asked[-1] == "after"
    systemctl.write_text("")
    assert not service.activate(**steps)["changed"]
    assert not {"before", "after"}.intersection(systemctl.read_text().splitlines())


def test_step_that_fails_afterwards_is_reported_and_the_new_files_stay(service, systemctl):
    service.stage({"path": "a.conf", "content": "new\n"})
    result = service.activate(after=step("false"))
    assert result["failed"]
    assert "runs with its new files" in result["msg"]
    assert result["msg"].endswith("It has printed nothing.")
    assert (service.etc / "a.conf").read_text() == "new\n"
    assert not service.journal.exists()


@pytest.fixture
def connections(monkeypatch) -> Iterator[list[str]]:
    """Have the site take connections in these ways, one after the other; all of the list has to be used."""
    answers: list[str] = []
    monkeypatch.setattr(activation, "HANDOVER_SECONDS", 0)
    monkeypatch.setattr(activation, "connection_state", lambda _address, _timeout: answers.pop(0))
    yield answers
    assert answers == []


def reloads(service, connections: list[str], answers: list[str]) -> dict:
    """Stage a file, and reload the unit, whose site gives these answers."""
    connections += answers
    service.stage({"path": "a.conf", "content": "new\n"})
    return service.activate(action="reload", address="https://site.invalid")


def test_processes_that_crash_after_a_reload_get_another_one(service, systemctl, connections):
    assert reloads(service, connections, ["served", "silent", "served"])["changed"]
    assert [line for line in systemctl.read_text().splitlines() if "load" in line][1:] == [
        "reload-or-restart web.service",
        "reload web.service",
    ]


def test_unit_that_takes_no_connections_any_more_gets_its_files_back(service, systemctl, connections):
    result = reloads(service, connections, ["served", "silent", "silent"])
    assert "It takes no connections at https://site.invalid." in result["msg"]
    assert tree(service.etc) == {}


def test_unit_that_took_no_connections_before_is_not_asked(service, systemctl, connections):
    assert reloads(service, connections, ["silent"])["changed"]


def test_site_that_is_removed_need_not_be_served(service, systemctl, connections):
    assert reloads(service, connections, ["served", "closed"])["changed"]
