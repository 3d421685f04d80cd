# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is particular to EL: stock files, keys that a package makes, a vendor's repository, and SELinux's policy."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import bench_client
import httpx
import pytest
import yaml
from ansible.plugins.loader import init_plugin_loader
from cryptography import x509
from platforms import Platform
from testinfra.host import Host

ROOT = Path(__file__).parents[3]
#: What the tests of default need.
VARIABLES = yaml.safe_load((ROOT / "molecule/default/converge.yml").read_text("utf-8"))[0]["vars"]
REFUSED = "changed=0 unreachable=0 failed=1"


@pytest.fixture
def vendor(web: Host) -> dict:
    """The repository of the stand-in that plays the Shibboleth project's, as converge.yml has it."""
    if not web.file("/opt/el").exists:
        pytest.skip("EL's packages of Shibboleth come from their project")
    return {
        "baseurl": ["file:///opt/el/shibboleth"],
        "gpgkey": ["file:///opt/el/shibboleth/vendor.key", "file:///opt/el/shibboleth/next.key"],
        "fingerprints": web.check_output("cat /opt/el/shibboleth/fingerprints").split(),
    }


def test_the_host_is_named_for_what_it_is(web: Host, capsys) -> None:
    """A run on the stand-in must not be taken for one on EL."""
    with capsys.disabled():
        print(f"\n{web.check_output('cat /etc/redhat-release')}")
    assert "release 9" in web.check_output("cat /etc/redhat-release")


def test_programs_of_the_stock_configuration_are_not_served(visitor: httpx.Client) -> None:
    """The stock alias for CGI programs would answer instead of the application."""
    answers = [visitor.get(path).text for path in ("/cgi-bin/x", "/nowhere")]
    assert answers[0] == answers[1]


def test_keys_are_the_sites_although_the_package_made_some(web: Host) -> None:
    """They name the service provider and have its days, which are not those of the package's keys."""
    assert web.file("/etc/shibboleth/sp-signing-cert.pem").exists
    certificate = x509.load_pem_x509_certificate(web.file("/etc/shibboleth/keys/active/sp-signing-cert.pem").content)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [f"{bench_client.SITE}/Shibboleth.sso"]
    days = (certificate.not_valid_after_utc - certificate.not_valid_before_utc) / timedelta(days=1)
    assert round(days) == 3000


def test_logs_of_the_site_are_rotated_as_all_of_httpd(web: Host, names: Platform) -> None:
    """The package's own pattern knows their names."""
    said = web.run("logrotate --debug /etc/logrotate.d/httpd")
    for log in (names.access_log, names.error_log):
        assert f"considering log {log}\n" in said.stdout + said.stderr


def test_packages_that_are_installed_again_change_nothing(web: Host, names: Platform) -> None:
    """Their stock files come back, and take no part."""

    def state() -> tuple[str, str]:
        return web.check_output(f"{names.check} -t 2>&1"), web.check_output(f"{names.check} -M")

    before = state()
    web.check_output("dnf --assumeyes --quiet reinstall httpd mod_ssl shibboleth")
    assert state() == before
    assert before[0] == "Syntax OK"


def test_a_later_run_needs_neither_the_vendor_nor_minds_another_python(web: Host, vendor: dict, run_site) -> None:
    """The repository is down, and a Python without the distribution's libraries is beside theirs.

    dnf has to ask all others, as a package is missing. The host cannot say whether an upgrade needs a restart, so there
    is none.
    """
    web.check_output("mv /opt/el/shibboleth /opt/el/away; rm -r /var/cache/dnf; rpm --erase --nodeps python3-packaging")
    web.check_output("printf '#!/bin/sh\nexec /usr/bin/python3 -I -S \"$@\"\n' > /usr/bin/python3.12")
    web.check_output("chmod 0755 /usr/bin/python3.12")
    booted = web.check_output("stat --format %Y /proc/1")
    try:
        code, said = run_site(VARIABLES | {"shibboleth_sp_repository": vendor, "base_system_reboot": True})
    finally:
        web.check_output("mv /opt/el/away /opt/el/shibboleth && rm /usr/bin/python3.12")
    assert code == 0, said
    assert 'is not restarted, as "dnf needs-restarting --reboothint" does not work there' in said
    assert web.check_output("stat --format %Y /proc/1") == booted


