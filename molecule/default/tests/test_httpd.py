# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""httpd runs with the compiled proxy module, and with nothing that the site does not need."""

import re

from platforms import Platform
from testinfra.host import Host

BASE = {
    "alias", "authz_core", "headers", "http2", "mime", "mpm_event", "reqtimeout", "socache_shmcb", "ssl", "unique_id"
}  # fmt: skip
FILES = {"deflate", "filter"}
METRICS = {"authz_host", "status"}
SIGN_ON = {"authn_core", "mod_shib"}
PROXY = {"proxy", "proxy_uwsgi"}


def test_configuration_is_valid_and_free_of_warnings(web: Host, names: Platform) -> None:
    """httpd would start with the files on disk without a warning."""
    result = web.run(f"{names.check} -t")
    assert (result.rc, result.stdout + result.stderr) == (0, "Syntax OK\n")


def test_only_needed_modules_are_loaded(web: Host, names: Platform) -> None:
    """Each module adds attack surface."""
    loaded = re.findall(r"^ (\w+) \(", web.check_output(f"{names.check} -M"), re.MULTILINE)
    needed = BASE | FILES | METRICS | SIGN_ON | PROXY
    assert {name.removesuffix("_module") for name in loaded} == names.built_in | names.core_modules | needed


def test_running_httpd_has_the_compiled_module_in_its_memory(web: Host, names: Platform) -> None:
    """Made from the version of the uWSGI that runs, for this httpd; the distribution's copy is not there."""
    mapped = web.check_output(f"grep --only-matching '[^/]*uwsgi[^/]*[.]so' /proc/$(pgrep --oldest {names.httpd})/maps")
    version = web.check_output("$(ps -o args= -C uwsgi | head -n 1 | cut -d ' ' -f 1) --version")
    magic = re.search(r"Magic Number: (\S+)", web.check_output(f"{names.check} -V"))[1].replace(":", ".")
    assert len(set(mapped.split())) == 1
    assert mapped.startswith(f"mod_proxy_uwsgi-{version}-{magic}-")


def test_virtual_hosts_are_the_site_and_a_refusal(web: Host, names: Platform) -> None:
    """Port 443 knows the site's name, and answers every other name from another virtual host."""
    dump = web.check_output(f"{names.check} -t -D DUMP_VHOSTS 2>&1")
    assert re.findall(r"^(\S+:\d+) +(\S+)", dump, re.MULTILINE) == [("*:80", "flask.example.org"), ("*:443", "is")]
    assert re.findall(r"default server (\S+)", dump) == ["unknown.invalid"]
    assert re.findall(r"port 443 namevhost (\S+)", dump) == ["unknown.invalid", "flask.example.org"]


def test_stock_configuration_takes_no_part(web: Host, names: Platform) -> None:
    """Except for the distribution's main file, httpd reads only files of this collection."""
    dump = web.check_output(f"{names.check} -t -D DUMP_INCLUDES")
    included = set(re.findall(r"\) (\S+)$", dump, re.MULTILINE))
    assert {path for path in included if "flask_sso" not in path} == names.stock_files
