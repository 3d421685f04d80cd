# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two sites share a host: each has its name, port and modules, and an application's own headers have precedence."""

import pytest
from bench_fixtures import run_playbook
from conftest import SCENARIO, ask

testinfra_hosts = ["ansible://two"]
HOST = "two.example.org"
FRAGMENT = "/etc/apache2/flask_sso/ours/90-servers.conf"
MODULES = "/etc/apache2/mods-enabled/flask_sso-90-servers.conf"
SERVERS = ["uwsgi", "gunicorn", "mod_wsgi"]


def test_each_site_answers_for_its_names_alone():
    assert ask(HOST, "ours.example.org").status == 404
    assert ask(HOST, "theirs.example.org", port=8443).status == 404
    assert ask(HOST, "alias.example.org", port=8443).status == 404
    for name, port in [("theirs.example.org", 443), ("ours.example.org", 8443), ("absent.example.org", 443)]:
        assert ask(HOST, name, port=port).status in (403, 421)


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("ours.example.org", "https://ours.example.org/page"),
        ("theirs.example.org", "https://theirs.example.org:8443/page"),
        ("alias.example.org", "https://theirs.example.org:8443/page"),
    ],
)
def test_each_site_is_redirected_to(name, target):
    assert ask(HOST, name, "/page", 80, tls=False).values("Location") == [target]


def test_each_site_has_its_modules(host):
    loaded = host.check_output("apache2ctl -M")
    assert [name for name in ("setenvif_module", "env_module", "mpm_event_module") if name not in loaded] == []


def test_both_are_in_one_sandbox(host):
    assert host.file("/etc/systemd/system/apache2.service.d").listdir() == ["flask_sso.conf"]
    process = host.check_output("systemctl show --property=MainPID --value apache2")
    assert "NoNewPrivs:\t1" in host.file(f"/proc/{process}/status").content_string


def test_a_module_and_the_last_line_that_uses_it_go_in_one_run(host):
    """httpd's check sees the files of a run together."""
    host.check_output("touch /etc/apache2/flask_sso/ours/60-own.conf /etc/apache2/flask_sso/theirs/60-own.conf")
    host.check_output("echo LuaScope once > /etc/apache2/flask_sso/ours/50-lua.conf")
    used = {
        "apache_ssl_extra_modules": ["setenvif", "env", "lua"],
        "apache_ssl_raw": "LuaScope once",
        "apache_ssl_fragments": ["50-lua", "60-own"],
    }
    for variables, loaded in [(used, True), ({"apache_ssl_fragments": ["60-own"]}, False)]:
        code, said = run_playbook("molecule/beside/converge.yml", variables, "--limit=two")
        assert code == 0, said
        assert ("lua_module" in host.check_output("apache2ctl -M")) == loaded


@pytest.fixture(scope="module")
def servers(host):
    """Have three servers run an application behind the site."""
    host.check_output("apt-get install --yes --quiet gunicorn libapache2-mod-wsgi-py3 uwsgi-core uwsgi-plugin-python3")
    for name, path in [
        ("application.py", "/srv/application.py"),
        ("servers.conf", FRAGMENT),
        ("servers-modules.conf", MODULES),
    ]:
        host.check_output("printf %s %s > %s", "%s", (SCENARIO / "files" / name).read_text(), path)
    uwsgi = "uwsgi --plugin python3 --socket 127.0.0.1:9001 --wsgi-file /srv/application.py"
    gunicorn = "gunicorn --bind 127.0.0.1:9002 --chdir /srv application"
    host.check_output(f"systemd-run --quiet --unit=t-uwsgi {uwsgi}; systemd-run --quiet --unit=t-gunicorn {gunicorn}")
    host.check_output("systemctl restart apache2")
    host.check_output("timeout 20 sh -c 'until ss -Hltn | grep :9001 && ss -Hltn | grep :9002; do sleep 0.1; done'")
    yield
    host.check_output(f"rm {FRAGMENT} {MODULES}; systemctl stop t-uwsgi t-gunicorn; systemctl restart apache2")


@pytest.mark.parametrize("status", [200, 404, 500])
@pytest.mark.parametrize("server", SERVERS)
def test_header_of_the_application_wins_and_gaps_are_filled(servers, server, status):
    """Each header goes out once."""
    own = ask(HOST, "ours.example.org", f"/{server}/{status}?SAMEORIGIN")
    assert (own.status, own.values("X-Frame-Options")) == (status, ["SAMEORIGIN"])
    assert own.values("Strict-Transport-Security") == ["max-age=5"]
    assert own.values("X-Content-Type-Options") == ["nosniff"]
    none = ask(HOST, "ours.example.org", f"/{server}/{status}")
    assert (none.status, none.values("X-Frame-Options")) == (status, ["DENY"])
    assert none.values("Strict-Transport-Security") == ["max-age=63072000"]


@pytest.mark.parametrize(("path", "status"), [("/none", 404), ("/forbidden", 403), ("/gone/", 503)])
def test_errors_of_httpd_carry_each_header_once(servers, path, status):
    answer = ask(HOST, "ours.example.org", path)
    assert (answer.status, answer.values("X-Frame-Options")) == (status, ["DENY"])
    assert len(answer.values("Strict-Transport-Security")) == len(answer.values("Referrer-Policy")) == 1
