# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A site below a path of another site's server name: what it has there, and what is refused."""

from fnmatch import fnmatch

import file_formats
import pytest
import untrusted_roles

FRAGMENTS = "/etc/apache2/flask_sso"
BESIDE = {"flask_sso_site": "notes", "flask_sso_beside": "portal", "flask_sso_path_prefix": "/notes"}


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> untrusted_roles.Site:
    """A site of which nothing is wrong."""
    return untrusted_roles.Site(tmp_path_factory.mktemp("controller"))


def found(site: untrusted_roles.Site, *locations: tuple[str, str], files: tuple[str, ...] = ()) -> dict:
    """Return what httpd has, where the other site serves the name.

    :param locations: Files, seen from the directory of fragments, with a path for which they have rules.
    :param files: Further files there.
    """
    conflicting = {
        "path": "/etc/apache2/sites-enabled/flask_sso-portal.conf",
        "ours": True,
        "what": untrusted_roles.NAME,
    }
    return site.given["apache_ssl__found"] | {
        "conflicting_hosts": [conflicting],
        "files": [f"{FRAGMENTS}/{path}" for path in files],
        "locations": [{"path": f"{FRAGMENTS}/{path}", "location": location} for path, location in locations],
    }


def faults(site: untrusted_roles.Site, has: dict, **variables: object) -> list[str]:
    """Return what apache_ssl says about the variables, all of its checks considered.

    :param has: What httpd has.
    """
    given = site.given
    site.given = given | BESIDE | {"apache_ssl__found": has} | variables
    try:
        return site.faults("apache_ssl", {})
    finally:
        site.given = given


def test_a_path_of_its_own_is_accepted(site):
    others = [
        ("portal/20-shibboleth.conf", "/"),
        ("portal/30-beside-wiki.conf", "/wiki"),
        ("notes/20-x.conf", "/notes"),
    ]
    assert (
        faults(site, found(site, *others, ("portal/30-beside-notes.conf", "/notes"), ("portal/x.conf", "/notes2")))
        == []
    )


@pytest.mark.parametrize(
    ("location", "variables", "said"),
    [
        (("portal/30-beside-wiki.conf", "/notes"), {}, "has /notes. Write a path that no other site uses"),
        (("portal/30-beside-wiki.conf", "/notes/of/wiki"), {}, "has /notes/of/wiki"),
        (("portal/20-shibboleth.conf", "/notes/login"), {}, "has /notes/login"),
        (("portal/30-beside-wiki.conf", "/a"), {"flask_sso_path_prefix": "/a/b"}, "has /a."),
        ((), {"flask_sso_path_prefix": ""}, 'for example "flask_sso_path_prefix: /notes"'),
        ((), {"flask_sso_path_prefix": "/a/../b"}, "belongs to notes alone"),
        ((), {"flask_sso_beside": "shop"}, 'Write "portal", which does.'),
        ((), {"flask_sso_beside": ""}, 'set "flask_sso_beside: portal" and a flask_sso_path_prefix for notes'),
        ((), {"apache_ssl_static": {"/static": "/srv"}}, 'Write "/notes/static", for example'),
        ((), {"flask_sso_excluded_paths": ["/downloads"]}, 'Write "/notes/downloads", for example'),
        ((), {"flask_sso_parts": [{"fragment": "20-x", "whole_host": True}]}, "20-x of notes has settings that a"),
    ],
)  # fmt: skip
def test_what_two_sites_of_a_name_cannot_have_is_refused(site, location, variables, said):
    (fault,) = faults(site, found(site, *([location] if location else [])), **variables)
    assert said in fault


@pytest.mark.parametrize(
    "variables",
    [
        {"apache_ssl_static": {"/notes/x": "/srv"}},
        {"apache_ssl_ready_path": "/notes/admin"},
        {"apache_ssl_login_paths": ["/login", "/notes/x"]},
    ],
)
def test_the_site_with_the_virtual_host_has_nothing_at_paths_of_others(site, variables):
    guest = "portal/30-beside-notes.conf"
    has = found(site, (guest, "/notes"), files=(guest,)) | {"conflicting_hosts": []}
    host = {"flask_sso_site": "portal", "flask_sso_beside": "", "flask_sso_path_prefix": ""}
    (fault,) = faults(site, has, **host, **variables)
    assert "of portal belongs to a site beside it (notes), whose rules hold there" in fault


def test_client_certificates_of_a_whole_name_are_refused(site):
    (fault,) = faults(site, found(site, files=("portal/10-client-certificates.conf",)))
    assert "httpd can ask only for those of a whole server name" in fault
    has = found(site, files=("notes/30-beside-wiki.conf",)) | {"conflicting_hosts": []}
    (fault,) = faults(site, has, flask_sso_beside="", apache_ssl_fragments=["10-client-certificates"])
    assert "also for the paths of wiki" in fault


def test_nothing_below_the_path_has_rules_of_the_other_site_or_reaches_its_application(site):
    """The base comes before the site's own rules, and what keeps the other application out after its own proxy."""
    lines = file_formats.httpd(site.made("apache_ssl", "beside.conf.j2", BESIDE))
    assert lines[0] == ["<Location", "/notes"]
    assert lines.index(["AuthType", "None"]) < lines.index(["IncludeOptional", f"{FRAGMENTS}/notes/*.conf"])
    assert lines.index(["IncludeOptional", f"{FRAGMENTS}/notes/*.conf"]) < lines.index(["ProxyPass", "/notes", "!"])


def test_a_later_run_for_the_other_site_keeps_the_file(site):
    """It removes all files that no part of its own names, except for this one."""
    variables = {"flask_sso_site": "portal", "apache_ssl_fragments": ["40-uwsgi"]}
    purged, kept = (
        site.made("apache_ssl", name, variables) for name in ("apache_ssl__fragment_patterns", "apache_ssl__kept")
    )
    for name, stays in [("30-beside-notes", True), ("30-other", False)]:
        path = f"{FRAGMENTS}/portal/{name}.conf"
        assert any(fnmatch(path, pattern) for pattern in purged)
        assert any(fnmatch(path, pattern) for pattern in kept) is stays


@pytest.mark.parametrize(("further", "application"), [(True, "notes"), (False, "default")])
def test_the_site_has_its_own_application_of_shibd(site, further, application):
    """Also where it is shibd's first: it would have the one of the paths above, otherwise."""
    place = {"home": "/etc/shibboleth", "further": further, "others": [], "services": {}}
    variables = BESIDE | {"shibboleth_sp__place": place}
    lines = file_formats.httpd(site.made("shibboleth_sp", "fragment.conf.j2", variables))
    assert lines[0] == ["<Location", "/notes"]
    assert ["ShibRequestSetting", "applicationId", application] in lines
    assert {line[1] for line in lines if line[0] == "<Location"} == {
        "/notes", "/notes/login", "/notes/Shibboleth.sso", "/notes/shibboleth-sp"
    }  # fmt: skip
    settings = site.made("shibboleth_sp", "application.xml.j2", variables)
    assert 'handlerURL="/notes/Shibboleth.sso"' in settings
    assert 'cookieProps="; path=/notes; secure; HttpOnly"' in settings


def test_rules_for_paths_of_the_other_site_are_refused(site):
    given = site.given
    site.given = given | BESIDE
    try:
        (fault,) = site.faults("shibboleth_sp", {"shibboleth_sp_protected": [{"path": "/login"}, {"path": "/notes/a"}]})
    finally:
        site.given = given
    assert '["/login"], which are not below /notes' in fault
