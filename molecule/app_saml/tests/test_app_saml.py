# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Users log in through SimpleSAMLphp; a response to another login is refused; the last tests change the site."""

from __future__ import annotations

import base64
import re
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import bench_client
import httpx
import lxml.etree
import lxml.html
import metadata_corpus
import pytest
from bench_fixtures import run_playbook
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from saml_idp import RSA_SHA256, IdentityProvider, KeyPair, Message, instant, wrap
from testinfra.host import Host

CONSUMER = "/Shibboleth.sso/SAML2/POST"
LOG = "/var/log/apache2/error.log"
ONELOGIN = f"https://{bench_client.ONELOGIN_HOST}"
deploy = partial(run_playbook, "molecule/app_saml/converge.yml")
CHOICE = {"flask_sso_authentication": "saml", "flask_sso_app_server": "mod_wsgi"}


@pytest.fixture(scope="module")
def idp() -> IdentityProvider:
    """Return an attacker who has the key of the bench's identity provider, and can sign any response."""
    container = bench_client.containers()[bench_client.IDP_HOST]
    key = container.exec_run(f"cat /etc/identity-provider/{bench_client.IDP_HOST}.key").output
    entity_id = f"{bench_client.SITE}/Shibboleth.sso"
    liar = IdentityProvider(
        entity_id, f"{entity_id}/SAML2/POST", f"{entity_id}/SLO/Redirect", "https://auth.cern.ch/auth/realms/cern"
    )
    liar.keys = KeyPair(load_pem_private_key(key, None))
    return liar


def ask(visitor: httpx.Client, target: str = "/profile") -> Message:
    """Begin a login."""
    reply = visitor.get("/login", params={"next": target}, follow_redirects=False)
    return Message(reply.headers["Location"])


def answer(visitor: httpx.Client, request: Message, response: lxml.etree._Element | bytes) -> httpx.Response:
    """Post a response as a browser would."""
    text = response if isinstance(response, bytes) else lxml.etree.tostring(response)
    form = {"SAMLResponse": base64.b64encode(text).decode(), "RelayState": request.relay_state}
    return visitor.post(CONSUMER, data=form, follow_redirects=False)


def refused(web: Host, visitor: httpx.Client, post: Callable[[], httpx.Response]) -> str:
    """Post something that has to be refused; return what the log says about it."""
    size = int(web.check_output(f"wc --bytes < {LOG}"))
    reply = post()
    assert (reply.status_code, visitor.get("/api/me").status_code) == (403, 401)
    assert "Login or logout failed" in reply.text
    return web.check_output(f"tail --bytes=+{size + 1} {LOG}")


# The site


def test_httpd_runs_the_application_under_its_own_account(web: Host) -> None:
    """Two daemon processes, the main interpreter of each, and neither shibd nor uWSGI."""
    assert len(web.check_output("pgrep --full --euid flask_app '^\\(wsgi:flask_app\\)'").split()) == 2
    assert "wsgi_module" in web.check_output("apachectl -M")
    for package in ("shibboleth-sp-utils", "libapache2-mod-shib"):
        assert not web.package(package).is_installed
    assert "flask_app" not in web.check_output("systemctl list-units --plain --no-legend 'flask_app*'")


def test_doctor_finds_no_fault(web: Host) -> None:
    """There is no shibd that it could miss."""
    assert bench_client.complaints(web) == ""


def test_secrets_are_for_the_application_alone(web: Host) -> None:
    """Its key, its script, which holds its settings, and the database of its sessions."""
    for path, user, mode in [
        ("/etc/flask_app/saml/sp-signing-key.pem", "root", 0o440),
        ("/etc/flask_app/saml/sp-encrypt-key.pem", "root", 0o440),
        ("/etc/flask_app/mod_wsgi.py", "root", 0o640),
        ("/var/lib/flask_app/saml.sqlite", "flask_app", 0o600),
    ]:
        file = web.file(path)
        assert (file.user, file.group, file.mode) == (user, "flask_app", mode), path


