# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rule for some methods is refused where it cannot be kept, and otherwise means the same in every way to log in."""

import re

import file_formats
import pytest
import untrusted_roles
from ansible.errors import AnsibleFilterError
from ansible_collections.campus.flask_sso.plugins.filter.method_faults import METHODS, method_faults
from ansible_collections.campus.flask_sso.plugins.filter.other_methods import other_methods

ADMINS = {"CernRoles": ["admin"]}
ROLES = ["shibboleth_sp", "openid_connect"]
PROVIDER = dict.fromkeys(
    ("issuer", "authorization_endpoint", "token_endpoint", "jwks_uri"), "https://idp.example.org/address"
)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> untrusted_roles.Site:
    """A site of which nothing is wrong."""
    return untrusted_roles.Site(tmp_path_factory.mktemp("controller"))


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("path", ["/", "/admin", "/api/v1.2", "/.well-known"])
def test_path_that_httpd_compares_has_no_fault(site, role, path):
    assert not site.faults(role, {f"{role}_protected": [{"path": path, "attributes": ADMINS}]})


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("path", ["/admin/", "//admin", "/a//b", "/a/../b", "/./x", "/a/.", "/.."])
def test_path_that_would_protect_nothing_is_refused(site, role, path):
    """httpd compares rules with paths in which it has resolved these, and "/admin/" not with "/admin"."""
    [fault] = site.faults(role, {f"{role}_protected": [{"path": path, "attributes": ADMINS}]})
    assert f'has the paths ["{path}"]. Write paths such as "/admin"' in fault


def rule(methods: object, **more: object) -> dict:
    """Return a rule with methods and, if nothing else is said, attributes."""
    return {"path": "/api", "methods": methods, "attributes": ADMINS} | more


def required(site: untrusted_roles.Site, role: str, rules: list[dict], path: str) -> list[list[str]]:
    """Return what the fragment of a role requires for a path, with the sections that group it."""
    variables = {f"{role}_protected": rules, "openid_connect__provider": PROVIDER}
    text = site.made(role, "fragment.conf.j2", variables)
    [section] = re.findall(rf'<Location "?{path}"?>\n(.*?)</Location>', text, re.DOTALL)
    return [
        words
        for words in file_formats.httpd(section)
        if words[0].strip("</") in ("Require", "RequireAll", "RequireAny")
    ]


@pytest.mark.parametrize(
    "rules", [[{"path": "/a"}], [rule([])], [rule(None)], [rule(["POST"]), {"path": "/b"}], [rule([*METHODS])]]
)
def test_rule_that_can_be_kept_has_no_fault(rules):
    assert method_faults(rules) == []


@pytest.mark.parametrize(
    "methods", ["POST", "POST,PUT", ["post"], ["POST", "HEAD"], ["TRACE"], ["FOO"], [1], [["POST"]], {"POST": 1}]
)
def test_what_is_no_list_of_methods_is_a_fault(methods):
    [fault] = method_faults([rule(methods)])
    assert fault.startswith("has the methods ")
    assert " for /api. Write a list of these, in upper case: GET, POST, " in fault
    assert "HEAD counts as GET" in fault


@pytest.mark.parametrize("attributes", [{}, None])
def test_methods_without_attributes_are_a_fault(attributes):
    [fault] = method_faults([rule(["POST"], attributes=attributes)])
    assert fault.startswith("has methods for /api, but no attributes. Write the attributes")


@pytest.mark.parametrize("attributes", [{}, ADMINS])
def test_second_factor_for_methods_is_a_fault(attributes):
    [fault] = method_faults([rule(["POST"], attributes=attributes, authn_contexts=["urn:a"])])
    assert fault.startswith("has methods and authn_contexts for /api")


@pytest.mark.parametrize("role", ROLES)
def test_preflight_says_what_is_wrong(site, role):
    said = " ".join(site.faults(role, {f"{role}_protected": [rule(["post"])]}))
    assert f'{role}_protected has the methods ["post"] for /api. Write' in said
    assert site.faults(role, {f"{role}_protected": [rule(["POST"])]}) == []


@pytest.mark.parametrize("methods", [["POST"], ["GET", "HEAD"]])
def test_client_certificates_refuse_methods(site, methods):
    """Even without attributes: what they are for is unknown."""
    rules = [{"path": "/login", "methods": []}, {"path": "/api", "methods": methods}]
    said = " ".join(
        site.faults("client_certificates", {"client_certificates_mode": "require", "flask_sso_protected": rules})
    )
    assert "flask_sso_protected has rules for /api, which client certificates cannot keep" in said


def matches(methods: list[str], line: str) -> bool:
    """Return whether httpd finds one of the methods in the line of a request."""
    found = re.fullmatch(r'"%\{THE_REQUEST\} !~ /(.*)/i"', other_methods(methods))
    return re.search(found[1], line, re.IGNORECASE) is not None


@pytest.mark.parametrize("method", ["POST", "post", "Put", "GET", "HEAD", "head"])
def test_method_is_found_in_any_case(method):
    assert matches(["GET", "POST", "PUT"], f"{method} /api HTTP/1.1")


@pytest.mark.parametrize(
    "line", ["GET /POST HTTP/1.1", "GET / POST /", "HEAD / HTTP/2.0", "POSTS / HTTP/1.1", "XPOST / HTTP/1.1"]
)
def test_other_method_is_none_of_them(line):
    assert not matches(["POST", "PUT"], line)


@pytest.mark.parametrize("methods", [[], ["post"], ["POST", '/ || true || "'], ["POST\n"], [".*"], [""]])
def test_what_is_no_method_is_an_error(methods):
    with pytest.raises(AnsibleFilterError, match="are no methods"):
        other_methods(methods)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("programs", [False, True])
def test_login_is_required_for_every_method(site, role, programs):
    """Beside the choice between other methods and all attributes."""
    rules = [rule(["POST"], attributes=ADMINS | {"Group": ["fleet"]}, programs=programs), {"path": "/a"}]
    login, *rest = required(site, role, rules, "/api")[1:-1]
    assert [login] == required(site, role, rules, "/a")[1:-1]
    assert rest[:2] == [["<RequireAny"], ["Require", "expr", "%{THE_REQUEST} !~ /^(POST) /i"]]
    assert [words[0] for words in rest[2:]] == ["<RequireAll", "Require", "Require", "</RequireAll", "</RequireAny"]


@pytest.mark.parametrize("role", ROLES)
def test_rule_without_methods_requires_its_attributes_of_all(site, role):
    assert required(site, role, [rule([])], "/api") == required(
        site, role, [{"path": "/api", "attributes": ADMINS}], "/api"
    )
