# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Steps, workers, timers and single commands run in the release, account, environment and sandbox of the application.

The tests follow each other in the life of one application under each server, after those of its releases.
"""

import pytest

NOTE = 'echo "$0 $(python -c "import app; print(app.RELEASE)") $(id --user --name)" >> "$STATE_DIRECTORY/steps"'
IN_MAINTENANCE = 'test -d "/run/$(id --user --name)-steps"'
ACCEPTED = {
    "flask_app_maintenance": True,
    "flask_app_before_switch": [{"command": ["sh", "-c", f"{IN_MAINTENANCE} && {NOTE}", "before"]}],
    "flask_app_after_switch": [{"command": ["sh", "-c", f"! {IN_MAINTENANCE} && {NOTE}", "after"], "seconds": 60}],
    "flask_app_workers": [{"name": "mail", "command": ["sh", "-c", f"{NOTE}; exec sleep infinity", "worker"]}],
    "flask_app_timers": [{"name": "nightly", "command": ["sh", "-c", NOTE, "timer"], "calendar": "Mon..Fri 03:30"}],
}


def notes(host, server: str) -> list[str]:
    """Return what the commands have noted, once the worker has."""
    path = f"/var/lib/on_{server}/steps"
    return host.check_output(
        f"for _ in $(seq 30); do grep --quiet worker {path} && break; sleep 1; done; cat {path}"
    ).splitlines()


def state(host, server: str) -> str:
    """Return checksums of the application's settings and units, and the links that enable them."""
    return host.check_output(
        f"find /etc/on_{server} /etc/systemd/system -type f -path '*/on_{server}*' -exec sha256sum {{}} +;"
        f" find /etc/systemd/system /srv/on_{server}/current -type l -path '*on_{server}*' -printf '%p %l\\n'"
    )


def is_running(host, server: str, unit: str) -> bool:
    """Return whether a worker or timer runs."""
    return host.run(f"systemctl is-active --quiet on_{server}-{unit}").rc == 0


def test_commands_run_in_the_new_release(host, server, deploy, site) -> None:
    """Those before the switch first, those after it last, and none when nothing is new."""
    run = deploy("steps", **ACCEPTED)
    assert run.code == 0, run.said
    assert site.get("/").text == "steps"
    host.check_output(f"systemctl start on_{server}-timer-nightly.service")
    found = notes(host, server)
    assert sorted(found) == [f"{name} steps on_{server}" for name in ("after", "before", "timer", "worker")]
    assert found.index(f"before steps on_{server}") < found.index(f"after steps on_{server}")
    assert is_running(host, server, "worker-mail.service")
    assert is_running(host, server, "timer-nightly.timer")
    assert host.run(f"systemctl is-enabled on_{server}-worker-mail.service").rc == 0
    assert deploy("steps", **ACCEPTED).changed == 0
    assert notes(host, server) == found


def test_single_command_runs_as_the_application(host, server) -> None:
    """Its arguments arrive as they are, its exit status is passed on, and the sandbox is the service's."""
    run = f"/usr/local/sbin/on_{server}-run"
    answer = host.run(f"""{run} sh -c 'echo "$0 $STATE_DIRECTORY $(id --user --name)"; exit 7' '$HOME ${{HOME}} 5%'""")
    assert answer.stdout == f"$HOME ${{HOME}} 5% /var/lib/on_{server} on_{server}\n"
    assert answer.rc == 7
    assert host.check_output(f"{run} python -c 'import app; print(app.RELEASE)'") == "steps"
    assert "Read-only file system" in host.run(f"{run} touch /srv/on_{server}/mine").stderr
    assert "No such file" in host.run(f"{run} cat /proc/meminfo").stderr
    assert host.run(f"{run} --seconds 1 sleep 60").rc != 0


def test_step_that_fails_keeps_the_release_and_says_what_it_printed(host, server, deploy, site) -> None:
    before = state(host, server)
    step = {"command": ["sh", "-c", "echo no such column; exit 3"]}
    run = deploy("unmigrated", **ACCEPTED | {"flask_app_before_switch": [step]})
    assert run.code == 2
    assert "(flask_app_before_switch, at most 600 seconds) failed (3)" in run.said
    assert "no such column" in run.said
    assert state(host, server) == before
    assert site.get("/").text == "steps"


def test_step_that_takes_too_long_keeps_the_release(host, server, deploy, site) -> None:
    before = state(host, server)
    run = deploy("slow", **ACCEPTED | {"flask_app_before_switch": [{"command": ["sleep", "60"], "seconds": 2}]})
    assert run.code == 2
    assert "sleep 60 (flask_app_before_switch, at most 2 seconds) failed" in run.said
    assert state(host, server) == before
    assert site.get("/").text == "steps"


def test_release_whose_worker_ends_is_rolled_back(host, server, deploy, site) -> None:
    before = state(host, server)
    run = deploy("workless", **ACCEPTED | {"flask_app_workers": [{"name": "mail", "command": ["false"]}]})
    assert run.code == 2
    assert "could not run with its new files, so they were rolled back to the previous ones" in run.said
    assert state(host, server) == before
    assert site.get("/").text == "steps"
    assert is_running(host, server, "worker-mail.service")


@pytest.mark.parametrize("server", ["uwsgi"], indirect=True)
def test_calendar_that_means_nothing_is_refused(host, server, deploy) -> None:
    before = state(host, server)
    timer = ACCEPTED["flask_app_timers"][0] | {"calendar": "someday"}
    run = deploy("steps", **ACCEPTED | {"flask_app_timers": [timer]})
    assert run.code == 2
    assert 'The calendar of flask_app_timers is wrong for "nightly"' in run.said
    assert state(host, server) == before


def test_workers_and_timers_go_and_come_back_with_their_release(host, server, roll_back) -> None:
    release = host.file(f"/srv/on_{server}/current").linked_to.split("/")[-1]
    assert roll_back().code == 0
    assert not is_running(host, server, "worker-mail.service")
    assert not is_running(host, server, "timer-nightly.timer")
    assert f"on_{server}-worker-mail" not in state(host, server)
    assert roll_back(flask_app_release=release).code == 0
    assert is_running(host, server, "worker-mail.service")
    assert is_running(host, server, "timer-nightly.timer")


def test_worker_that_is_no_longer_in_the_variable_is_stopped_and_removed(host, server, deploy) -> None:
    run = deploy("steps", **ACCEPTED | {"flask_app_workers": []})
    assert run.code == 0, run.said
    assert not is_running(host, server, "worker-mail.service")
    assert is_running(host, server, "timer-nightly.timer")
    assert f"on_{server}-worker-mail" not in state(host, server)