# Logins


def test_user_logs_in_and_out_in_a_browser() -> None:
    """Chromium, the identity provider's own form, and back."""
    with bench_client.browser() as page:
        bench_client.browser_login(page, f"{bench_client.SITE}/login?next=/profile", "ghopper")
        assert page.url == f"{bench_client.SITE}/profile"
        page.goto(bench_client.SITE)
        assert "Grace Hopper" in page.text_content("main")
        page.screenshot(path=bench_client.ARTIFACTS / "bench" / "app-saml.png")
        page.get_by_role("link", name="Log out").click()
        page.wait_for_url(f"{bench_client.SITE}/")
        assert "Grace Hopper" not in page.text_content("body")


@pytest.mark.parametrize(
    ("user", "name", "groups"),
    [("mcurie", "Maria Skłodowska-Curie", 1), ("jbell", "Jocelyn Bell Burnell", 600), ("enoether", "Emmy Noether", 0)],
)
def test_application_shows_the_attributes_of_the_identity_provider(
    visitor: httpx.Client, user: str, name: str, groups: int
) -> None:
    """The same identity as with shibd, whatever is in it."""
    page, _ = bench_client.saml_login(visitor, "/profile?from=bookmark", user)
    assert str(page.url) == f"{bench_client.SITE}/profile?from=bookmark"
    me = visitor.get("/api/me").json()
    assert (me["authentication"], me["identifier"], me["name"], len(me["groups"])) == ("saml", user, name, groups)


def test_missing_attribute_is_named_on_a_page(visitor: httpx.Client) -> None:
    """The identity provider sends no upn for her."""
    page, _ = bench_client.saml_login(visitor, "/login", "hleavitt")
    assert page.status_code == 403
    assert "did not send" in page.text
    assert visitor.get("/api/me").status_code == 401


def test_log_out_here_ends_the_session_everywhere(visitor: httpx.Client) -> None:
    """A stolen cookie is worth nothing afterwards, and the identity provider asks for the password again."""
    bench_client.saml_login(visitor, "/login", "ghopper")
    with bench_client.client(cookies=visitor.cookies) as thief:
        assert thief.get("/api/me").status_code == 200
        assert str(visitor.get("/logout").url) == f"{bench_client.SITE}/"
        assert {thief.get("/api/me").status_code for _ in range(10)} == {401}
        page = lxml.html.fromstring(visitor.get("/login").content)
        assert page.xpath("//input[@type='password']")


def test_log_out_at_the_identity_provider_ends_the_session_here(visitor: httpx.Client) -> None:
    """The site accepts its signed message."""
    bench_client.saml_login(visitor, "/login", "ghopper")
    home = f"https://{bench_client.IDP_HOST}"
    visitor.get(f"{home}/simplesamlphp/saml2/idp/SingleLogoutService.php", params={"ReturnTo": f"{home}/"})
    assert visitor.get("/api/me").status_code == 401


# Refusals, by the running server


def test_answer_of_the_key_that_is_used_below_is_accepted(visitor: httpx.Client, idp: IdentityProvider) -> None:
    """So that the refusals below have the tested reason."""
    request = ask(visitor)
    reply = answer(visitor, request, idp.signed(request.id))
    assert (reply.status_code, reply.headers["Location"]) == (303, "/profile")
    assert visitor.get("/api/me").json()["identifier"] == "ghopper"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"audience": ["https://other.example.org"]}, "not a valid audience"),
        ({"recipient": ' Recipient="https://other.example.org/saml/acs"'}, "SubjectConfirmation"),
        ({"destination": ' Destination="https://other.example.org/saml/acs"'}, "instead of https://other"),
        ({"not_on_or_after": instant(-600)}, "timestamp: expired"),
        ({"not_before": instant(3600)}, "not yet valid"),
        ({"in_response_to": ""}, "InResponseTo is missing"),
        ({"keys": KeyPair()}, "Signature validation failed"),
    ],
    ids=["audience", "recipient", "destination", "expired", "not-yet-valid", "unsolicited", "another-key"],
)
def test_answer_that_is_not_for_this_request_is_refused(
    web: Host, visitor: httpx.Client, idp: IdentityProvider, changes: dict, reason: str
) -> None:
    """The user is told what to do, the log the reason."""
    request = ask(visitor)
    assert reason in refused(web, visitor, lambda: answer(visitor, request, idp.signed(request.id, **changes)))


