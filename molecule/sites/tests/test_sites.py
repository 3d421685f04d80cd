# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two Shibboleth sites, and one for people with certificates, share a host. The tests do this in order."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import bench_client
import httpx
import pytest
import yaml
from bench_fixtures import run_playbook
from client_certificates import person
from testinfra.host import Host

FIRST, WIKI, PORTAL = bench_client.SITE, "https://wiki.example.org", "https://portal.example.org"
REMOVE = "playbooks/remove.yml"
HOME = "/etc/shibboleth/sites/wiki"
#: Where the files of the first site and of shibd are.
PLACES = (
    "/etc/shibboleth /etc/systemd/system/shibd.service.d /etc/systemd/system/flask_app* /etc/flask_app"
    " /etc/apache2/flask_sso/flask_app /etc/apache2/sites-enabled/flask_sso-flask_app.conf /etc/ssl/flask_sso/flask_app"
)
#: The variables of the further site.
VARIABLES = yaml.safe_load((Path(__file__).parents[1] / "wiki.yml").read_text("utf-8"))[0]["vars"]


def run(playbook: str, variables: dict | None = None) -> str:
    """Run a playbook that has to succeed; return what it printed."""
    code, said = run_playbook(playbook, variables or {})
    assert code == 0, said
    return said


def identity(site: str, user: str) -> dict:
    """Log in at a site as a new visitor; return who the application says the user is."""
    with bench_client.client(base_url=site) as visitor:
        page, _ = bench_client.saml_login(visitor, f"{site}/profile", user)
        assert (page.status_code, page.url.path) == (200, "/profile"), page.text
        return visitor.get("/api/me").json()


def both_work() -> None:
    """Log in at both sites."""
    assert identity(FIRST, "ghopper")["attributes"]["upn"] == ["ghopper"]
    assert identity(WIKI, "ghopper")["attributes"]["login"] == ["ghopper"]


def answer(visitor: httpx.Client, path: str) -> int:
    """Request a path as it is written, not as httpx normalizes it, with the cookies of both sites."""
    target = {"target": path.encode()}
    return visitor.get(f"{FIRST}/notes/", extensions=target, follow_redirects=False).status_code


def files(web: Host) -> str:
    """Return the checksums of all files that belong to the first site or to the host, links and their targets, too."""
    chosen = f"find {PLACES} -path '/etc/shibboleth/sites/[!d]*' -prune -o -name '30-beside-*' -o"
    checksums, targets = "-type f -exec sha256sum {} +", r"-type l -printf '%p %l\n'"
    return web.check_output(f"{chosen} {checksums} | sort --key=2; {chosen} {targets} | sort")


def started(web: Host) -> str:
    """Return when shibd was started."""
    return web.check_output("systemctl show --property=ExecMainStartTimestampMonotonic shibd")


@contextmanager
def logged_in(visitor: httpx.Client) -> Iterator[list[str]]:
    """Have visitors of the first site request pages without and with a session; yield the list of all responses."""
    bench_client.saml_login(visitor, f"{FIRST}/profile", "ghopper")

    def connect() -> httpx.Client:
        client = bench_client.client()
        client.cookies.update(visitor.cookies)
        return client

    with bench_client.visitors("/healthz", "/ping", "/api/me", connect=connect) as answers:
        yield answers


def test_each_site_has_its_own_attributes() -> None:
    """Under its own names, with defaults that only one of them has."""
    first, wiki = identity(FIRST, "cpayne"), identity(WIKI, "cpayne")
    assert (first["attributes"]["upn"], first["name"]) == (["cpayne"], "Cecilia Payne")
    assert wiki["attributes"] == {
        "login": ["cpayne"],
        "fullname": ["Cecilia Payne"],
        "circles": ["observatory"],
        "office": ["nowhere"],
    }


