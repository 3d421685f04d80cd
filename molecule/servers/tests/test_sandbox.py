# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the sandbox forbids is an error in the application, which keeps running; exceptions can be allowed.

Under mod_wsgi, the sandbox is httpd's.
"""

import pytest

sandboxed = pytest.mark.parametrize("server", ["uwsgi", "gunicorn"], indirect=True)
FORBIDDEN = {
    "scheduling": "PermissionError",
    "jit": "PermissionError",
    "proc": "FileNotFoundError",
    "mount": "PermissionError",
}


def processes(host, server: str) -> set[str]:
    """Return the processes of the application's service."""
    unit = {"uwsgi": "on_uwsgi", "gunicorn": "on_gunicorn-gunicorn"}[server]
    return set(host.check_output(f"pgrep --parent $(systemctl show --property=MainPID --value {unit})").split())


@sandboxed
def test_what_is_forbidden_is_an_error_and_not_the_end_of_the_process(host, server, site) -> None:
    before = processes(host, server)
    found = {name: site.get(f"/need/{name}").text.split()[1] for name in FORBIDDEN}
    assert found == FORBIDDEN
    assert processes(host, server) == before


@sandboxed
def test_owner_may_give_a_file_to_a_group_of_its_own(site) -> None:
    assert site.get("/need/chown").text.endswith(" done")


@pytest.mark.parametrize("server", ["uwsgi"], indirect=True)
def test_what_an_application_needs_can_be_allowed(deploy, site) -> None:
    """And nothing else is allowed."""
    run = deploy("allowed", flask_app_allow=["jit", "proc", "scheduling"])
    assert run.code == 0, run.said
    found = {name: site.get(f"/need/{name}").text.split()[1] for name in FORBIDDEN}
    assert found == dict.fromkeys(FORBIDDEN, "done") | {"mount": "PermissionError"}


@pytest.mark.parametrize("server", ["mod_wsgi"], indirect=True)
def test_processes_of_mod_wsgi_are_in_the_sandbox_of_httpd(host, server, site) -> None:
    """They have none of the rights that httpd has to become the application's account; what applications need works."""
    process = site.get("/need/chown").text.split()[0]
    status = host.check_output(f"grep --extended-regexp '^(Uid|CapEff|NoNewPrivs|Seccomp):' /proc/{process}/status")
    found = dict(line.split(":", 1) for line in status.splitlines())
    account = host.check_output("id --user on_mod_wsgi")
    assert found["Uid"].split() == [account] * 4
    assert int(found["CapEff"], 16) == 0
    assert (int(found["NoNewPrivs"]), int(found["Seccomp"])) == (1, 2)
    answers = {name: site.get(f"/need/{name}").text.split()[1] for name in ("chown", "jit", "proc", "mount")}
    assert answers == {"chown": "done", "jit": "done", "proc": "done", "mount": "PermissionError"}
