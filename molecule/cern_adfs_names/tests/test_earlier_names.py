# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The names and the address of CERN's earlier sign-on still work, and so does an application written for it."""

import bench_client
import bench_fixtures
import lxml.html
import pytest


def shown(response) -> dict[str, str]:
    """Return what the application's page says about its user, by name."""
    return {one.get("id"): one.text for one in lxml.html.fromstring(response.text).iter("dd")}


def arrived(visitor) -> dict[str, str]:
    """Return the variables of a request at the application, which the recorder replaces."""
    return {name: value.encode("latin-1").decode() for name, value in visitor.get("/").json()["variables"]}


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        (
            "mcurie",
            {
                "username": "mcurie",
                "fullname": "Maria Skłodowska-Curie",
                "personid": "100004",
                "department": "unknown",
                "email": "maria.sklodowska-curie@example.org",
                "group": "institut-du-radium",
                "role": "user",
                "external": "unknown",
            },
        ),
        (
            "lmeitner",
            {
                "username": "lmeitner",
                "fullname": "Lise Meitner",
                "personid": "100007",
                "department": "Physics",
                "email": "lise.meitner@example.org",
                "external": "unknown",
            },
        ),
    ],
)
def test_the_application_of_the_tutorial_knows_its_user(visitor, user, expected):
    """It requires a department; only users without one get the default."""
    response, _ = bench_client.saml_login(visitor, "/login", user)
    assert (response.url.path, shown(response)) == ("/", expected)


@pytest.mark.parametrize(("user", "status"), [("lmeitner", 404), ("mcurie", 403)])
def test_a_rule_distinguishes_a_department_from_the_default(visitor, user, status):
    """The request reaches the application, which has no such page, only for a user of the right department."""
    bench_client.saml_login(visitor, "/login", user)
    assert visitor.get("/physics").status_code == status


@pytest.mark.usefixtures("recorder")
def test_a_visitor_without_a_session_has_no_attributes(visitor):
    """No default reaches the application before a login."""
    assert [name for name in arrived(visitor) if name.startswith("ADFS_")] == []


def test_the_earlier_names_stand_for_those_of_today(visitor, web):
    """ADFS_LOGIN, ADFS_FULLNAME, ... have their values again, and today's names are not there in addition."""
    bench_client.saml_login(visitor, "/login", "mcurie")
    with bench_fixtures.recording(web):
        found = arrived(visitor)
    assert (found["ADFS_LOGIN"], found["ADFS_GROUP"], found["REMOTE_USER"]) == (
        "mcurie",
        "institut-du-radium",
        "mcurie",
    )
    assert found["ADFS_FULLNAME"] == "Maria Skłodowska-Curie"
    assert found["ADFS_HOMEINSTITUTE"] == "unknown"
    assert "upn" not in found


def test_an_owner_can_add_name_ids_and_further_ids_of_one_name(visitor, web):
    """A NameID arrives as its text, or with both sides' entityIDs; two ids for one name both arrive."""
    bench_client.saml_login(visitor, "/login", "mcurie")
    with bench_fixtures.recording(web):
        found = arrived(visitor)
    assert found["eptid"] == "a1b2c3"
    assert (
        found["persistent-id"]
        == "https://auth.cern.ch/auth/realms/cern!https://flask.example.org/Shibboleth.sso!a1b2c3"
    )
    assert found["session-name"].startswith("_")
    assert found["nickname"] == found["ADFS_FULLNAME"]


def test_a_response_to_the_earlier_address_logs_in(visitor):
    """The identity provider may answer to /Shibboleth.sso/ADFS, where such an application was once registered."""
    start = "/Shibboleth.sso/Login?acsIndex=2&target=https://flask.example.org/login"
    response, trace = bench_client.saml_login(visitor, start, "ghopper")
    answered = [step.request.url.path for step in trace if step.request.method == "POST"]
    assert "/Shibboleth.sso/ADFS" in answered
    assert "/Shibboleth.sso/SAML2/POST" not in answered
    assert shown(response)["fullname"] == "Grace Hopper"


def test_the_earlier_sign_out_page_gets_its_picture():
    """The request that the central page sends to every site ends the session here, and a browser can show the image."""
    with bench_client.browser() as page:
        bench_client.browser_login(page, f"{bench_client.SITE}/login", "ghopper")
        page.goto(f"{bench_client.SITE}/Shibboleth.sso/ADFS?wa=wsignoutcleanup1.0")
        assert page.url == f"{bench_client.SITE}/shibboleth-sp/wsignout.gif"
        assert page.evaluate("[document.contentType, document.images[0].naturalWidth]") == ["image/gif", 1]
        page.goto(f"{bench_client.SITE}/Shibboleth.sso/Session")
        assert "A valid session was not found" in page.content()


def test_the_registration_files_name_that_address():
    """The metadata and the sheet on the controller have everything that the identity provider needs."""
    papers = bench_client.PAPERS
    metadata, sheet = (papers / "sp-metadata.xml").read_text(), (papers / "registration.md").read_text()
    assert 'use="signing"' in metadata
    assert 'Location="https://flask.example.org/Shibboleth.sso/ADFS"' in metadata
    for value in (
        "https://flask.example.org/Shibboleth.sso/ADFS",
        "https://flask.example.org/Shibboleth.sso/SAML2/POST",
        "`https://flask.example.org/Shibboleth.sso`",
        "`ADFS_LOGIN` | `upn`",
    ):
        assert value in sheet