@pytest.mark.parametrize(
    ("site", "path", "user", "status"),
    [
        (FIRST, "/for-admins", "ghopper", 404),
        (FIRST, "/for-admins", "cpayne", 403),
        (WIKI, "/for-observers", "ghopper", 403),
        (WIKI, "/for-observers", "cpayne", 404),
        (FIRST, "/for-observers", "cpayne", 404),
        (WIKI, "/for-admins", "cpayne", 404),
    ],
)
def test_each_site_has_its_own_rules(site: str, path: str, user: str, status: int) -> None:
    """The application has no such pages: a 404 means that the request reached it, a 403 that it did not."""
    with bench_client.client(base_url=site) as visitor:
        bench_client.saml_login(visitor, f"{site}/profile", user)
        assert visitor.get(path).status_code == status


def test_what_one_site_requires_the_other_does_not(visitor: httpx.Client) -> None:
    """A user without upn is refused by the first site alone."""
    page, _ = bench_client.saml_login(visitor, f"{FIRST}/login", "hleavitt")
    assert page.url.path == "/Shibboleth.sso/AttributeChecker"
    with bench_client.client(base_url=WIKI) as reader:
        _, journey = bench_client.saml_login(reader, f"{WIKI}/login", "hleavitt")
        assert "/login" in [step.url.path for step in journey[1:]]
        session = reader.get("/Shibboleth.sso/Session").text
    assert "fullname" in session
    assert "displayName" not in session


def test_each_site_is_a_service_provider_of_its_own() -> None:
    """It has its entityID, its addresses and its keys."""
    found = []
    for site in (FIRST, WIKI):
        with bench_client.client(base_url=site) as visitor:
            metadata = visitor.get("/Shibboleth.sso/Metadata").raise_for_status().text
            request = visitor.get("/login", follow_redirects=False).next_request
            (signing,) = bench_client.sp_certificates(visitor, "signing")
            assert bench_client.signed_with(request, signing)
        assert f'entityID="{site}/Shibboleth.sso"' in metadata
        assert f'Location="{site}/Shibboleth.sso/SAML2/POST"' in metadata
        found.append(signing.fingerprint(signing.signature_hash_algorithm))
    assert found[0] != found[1]


def test_the_doctor_finds_nothing_wrong_with_two_sites(web: Host, visitor: httpx.Client) -> None:
    """It knows the service provider and the metadata of each, and names the last login, which lacked an attribute."""
    bench_client.saml_login(visitor, f"{FIRST}/login", "hleavitt")
    assert "[WARN]  FS909" in web.run("flask-sso-doctor --only FS909").stdout
    said = web.run("flask-sso-doctor --skip FS909")
    assert said.rc == 0, said.stdout


def test_a_session_is_worth_nothing_at_the_other_site(visitor: httpx.Client) -> None:
    """Neither under its own name nor under that of a session there."""
    bench_client.saml_login(visitor, f"{FIRST}/profile", "ghopper")
    own = {name: value for name, value in visitor.cookies.items() if name.startswith("_shibsession_")}
    assert len(own) == 1
    with bench_client.client(base_url=WIKI) as reader:
        bench_client.saml_login(reader, f"{WIKI}/profile", "cpayne")
        (there,) = [name for name in reader.cookies if name.startswith("_shibsession_")]
    assert there not in own
    for name in (there, *own):
        headers = {"Cookie": f"{name}={next(iter(own.values()))}"}
        with bench_client.client(base_url=WIKI, headers=headers) as stranger:
            assert stranger.get("/api/me").status_code == 401


def test_settings_that_a_host_has_once_are_refused_if_they_differ(web: Host) -> None:
    before = files(web)
    code, said = run_playbook("molecule/sites/wiki.yml", {"shibboleth_sp_listener": "tcp"})
    assert code == 2
    assert "Write shibboleth_sp_listener: unix, or change it for flask_app first." in said
    assert "changed=0" in said
    assert files(web) == before


