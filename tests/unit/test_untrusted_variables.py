# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An untrusted value of a variable is refused before a change, or is one harmless word of the files that have it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple
from urllib.parse import quote

import file_formats
import pytest
import untrusted_roles
import yaml

#: What has a meaning to a shell, to a template or to one of the files.
ATTACKS = {
    "line": "x\nLoadModule evil_module /tmp/evil.so",
    "carriage return": "x\rExecStart=/tmp/evil",
    "nul": "x\0y",
    "line of Unicode": "x\u2028User=root\x85y",
    "quote": "\" evil ' evil ",
    "quote and line": '"\n[Service]\nExecStartPre=/tmp/evil\n"',
    "end of a section": "/></VirtualHost><VirtualHost *:80>",
    "backslash": '\\" evil \\',
    "template": "{{ lookup('pipe', 'id') }}{% set x = 1 %}{# #}",
    "variable of httpd": "${PATH}",
    "expressions": "%{SSL_CLIENT_VERIFY} %h %n %(evil) @(exec://id)",
    "shell": "; touch /tmp/evil & `id` $(id) $HOME | tee > /tmp/evil",
    "XML": '"/><Evil a="1">&evil;<!-- ]]>',
    "parent": "../../../../etc/cron.d/evil",
    "option": "--upload-pack=touch --index-url=https://evil.example # evil",
    "spaces": "  x  y  ",
    "huge": "x" * 132_000,
    "emoji": "é😀",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> untrusted_roles.Site:
    """A site of which nothing is wrong."""
    return untrusted_roles.Site(tmp_path_factory.mktemp("controller"))


def role_of(variable: str) -> str:
    """Return the role of a variable.

    :param variable: Its name.
    """
    return next(path.name for path in untrusted_roles.ROLES.iterdir() if variable.startswith(f"{path.name}_"))


@pytest.mark.parametrize(
    "role",
    [path.parent.parent.name for path in sorted(untrusted_roles.ROLES.glob("*/tasks/preflight.yml"))] + ["saml_sp"],
)
def test_nothing_is_wrong_with_the_site_itself(site, role):
    assert site.faults(role, {}) == []


class Place(NamedTuple):
    """Where a text is free, and the files that have it."""

    variable: str
    #: What makes a value of the variable.
    make: Callable[[str], Any]
    #: What reads the templates, or the values of variables.
    files: dict[str, Callable]
    #: How the files have the text.
    form: Callable[[str], str] = str
    #: Variables that are needed, too.
    beside: Mapping[str, Any] = {}
    #: The role that makes the files, if it is another one.
    role: str = ""

    @property
    def maker(self) -> str:
        """The role that makes the files."""
        return self.role or role_of(self.variable)

    def variables(self, text: str) -> dict[str, Any]:
        """Return variables with a text."""
        return {**self.beside, self.variable: self.make(text)}


ADMINS = {"CernRoles": ["admin"]}
UPN = {"id": "upn", "name": "upn"}
FRAGMENT = {"fragment.conf.j2": file_formats.httpd}
SITE = {"site.conf.j2": file_formats.httpd}
SANDBOX = {"sandbox.j2": file_formats.systemd, "flask_app__properties": file_formats.properties}
COMPANIONS = {"flask_app__companion_files": file_formats.units}
INDEX = {"flask_app_index_url": "https://index.example.org/", "flask_app_index_username": "alice"}
PLACES = {
    "a header": Place(
        "apache_ssl_security_headers", lambda text: {"X-Text": text}, SITE, lambda text: text.replace("%", "%%")
    ),
    "a directory that httpd serves": Place("apache_ssl_static", lambda text: {"/static": f"/srv/{text}"}, SITE),
    "a path that httpd serves": Place("apache_ssl_static", lambda text: {f"/{text}": "/srv"}, SITE),
    "a subject of certificates": Place("client_certificates_allowed", lambda text: [{"subject": text}], FRAGMENT),
    "a path that needs a login": Place("shibboleth_sp_protected", lambda text: [{"path": f"/{text}"}], FRAGMENT),
    "a value that a login needs": Place(
        "shibboleth_sp_protected", lambda text: [{"path": "/a", "attributes": {"CernRoles": ["one", text]}}], FRAGMENT
    ),
    "a context that a login needs": Place(
        "shibboleth_sp_protected", lambda text: [{"path": "/a", "authn_contexts": [text]}], FRAGMENT
    ),
    "a method that needs a value": Place(
        "shibboleth_sp_protected", lambda text: [{"path": "/a", "methods": [text], "attributes": ADMINS}], FRAGMENT
    ),
    "an identity provider": Place(
        "shibboleth_sp_only_idps", lambda text: [text], {"shibboleth2.xml.j2": file_formats.xml}
    ),
    "a default of an attribute": Place(
        "saml_sp_attributes",
        lambda text: [UPN, {"id": "mail", "name": "mail", "default": text}],
        {"shibboleth2.xml.j2": file_formats.xml},
        lambda text: text.replace("\\", "\\\\").replace("$", "\\$"),
        {"saml_sp_remote_user": ["upn"]},
        "shibboleth_sp",
    ),
    "a name of an attribute": Place(
        "saml_sp_attributes",
        lambda text: [{"id": "upn", "name": text}],
        {"attribute-map.xml.j2": file_formats.xml},
        beside={
            "saml_sp_remote_user": ["upn"],
            "entries": untrusted_roles.trusted("{{ shibboleth_sp__attribute_maps | first }}"),
        },
        role="shibboleth_sp",
    ),
    "an entityID": Place(
        "saml_sp_entity_id",
        lambda text: f"urn:{text}",
        {"shibboleth2.xml.j2": file_formats.xml, "override.xml.j2": file_formats.xml},
        role="shibboleth_sp",
    ),
    "a path that the proxy leaves out": Place("uwsgi_proxy_excluded_paths", lambda text: [f"/{text}"], FRAGMENT),
    "a path that the HTTP proxy leaves out": Place("reverse_proxy_excluded_paths", lambda text: [f"/{text}"], FRAGMENT),
    "an environment variable": Place(
        "flask_app_environment",
        lambda text: {"NAME": text},
        {"environment.j2": file_formats.environment_file, "mod_wsgi.py.j2": file_formats.python},
    ),
    "an environment variable of the server": Place(
        "flask_app_server_environment", lambda text: {"NAME": text}, SANDBOX
    ),
    "a path that the application writes to": Place("flask_app_writable_paths", lambda text: [f"/srv/{text}"], SANDBOX),
    "an argument of a worker": Place(
        "flask_app_workers", lambda text: [{"name": "mail", "command": ["celery", text]}], COMPANIONS
    ),
    "an argument of a step": Place(
        "flask_app_before_switch", lambda text: [{"command": ["flask", text]}], {"flask_app__before": list}
    ),
    "a calendar": Place(
        "flask_app_timers",
        lambda text: [{"name": "night", "command": ["flask"], "calendar": text}],
        COMPANIONS,
        str.strip,
    ),
    "a password of the index": Place(
        "flask_app_index_password",
        str,
        {"pip.conf.j2": file_formats.ini},
        lambda text: quote(text, safe=""),
        INDEX,
    ),
    "an index": Place(
        "flask_app_index_url", lambda text: f"https://index.example.org/{text}", {"pip.conf.j2": file_formats.ini}
    ),
    "the name of a release": Place("flask_app_release_note", str, {"flask_app__recorded_release": dict}),
}
#: No untrusted text, and nowhere else in these files.
HARMLESS = "guestbook"


def with_text(read: Any, text: str) -> Any:
    """Return what was read, with a text for the harmless word.

    :param read: What was read.
    :param text: The text.
    """
    if isinstance(read, dict):
        return {with_text(key, text): with_text(value, text) for key, value in read.items()}
    if isinstance(read, (list, tuple)):
        return [with_text(part, text) for part in read]
    return read.replace(HARMLESS, text) if isinstance(read, str) else read


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("case", PLACES)
def test_text_is_refused_or_one_harmless_word(site, case, attack):
    """The file is that of a harmless word, with the untrusted one in its place."""
    place, text = PLACES[case], ATTACKS[attack]
    faults = site.faults(role_of(place.variable), place.variables(text))
    if faults:
        assert any(place.variable in fault for fault in faults), faults
        return
    for name, read in place.files.items():
        harmless = read_harmless(site, case, name)
        untrusted = read(site.made(place.maker, name, place.variables(text)))
        assert with_text(untrusted, HARMLESS) == with_text(harmless, place.form(text))
        assert with_text(harmless, "") != harmless


@cache
def read_harmless(site: untrusted_roles.Site, case: str, name: str) -> Any:
    """Return a file or variable with the harmless word, as it is read.

    :param site: The site.
    :param case: Where the word is.
    :param name: Name of the template or the variable.
    """
    place = PLACES[case]
    return with_text(place.files[name](site.made(place.maker, name, place.variables(HARMLESS))), HARMLESS)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("client_certificates_allowed", [{"serial": "0A1b"}, {"subject": "CN=Grace Hopper,O=Example"}]),
        ("shibboleth_sp_protected", [{"path": "/a", "attributes": {"CernRoles": ["admin", 'a "b" \\']}}]),
        ("reverse_proxy_backend", "127.0.0.1:8000"),
        ("reverse_proxy_headers", {"Remote-User": "REMOTE_USER", "X_WEBAUTH_EMAIL": "SSL_CLIENT_SAN_Email_0"}),
        ("reverse_proxy_long_requests", {"/reports": 600, "/": 30}),
        ("reverse_proxy_websocket_origins", ["https://portal.example.org", "http://localhost:3000"]),
        ("uwsgi_proxy_long_requests", {"/flask/reports/": 600}),
        ("flask_app_long_requests", {"/reports": 600}),
        ("apache_ssl_login_paths", ["/", "/login", "/static/for-users"]),
        ("flask_app_socket", "[::1]:8443"),
        ("apache_ssl_static", {"/static/": "/srv/my app/static/", "/": "/srv/www", "/h": "/homepages"}),
        ("apache_ssl_metrics_from", ["127.0.0.1", "::1", "192.0.2.0/24", "2001:db8::/32"]),
        ("apache_ssl_proxy_protocol_from", ["192.0.2.7", "198.51.100.0/24", "2001:db8::/32"]),
        ("flask_app_ready_path", "/readyz"),
    ],
)
def test_usual_value_is_accepted(site, variable, value):
    assert site.faults(role_of(variable), {variable: value}) == []


