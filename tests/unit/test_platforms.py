# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the roles know of each platform that the README names, and what they make of it."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from ansible_collections.campus.flask_sso.plugins.lookup import platform
from untrusted_roles import ROLES, Site

#: The facts of a platform: family, distribution and version.
PLATFORMS = {
    "debian-12": ("Debian", "Debian", "12.12"),
    "debian-13": ("Debian", "Debian", "13.1"),
    "ubuntu-24": ("Debian", "Ubuntu", "24.04"),
    "alma-9": ("RedHat", "AlmaLinux", "9.6"),
    "rhel-10": ("RedHat", "RedHat", "10.1"),
}
RED_HAT = ("alma-9", "rhel-10")


def facts(family: str, distribution: str, version: str, python: str = "3.11.2") -> dict[str, str]:
    """Return what Ansible says of a platform."""
    return {
        "os_family": family,
        "distribution": distribution,
        "distribution_version": version,
        "distribution_major_version": version.partition(".")[0],
        "python_version": python,
    }


def known(name: str, role: str) -> dict:
    """Return what a role knows of a platform."""
    return platform.values(ROLES / role / "vars/platforms", *platform.stems(facts(*PLATFORMS[name])))


@pytest.fixture
def made(tmp_path) -> Callable:
    """What a role makes of a variable on a platform."""
    site = Site(tmp_path)

    def made(name: str, role: str, variable: str, **variables) -> object:
        return site.made(role, variable, {"ansible_facts": facts(*PLATFORMS[name]), **variables})

    return made


@pytest.fixture
def faults(tmp_path) -> Callable:
    """What the preflight of a role says on a platform."""
    site = Site(tmp_path)

    def faults(of: dict[str, str], role: str, variables: dict, **found: object) -> list[str]:
        site.given |= {"ansible_facts": of, **found}
        return site.faults(role, variables)

    return faults


@pytest.mark.parametrize("name", RED_HAT)
def test_no_stock_file_of_httpd_takes_part(name):
    """Neither its port 80 nor its alias for CGI programs, nor what a package brings later."""
    text = known(name, "httpd_platform")["root_text"]
    assert re.findall(r"(?m)^ *(Listen|ScriptAlias|LoadModule)", text) == []
    included = re.findall(r"(?m)^Include(?:Optional)? (.+)$", text)
    assert len(included) == 3
    assert all(re.search(r"/(zz-)?flask_sso-[*][.]conf$", pattern) for pattern in included)


@pytest.mark.parametrize("name", RED_HAT)
def test_every_file_of_the_collection_is_included_by_the_root_file(name):
    data = known(name, "httpd_platform")
    patterns = re.findall(r"(?m)^Include(?:Optional)? (.+)$", data["root_text"])
    for kind in ("module_file", "server_file", "last_file"):
        assert any(Path(data[kind] % "x").match(pattern) for pattern in patterns), kind


@pytest.mark.parametrize("name", RED_HAT)
def test_one_role_empties_the_file_with_which_shibboleth_loads_its_module(name):
    owners = [role for role in ("httpd_platform", "shibboleth_sp") if known(name, role)["stock_emptied"]]
    assert owners == ["shibboleth_sp"]


@pytest.mark.parametrize("name", RED_HAT)
def test_core_modules_of_httpd_are_loaded_where_they_are_not_built_in(name):
    assert {"log_config", "logio", "systemd", "unixd"} <= {*known(name, "httpd_platform")["core_modules"]}
    assert "watchdog" in known(name, "httpd_platform")["acme_modules"]


@pytest.mark.parametrize("name", RED_HAT)
def test_mod_md_is_in_the_file_of_sites_with_acme_only(made, name):
    acme = {"apache_ssl_certificate_source": "acme", "apache_ssl_acme_ca_file": ""}
    assert "mod_md.so" not in made(name, "apache_ssl", "modules.conf.j2", **acme)
    assert made(name, "apache_ssl", "acme.conf.j2", **acme).count("mod_md.so") == 1


@pytest.mark.parametrize("name", RED_HAT)
def test_logs_have_names_that_logrotate_knows(name):
    assert (known(name, "httpd_platform")["log_path"], known(name, "httpd_platform")["log_suffix"]) == ("logs", "_log")


@pytest.mark.parametrize(("name", "platform_name"), [("alma-9", "rockylinux9"), ("rhel-10", "rockylinux10")])
def test_each_release_has_a_repository_of_its_own(name, platform_name):
    repository = known(name, "shibboleth_sp")["repository"]
    assert repository["mirrorlist"].endswith(f"/{platform_name}")
    assert all(address.startswith("https://") for address in [repository["mirrorlist"], *repository["gpgkey"]])