def test_unsigned_answer_is_refused(web: Host, visitor: httpx.Client, idp: IdentityProvider) -> None:
    """Whatever its content."""
    request = ask(visitor)
    assert "not signed" in refused(web, visitor, lambda: answer(visitor, request, idp.response(request.id)))


@pytest.mark.parametrize("variant", range(1, 9))
def test_wrapped_signature_is_refused(web: Host, visitor: httpx.Client, idp: IdentityProvider, variant: int) -> None:
    """The eight classic ways to have one element checked and another read."""
    request = ask(visitor)
    forged = wrap(idp.signed(request.id), variant, idp.keys)
    assert b"mallory" in lxml.etree.tostring(forged)
    assert " rejected: " in refused(web, visitor, lambda: answer(visitor, request, forged))


def test_file_that_a_message_names_is_not_opened(web: Host, visitor: httpx.Client, idp: IdentityProvider) -> None:
    """Anyone can send one without a login, and this file has no end."""
    request = ask(visitor)
    signed = idp.signed(request.id)
    info = lxml.etree.SubElement(signed.find(".//{*}Signature"), "{http://www.w3.org/2000/09/xmldsig#}KeyInfo")
    reference = "{http://www.w3.org/2009/xmldsig11#}KeyInfoReference"
    lxml.etree.SubElement(info, reference, URI="file:///dev/zero")
    said = refused(web, visitor, lambda: answer(visitor, request, signed))
    assert "element KeyInfoReference is not allowed" in said


def test_comment_cuts_no_name_off(visitor: httpx.Client, idp: IdentityProvider) -> None:
    """The signature does not cover comments, so a user named ghopper.evil could have one inserted."""
    request = ask(visitor)
    signed = lxml.etree.tostring(idp.signed(request.id, attributes={"upn": ["ghopper.evil"]}))
    assert answer(visitor, request, signed.replace(b"ghopper.evil", b"ghopper<!---->.evil")).status_code == 303
    assert visitor.get("/api/me").json()["identifier"] == "ghopper.evil"


def test_answer_counts_once_in_all_processes(web: Host, visitor: httpx.Client, idp: IdentityProvider) -> None:
    """Forty at the same time, then again one by one: only the first is accepted, in any process."""
    request = ask(visitor)
    signed = idp.signed(request.id)

    def post(_number: int) -> int:
        with bench_client.client(cookies=visitor.cookies) as one:
            return answer(one, request, signed).status_code

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(post, range(40))) == [303] + [403] * 39
    with bench_client.client(cookies=visitor.cookies) as again:
        assert "already answered" in refused(web, again, lambda: answer(again, request, signed))


@pytest.mark.parametrize("target", ["https://other.example/", "//other.example/", "/\\other.example/"])
def test_no_relay_state_leads_to_another_site(visitor: httpx.Client, idp: IdentityProvider, target: str) -> None:
    """Neither one in the link, nor one that is inserted later."""
    request = ask(visitor, target)
    assert answer(visitor, request, idp.signed(request.id)).headers["Location"] == "/"
    with bench_client.client() as other:
        request = ask(other)
        request.relay_state = target
        assert answer(other, request, idp.signed(request.id)).status_code == 403


