# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A release replaces the previous one without downtime, or does not replace it at all.

The tests follow each other in the life of one application under each server.
"""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import repeat

import pytest
from bench_client import visitors
from conftest import stranger

THREAD = "import threading\n\nthreading.Thread(target=threading.Event().wait).start()\n"
SETTINGS = {"uwsgi": "uwsgi.ini", "gunicorn": "gunicorn.py", "mod_wsgi": "mod_wsgi.py"}
LARGE = {"flask_app_request_body_bytes": 1_000_000_000}
# A gigabyte takes ten seconds, so only `make test-long` sends it. Either is more than a process may have.
LARGE_SIZE = 1_000_000_000 if os.environ.get("FLASK_SSO_LONG") else 200_000_000
PEAK = 150_000  # KiB
LONG = {"uwsgi_proxy_timeout": 6, "reverse_proxy_timeout": 6}  # for all other paths
HANGS = {"a server": "app.run(port=5055)\n", "a lock": f"{THREAD}threading.Event().wait()\n"}


def state(host, server: str) -> str:
    """Return checksums of all files of the application's service, and its data."""
    name = f"on_{server}"
    return host.check_output(
        f"find /etc/{name} /var/lib/{name} /etc/systemd/system -type f -path '*/{name}*' -exec sha256sum {{}} +"
    )


def test_site_goes_on_while_old_processes_finish_a_stream(host, server, deploy) -> None:
    """Requests meanwhile are served at once, by the old release or the new one, and the stream ends as it began.

    The new release is made by a function.
    """
    waits, pending = [], []

    def visit() -> bool:
        """Send requests until the new release answers, then let the stream end; return whether it was still running."""
        release = ""
        while release != "third" and not pending[0].done():
            began = time.monotonic()
            with stranger(server) as client:
                reply = client.get("/")
            assert reply.status_code == 200
            release = reply.text
            waits.append(time.monotonic() - began)
        running = not pending[0].done()
        host.check_output(f"touch /var/lib/on_{server}/enough")
        return running

    def stream() -> str:
        with stranger(server) as client:
            return client.get("/events").text

    slow = LARGE | LONG | {"flask_app_long_requests": {f"/{server}/{path}": 120 for path in ("events", "long", "size")}}
    assert deploy("second", **slow).code == 0
    with ThreadPoolExecutor(2) as pool:

        def watch(line: str) -> None:
            if "Stage the service" in line:  # before the restart
                pending.append(pool.submit(stream))
                pending.append(pool.submit(visit))

        run = deploy("third", flask_app_wsgi="app:create_app()", watch=watch, **slow)
    assert run.code == 0, run.said
    assert pending[1].result(), "no request reached the new release before the stream had ended"
    events = pending[0].result().split()
    assert set(events) == {"data:", "second", "end"}
    assert events[-1] == "end"
    assert max(waits) < 8


@pytest.mark.parametrize("server", ["uwsgi", "gunicorn"], indirect=True)
def test_request_has_the_time_of_its_path(server) -> None:
    """Both at once: the release before this has the limits."""

    def status(path: str) -> int:
        with stranger(server) as client:
            return client.get(path).status_code

    with ThreadPoolExecutor(2) as pool:
        long, short = pool.map(status, ["/long/7.0", "/pause/7.0"])
    assert long == 200
    assert short in (500, 502, 504)