def test_release_without_a_package_of_shibboleth_is_refused(web: Host, run_site) -> None:
    """Nothing has changed on the host."""
    files = "/etc/os-release /etc/redhat-release"
    web.check_output(f"cp --archive {files} /run/")
    web.check_output(rf"sed --in-place 's/\b9[.][0-9]\+\b/11.0/' {files}")
    try:
        code, said = run_site({})
    finally:
        web.check_output("cp --archive /run/os-release /run/redhat-release /etc/")
    assert code == 2, said
    assert "that has the package shibboleth for AlmaLinux 11, or {} if" in said
    assert REFUSED in said


@pytest.fixture
def without_shibboleth(web: Host, vendor: dict) -> Iterator[None]:
    """Have the host believe meanwhile that it does not have the vendor's package."""
    record = "--justdb --noscripts --nodeps"
    web.check_output(f"rpm --erase {record} shibboleth")
    yield
    web.check_output(f"rpm --install {record} /opt/el/shibboleth/shibboleth-*.rpm")


@pytest.mark.usefixtures("without_shibboleth")
def test_key_with_another_fingerprint_is_refused(web: Host, vendor: dict, run_site) -> None:
    """On a host that does not have the key, nor the package; it is not imported, and nothing has changed."""
    web.check_output("rpm --erase $(rpm --query gpg-pubkey)")
    first, *others = vendor["fingerprints"]
    try:
        code, said = run_site({"shibboleth_sp_repository": vendor | {"fingerprints": [first[::-1], *others]}})
        keys = web.run("rpm --query gpg-pubkey").stdout
    finally:
        web.check_output("rpm --import /opt/el/shibboleth/*.key")
    assert code == 2, said
    assert "shibboleth_sp_repository has keys that are not those of their fingerprints" in said
    assert first[::-1] in said
    assert REFUSED in said
    assert keys.strip() == "package gpg-pubkey is not installed"


@pytest.mark.usefixtures("without_shibboleth")
def test_repository_that_does_not_answer_is_refused(web: Host, vendor: dict, run_site) -> None:
    """On a host that does not have its package; nothing has changed there, the list of repositories included."""
    known = web.file("/etc/yum.repos.d/shibboleth.repo").content_string
    code, said = run_site({"shibboleth_sp_repository": vendor | {"baseurl": ["http://127.0.0.1:9/"]}})
    assert code == 2, said
    assert "shibboleth_sp_repository has baseurl=http://127.0.0.1:9/, which does not answer" in said
    assert "Write a mirror that the host reaches." in said
    assert REFUSED in said
    assert web.file("/etc/yum.repos.d/shibboleth.repo").content_string == known


def test_repositories_of_the_system_that_do_not_answer_are_reported(web: Host, vendor: dict, run_site) -> None:
    """As without a subscription; nothing has changed."""
    web.check_output(
        "mv /opt/el/base /opt/el/away; rm -r /var/cache/dnf; rpm --erase --justdb --nodeps python3-packaging"
    )
    try:
        code, said = run_site(VARIABLES | {"shibboleth_sp_repository": vendor})
    finally:
        web.check_output(
            "mv /opt/el/away /opt/el/base; rpm --install --justdb --nodeps /opt/el/base/python3-packaging-*.rpm"
        )
    assert code == 2, said
    assert "does not get its packages: " in said
    assert "register the host's subscription" in said
    assert REFUSED in said