@pytest.mark.parametrize("forged", [False, True], ids=["signed", "by a stranger"])
def test_log_out_that_a_stranger_orders_is_not_obeyed(
    visitor: httpx.Client, idp: IdentityProvider, forged: bool
) -> None:
    """The same message ends the session if the identity provider signed it."""
    request = ask(visitor)
    answer(visitor, request, idp.signed(request.id, name_id="opaque"))
    keys = KeyPair() if forged else idp.keys
    query = idp.redirect("SAMLRequest", idp.logout_request("opaque"), algorithm=RSA_SHA256, keys=keys)
    with bench_client.client(follow_redirects=False) as messenger:
        assert messenger.get(f"/Shibboleth.sso/SLO/Redirect?{query}").status_code == (403 if forged else 302)
    assert visitor.get("/api/me").status_code == (200 if forged else 401)


@pytest.mark.parametrize("forged", [False, True], ids=["signed", "by a stranger"])
def test_posted_logout_that_a_stranger_orders_is_not_obeyed(
    visitor: httpx.Client, idp: IdentityProvider, forged: bool
) -> None:
    """The other address that shibd's metadata registers."""
    request = ask(visitor)
    answer(visitor, request, idp.signed(request.id, name_id="opaque"))
    path = "/Shibboleth.sso/SLO/POST"
    text = idp.logout_request("opaque", destination=f"{bench_client.SITE}{path}")
    form = idp.posted("SAMLRequest", text, keys=KeyPair() if forged else idp.keys)
    with bench_client.client(follow_redirects=False) as messenger:
        assert messenger.post(path, data=form).status_code == (403 if forged else 303)
    assert visitor.get("/api/me").status_code == (200 if forged else 401)


# Changes to the site


@pytest.fixture
def release(tmp_path: Path) -> Callable[..., dict]:
    """Return what copies the application, with another text in a file, and gives the variables to deploy it."""

    def copy(file: str, old: str, new: str) -> dict:
        source = bench_client.PROJECT / "app"
        shutil.copytree(source, tmp_path / "app", ignore=shutil.ignore_patterns("tests", "__pycache__", ".*"))
        changed = tmp_path / "app" / file
        text = changed.read_text()
        assert old in text
        changed.write_text(text.replace(old, new))
        return CHOICE | {"flask_app_source": str(tmp_path / "app")}

    return copy


def test_libraries_that_disagree_never_become_current(web: Host, visitor: httpx.Client, release) -> None:
    """An lxml with another libxml2 than xmlsec's: the run reports it, and the previous release keeps running."""
    current = web.file("/srv/flask_app/current").linked_to
    bench_client.saml_login(visitor, "/login", "ghopper")
    pinned = re.search("lxml==.*", (bench_client.PROJECT / "app/requirements-saml.txt").read_text())[0]
    code, said = run_playbook("playbooks/release.yml", release("requirements-saml.txt", pinned, "lxml==5.4.0"))
    assert code == 2
    assert "lxml 5.4.0" in said
    assert "lxml runs with libxml2 2 13" in said
    assert "library version mismatch" in said
    assert "The previous release keeps running" in said
    assert web.file("/srv/flask_app/current").linked_to == current
    assert visitor.get("/api/me").json()["identifier"] == "ghopper"


def test_new_release_is_served_without_a_failed_request_and_sessions_go_on(visitor: httpx.Client, release) -> None:
    """The processes notice it by themselves, and finish what they do."""
    bench_client.saml_login(visitor, "/login", "ghopper")
    variables = release("flask_sso_app/templates/base.html", "Reference application of", "Second release of")
    with bench_client.visitors("/healthz", "/", "/static/style.css") as answers:
        code, said = run_playbook("playbooks/release.yml", variables)
    assert code == 0, said
    assert len(answers) > 100
    assert {answer.partition(" ")[0] for answer in answers} == {"200"}
    page = visitor.get("/").text
    assert "Second release of" in page
    assert "Grace Hopper" in page