@pytest.mark.parametrize("name", [name for name in PLATFORMS if name not in RED_HAT])
def test_other_distributions_have_the_package_themselves(made, name):
    assert made(name, "shibboleth_sp", "shibboleth_sp_part.repository") is False


def test_a_release_without_a_package_of_shibboleth_is_refused(faults):
    said = faults(facts("RedHat", "AlmaLinux", "11.0"), "shibboleth_sp", {})
    assert any("that has the package shibboleth for AlmaLinux 11, or {} if web already has one" in one for one in said)


def test_a_repository_that_is_unreachable_is_refused(faults):
    repository = {"baseurl": ["https://a.example", "https://b.example"], "gpgkey": ["https://a.example/key"]}
    answer = {"rc": 1, "stderr": "Error: Failed to download metadata for repo 'shibboleth'\n"}
    variables = {"shibboleth_sp_repository": repository}
    (said,) = faults(facts(*PLATFORMS["alma-9"]), "shibboleth_sp", variables, shibboleth_sp__answer=answer)
    assert said == (
        "shibboleth_sp_repository has baseurl=https://a.example https://b.example, which does not answer web: "
        "Error: Failed to download metadata for repo 'shibboleth'. Write a mirror that the host reaches."
    )


@pytest.mark.parametrize("code", [0, 1])
def test_a_repository_is_asked_without_a_trace(programs, tmp_path, monkeypatch, code):
    """As dnf would be asked when it knows the repository."""
    settings = "cat ${2#--setopt=reposdir=}/shibboleth.repo"
    programs({"dnf": f"{settings}; touch ${{2#--setopt=reposdir=}}/cached; exit {code}"})
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    before = set(tmp_path.iterdir())
    script = (ROLES / "shibboleth_sp/files/ask_repository.sh").read_text("utf-8")
    command = ["sh", "-euc", script, "sh", "mirrorlist=https://a.example/list"]
    asked = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (asked.returncode, asked.stdout.splitlines()[0]) == (code, "[shibboleth]")
    assert {"mirrorlist=https://a.example/list", "skip_if_unavailable=0"} <= {*asked.stdout.splitlines()}
    assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize("digits", ["1234", "0" * 39 + "g", "0" * 41])
def test_a_fingerprint_of_another_form_is_refused(faults, digits):
    repository = {"baseurl": ["https://a.example"], "gpgkey": ["https://a.example/key"], "fingerprints": [digits]}
    (said,) = faults(facts(*PLATFORMS["alma-9"]), "shibboleth_sp", {"shibboleth_sp_repository": repository})
    assert "Write 40 hexadecimal digits" in said


@pytest.mark.parametrize("code", [0, 1])
def test_a_key_with_another_fingerprint_is_refused(faults, code):
    keys = {"gpgkey": ["https://a.example/1", "https://a.example/2"], "fingerprints": ["0" * 40, "1" * 40]}
    repository = {"shibboleth_sp_repository": {"baseurl": ["https://a.example"], **keys}}
    compared = [
        {"changed": True},
        {"changed": False, "msg": f"The specified fingerprint, '{'1' * 40}', does not match"},
    ]
    found = {"shibboleth_sp__answer": {"rc": 0}, "shibboleth_sp__compared": {"results": compared[: code + 1]}}
    said = faults(facts(*PLATFORMS["alma-9"]), "shibboleth_sp", repository, **found)
    assert len(said) == code
    assert all("keys that are not those of their fingerprints" in one and "1" * 40 in one for one in said)


def test_each_key_needs_a_fingerprint_of_its_own(faults):
    keys = {"gpgkey": ["https://a.example/1", "https://a.example/2"], "fingerprints": ["0" * 40]}
    repository = {"baseurl": ["https://a.example"], **keys}
    (said,) = faults(facts(*PLATFORMS["alma-9"]), "shibboleth_sp", {"shibboleth_sp_repository": repository})
    assert "has 2 addresses in gpgkey and 1 fingerprints" in said