def test_properties_of_the_sandbox_are_one_each(site):
    found = site.made("flask_app", "flask_app__properties", {})
    assert "User=flask_app" in found
    assert not any("\n" in line for line in found)


SHA256 = "0" * 64
STORE = {"host": "store.example.org", "password": "p"}
PASSPHRASE = {"openid_connect_passphrase": "p" * 32}
#: Values that are refused: variable and value, and variables that are needed, too.
REFUSED: list[tuple[str, Any, dict[str, Any]]] = [
    ("apache_ssl_server_name", "app.example.org\n", {}),
    ("apache_ssl_server_name", "app.example.org:443", {}),
    ("apache_ssl_server_name", "a." * 127 + "org", {}),
    ("apache_ssl_server_aliases", ["www.example.org www.evil.example"], {}),
    ("apache_ssl_server_aliases", "www.example.org", {}),
    ("apache_ssl_site", "..", {}),
    ("apache_ssl_site", "", {}),
    ("apache_ssl_site", "a/../b", {}),
    ("apache_ssl_site", "a" * 64, {}),
    ("apache_ssl_site", ["flask_app"], {}),
    ("apache_ssl_beside", "../wiki", {}),
    ("apache_ssl_path_prefix", '/wiki">\nRequire all granted', {"apache_ssl_beside": "portal"}),
    ("apache_ssl_path_prefix", "/", {"apache_ssl_beside": "portal"}),
    ("apache_ssl_http_port", "80\nListen 81", {}),
    ("apache_ssl_https_port", 65536, {}),
    ("apache_ssl_https_port", True, {}),
    ("apache_ssl_acme_directory", "https://acme.example.org/ MDStapling on", {"apache_ssl_certificate_source": "acme"}),
    ("apache_ssl_acme_directory", 'https://acme.example.org/"', {"apache_ssl_certificate_source": "acme"}),
    ("apache_ssl_acme_contact", "a@example.org\nMDStapling on", {"apache_ssl_certificate_source": "acme"}),
    ("apache_ssl_acme_contact", "a@${HOSTNAME}", {"apache_ssl_certificate_source": "acme"}),
    ("apache_ssl_acme_ca_file", '/etc/ca.pem" x', {}),
    ("apache_ssl_extra_modules", ["rewrite_module /tmp/evil.so\nLoadModule x"], {}),
    ("apache_ssl_extra_modules", ["../../../tmp/evil"], {}),
    ("apache_ssl_fragments", ["../*"], {}),
    ("apache_ssl_security_headers", {'X" "evil': "x"}, {}),
    ("apache_ssl_security_headers", {"X-A": {"b": 1}}, {}),
    ("apache_ssl_security_headers", ["X-A"], {}),
    ("apache_ssl_static", {"/static": "srv/app"}, {}),
    ("apache_ssl_static", {"/static": "/srv/../etc"}, {}),
    ("apache_ssl_static", {"/static": "/home/alice/static"}, {}),
    ("apache_ssl_static", {"/": "/root"}, {}),
    ("apache_ssl_static", {"~ ^/": "/srv"}, {}),
    ("apache_ssl_static_uploads", ["/srv/a#)/ || true"], {}),
    ("apache_ssl_static_uploads", ["media"], {}),
    ("apache_ssl_nftables_chain", "inet filter input tcp dport 22 drop; add rule inet filter input", {}),
    ("apache_ssl_nftables_chain", "inet filter", {}),
    ("apache_ssl_raw", "Header set A b\0", {}),
    ("apache_ssl_processes", 10**30, {}),
    ("apache_ssl_request_body_bytes", 10**30, {}),
    ("apache_ssl_health_path", '/a"\nDefine', {}),
    ("apache_ssl_health_path", "/", {}),
    ("apache_ssl_health_path", "/ready", {"apache_ssl_ready_path": "/ready"}),
    ("apache_ssl_ready_path", "/server-status", {}),
    ("apache_ssl_request_id_from", ["192.0.2.1' || true"], {}),
    ("apache_ssl_metrics_from", ["all granted"], {}),
    ("apache_ssl_metrics_from", "127.0.0.1", {}),
    ("apache_ssl_proxy_protocol_from", ["192.0.2.999"], {}),
    ("apache_ssl_proxy_protocol_from", ["127.0.0.1"], {}),
    ("apache_ssl_proxy_protocol_from", ["0.0.0.0/0"], {}),
    ("apache_ssl_access_log", "xml", {}),
    ("flask_app_ready_path", "/readyz", {"flask_app_path_prefix": "/app"}),
    ("flask_app_ready_path", "/a=b", {}),
    ("flask_app_stats_socket", "/run/a\nplugins=x", {}),
    ("flask_app_stats_socket", "/run/a.sock", {"flask_app_server": "gunicorn"}),
    ("client_certificates_site", "../flask_app", {}),
    ("client_certificates_allowed", [{"serial": "1'\n"}], {}),
    ("client_certificates_allowed", [{"issuer": "CN=${PATH}"}], {}),
    ("client_certificates_allowed", ["CN=a"], {}),
    ("client_certificates_ocsp", "http://ocsp.example.org/\n", {}),
    ("client_certificates_support_contact", "%{reqenv:SECRET}@example.org", {}),
    ("client_certificates_fragment", "/etc/apache2/../cron.d/evil", {}),
    ("shibboleth_sp_protected", [{"path": "/a", "attributes": {"CernRoles": ["~", ".*"]}}], {}),
    ("shibboleth_sp_protected", [{"path": "/a", "attributes": {"CernRoles": [{"a": 1}]}}], {}),
    ("shibboleth_sp_protected", [{"path": "~ .*"}], {}),
    ("shibboleth_sp_protected", [{"path": "/a", "authn_contexts": ["urn:a urn:b"]}], {}),
    ("shibboleth_sp_protected", {"path": "/a"}, {}),
    ("shibboleth_sp_protected", [{"path": "/a", "attributes": {"CernRoles": "admin"}}], {}),
    ("shibboleth_sp_protected", [{"path": "/a", "attributes": {"CernRoles": ["admin"]}}, {"path": "/a"}], {}),
    ("openid_connect_protected", [{"path": "/a", "attributes": {"CernRoles": "admin"}}], {}),
    ("openid_connect_protected", [{"path": "/a", "attributes": {"CernRoles": ["~.*"]}}], {}),
    ("openid_connect_protected", [{"path": "/a", "attributes": {"CernRoles": [["admin"]]}}], {}),
    ("openid_connect_protected", [{"path": "/a", "authn_contexts": "urn:a"}], {}),
    ("openid_connect_protected", [{"path": "/a"}, {"path": "/a", "attributes": {"CernRoles": ["admin"]}}], {}),
    ("openid_connect_attributes", [{"id": "upn", "name": "preferred_username", "default": "guest"}], {}),
    ("openid_connect_attributes", [{"id": "user", "name": "cern_upn", "default": "guest"}], {}),
    ("openid_connect_remote_user", "user.id", {}),
    ("openid_connect_audience", 'https://app.example.org/"', {}),
    ("openid_connect_client_secret", "exec:/bin/id", {}),
    ("openid_connect_session_store", {"host": "store.example.org"}, PASSPHRASE),
    ("openid_connect_session_store", STORE | {"host": 'store.example.org" x'}, PASSPHRASE),
    ("openid_connect_session_store", STORE | {"port": "6379"}, PASSPHRASE),
    ("openid_connect_session_store", STORE | {"username": 'a" "b'}, PASSPHRASE),
    ("openid_connect_session_store", STORE | {"password": "p\nInclude /etc/shadow"}, PASSPHRASE),
    ("openid_connect_session_store", STORE | {"password": "${PATH}"}, PASSPHRASE),
    ("openid_connect_session_store", STORE | {"database": -1}, PASSPHRASE),
    ("openid_connect_session_store", STORE, {}),
    ("openid_connect_passphrase", "p" * 31, {}),
    ("openid_connect_passphrase", "p" * 32 + "\n", {}),
    ("openid_connect_issuer", 'https://idp.example.org/" x', {}),
    ("shibboleth_sp_site", "$(id)", {}),
    ("shibboleth_sp_path_prefix", '/wiki" cookieProps="', {}),
    ("shibboleth_sp_path_prefix", "/wiki/", {}),
    ("saml_sp_path_prefix", "/wiki; path=/", {}),
    ("shibboleth_sp_repository", {"baseurl": ["https://a\ngpgcheck=0"], "gpgkey": ["https://a"]}, {}),
    ("saml_sp_server_name", "app.example.org/evil", {}),
    ("saml_sp_site", "../../root", {}),
    ("saml_sp_entity_id", 'urn:a" b="', {}),
    ("saml_sp_idp_entity_id", "urn:a\x00", {}),
    ("saml_sp_discovery_url", "https://a/<b>", {}),
    ("saml_sp_mdq_url", "https://mdq.example.org/ x/", {}),
    ("saml_sp_extra_acs", ['/ADFS"/><Evil a="'], {}),
    ("saml_sp_extra_acs", ["ADFS"], {}),
    ("saml_sp_support_contact", "javascript:alert(1)//@example.org", {}),
    ("saml_sp_metadata_sha256", SHA256 + "\n", {}),
    ("saml_sp_https_port", 0, {}),
    ("saml_sp_attributes", [{"id": "a b", "name": "x"}], {"saml_sp_remote_user": ["a b"]}),
    ("saml_sp_session_lifetime", "8 hours", {}),
    ("app_saml_site", "..", {}),
    ("uwsgi_proxy_site", "a|b", {}),
    ("uwsgi_proxy_backend", 'unix:/run/a.sock" x', {}),
    ("uwsgi_proxy_backend", "unix:/run/../etc/a.sock", {}),
    ("uwsgi_proxy_path", "/a\n", {}),
    ("uwsgi_proxy_uwsgi_version", "2.0.31 --index-url=https://evil.example", {}),
    ("uwsgi_proxy_uwsgi_sha256", f"{SHA256} --hash=sha256:{SHA256}", {}),
    ("reverse_proxy_backend", "127.0.0.1:99999", {}),
    ("reverse_proxy_backend", "unix:/run/a.sock|http://evil", {}),
    ("reverse_proxy_header_prefix", 'X-"..os.execute("id").."-', {}),
    ("reverse_proxy_identity", ["REMOTE_USER}", "A\n"], {}),
    ("reverse_proxy_headers", {'Remote-User"] = os.execute("id") --': "REMOTE_USER"}, {}),
    ("reverse_proxy_headers", {"Remote-User": "REMOTE_USER} %{reqenv:SECRET"}, {}),
    ("reverse_proxy_headers", {"Remote-User": ["REMOTE_USER"]}, {}),
    ("reverse_proxy_headers", {"Host": "REMOTE_USER"}, {}),
    ("reverse_proxy_headers", {"Transfer_Encoding": "REMOTE_USER"}, {}),
    ("reverse_proxy_websocket_origins", ["*"], {}),
    ("reverse_proxy_websocket_origins", ['https://a.example"] = true, ["https://b.example'], {}),
    ("reverse_proxy_websocket_origins", ["https://portal.example.org/"], {}),
    ("reverse_proxy_long_requests", {"/a": "600"}, {}),
    ("reverse_proxy_long_requests", {"/a": 0}, {}),
    ("reverse_proxy_long_requests", {"/a\nProxyPass": 600}, {}),
    ("reverse_proxy_long_requests", {"/flasks": 600}, {"reverse_proxy_path": "/flask"}),
    ("uwsgi_proxy_long_requests", {"/reports": 600}, {"uwsgi_proxy_path": "/flask/"}),
    ("uwsgi_proxy_long_requests", {"a": 600}, {}),
    ("uwsgi_proxy_long_requests", {"/a": 10**30}, {}),
    ("uwsgi_proxy_long_requests", {"/a": 600}, {"uwsgi_proxy_backend": "127.0.0.1:8000"}),
    ("flask_app_long_requests", {"/a": "long"}, {}),
    ("flask_app_long_requests", {"reports": 600}, {}),
    ("apache_ssl_static_hashed", "[0-9a-f]{8}\n", {}),
    ("apache_ssl_login_paths", ["/a)|(/b#"], {}),
    ("reverse_proxy_fragment", "/etc/apache2/a b.conf", {}),
    ("mod_wsgi_app_user", "root group=root", {}),
    ("mod_wsgi_app_script", "/etc/a\n/b.py", {}),
    ("mod_wsgi_app_venv", '/srv/a" user="root', {}),
    ("mod_wsgi_app_python", "sh -c 'touch /tmp/evil'", {}),
    ("mod_wsgi_app_version", "6.1.1\nevil==1", {}),
    ("flask_app_name", "..", {}),
    ("flask_app_name", "/", {}),
    ("flask_app_name", "flask_sso", {}),
    ("flask_app_name", "web\n", {}),
    ("flask_app_name", "-web", {}),
    ("flask_app_user", "web\nUser=root", {}),
    ("flask_app_owner", "--help", {}),
    ("flask_app_path", "/", {}),
    ("flask_app_path", "/srv/../etc", {}),
    ("flask_app_path", "/srv/%h", {}),
    ("flask_app_path", "/srv/@(exec://id)", {}),
    ("flask_app_socket", "/run/a.sock\nSocketMode=0666", {}),
    ("flask_app_socket_group", "www-data\nSocketMode=0666", {}),
    ("flask_app_wsgi", "wsgi:app\nhook-as-root = exec:id", {}),
    ("flask_app_wsgi", "os:system('id')", {}),
    ("flask_app_path_prefix", "/a\nhook-as-root = exec:id", {}),
    ("flask_app_memory", "512M\nUser=root", {}),
    ("flask_app_python", "python3; touch /tmp/evil", {}),
    ("flask_app_packages", ["hello' '-oAPT::Update::Pre-Invoke::=touch"], {}),
    ("flask_app_packages", ["--allow-unauthenticated"], {}),
    ("flask_app_uwsgi_version", "2.0.31; touch /tmp/evil", {}),
    ("flask_app_gunicorn_sha256", "x", {}),
    ("flask_app_source", "HTTPS://token@git.example.org/app.git", {"flask_app_source_type": "git"}),
    ("flask_app_requirements", "/etc/passwd", {}),
    ("flask_app_requirements", "../requirements.txt", {}),
    ("flask_app_index_url", "https://index.example.org/\ntrusted-host = *", {}),
    ("flask_app_index_url", "https://alice:hunter2@index.example.org/", {}),
    ("flask_app_index_password", "hunter2", {}),
    ("flask_app_credentials", {"../../x": "y"}, {}),
    ("flask_app_credentials", {"a": ["b"]}, {}),
    ("flask_app_environment", {"A=B\nC": "d"}, {}),
    ("flask_app_writable_paths", ["/srv/../etc"], {}),
    ("flask_app_writable_paths", ["-/etc"], {}),
    ("flask_app_tls_names", ["../../../tmp/evil"], {"flask_app_tls": "server", "flask_app_server": "gunicorn"}),
    ("flask_app_site_address", "file:///etc/passwd", {}),
    ("flask_app_before_switch", [{"command": ["--property=User=root", "id"]}], {}),
    ("flask_app_after_switch", [{"command": ["A=b", "id"]}], {}),
    ("flask_app_after_switch", [{"command": ["id"], "seconds": 10**30}], {}),
    ("flask_app_workers", [{"name": "../x", "command": ["id"]}], {}),
    ("flask_app_workers", [{"name": "x", "command": "id; id"}], {}),
    ("flask_app_workers", [{"name": "x", "command": ["id", "a\nUser=root"]}], {}),
    ("flask_app_workers", [{"name": "x", "command": ["id", "x" * 132_000]}], {}),
    ("flask_app_timers", [{"name": "x", "command": ["id"], "calendar": "daily\nUnit=evil.service"}], {}),
    ("flask_app_timers", [{"name": "x", "command": ["id"], "calendar": "--help"}], {}),
    ("flask_app_timers", [{"name": "x", "command": ["id"], "calendar": "%h"}], {}),
    ("flask_app_threads", "4\nhook = x", {}),
    ("flask_app_request_seconds", 10**30, {}),
    ("flask_app_allow", ["everything"], {}),
    ("flask_app_network", "no; yes", {}),
    ("private_ca_common_name", "x" * 65, {}),
    ("private_ca_common_name", "", {}),
    ("private_ca_days", 10**9, {}),
    ("private_ca_directory", "artifacts", {}),
]


