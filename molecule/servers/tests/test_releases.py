# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A release replaces the one before without a pause, or does not replace it at all.

The tests follow each other in the life of one application under each server.
"""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import stranger

STREAM = 25  # seconds
THREAD = "import threading\n\nthreading.Thread(target=threading.Event().wait).start()\n"
HANGS = {"a server": "app.run(port=5055)\n", "a lock": f"{THREAD}threading.Event().wait()\n"}


def state(host, server: str) -> str:
    """Return checksums of everything that the application's service is set up by, and its data."""
    name = f"on_{server}"
    return host.check_output(
        f"find /etc/{name} /var/lib/{name} /etc/systemd/system -type f -path '*/{name}*' -exec sha256sum {{}} +"
    )


@pytest.mark.parametrize("server", ["uwsgi", "gunicorn"], indirect=True)
def test_site_goes_on_while_old_processes_finish_a_stream(server, deploy, site) -> None:
    """Whoever asks meanwhile is served at once, by the old release or the new one, and the stream ends as it began.

    The new release is made by a function.
    """
    waits, streams = [], []

    def visit() -> None:
        while not streams[0].done():
            began = time.monotonic()
            with stranger(server) as client:
                assert client.get("/").status_code == 200
            waits.append(time.monotonic() - began)
            time.sleep(0.05)

    def events() -> str:
        with stranger(server) as client:
            return client.get(f"/events/{STREAM}").text

    assert deploy("second", flask_app_request_seconds=60).code == 0
    with ThreadPoolExecutor(2) as pool:

        def watch(line: str) -> None:
            if "Stage the service" in line:  # a few seconds before the restart
                streams.append(pool.submit(events))
                streams.append(pool.submit(visit))

        wsgi = "app:create_app()"
        run = deploy("third", flask_app_request_seconds=60, flask_app_wsgi=wsgi, watch=watch)
        restarted = not streams[0].done()
        streams[1].result()
    assert run.code == 0, run.said
    assert restarted, "the stream ended too early to tell"
    assert streams[0].result().count("second") == STREAM
    assert site.get("/").text == "third"
    assert max(waits) < STREAM / 3


@pytest.mark.parametrize("server", ["uwsgi", "gunicorn"], indirect=True)
def test_release_that_answers_with_server_errors_is_rolled_back(host, server, deploy, site) -> None:
    before = state(host, server)
    run = deploy("broken", '\n\n@app.before_request\ndef fail():\n    raise RuntimeError("not today")\n')
    assert run.code == 2
    assert "could not run with its new files, so they were replaced by the ones before" in run.said
    assert "500 INTERNAL SERVER ERROR" in run.said.upper()
    assert "not today" in run.said
    assert {site.get("/").text for _ in range(20)} == {"third"}
    assert state(host, server) == before


@pytest.mark.parametrize("server", ["uwsgi"], indirect=True)
def test_function_that_makes_the_application_is_refused_by_its_name(host, server, deploy, site) -> None:
    """The message says how it is named."""
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
    """The message says where it stood, and nothing of it runs on."""
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
    """It finds the data that is there, what it writes is gone with it, and so are its threads."""
    host.check_output("runuser --user on_uwsgi -- sh -c 'echo kept > /var/lib/on_uwsgi/data'")
    before = state(host, server)
    code = (
        "data = Path('/var/lib/on_uwsgi/data')\ndata.write_text(data.read_text() * 2)\nraise SystemExit('and ends')\n"
    )
    run = deploy("writing", f"from pathlib import Path\n\n{THREAD}{code}")
    assert run.code == 2
    assert "and ends" in run.said
    assert state(host, server) == before
