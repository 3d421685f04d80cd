# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A site is removed: its own files are gone, what it replaced is back, and the report names the rest."""

import re
from pathlib import Path

import bench_client
import httpx
import pytest
import releases
from bench_fixtures import run_playbook
from examples import ROOT
from testinfra.host import Host

REMOVE = "playbooks/remove.yml"
STATE = (Path(__file__).parents[1] / "files" / "state.sh").read_text()
#: What stays after a removal, as its report names it.
DATA = [
    "/var/lib/flask_app",
    "/etc/flask_app",
    "/etc/shibboleth/keys",
    "/etc/ssl/flask_sso/flask_app",
    "/var/lib/flask_sso",
]
#: What starts shibd at boot, the order of init scripts included: the report says that it is disabled.
AT_BOOT = re.compile(r"/etc/(rc.\.d/|init\.d/\.depend\.|systemd/system/multi-user\.target\.wants/shibd)")


def state(web: Host) -> set[str]:
    """Return the host's files, in the lines of state.sh."""
    return set(web.check_output("sh -c %s", STATE).splitlines())


def differences(web: Host, *named: str) -> list[str]:
    """Return what differs from the host before the deployment, without paths that begin with those named."""
    before = set(web.check_output("cat /root/state").splitlines())
    return sorted(line for line in before ^ state(web) if not (line.startswith(named) or AT_BOOT.match(line)))


def recap(said: str, figure: str) -> int:
    """Return a figure of the play recap, such as "changed"."""
    return int(said.rpartition(f" {figure}=")[2].split()[0])


def metadata() -> str:
    """Return the certificates of the service provider, as its metadata publishes them."""
    with bench_client.client() as visitor:
        text = visitor.get("/Shibboleth.sso/Metadata").raise_for_status().text
    return "".join(text.partition("X509Certificate>")[2].rpartition("X509Certificate>")[0].split())


def by_hand() -> str:
    """Return the page of the site that was set up by hand, or nothing where none answers."""
    address = bench_client.addresses()[bench_client.HOST]
    try:
        return httpx.get(f"http://{address}:8080/", headers={"Host": "by-hand.example.org"}).text
    except httpx.TransportError:
        return ""


@pytest.fixture(scope="module")
def deployed() -> str:
    """The metadata's certificates while the site is deployed."""
    return metadata()


def test_the_site_has_taken_the_place_of_the_one_by_hand(deployed: str, visitor: httpx.Client) -> None:
    assert deployed
    assert visitor.get("/healthz").status_code == 200
    assert by_hand() == ""


def test_a_site_that_never_was_there_changes_nothing(web: Host) -> None:
    before = state(web)
    code, said = run_playbook(REMOVE, {"flask_sso_site": "absent", "flask_sso_remove_data": True})
    assert code == 0, said
    assert "has no site absent, and nothing was changed" in said
    assert recap(said, "changed") == 0
    assert state(web) == before


def test_check_mode_announces_changes_and_makes_none(web: Host) -> None:
    before = state(web)
    code, said = run_playbook(REMOVE, {}, "--check")
    assert code == 0, said
    assert "(item=flask_app-deploy)" in said
    assert "(item=/usr/lib/apache2/modules/mod_proxy_uwsgi-" in said
    assert state(web) == before


def test_a_failed_check_leaves_the_site_as_it_was(web: Host, visitor: httpx.Client) -> None:
    web.check_output("echo Nonsense > /etc/apache2/sites-enabled/nonsense.conf")
    before = state(web)
    code, said = run_playbook(REMOVE, {})
    assert code == 2, said
    assert "does not pass its check" in said
    assert state(web) == before
    web.check_output("rm /etc/apache2/sites-enabled/nonsense.conf")
    web.check_output("systemctl reload apache2")
    assert visitor.get("/healthz").status_code == 200


def test_the_host_is_as_before_but_for_what_the_report_names(web: Host, deployed: str) -> None:
    code, said = run_playbook(REMOVE, {})
    assert code == 0, said
    assert [path for path in DATA if path not in said] == []
    assert differences(web, *DATA, "/etc/ssl/flask_sso ") == []


def test_the_site_by_hand_answers_again(web: Host) -> None:
    assert by_hand() == "By hand\n"
    assert not web.socket("tcp://0.0.0.0:443").is_listening


def test_no_unit_of_the_site_is_left(web: Host) -> None:
    """Nor is a socket, which would tell httpd that something listens."""
    assert "flask_app" not in web.check_output("systemctl list-units --plain --no-legend --state=active,activating")
    assert not web.file("/run/flask_app.sock").exists
    assert not web.service("shibd").is_running
    assert not web.service("shibd").is_enabled


def test_the_account_that_owns_the_data_stays_and_the_other_goes(web: Host) -> None:
    assert web.file("/var/lib/flask_app").user == "flask_app"
    assert not web.user("flask_app-deploy").exists
    assert not web.group("flask_app-deploy").exists


def test_the_site_is_deployed_again_with_its_kept_keys(web: Host, deployed: str, visitor: httpx.Client) -> None:
    secret = "/etc/flask_app/credentials/secret_key"
    before = web.check_output("cat %s", secret)
    code, said = run_playbook("site.yml", {"apache_ssl_other_sites": "remove"})
    assert code == 0, said
    assert visitor.get("/healthz").status_code == 200
    assert (metadata(), web.check_output("cat %s", secret)) == (deployed, before)


def test_a_second_removal_changes_nothing(web: Host) -> None:
    said = [run_playbook(REMOVE, {}) for _run in range(2)]
    assert [code for code, _said in said] == [0, 0], said
    assert recap(said[1][1], "changed") == 0, said[1]


def test_data_goes_if_a_variable_says_so(web: Host) -> None:
    """Also in a later run."""
    code, said = run_playbook(REMOVE, {"flask_sso_remove_data": True})
    assert code == 0, said
    assert differences(web, "/var/lib/flask_sso ") == []
    assert not web.user("flask_app").exists
    assert web.check_output("ls /var/lib/flask_sso") == "taken-over"


def test_nothing_is_left_of_a_first_run_that_was_cut_off_while_pip_was_at_work(web: Host) -> None:
    """The removal waits until pip has ended, which goes on by itself."""
    variables = {"apache_ssl_other_sites": "remove"}
    releases.run_playbook(ROOT / "site.yml", variables, stop_at="Create the directories of the keys")
    assert web.file("/srv/flask_app/venvs").is_directory
    assert web.user("flask_app-deploy").exists
    code, said = run_playbook(REMOVE, {"flask_sso_remove_data": True})
    assert code == 0, said
    assert "nothing was changed" not in said
    assert differences(web, "/var/lib/flask_sso ") == []
    assert not web.user("flask_app-deploy").exists


def test_a_site_without_a_record_is_refused(web: Host) -> None:
    """An earlier version has deployed it, without a record of what it replaced."""
    web.check_output("touch /etc/apache2/sites-enabled/flask_sso-flask_app.conf")
    before = state(web)
    code, said = run_playbook(REMOVE, {})
    assert code == 2, said
    assert "no record of what httpd had before" in said
    assert state(web) == before