@pytest.mark.parametrize(("variable", "value", "beside"), REFUSED)
def test_value_is_refused_with_variable_and_remedy(site, variable, value, beside):
    faults = site.faults(role_of(variable), {**beside, variable: value})
    named = [fault for fault in faults if variable in fault]
    assert named
    remedies = ("write ", "leave it out", "convert to ", "must be one ", "supported ")
    assert any(remedy in " ".join(named).lower() for remedy in remedies)


@pytest.mark.parametrize(
    "path",
    sorted(
        path
        for name in ("remove", "rollback_preflight", "releases")
        for path in untrusted_roles.ROLES.glob(f"*/tasks/{name}.yml")
        if path.parts[-3] != "doctor"  # a host has one, whatever its sites are
    ),
    ids=lambda path: f"{path.parts[-3]}-{path.stem}",
)
@pytest.mark.parametrize("name", ["..", "/", "", "a/../b", "web\n"])
def test_what_finds_files_by_a_name_checks_it_first(site, path, name):
    """A directory that all sites share, or the system, must not be taken for that of one."""
    first = yaml.safe_load(path.read_text("utf-8"))[0]["campus.flask_sso.preflight"]
    role = path.parts[-3]
    variable = "flask_app_name" if role == "flask_app" else f"{role}_site"
    assert first.get("sites") == [variable] or first["checks"] in untrusted_roles.checks(role)[0]
    assert any(variable in fault for fault in site.faults(role, {variable: name}))


def own_options() -> list[tuple[str, str, dict[str, Any]]]:
    """Return the options of all roles that are a text, a number, a truth value or a list of texts."""
    return [
        (path.name, name, option)
        for path in sorted(untrusted_roles.ROLES.iterdir())
        for name, option in untrusted_roles.options(path.name).items()
        if option["type"] in WRONG or option.get("elements") in WRONG
    ]


#: By type, values that a variable cannot have.
WRONG = {"str": ["x\ny"], "path": ["/x\0"], "int": ["x", [1]], "bool": ["maybe"]}


def test_no_variable_of_any_role_has_a_control_character_or_another_type(site):
    """Except for those that have several lines: directives, and what a play has read from the host."""
    accepted = []
    for role, name, option in own_options():
        texts = WRONG.get(option["type"]) or [[text] for text in WRONG[option["elements"]]]
        accepted += [
            (name, text) for text in texts if not any(name in fault for fault in site.type_faults(role, {name: text}))
        ]
    several_lines = {"apache_ssl_raw", "private_ca_host_certificates", "private_ca_public_key", "saml_sp_own_metadata"}
    assert {name for name, _text in accepted} == several_lines