def test_a_fault_of_one_site_is_activated_for_neither(web: Host) -> None:
    """shibd loads a further site at its first request; its check finds the fault before."""
    before, was = files(web), web.check_output(f"cat {HOME}-override.xml")
    key = f"{HOME}/keys/1/sp-signing-key.pem"
    web.check_output(f"mv {key} {key}.gone")
    code, said = run_playbook("molecule/sites/wiki.yml", {"saml_sp_session_lifetime": 7200})
    web.check_output(f"mv {key}.gone {key}")
    assert code == 2
    assert "The new configuration of shibd does not pass its check" in said
    assert f"/usr/sbin/shibd -t -c {HOME}/shibboleth2.xml" in said
    assert (files(web), web.check_output(f"cat {HOME}-override.xml")) == (before, was)
    both_work()


def test_a_change_of_one_site_leaves_the_files_of_the_other(web: Host) -> None:
    before = files(web)
    run("molecule/sites/wiki.yml", {"saml_sp_session_lifetime": 7200})
    assert 'lifetime="7200"' in web.check_output(f"cat {HOME}-override.xml")
    assert files(web) == before
    both_work()


def test_keys_of_one_site_are_rotated_alone(web: Host) -> None:
    before = files(web)
    run("playbooks/rotate_sp_keys.yml", VARIABLES | {"shibboleth_sp_rotation": "publish"})
    for site, number in ((FIRST, 1), (WIKI, 2)):
        with bench_client.client(base_url=site) as visitor:
            assert len(bench_client.sp_certificates(visitor, "signing")) == number
    assert files(web) == before
    run("molecule/sites/wiki.yml")
    both_work()


def test_a_site_with_another_authentication_leaves_shibd_to_the_others(web: Host) -> None:
    before = files(web)
    run("molecule/sites/portal.yml")
    with bench_client.client(*person("ghopper"), base_url=PORTAL) as visitor:
        assert visitor.get("/hello").text == "Hello Grace Hopper!"
    assert web.service("shibd").is_running
    assert web.service("shibd").is_enabled
    assert files(web) == before
    both_work()


def test_a_site_below_a_path_of_another_leaves_that_alone(web: Host, visitor: httpx.Client) -> None:
    """Its files stay the same, no request fails, and no session ends."""
    before, since = files(web), started(web)
    with logged_in(visitor) as answers:
        run("molecule/sites/notes.yml")
    assert len(answers) > 100
    assert [answer for answer in answers if not answer.startswith("200 ")] == []
    assert started(web) == since
    assert files(web) == before
    both_work()


def test_sites_of_one_name_have_sessions_of_their_own(visitor: httpx.Client) -> None:
    """A user of one is a stranger at the other, under whichever spelling of its path."""
    bench_client.saml_login(visitor, f"{FIRST}/profile", "ghopper")
    for path in ("/notes/api/me", "//notes/api/me", "/%6eotes/api/me", "/notes/./api/me", "/x/../notes/api/me"):
        assert answer(visitor, path) == 401, path
    assert answer(visitor, "/NOTES/api/me") == 404  # of the first site, which has no such page
    with bench_client.client() as reader:
        page, _ = bench_client.saml_login(reader, f"{FIRST}/notes/profile", "cpayne")
        assert (page.status_code, page.url.path) == (200, "/notes/profile"), page.text
        attributes = reader.get("/notes/api/me").json()["attributes"]
        assert attributes == {"login": ["cpayne"], "circles": ["observatory"]}
        assert reader.get("/api/me").status_code == 401
        (cookie,) = [each for each in reader.cookies.jar if each.name.startswith("_shibsession_")]
        assert cookie.path == "/notes"
        for prefix in ("", "/notes"):
            (theirs,) = [each for each in visitor.cookies.jar if each.name.startswith("_shibsession_")]
            for name in (cookie.name, theirs.name):
                value = cookie.value if prefix == "" else theirs.value
                with bench_client.client(headers={"Cookie": f"{name}={value}"}) as stranger:
                    assert stranger.get(f"{prefix}/api/me").status_code == 401, (prefix, name)