@pytest.mark.parametrize(
    ("variables", "phrases"),
    [
        (
            {
                "shibboleth_sp_whole_site": True,
                "flask_sso_protected": [{"path": "/admin", "attributes": {"CernRoles": ["admin"]}}],
                "saml_sp_attributes": [{"id": "upn", "name": "urn:x", "scope": "metadata"}],
                "saml_sp_unsolicited_login": True,
                "app_saml_store": "postgresql+psycopg://app:canary@db.example.org/app",
            },
            [
                "4 faults, to fix before anything is changed",
                "There are access rules in flask_sso_protected and shibboleth_sp_whole_site. Without mod_shib, these",
                '"scope: any"',
                "accepts only responses to its own requests",
                "app_saml_store has a password, which the environment of the application would show",
            ],
        ),
        ({"saml_sp_idp_keys": ["ab:" * 31 + "ab"]}, ["add it to saml_sp_idp_keys"]),
    ],
    ids=["rules, scopes and unasked answers", "another key"],
)
def test_what_shibd_does_and_the_application_does_not_is_refused(variables: dict, phrases: list[str]) -> None:
    """Better than a rule without effect; and the identity provider's key is checked as for shibd."""
    code, said = deploy(variables)
    assert code == 2
    assert not [phrase for phrase in phrases if phrase not in said], said
    assert "changed=0 " in said


@pytest.mark.parametrize(
    ("odd", "words"),
    [
        ("addresses for POST alone", "The application needs HTTP-Redirect: enable it at the identity provider"),
        ("key without a certificate", "without a certificate, which the application needs"),
    ],
)
def test_metadata_that_serves_shibd_alone_is_refused(tmp_path: Path, odd: str, words: str) -> None:
    (tmp_path / "idp.xml").write_bytes(metadata_corpus.ACCEPTED[odd])
    source = {"saml_sp_idp_metadata_file": str(tmp_path / "idp.xml"), "saml_sp_idp_keys": []}
    code, said = deploy(source | {"saml_sp_idp_entity_id": metadata_corpus.IDP})
    assert code == 2
    assert f"{metadata_corpus.IDP} " in said
    assert words in said
    assert "changed=0 " in said


def test_metadata_in_the_style_of_onelogin(visitor: httpx.Client, tmp_path: Path) -> None:
    """The entityID is an address, it and the endpoints end in a number, and attributes have their own names."""
    metadata = visitor.get(f"{ONELOGIN}/simplesamlphp/saml2/idp/metadata.php").text
    base = f"{ONELOGIN}/trust/saml2/http-redirect"
    for script, kind in {"SSOService": "sso", "SingleLogoutService": "slo"}.items():
        metadata = metadata.replace(f"{ONELOGIN}/simplesamlphp/saml2/idp/{script}.php", f"{base}/{kind}/123456")
    (tmp_path / "metadata.xml").write_text(metadata)
    code, said = deploy(
        {
            "saml_sp_profile": "generic",
            "saml_sp_idp_entity_id": f"{ONELOGIN}/saml/metadata/123456",
            "saml_sp_idp_metadata_file": str(tmp_path / "metadata.xml"),
            "saml_sp_idp_keys": [],
            "saml_sp_entity_id": f"{bench_client.SITE}/Shibboleth.sso",
            "saml_sp_attributes": [
                {"id": "upn", "name": "User.Username", "format": "unspecified"},
                {"id": "displayName", "name": "User.FirstName", "format": "unspecified"},
                {"id": "Group", "name": "memberOf", "format": "unspecified"},
            ],
            "saml_sp_remote_user": ["upn"],
        }
    )
    assert code == 0, said
    _, journey = bench_client.saml_login(visitor, "/login", "ghopper")
    assert any(str(step.url).startswith(f"{base}/sso/123456?") for step in journey)
    me = visitor.get("/api/me").json()
    assert (me["identifier"], me["groups"]) == ("ghopper", ["navy", "compilers"])
    assert me["session"]["identity_provider"] == f"{ONELOGIN}/saml/metadata/123456"
    assert str(visitor.get("/logout").url) == f"{bench_client.SITE}/"
    assert visitor.get("/api/me").status_code == 401