class Policy:
    """Debian's reference policy, with and without the module of a site."""

    def __init__(self, module: str) -> None:
        self.module = module

    def run(self, *commands: str) -> list[str]:
        """Install the module in a store of its own, then run commands there; return what each prints."""
        script = "\n".join(
            [
                "set -e; exec 3>&1 >/dev/null 2>&1; mkdir -p /s/var/lib /s/etc",
                "cp -a /var/lib/selinux /s/var/lib/; cp -a /etc/selinux /s/etc/",
                "cd /s/etc/selinux/default; P=$PWD/policy/policy.33 F=$PWD/contexts/files/file_contexts",
                "echo '(allow httpd_t nosuch_t (file (read)))' > /broken.cil",
                "cat > /site.cil; sesearch -A $P | sort > /before; semodule -n -p /s -s default -i /site.cil",
                "sesearch -A $P | sort > /after; set +e",
                *[f"{{ {command}; echo ---; }} >&3" for command in commands],
            ]
        )
        image = ["docker", "run", "--rm", "--interactive", "flask-sso-bench/selinux:12"]
        done = subprocess.run(
            [*image, "bash", "-c", script], input=self.module, check=True, capture_output=True, text=True, timeout=600
        )
        return [part.strip() for part in done.stdout.split("---\n")[:-1]]


@pytest.fixture(scope="module")
def module(tmp_path_factory) -> Callable[..., str]:
    """The module of a site with these variables, for the policy in which it is tried."""
    init_plugin_loader([str(ROOT / ".collections")])
    sys.path[:0] = [str(ROOT / ".collections"), str(ROOT / "tests/unit")]
    from untrusted_roles import Site  # noqa: PLC0415 (it is found only now)

    facts = {
        "os_family": "Debian",
        "distribution": "Debian",
        "distribution_major_version": "12",
        "distribution_version": "12.15",
    }
    found = {"ansible_facts": facts, "flask_app__found": {"leftovers": []}, "flask_sso_parts": []}

    def made(**variables: object) -> str:
        return Site(tmp_path_factory.mktemp("site")).made("selinux_policy", "policy.cil.j2", found | variables)

    return made


def test_httpd_may_connect_to_the_application_with_the_policy_and_nothing_else_gains_anything(
    module: Callable[..., str],
) -> None:
    """Before, no rule; after, this one, and every path that the roles use has the label that httpd may use.

    A module with an unknown type is refused.
    """
    paths = {
        "socket /run/flask_app.sock": "httpd_runtime_t",
        "socket /var/run/flask_app.sock": "httpd_runtime_t",
        "file /srv/flask_app/current/app/x": "usr_t",
        "dir /var/lib/flask_app": "httpd_var_lib_t",
        "file /srv/other/x": "var_t",
    }
    gained, broken, *labels = Policy(module()).run(
        "diff /before /after | grep '^[<>]'",
        "semodule -n -p /s -s default -i /broken.cil || echo refused",
        *[f"matchpathcon -f $F -n -m {path}" for path in paths],
    )
    assert gained == "> allow httpd_t initrc_t:unix_stream_socket connectto;"
    assert broken == "refused"
    assert [label.split(":")[2] for label in labels] == list(paths.values())


def test_policy_with_all_that_parts_bring_gives_that_and_no_more(module: Callable[..., str]) -> None:
    """Servers that httpd asks, for ACME or OpenID Connect; other ports; further sockets; files that are shown.

    A port that the policy has for another service stays that service's.
    """
    paths = {
        "socket /run/further/sp.sock": "httpd_runtime_t",
        "dir /srv/shown": "httpd_sys_rw_content_t",
    }
    parts = [{"connects": True}, {"labels": [{"path": "/run/further", "type": "httpd_var_run_t"}]}]
    site = module(
        flask_sso_parts=parts,
        selinux_policy_ports=[8079, 4443, 8081],
        flask_app_public="static",
        flask_app__public_path="/srv/shown",
    )
    gained, ports, *labels = Policy(site).run(
        "diff /before /after | grep '^[<>]'",
        "seinfo $P --portcon | grep -Eo '(8079|4443|8081) .*_port_t'",
        *[f"matchpathcon -f $F -n -m {path}" for path in paths],
    )
    assert sorted(gained.splitlines()) == [
        "< allow httpd_t http_port_t:tcp_socket name_bind;",
        "> allow httpd_t http_port_t:tcp_socket { name_bind name_connect };",
        "> allow httpd_t initrc_t:unix_stream_socket connectto;",
    ]
    owners = {"4443": "http", "8079": "http", "8081": "transproxy"}
    assert sorted(ports.split("\n")) == [f"{port} system_u:object_r:{owner}_port_t" for port, owner in owners.items()]
    assert [label.split(":")[2] for label in labels] == list(paths.values())