@pytest.mark.parametrize(
    ("path", "user", "status"),
    [
        ("/for-admins", "ghopper", 404),
        ("/notes/for-admins", "cpayne", 404),
        ("/notes/for-observers", "cpayne", 404),
        ("/notes/for-observers", "ghopper", 403),
        ("//notes//for-observers", "ghopper", 403),
        ("/notes/%66or-observers", "ghopper", 403),
        ("/notes/x/../for-observers", "ghopper", 403),
    ],
)
def test_rules_hold_below_the_path_of_their_site(visitor: httpx.Client, path: str, user: str, status: int) -> None:
    """The applications have no such pages, as above."""
    prefix = "/notes" if "notes" in path else ""
    bench_client.saml_login(visitor, f"{FIRST}{prefix}/profile", user)
    assert answer(visitor, path) == status


def test_the_site_that_has_the_virtual_host_goes_last(web: Host) -> None:
    """Its removal would take the other one along, so it is refused; the removal of that one leaves it."""
    code, said = run_playbook(REMOVE, {})
    assert code == 2
    assert "flask_app has the virtual host in which notes is served, too. Nothing was changed." in said
    notes = {"flask_sso_site": "notes", "flask_sso_beside": "flask_app", "flask_sso_path_prefix": "/notes"}
    run(REMOVE, notes | {"flask_sso_remove_data": True})
    assert not web.file("/etc/apache2/flask_sso/flask_app/30-beside-notes.conf").exists
    both_work()


def test_removal_of_one_site_disturbs_no_user_of_the_other(web: Host, visitor: httpx.Client) -> None:
    """No request fails and no session ends, as shibd goes on."""
    before, since = files(web), started(web)
    with logged_in(visitor) as answers:
        said = run(REMOVE, {"flask_sso_site": "wiki"})
    assert f"{HOME}/keys" in said
    assert len(answers) > 100
    assert [answer for answer in answers if not answer.startswith("200 ")] == []
    assert (files(web), started(web)) == (before, since)
    assert not web.file(f"{HOME}-override.xml").exists
    assert web.file(f"{HOME}/keys/active").exists


def test_a_site_is_deployed_beside_one_that_serves(web: Host, visitor: httpx.Client) -> None:
    """No request fails and no session ends at the first one. Nothing is registered again, as the keys have stayed."""
    before, since = files(web), started(web)
    with logged_in(visitor) as answers:
        run("molecule/sites/wiki.yml")
    assert len(answers) > 100
    assert [answer for answer in answers if not answer.startswith("200 ")] == []
    assert (files(web), started(web)) == (before, since)
    both_work()


def test_settings_that_have_changed_apply_at_once(web: Host) -> None:
    """Also those that the site no longer has."""
    before = files(web)
    attributes = [{"id": "login", "name": "PersonID", "format": "basic"}]
    with bench_client.visitors("/healthz", "/", "/healthz") as answers:
        run("molecule/sites/wiki.yml", {"flask_sso_protected": [{"path": "/login"}], "saml_sp_attributes": attributes})
    assert identity(WIKI, "ghopper")["attributes"] == {"login": ["100001"]}
    assert len(answers) > 100
    assert [answer for answer in answers if not answer.startswith("200 ")] == []
    assert files(web) == before
    run("molecule/sites/wiki.yml")
    both_work()


def test_the_first_site_goes_and_comes_back(web: Host) -> None:
    """The further one stays; the first has its place and its keys again."""
    before = web.check_output("sha256sum /etc/shibboleth/*.xml")
    run(REMOVE)
    assert web.service("shibd").is_running
    assert identity(WIKI, "cpayne")["identifier"] == "cpayne"
    assert web.check_output("sha256sum /etc/shibboleth/*.xml") == before
    run("molecule/sites/first.yml")
    assert web.check_output("sha256sum /etc/shibboleth/*.xml") == before
    both_work()


def test_the_last_site_takes_shibd_along(web: Host) -> None:
    """With its data, nothing of the sites is left; the keys of the first one stay, as they were not to be deleted."""
    run(REMOVE)
    run(REMOVE, {"flask_sso_site": "wiki", "flask_sso_remove_data": True})
    assert not web.service("shibd").is_running
    assert not web.file("/etc/shibboleth/sites").exists
    assert web.file("/etc/shibboleth/keys/active").exists
