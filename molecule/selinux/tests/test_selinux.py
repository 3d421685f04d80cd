# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""SELinux enforces its policy: nothing of the site is denied, and without its module httpd may not reach the server.

The tests do this in order.
"""

from __future__ import annotations

import re

import bench_client
import httpx
import pytest
from bench_fixtures import run_playbook
from testinfra.host import Host

MODULE = "flask_sso_flask_app"
#: A denial, by the program that was denied something. What Debian's own services lack is not the site's.
DENIED = re.compile(r'avc: +denied .* comm="\(?(apache2|shibd|uwsgi|python|flask)')
#: As a boot does: systemd makes the socket again, with the label that the policy has for it.
RESTART = "systemctl stop flask_app.service flask_app.socket && systemctl start flask_app.socket flask_app.service"
#: Asks for the label of a path as it is, and as the policy wants it.
LABELS = "for path in {paths}; do stat --format %C $path; matchpathcon -n $path; done"


def denials(web: Host) -> list[str]:
    """Return what programs of the site were denied since the boot or the last call."""
    lines = web.check_output("dmesg --read-clear").splitlines()
    assert not [line for line in lines if "callbacks suppressed" in line]
    return [line for line in lines if DENIED.search(line)]


def domains(web: Host, program: str) -> set[str]:
    """Return the domains in which a program runs."""
    return {line.split(":")[2] for line in web.check_output("ps -C %s -o label=", program).splitlines()}


def test_policy_is_enforced(web: Host) -> None:
    assert web.check_output("getenforce") == "Enforcing"
    assert (domains(web, "apache2"), domains(web, "shibd")) == ({"httpd_t"}, {"shibboleth_t"})
    assert web.run("semodule --list | grep -x %s", MODULE).rc == 0


def test_user_logs_in(visitor: httpx.Client) -> None:
    assert visitor.get("/").status_code == 200
    bench_client.saml_login(visitor, "/login", "ghopper")
    assert visitor.get("/api/me").json()["identifier"] == "ghopper"


def test_nothing_was_denied(web: Host) -> None:
    assert denials(web) == []


def test_files_have_the_labels_of_the_policy(web: Host) -> None:
    paths = web.check_output("ls -d /run/flask_app* /srv/flask_app /srv/flask_app/current/ /var/lib/flask_app").split()
    labels = web.check_output(LABELS.format(paths=" ".join(paths))).splitlines()
    types = [label.split(":")[2] for label in labels]
    assert types[::2] == types[1::2]


def test_without_the_module_httpd_may_not_reach_the_application(web: Host, visitor: httpx.Client) -> None:
    web.check_output(f"semodule --disable {MODULE} && {RESTART}")
    try:
        assert visitor.get("/").status_code == 503
        assert any('comm="apache2"' in line and "sock_file" in line for line in denials(web))
    finally:
        web.check_output(f"semodule --enable {MODULE} && {RESTART}")
    assert visitor.get("/").status_code == 200
    assert denials(web) == []


@pytest.fixture(scope="module")
def removed() -> str:
    """Remove the site; return what the playbook says."""
    code, said = run_playbook("playbooks/remove.yml", {})
    assert code == 0, said
    return said


def test_module_goes_with_the_site(web: Host, removed: str) -> None:
    assert "failed=0" in removed
    assert web.run("semodule --list | grep -x %s", MODULE).rc == 1
    assert web.service("apache2").is_running
    assert denials(web) == []
