# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A port that another program holds is found before a service is to listen on it."""

import pytest
import untrusted_roles
from ansible_collections.campus.flask_sso.plugins.filter.port_holders import port_holders


def listener(port: int, name: str, pid: int = 7) -> dict:
    """Return a listener as host_state returns it."""
    return {"port": port, "name": name, "pid": pid}


@pytest.mark.parametrize(
    ("listeners", "own", "holders"),
    [
        ([], [], []),
        ([listener(443, "nginx")], ["apache2"], [listener(443, "nginx")]),
        ([listener(443, "apache2", 12), listener(443, "apache2", 13)], ["apache2"], []),
        ([listener(443, "apache2")], [], [listener(443, "apache2")]),
        ([listener(8080, "nginx"), listener(80, "nginx")], ["apache2"], [listener(80, "nginx")]),
        ([listener(80, "apache2"), listener(80, "nginx")], ["apache2", "haproxy"], [listener(80, "nginx")]),
        ([listener(80, "haproxy"), listener(443, "apache2")], ["apache2", "haproxy"], []),
    ],
)
def test_programs_of_others_on_these_ports_are_found(listeners, own, holders):
    assert port_holders(listeners, [80, 443], own) == holders


def test_a_listener_whose_process_cannot_be_seen_is_no_holder():
    """It may be the service itself, in a container whose root may not see which process it is."""
    assert port_holders([listener(443, "", 0)], [443]) == []
    assert port_holders([listener(443, "", 0), listener(443, "nginx")], [443]) == [listener(443, "nginx")]


@pytest.mark.parametrize(
    ("role", "variables"),
    [
        ("apache_ssl", {"apache_ssl_https_port": 443}),
        ("flask_app", {"flask_app_tls": "server", "flask_app_server": "gunicorn", "flask_app_socket": 443}),
        ("load_balancer", {"load_balancer_https_port": 443}),
    ],
)
def test_roles_name_the_program_and_leave_out_what_cannot_be_seen(tmp_path, role, variables):
    site = untrusted_roles.Site(tmp_path)
    host = site.given["base_system_host"]

    def held(*listeners: dict) -> list[str]:
        faults = site.faults(role, {**variables, "base_system_host": {**host, "listeners": [*listeners]}})
        return [fault for fault in faults if "is held by" in fault]

    (fault,) = held(listener(443, "", 0), listener(443, "nginx"), listener(8080, "other"))
    assert "Port 443 on web is held by nginx. " in fault
    assert held(listener(443, "", 0)) == []
    assert held() == []
