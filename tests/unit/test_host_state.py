# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the roles know of a host before they change it."""

import os
import time
from unittest.mock import patch

import pytest
from ansible_collections.campus.flask_sso.plugins.modules import host_state

SOCKETS = """\
LISTEN 0 511  0.0.0.0:443  0.0.0.0:* users:(("apache2",pid=12,fd=4),("apache2",pid=13,fd=4))
LISTEN 0 511     [::]:8080    [::]:*
LISTEN 0 4096 127.0.0.1%lo:53 0.0.0.0:* users:(("systemd-resolve",pid=7,fd=14))
"""
PROGRAMS = {
    "dpkg-query": r"printf 'installed apache2\nconfig-files nginx\ninstalled python3\n'",
    "ss": f"cat <<'END'\n{SOCKETS}END",
    "systemctl": r"printf 'inactive\nactive\nactive\n'; exit 3",
}


@pytest.fixture
def host(tmp_path, programs):
    """Have a host with these programs, whose package lists are in a directory; return that."""
    programs(PROGRAMS)
    (tmp_path / "lists").mkdir()
    return tmp_path / "lists"


@pytest.fixture
def state(host, run_module):
    """Look at the host; return what is found."""
    return lambda **options: run_module(host_state, check_mode=True, packages_command=["dpkg-query"], **options)


def test_the_packages_are_those_that_are_installed_not_those_that_left_files(state):
    assert state()["packages"] == ["apache2", "python3"]


def test_every_program_that_holds_a_port_is_named(state):
    assert state()["listeners"] == [
        {"port": 443, "name": "apache2", "pid": 12},
        {"port": 443, "name": "apache2", "pid": 13},
        {"port": 8080, "name": "", "pid": 0},
        {"port": 53, "name": "systemd-resolve", "pid": 7},
    ]


def test_a_host_that_cannot_list_its_ports_is_told_what_to_install(state):
    with patch.object(host_state.AnsibleModule, "get_bin_path", return_value=None):
        result = state()
    assert result["failed"] is True
    assert "Install the package iproute2" in result["msg"]


@pytest.mark.parametrize(("content", "on"), [("1\n", True), ("0\n", False), (None, False)])
def test_whether_the_kernel_is_in_fips_mode(tmp_path, content, on):
    if content is not None:
        (tmp_path / "fips_enabled").write_text(content, "ascii")
    assert host_state.fips(str(tmp_path / "fips_enabled")) is on


def test_the_first_firewall_that_runs_is_the_firewall(state):
    assert state()["firewall"] == "ufw"


def test_no_firewall_is_an_empty_string():
    assert host_state.active(host_state.FIREWALLS, "inactive\ninactive\ninactive\n") == ""


def test_lists_that_are_not_there_have_no_age(host, state):
    assert state(package_lists_path=str(host))["package_lists_hours"] is None


def test_a_package_manager_that_refreshes_its_lists_by_itself_needs_no_refresh(state):
    assert state()["package_lists_hours"] == 0


@pytest.fixture
def lists(host):
    """Package lists that have not changed since 0 seconds, and whose last refresh was at 36000 seconds."""
    packages = host / "deb.example.org_debian_dists_bookworm_main_binary-amd64_Packages.lz4"
    packages.write_text("")
    os.utime(packages, (0, 0))
    os.utime(host, (36000, 36000))
    return host


def test_lists_are_as_old_as_the_last_refresh_even_if_none_of_them_had_changed(lists, tmp_path):
    assert host_state.package_lists_hours(str(lists), [str(tmp_path / "no-such-file")], 43200) == 2


@pytest.fixture
def sources(lists, tmp_path):
    """Sources of packages that are older than the lists."""
    (tmp_path / "sources.list.d").mkdir()
    for name in ("sources.list", "sources.list.d/shibboleth.sources"):
        (tmp_path / name).write_text("")
    now = (tmp_path / "sources.list.d").stat().st_ctime
    os.utime(lists, (now + 1, now + 1))
    known = [str(tmp_path / "sources.list"), str(tmp_path / "sources.list.d")]
    assert host_state.package_lists_hours(str(lists), known, now + 3601) == 1
    return known


@pytest.mark.parametrize("source", ["sources.list", "sources.list.d", "sources.list.d/shibboleth.sources"])
def test_lists_do_not_count_once_a_source_has_changed(lists, sources, tmp_path, source):
    """Its time of modification may be old, as that of a file that was copied."""
    later = lists.stat().st_mtime
    while (tmp_path / source).stat().st_ctime <= later:
        time.sleep(0.05)
        os.utime(tmp_path / source, (0, 0))
    assert host_state.package_lists_hours(str(lists), sources, later + 3600) is None


@pytest.mark.parametrize(("text", "mode"), [("1", "enforcing"), ("0", "permissive"), (None, "")])
def test_the_mode_of_selinux_is_the_kernels(tmp_path, text, mode):
    path = tmp_path / "enforce"
    if text is not None:
        path.write_text(text)
    assert host_state.selinux(str(path)) == mode


def test_commands_of_selinux_that_are_missing_are_named(state):
    with patch.object(host_state, "SELINUX_COMMANDS", ["sh", "no-such-command"]):
        assert state()["selinux_missing"] == ["no-such-command"]
