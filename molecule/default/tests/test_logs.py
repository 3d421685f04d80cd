# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host tells those who operate it: requests by one id, health, figures; and what it keeps from others."""

import json
import time

import bench_client
import httpx
from platforms import Platform
from testinfra.host import Host

READ_STATISTICS = """
import socket
connection = socket.socket(socket.AF_UNIX)
connection.connect("/var/lib/flask_app/stats.sock")
print(connection.makefile().read())
"""
READ_FIGURES = f"""
import ssl, urllib.request
request = urllib.request.Request("https://127.0.0.1/server-status?auto", headers={{"Host": "{bench_client.HOST}"}})
print(urllib.request.urlopen(request, context=ssl._create_unverified_context()).read().decode())
"""


def test_request_has_one_id_in_the_response_and_in_every_log(web: Host, names: Platform, visitor: httpx.Client) -> None:
    """httpd makes it, whatever the visitor sends. No log has the query, nor the address of the page before."""
    sent = {"X-Request-ID": "chosen-by-a-visitor", "Referer": f"{bench_client.SITE}/?code=canary"}
    answer = visitor.get("/no/such/page?code=canary", headers=sent)
    (name,) = answer.headers.get_list("X-Request-ID")
    assert name != "chosen-by-a-visitor"
    line = json.loads(web.check_output(f"grep --fixed-strings {name} {names.access_log}"))
    assert (line["path"], line["status"], line["request_id"]) == ("/no/such/page", 404, name)
    journal = web.check_output("journalctl --unit flask_app --output cat --no-pager")
    assert f"Request {name}: GET was answered with 404 in " in journal
    refused = visitor.get("/server-status?code=canary", headers=sent)
    errors = web.check_output(f"cat {names.error_log}")
    assert f"[request {refused.headers['X-Request-ID']}]" in errors
    assert not [log for log in (web.check_output(f"cat {names.access_log}"), journal, errors) if "canary" in log]


def test_every_line_of_the_access_log_is_json(web: Host, names: Platform, visitor: httpx.Client) -> None:
    """Whatever a request contains."""
    agent = b'caf\xc3\xa9 "\\\tx'
    visitor.get("/%22%0A%5C%C3%A9%FF", headers={b"User-Agent": agent})
    lines = [json.loads(line) for line in web.check_output(f"cat {names.access_log}").splitlines()]
    found = next(line for line in reversed(lines) if line["path"].startswith("/%22"))
    assert (found["path"], found["agent"]) == ("/%22%0a%5c%c3%a9%ff", "caf%c3%a9%20%22%5c%09x")


def test_health_is_that_of_httpd_and_readiness_that_of_the_application(web: Host, visitor: httpx.Client) -> None:
    """Both without a login, and without anything about the host."""

    def found() -> list[tuple[int, str]]:
        answers = [visitor.get(path) for path in ("/livez", "/readyz")]
        return [(answer.status_code, answer.text if answer.is_success else "") for answer in answers]

    assert found() == [(200, "ok"), (200, "ok")]
    web.check_output("systemctl stop flask_app.socket flask_app.service")
    stopped = found()
    web.check_output("systemctl start flask_app.socket flask_app.service")
    assert stopped == [(200, "ok"), (503, "")]
    assert found() == [(200, "ok"), (200, "ok")]


def test_figures_are_for_the_host_itself(web: Host, visitor: httpx.Client) -> None:
    """Those of httpd and uWSGI have nothing of any request."""
    assert visitor.get("/server-status?auto").status_code == 403
    assert "\nBusyWorkers: " in web.check_output("python3 -c %s", READ_FIGURES)
    assert web.run("python3 -c %s", READ_FIGURES.replace("?auto", "")).rc != 0
    for name in ("Forwarded", "Via", "X-Forwarded-For"):  # through a proxy on the host
        assert web.run("python3 -c %s", READ_FIGURES.replace('"Host"', f'"{name}": "192.0.2.7", "Host"')).rc != 0
    statistics = json.loads(web.check_output("python3 -c %s", READ_STATISTICS))
    assert all(worker["requests"] >= 0 and "cores" not in worker for worker in statistics["workers"])
    assert web.file("/var/lib/flask_app/stats.sock").user == "flask_app"


def test_maintenance_page_ends_with_the_command_also_if_nothing_waits_for_it(web: Host, visitor: httpx.Client) -> None:
    """As when a playbook is killed during a migration; not with another command before. httpd itself stays healthy."""
    waiting = "sh -c 'until test -e /var/lib/flask_app/migrated; do sleep 0.1; done'"
    web.check_output(f"systemd-run --unit migration /usr/local/sbin/flask_app-run --seconds 60 --maintenance {waiting}")
    deadline = time.monotonic() + 30
    while (page := visitor.get("/login", follow_redirects=False)).status_code != 503:
        assert time.monotonic() < deadline
    web.check_output("systemctl kill --signal KILL migration")
    assert page.headers["Retry-After"] == "60"
    assert "We will be back soon" in page.text
    assert visitor.get("/livez").status_code == 200
    web.check_output("/usr/local/sbin/flask_app-run --maintenance true")
    assert visitor.get("/").status_code == 503
    web.check_output("touch /var/lib/flask_app/migrated")
    while visitor.get("/").status_code != 200:
        assert time.monotonic() < deadline
    web.check_output("rm /var/lib/flask_app/migrated")


def test_maintenance_page_by_hand_does_not_end_with_a_command(web: Host, visitor: httpx.Client) -> None:
    web.check_output("mkdir /run/flask_app-maintenance; /usr/local/sbin/flask_app-run --maintenance true")
    during = visitor.get("/").status_code
    web.check_output("rmdir /run/flask_app-maintenance")
    assert (during, visitor.get("/").status_code) == (503, 200)
