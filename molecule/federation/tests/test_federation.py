# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A visitor chooses an institution, logs in there, and gets only values that this institution may assert."""

import bench_client
import federation
import httpx
import lxml.html
from testinfra.host import Host

UNIVERSITY = "https://idp.university.example/metadata"
CERN = "https://auth.cern.ch/auth/realms/cern"


def choose(visitor: httpx.Client, provider: str) -> httpx.Response:
    """Go to the login, choose an identity provider at the discovery service and return the page after that."""
    page = visitor.get("/login")
    assert page.url.host == federation.NAME
    return bench_client.submit_form(visitor, page, idpentityid=provider)


def log_in(visitor: httpx.Client, user: str) -> dict:
    """Log in at the university; return what the application shows."""
    bench_client.answer_provider(visitor, choose(visitor, UNIVERSITY), user)
    return visitor.get("/api/me").json()


def test_visitors_are_asked_where_they_come_from(visitor: httpx.Client) -> None:
    """The discovery service knows the service provider, and offers the federation's institutions."""
    page = visitor.get("/login")
    assert page.url.params["entityID"] == "https://flask.example.org/shibboleth"
    offered = lxml.html.fromstring(page.content).xpath("//select[@name='idpentityid']/option/@value")
    assert set(offered) == {UNIVERSITY, CERN}


def test_users_log_in_at_their_own_institution(visitor: httpx.Client) -> None:
    """The application gets eduPerson's attributes, with scopes of the institution that sent them."""
    me = log_in(visitor, "vrubin")
    assert (me["identifier"], me["name"], me["email"]) == (
        "vrubin@university.example",
        "Vera Rubin",
        "vera.rubin@university.example",
    )
    assert me["groups"] == ["member@university.example", "staff@university.example"]


def test_an_institution_cannot_assert_values_of_another(visitor: httpx.Client) -> None:
    """What the university says about users of cern.ch is dropped; what it says about its own stays."""
    bench_client.answer_provider(visitor, choose(visitor, UNIVERSITY), "impostor")
    seen = visitor.get("/login").text + visitor.get("/api/me").text
    assert "ghopper" not in seen
    assert "admin@cern.ch" not in seen


def test_an_institution_that_is_not_allowed_is_refused(visitor: httpx.Client) -> None:
    """The federation has it, this site does not allow it: no user is sent there to log in."""
    page = choose(visitor, CERN)
    assert page.url.host == bench_client.HOST
    assert page.status_code >= 400 or "unable to locate" in page.text.lower()
    assert visitor.get("/api/me").status_code == 401


def test_rules_see_an_encoded_slash_as_a_slash(visitor: httpx.Client) -> None:
    """Where such paths are allowed, the application gets them, but no other page than with a slash."""
    assert "Content-Security-Policy" in visitor.get("/a%2Fb").headers
    for path in ("/login%2Fx", "/%2Flogin", "/open/..%2Flogin", "/open%2F..%2F.%2Flogin%2F"):
        sent = visitor.get(f"{bench_client.SITE}{path}", follow_redirects=False)
        assert (sent.status_code, sent.next_request.url.host) == (302, federation.NAME), path


def test_metadata_is_asked_for_one_institution_at_a_time(web: Host, visitor: httpx.Client) -> None:
    """shibd has no aggregate; it keeps the responses to its queries in case the service does not answer."""
    log_in(visitor, "vrubin")
    assert not web.file("/etc/shibboleth/idp-metadata.xml").exists
    # Files that shibd renames meanwhile are not read.
    kept = web.run("grep --recursive --only-matching --no-filename 'entityID=\"[^\"]*' /var/cache/shibboleth")
    assert set(kept.stdout.split()) == {f'entityID="{UNIVERSITY}'}


def test_the_registration_sheet_asks_for_what_a_federation_does() -> None:
    """entityID, discovery response and the attributes by their formal names are on the sheet."""
    papers = bench_client.PAPERS
    metadata, sheet = (papers / "sp-metadata.xml").read_text(), (papers / "registration.md").read_text()
    assert "DiscoveryResponse" in metadata
    for value in ("`https://flask.example.org/shibboleth`", "`urn:oid:1.3.6.1.4.1.5923.1.1.1.6`"):
        assert value in sheet


def test_one_institution_by_the_generic_profile(run_site, visitor: httpx.Client) -> None:
    """The same host with a single identity provider, whose scopes no other one could claim: values arrive unchanged."""
    code, said = run_site(
        {
            "saml_sp_profile": "generic",
            "saml_sp_idp_entity_id": UNIVERSITY,
            "saml_sp_idp_metadata_url": "https://idp.university.example/simplesamlphp/saml2/idp/metadata.php",
            "saml_sp_mdq_url": "",
            "saml_sp_discovery_url": "",
            "saml_sp_metadata_certificate_file": "",
            "saml_sp_idp_keys": [],
            "saml_sp_metadata_tls_only": True,
            "flask_app_environment": {"FLASK_SSO_ATTRIBUTES": {"identifier": "eppn", "groups": "affiliation"}},
        }
    )
    assert code == 0, said
    bench_client.saml_login(visitor, "/login", "vrubin")
    me = visitor.get("/api/me").json()
    assert (me["identifier"], me["groups"][0]) == ("vrubin@university.example", "member@university.example")