@pytest.mark.parametrize(
    ("name", "python", "packages"),
    [
        ("alma-9", "python3", {"python3-devel", "python3-pip"}),
        ("alma-9", "python3.12", {"python3.12-devel", "python3.12-pip"}),
        ("rhel-10", "/usr/bin/python3.13", {"python3.13-devel", "python3.13-pip"}),
        ("debian-13", "python3.13", {"python3.13-dev", "python3.13-venv"}),
        ("ubuntu-24", "/opt/python/bin/python3.14", {"python3-dev", "python3-venv"}),
    ],
)
@pytest.mark.parametrize("role", ["flask_app", "mod_wsgi_app"])
def test_packages_follow_the_interpreter(made, role, name, python, packages):
    part = made(
        name,
        role,
        f"{role}_part.packages",
        flask_app_python=python,
        mod_wsgi_app_python=python,
        mod_wsgi_app_module="compiled",
    )
    assert packages <= {*part}
    assert {package for package in part if re.match(r"python3[.0-9]*-(dev|devel|pip|venv)$", package)} == packages


def test_gunicorn_and_mod_wsgi_say_that_they_need_a_later_python(faults):
    """EL 9 has Python 3.9, and these need 3.10."""
    host = facts(*PLATFORMS["alma-9"], python="3.9.21")
    (said,) = faults(host, "flask_app", {"flask_app_server": "gunicorn", "flask_app_gunicorn_version": "27.0.1"})
    assert 'gunicorn 27.0.1 needs 3.10 or later. Write a later one, for example "flask_app_python: python3.12"' in said
    (said,) = faults(host, "mod_wsgi_app", {"mod_wsgi_app_module": "compiled", "mod_wsgi_app_version": "6.1"})
    assert "mod_wsgi 6.1 needs 3.10 or later" in said


@pytest.mark.parametrize("python", ["/usr/bin/python3", "python3.9"])
def test_a_python_that_is_too_old_is_refused_by_any_name(faults, python):
    host = facts(*PLATFORMS["alma-9"], python="3.9.21")
    (said,) = faults(host, "flask_app", {"flask_app_server": "gunicorn", "flask_app_python": python})
    assert f'flask_app_python is "{python}", on web Python 3.9' in said
    (said,) = faults(host, "mod_wsgi_app", {"mod_wsgi_app_module": "compiled", "mod_wsgi_app_python": python})
    assert "which on web is Python 3.9" in said


@pytest.mark.parametrize("name", PLATFORMS)
def test_a_host_in_fips_mode_has_approved_curves_alone(made, name):
    curves = made(name, "httpd_platform", "httpd_platform_tls_curves", base_system_host={"fips": True})
    assert curves == "prime256v1:secp384r1"


@pytest.mark.parametrize("name", PLATFORMS)
def test_the_hybrid_key_exchange_comes_first_where_openssl_knows_it(made, name):
    curves = made(name, "httpd_platform", "httpd_platform_tls_curves").split(":")
    assert curves[-3:] == ["X25519", "prime256v1", "secp384r1"]
    assert (curves[0] == "X25519MLKEM768") == (name == "debian-13")


@pytest.mark.parametrize("path", sorted((ROLES.parent / "playbooks").glob("*.yml")), ids=lambda path: path.stem)
def test_a_play_runs_in_the_interpreter_that_has_the_distributions_libraries(path):
    """Discovery would prefer a later one, which an application may have brought."""
    for play in yaml.safe_load(path.read_text("utf-8")):
        if play["hosts"] == "flask_sso" and play.get("become"):
            assert play["vars"]["ansible_interpreter_python_fallback"] == ["/usr/bin/python3"]


def contexts(policy: str) -> dict[str, str]:
    """Return the types of a policy's file contexts, by their patterns."""
    return dict(re.findall(r'\(filecon "([^"]+)" \w+ \(system_u object_r (\w+) ', policy))


@pytest.fixture
def policy(made) -> Callable:
    """The module of SELinux's policy for a site with Shibboleth and a server."""

    def policy(name: str, server: str = "uwsgi", **variables) -> str:
        connector = {"uwsgi": "uwsgi_proxy", "gunicorn": "reverse_proxy"}.get(server, "mod_wsgi_app")
        parts = [{"labels": known(name, "shibboleth_sp")["labels"]}]
        if connector != "mod_wsgi_app":
            parts.append({"booleans": made(name, connector, f"{connector}_part.booleans", **variables)})
        return made(
            name,
            "selinux_policy",
            "policy.cil.j2",
            **{"flask_app_server": server, "flask_sso_parts": parts, "flask_app__found": {"leftovers": []}} | variables,
        )

    return policy


