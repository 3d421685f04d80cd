# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What httpd's sandbox hides from a part, or makes read-only for it, is a fault before anything changes."""

from collections.abc import Callable
from typing import Any

import pytest
import untrusted_roles

TEMPORARY = "/tmp"  # noqa: S108 (httpd has one of its own)
HIDDEN = "and apache_ssl_sandbox hides home directories, /tmp and /var/tmp from httpd"
READ_ONLY = "which apache_ssl_sandbox makes read-only for httpd"


@pytest.fixture(scope="module")
def roles(tmp_path_factory) -> untrusted_roles.Site:
    """The roles without a host."""
    return untrusted_roles.Site(tmp_path_factory.mktemp("site"))


@pytest.fixture
def faults(roles, monkeypatch) -> Callable[..., list[str]]:
    """Return what httpd's preflight says about its sandbox and a site with a part, as site.yml passes it on."""

    def found(role: str, variables: dict[str, Any], sandbox: bool = True) -> list[str]:
        parts = untrusted_roles.trusted([f"{{{{ {role}_part }}}}"])
        for name, value in (variables | {"flask_sso_parts": parts}).items():
            monkeypatch.setitem(roles.given, name, value)
        return roles.faults("apache_ssl", {"apache_ssl_sandbox": sandbox})

    return found


@pytest.mark.parametrize(
    ("role", "variables", "said"),
    [
        (
            "uwsgi_proxy",
            {"uwsgi_proxy_backend": "unix:/home/a.sock"},
            f"uwsgi_proxy_backend has /home/a.sock, {HIDDEN}",
        ),
        ("uwsgi_proxy", {"flask_app_socket": f"/var{TEMPORARY}/a"}, f"uwsgi_proxy_backend has /var/tmp/a, {HIDDEN}"),
        ("reverse_proxy", {"flask_app_socket": f"{TEMPORARY}/a"}, f"reverse_proxy_backend has /tmp/a, {HIDDEN}"),
        ("mod_wsgi_app", {"flask_app_path": "/home/a/app"}, f"flask_app_path has /home/a/app, {HIDDEN}"),
        ("mod_wsgi_app", {"mod_wsgi_app_venv": "/root/venv"}, f"mod_wsgi_app_venv has /root/venv, {HIDDEN}"),
        ("mod_wsgi_app", {"flask_app_writable_paths": ["/home/a"]}, f"flask_app_writable_paths has /home/a, {HIDDEN}"),
        (
            "mod_wsgi_app",
            {"flask_app_writable_paths": ["/srv/a", "/etc/b", "/usr/c"]},
            f"flask_app_writable_paths has /etc/b, /usr/c, {READ_ONLY}",
        ),
        ("uwsgi_proxy", {"apache_ssl_static": {"/s": f"{TEMPORARY}/s"}}, f"apache_ssl_static has /tmp/s, {HIDDEN}"),
    ],
)
def test_path_that_httpd_could_not_use_is_refused(faults, role, variables, said):
    (fault,) = faults(role, variables)
    assert fault.startswith(said)
    assert faults(role, variables, sandbox=False) == []


@pytest.mark.parametrize(
    ("role", "variables"),
    [
        ("uwsgi_proxy", {"uwsgi_proxy_backend": "127.0.0.1:3000"}),
        # The application has a sandbox of its own, with these paths in it.
        ("uwsgi_proxy", {"flask_app_path": "/home/a/app", "flask_app_writable_paths": ["/etc/b"]}),
        ("mod_wsgi_app", {"flask_app_path": "/srv/home", "flask_app_writable_paths": ["/var/lib/a", "/etcetera"]}),
        ("shibboleth_sp", {"apache_ssl_static": {"/s": "/srv/s"}}),
    ],
)
def test_path_that_httpd_can_use_is_not_refused(faults, role, variables):
    assert faults(role, variables) == []