def test_large_body_arrives_and_needs_no_memory(host, site) -> None:
    """It is on the disk, not in a process of httpd or of the application."""
    body, length = repeat(bytes(1_000_000), LARGE_SIZE // 1_000_000), {"Content-Length": str(LARGE_SIZE)}
    assert site.post("/size", content=body, headers=length).text == str(LARGE_SIZE)
    peaks = host.check_output(
        "grep --no-filename --no-messages VmHWM /proc/[0-9]*/status | tr --complement --delete '0-9\\n'"
    )
    assert 1_000 < max(map(int, peaks.split())) < PEAK


def test_release_that_answers_with_server_errors_is_rolled_back(host, server, deploy, site) -> None:
    before = state(host, server)
    run = deploy("broken", '\n\n@app.before_request\ndef fail():\n    raise RuntimeError("not today")\n')
    assert run.code == 2
    assert "could not run with its new files, so they were rolled back to the previous ones" in run.said
    assert "500 INTERNAL SERVER ERROR" in run.said.upper()
    assert ("The web server's error log has the reason" if server == "mod_wsgi" else "not today") in run.said
    assert {site.get("/").text for _ in range(20)} == {"third"}
    assert state(host, server) == before


@pytest.mark.parametrize("server", ["uwsgi"], indirect=True)
def test_function_that_makes_the_application_is_refused_by_its_name(host, server, deploy, site) -> None:
    """The message says what to write."""
    before = state(host, server)
    run = deploy("third", flask_app_wsgi="app:create_app")
    assert run.code == 2
    assert 'flask_app_wsgi ("app:create_app") is not a WSGI application' in run.said
    assert 'write "app:create_app()"' in run.said
    assert state(host, server) == before
    assert site.get("/").text == "third"


@pytest.mark.parametrize("server", ["uwsgi"], indirect=True)
@pytest.mark.parametrize("code", HANGS.values(), ids=HANGS)
def test_import_that_does_not_end_is_refused_in_time(host, server, deploy, site, code) -> None:
    """The message says where it was, and no process of it keeps running."""
    before = state(host, server)
    run = deploy("endless", code, flask_app_start_seconds=5)
    assert run.code == 2
    assert "The application was not ready after 5 seconds (flask_app_start_seconds)" in run.said
    assert "/app/app.py" in run.said
    assert state(host, server) == before
    assert host.run("pgrep --full '[i]mport faulthandler'").stdout == ""
    assert host.check_output("systemctl list-units --no-legend 'run-*.service'") == ""
    assert site.get("/").text == "third"


@pytest.mark.parametrize("server", ["uwsgi"], indirect=True)
def test_import_that_is_only_a_trial_leaves_the_data_alone(host, server, deploy) -> None:
    """It reads the existing data, its writes are discarded, and its threads end."""
    host.check_output("runuser --user on_uwsgi -- sh -c 'echo kept > /var/lib/on_uwsgi/data'")
    before = state(host, server)
    code = (
        "data = Path('/var/lib/on_uwsgi/data')\ndata.write_text(data.read_text() * 2)\nraise SystemExit('and ends')\n"
    )
    run = deploy("writing", f"from pathlib import Path\n\n{THREAD}{code}")
    assert run.code == 2
    assert "and ends" in run.said
    assert state(host, server) == before


def test_previous_release_runs_again_without_a_failed_request(host, server, roll_back, capsys) -> None:
    """With its settings, and without its source: here the name of its callable, which the next release has changed."""
    settings = host.file(f"/etc/on_{server}/{SETTINGS[server]}")
    assert "create_app" in settings.content_string
    began = time.monotonic()
    with visitors("/", "/", connect=partial(stranger, server)) as answers:
        run = roll_back()
        seconds = time.monotonic() - began
        time.sleep(1)
    assert run.code == 0, run.said
    assert set(answers) == {"200 third", "200 second"}
    with capsys.disabled():
        print(f"\nRolling back under {server} took {seconds:.1f} seconds; none of {len(answers)} requests failed.")
    assert answers[-1] == "200 second"
    assert "create_app" not in settings.content_string
    assert "deploys flask_app_source again." in run.said


@pytest.mark.parametrize("server", ["uwsgi", "gunicorn"], indirect=True)
def test_rollback_to_what_does_not_start_fails_no_request(host, server, roll_back) -> None:
    """The release that runs stays; so do its files."""
    (later,) = host.check_output(
        f"grep --files-with-matches --recursive --include=app.py '\"third\"' /srv/on_{server}/releases"
    ).split()
    before = state(host, server)
    host.check_output(f"mv {later} {later}.away")
    with visitors("/", "/", connect=partial(stranger, server)) as answers:
        run = roll_back(flask_app_release=later.split("/")[4])
    host.check_output(f"mv {later}.away {later}")
    assert run.code == 2
    assert "could not run with its new files, so they were rolled back to the previous ones" in run.said
    assert set(answers) == {"200 second"}
    assert state(host, server) == before


@pytest.mark.parametrize("server", ["uwsgi"], indirect=True)
def test_rollback_to_what_is_not_there_is_refused_with_what_is(host, server, roll_back) -> None:
    """By name, without a complete environment, and when there is none before."""
    current = host.file(f"/srv/on_{server}/current").linked_to.split("/")[-1]
    before = state(host, server)
    run = roll_back(flask_app_release="0123456789ab")
    assert run.code == 2
    assert 'flask_app_release is "0123456789ab", and the host has no such release. There are: ' in run.said
    assert f"{current}: built 20" in run.said

    host.check_output(f"mv /srv/on_{server}/venvs /srv/on_{server}/venvs.away")
    run = roll_back()
    host.check_output(f"mv /srv/on_{server}/venvs.away /srv/on_{server}/venvs")
    assert run.code == 2
    assert f"its virtual environment /srv/on_{server}/venvs/" in run.said
    assert state(host, server) == before


@pytest.mark.parametrize("server", ["uwsgi"], indirect=True)
def test_second_rollback_goes_back_one_further_and_a_third_finds_none(host, server, roll_back, site) -> None:
    assert roll_back().code == 0
    assert site.get("/").text == "first"
    before = state(host, server)
    run = roll_back()
    assert run.code == 2
    assert "There is no release before " in run.said
    assert state(host, server) == before