@pytest.mark.parametrize("name", RED_HAT)
@pytest.mark.parametrize(
    ("server", "socket"), [("uwsgi", "/run/flask_app.sock"), ("gunicorn", "/run/flask_app-gunicorn.sock")]
)
def test_selinux_knows_the_paths_that_the_roles_use_in_both_spellings(policy, name, server, socket):
    found = contexts(policy(name, server))
    for path, label in {
        socket: "httpd_var_run_t",
        f"/var{socket}": "httpd_var_run_t",
        "/run/shibboleth/shibd.sock": "httpd_var_run_t",
        "/var/run/shibboleth": "httpd_var_run_t",
        "/srv/flask_app/venvs/1/bin/python": "usr_t",
        "/var/lib/flask_app/x": "httpd_var_lib_t",
    }.items():
        assert [kind for pattern, kind in found.items() if re.fullmatch(pattern, path)] == [label], path
    for path in ("/srv/flask_app2", "/run/other.sock", "/run", "/srv", "/etc/flask_app"):
        assert not [pattern for pattern in found if re.fullmatch(pattern, path)], path


@pytest.mark.parametrize("name", PLATFORMS)
def test_selinux_allows_nothing_but_the_connections_that_the_site_has(policy, name):
    domain = "unconfined_service_t" if name in RED_HAT else "initrc_t"
    peer = f"(allow httpd_t {domain} (unix_stream_socket (connectto)))"
    web = "(allow httpd_t http_port_t (tcp_socket (name_connect)))"

    def rules(text: str) -> list[str]:
        return [line for line in text.splitlines() if line.startswith(("(allow", "(portcon"))]

    assert rules(policy(name)) == [peer]
    assert rules(policy(name, flask_sso_parts=[{"connects": True}])) == [peer, web]
    assert rules(policy(name, server="mod_wsgi", flask_sso_parts=[])) == []
    assert rules(policy(name, apache_ssl_https_port=8444)) == [
        peer,
        "(portcon tcp 8444 (system_u object_r http_port_t ((s0) (s0))))",
    ]


@pytest.mark.parametrize(
    ("role", "backend", "booleans"),
    [
        ("uwsgi_proxy", "unix:/run/a.sock", []),
        ("uwsgi_proxy", "127.0.0.1:3032", ["httpd_can_network_connect"]),
        ("reverse_proxy", "unix:/run/a.sock", []),
        ("reverse_proxy", "127.0.0.1:8000", ["httpd_can_network_connect"]),
    ],
)
def test_a_boolean_of_selinux_is_asked_for_by_a_backend_on_a_port_alone(made, role, backend, booleans):
    assert made("alma-9", role, f"{role}_part.booleans", **{f"{role}_backend": backend}) == booleans


@pytest.mark.parametrize(("listener", "booleans"), [("unix", []), ("tcp", ["httpd_can_network_connect"])])
def test_a_boolean_of_selinux_is_asked_for_by_shibd_on_a_port(made, listener, booleans):
    assert made("alma-9", "shibboleth_sp", "shibboleth_sp_part.booleans", shibboleth_sp_listener=listener) == booleans


@pytest.mark.parametrize(("store", "booleans"), [({}, []), ({"host": "store"}, ["httpd_can_network_connect"])])
def test_a_boolean_of_selinux_is_asked_for_by_a_store_of_sessions(made, store, booleans):
    variables = {"openid_connect_session_store": store}
    assert made("alma-9", "openid_connect", "openid_connect_part.booleans", **variables) == booleans


@pytest.mark.parametrize("public", [True, False])
def test_mod_wsgi_may_write_public_files(made, public):
    """Under other servers, they have the same label: while the server changes, both use them."""
    variables = {"flask_app_public": public, "flask_app__found": {"leftovers": []}}
    labels = made("alma-9", "flask_app", "flask_app_part.labels", **variables)
    assert ({"path": "/srv/flask_app/public", "type": "httpd_sys_rw_content_t"} in labels) is public


def test_a_release_alone_needs_no_look_at_the_host(faults):
    host = {"changed": False, "skipped": True}
    assert faults(facts(*PLATFORMS["alma-9"]), "flask_app", {}, base_system_host=host, flask_sso_parts=[]) == []


@pytest.mark.parametrize("mode", ["enforcing", "permissive"])
def test_a_host_whose_selinux_cannot_be_told_of_the_site_is_refused(faults, mode):
    host = {"firewall": "", "listeners": [], "packages": [], "selinux": mode, "selinux_missing": ["semodule"]}
    (said,) = faults(facts(*PLATFORMS["alma-9"]), "flask_app", {}, base_system_host=host, flask_sso_parts=[])
    assert said.startswith(f"SELinux is {mode} on web, and there is no semodule")
