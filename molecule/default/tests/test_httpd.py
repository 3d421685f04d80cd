# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""httpd runs with the compiled proxy module, and with nothing that the site does not need."""

import re

from testinfra.host import Host

STATIC = {"core", "so", "watchdog", "http", "log_config", "logio", "version", "unixd"}
BASE = {"alias", "authz_core", "headers", "http2", "mime", "mpm_event", "reqtimeout", "socache_shmcb", "ssl"}
SIGN_ON = {"authn_core", "mod_shib"}
PROXY = {"proxy", "proxy_uwsgi"}


def test_configuration_is_valid_and_free_of_warnings(web: Host) -> None:
    """httpd would start with the files on disk without a warning."""
    result = web.run("apache2ctl -t")
    assert (result.rc, result.stdout + result.stderr) == (0, "Syntax OK\n")


def test_only_needed_modules_are_loaded(web: Host) -> None:
    """Each module adds attack surface."""
    loaded = re.findall(r"^ (\w+) \(", web.check_output("apache2ctl -M"), re.MULTILINE)
    assert {name.removesuffix("_module") for name in loaded} == STATIC | BASE | SIGN_ON | PROXY


def test_running_httpd_has_the_compiled_module_in_its_memory(web: Host) -> None:
    """Made from the version of the uWSGI that runs, for this httpd; the distribution's copy is not there."""
    mapped = web.check_output("grep --only-matching '[^/]*uwsgi[^/]*[.]so' /proc/$(pgrep --oldest apache2)/maps")
    version = web.check_output("$(ps -o args= -C uwsgi | head -n 1 | cut -d ' ' -f 1) --version")
    magic = re.search(r"Magic Number: (\S+)", web.check_output("apache2ctl -V"))[1].replace(":", ".")
    assert len(set(mapped.split())) == 1
    assert mapped.startswith(f"mod_proxy_uwsgi-{version}-{magic}-")


def test_virtual_hosts_are_the_site_and_a_refusal(web: Host) -> None:
    """Port 443 knows the site's name, and answers every other name from another virtual host."""
    dump = web.check_output("apache2ctl -t -D DUMP_VHOSTS 2>&1")
    assert re.findall(r"^(\S+:\d+) +(\S+)", dump, re.MULTILINE) == [("*:80", "flask.example.org"), ("*:443", "is")]
    assert re.findall(r"default server (\S+)", dump) == ["unknown.invalid"]
    assert re.findall(r"port 443 namevhost (\S+)", dump) == ["unknown.invalid", "flask.example.org"]


def test_stock_configuration_takes_no_part(web: Host) -> None:
    """Except for the distribution's main file, httpd reads only files of this collection."""
    dump = web.check_output("apache2ctl -t -D DUMP_INCLUDES")
    included = set(re.findall(r"\) (\S+)$", dump, re.MULTILINE))
    assert {path for path in included if "flask_sso" not in path} == {
        "/etc/apache2/apache2.conf",
        "/etc/apache2/ports.conf",
    }
