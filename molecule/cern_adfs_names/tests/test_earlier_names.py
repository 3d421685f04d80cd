# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The names and the address of CERN's earlier sign-on still work."""

import bench_client


def test_the_application_gets_the_earlier_names():
    """What was ADFS_LOGIN, ADFS_FULLNAME, ... is so again, and today's names are not there beside them."""
    with bench_client.client() as session:
        bench_client.saml_login(session, "/login", "mcurie")
        me = session.get("/api/me").json()
    assert (me["identifier"], me["name"], me["groups"]) == ("mcurie", "Maria Skłodowska-Curie", ["institut-du-radium"])
    assert me["attributes"]["ADFS_PERSONID"] == ["100004"]
    assert "upn" not in me["attributes"]


def test_a_response_to_the_earlier_address_logs_in():
    """The identity provider may answer to /Shibboleth.sso/ADFS, where such an application was once registered."""
    with bench_client.client() as session:
        start = "/Shibboleth.sso/Login?acsIndex=2&target=https://flask.example.org/profile"
        response, trace = bench_client.saml_login(session, start, "ghopper")
    answered = [step.request.url.path for step in trace if step.request.method == "POST"]
    assert "/Shibboleth.sso/ADFS" in answered
    assert "/Shibboleth.sso/SAML2/POST" not in answered
    assert response.url.path == "/profile"
    assert "Grace Hopper" in response.text


def test_the_earlier_sign_out_page_gets_its_picture():
    """What the central page loads from every site ends the session here, and a browser can draw the answer."""
    with bench_client.browser() as page:
        bench_client.browser_login(page, f"{bench_client.SITE}/login", "ghopper")
        page.goto(f"{bench_client.SITE}/Shibboleth.sso/ADFS?wa=wsignoutcleanup1.0")
        assert page.url == f"{bench_client.SITE}/shibboleth-sp/wsignout.gif"
        assert page.evaluate("[document.contentType, document.images[0].naturalWidth]") == ["image/gif", 1]
        assert page.goto(f"{bench_client.SITE}/api/me").status == 401


def test_the_papers_for_the_registration_name_that_address():
    """The metadata and the sheet on the controller have everything that the identity provider asks for."""
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
