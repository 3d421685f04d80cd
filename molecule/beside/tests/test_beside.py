# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Other sites work as before, next to a site of this collection."""

import pytest
from conftest import SCENARIO, ask

testinfra_hosts = ["ansible://beside"]
OURS = "ours.example.org"
# Names of other sites, and one of no site.
OTHERS = ["wiki.example.org", "absent.example.org"]
AWAY = "/srv/away"


def name_of(host) -> str:
    """Return the host's name on the network."""
    return host.check_output("hostname")


def test_ours_answers_over_tls_and_redirects_to_it(host):
    name = name_of(host)
    assert ask(name, OURS).head[0] in ("HTTP/1.1 200 OK", "HTTP/1.1 404 Not Found")
    assert ask(name, OURS).values("X-Frame-Options") == ["DENY"]
    redirect = ask(name, OURS, "/page", 80, tls=False)
    assert (redirect.status, redirect.values("Location")) == (301, [f"https://{OURS}/page"])


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("path", ["/", "/w/wiki.html", "/nothing"])
def test_others_answer_as_they_do_without_ours(host, without_ours, other, tls, path):
    name = name_of(host)
    if (other, path, tls) in without_ours:
        assert ask(name, other, path, 443 if tls else 80, tls) == without_ours[other, path, tls]
    else:
        assert ask(name, other, path).status == 403


@pytest.fixture(scope="module")
def without_ours(host):
    """Responses of the other sites without our files; TLS only where another site uses it."""
    ours = "find /etc/apache2 -name '*flask_sso-*' -path '*-enabled/*'"
    host.check_output(f"mkdir {AWAY} && tar --create --file {AWAY}/ours.tar --absolute-names $({ours}) && rm $({ours})")
    host.check_output("systemctl restart apache2")
    name = name_of(host)
    try:
        kinds = [False, True] if host.socket("tcp://0.0.0.0:443").is_listening else [False]
        return {
            (other, path, tls): ask(name, other, path, 443 if tls else 80, tls)
            for other in OTHERS
            for path in ("/", "/w/wiki.html", "/nothing")
            for tls in kinds
        }
    finally:
        host.check_output(f"tar --extract --file {AWAY}/ours.tar --absolute-names && rm --recursive {AWAY}")
        host.check_output("systemctl restart apache2")


def test_wiki_and_what_the_distribution_set_up_are_untouched(host):
    """Its processes, too, have the MPM that it chose."""
    assert host.check_output("dpkg --verify apache2 apache2-bin apache2-data") == ""
    assert host.file("/etc/apache2/sites-enabled/000-default.conf").is_symlink
    wiki = host.file("/etc/apache2/sites-enabled/wiki.conf")
    if name_of(host) == "wiki.example.org":
        assert (wiki.content_string, wiki.mode) == ((SCENARIO / "files" / "wiki.conf").read_text(), 0o640)
        assert "prefork" in host.check_output("apache2ctl -M")
    assert host.run("apache2ctl -t").stderr.endswith("Syntax OK\n")


def test_other_sites_are_not_in_a_sandbox(host):
    """They may need what it forbids."""
    assert not host.file("/etc/systemd/system/apache2.service.d/flask_sso.conf").exists
    process = host.check_output("systemctl show --property=MainPID --value apache2")
    assert "NoNewPrivs:\t0" in host.file(f"/proc/{process}/status").content_string
