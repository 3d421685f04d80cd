# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad input is refused on a fresh host, naming the variable, the value and the remedy, and nothing changes.

A run names all faults that it finds, so faults that do not interfere share one.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import bench_client
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from metadata_corpus import ORGANIZATION, SSO, entity, key, role
from refusal_runs import pack

NAME = "flask.example.org"
IDP = "https://auth.cern.ch/auth/realms/cern"

# Paths that package lists, logs or Ansible's working directory change by themselves.
NOT_COMPARED = ("/root", "/var/cache/apt", "/var/lib/apt", "/var/lib/systemd", "/var/log")

METADATA = {
    "idp.xml": entity(role(key(), SSO), ORGANIZATION, entity_id=IDP, attributes=' validUntil="2100-01-01T00:00:00Z"'),
    "page.xml": "<!doctype html><p>Please log in<br></p>",
    "empty.xml": "",
    "other.xml": entity(role(key(), SSO), ORGANIZATION, entity_id="https://other.example.org"),
}


def write_pair(
    directory: Path, stem: str, name: str = NAME, days: tuple[int, int] = (-1, 1), issuer: str | None = None
) -> None:
    """Write STEM.key and STEM.pem, for `name`, valid in those days from now on, issued by itself or another."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject, authority = (
        x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common)]) for common in (name, issuer or name)
    )
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(authority, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now + timedelta(days=days[0]))
        .not_valid_after(now + timedelta(days=days[1]))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (directory / f"{stem}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (directory / f"{stem}.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


@pytest.fixture(scope="session")
def files(tmp_path_factory) -> Path:
    """A directory of files to name in variables, good ones and bad ones."""
    directory = tmp_path_factory.mktemp("input")
    for name, text in METADATA.items():
        (directory / name).write_text(text)
    write_pair(directory, "good")
    write_pair(directory, "another")
    write_pair(directory, "issued", issuer="An authority")
    write_pair(directory, "expired", days=(-2, -1))
    write_pair(directory, "future", days=(1, 2))
    write_pair(directory, "misnamed", name="www.example.com")
    (directory / "odd.yml").write_text(
        f"entity_id: https://{NAME}/sp\nidp_entity_id: {IDP}\nremote_user: [uid]\n"
        "attributes:\n  - {id: uid, name: uid, format: url}\n"
    )
    (directory / "app").mkdir()
    (directory / "app" / "wsgi.py").write_text("application = None\n")
    for name in ("piped", "linked"):
        (directory / name).mkdir()
        (directory / name / "requirements.txt").touch()
    os.mkfifo(directory / "piped" / "pipe")
    (directory / "linked" / "settings.py").symlink_to("/etc/hostname")
    return directory


def fill(value: object, files: Path) -> object:
    """Name the directory of files in a value, if that is a text."""
    return value.replace("{files}", str(files)) if isinstance(value, str) else value


def disk(host) -> dict[str, str]:
    """Return every path on the host's disk with its kind, mode and owner, a file's also with size and time."""
    prune = " -o ".join(f"-path {path}" for path in NOT_COMPARED)
    found = host.check_output(
        f"find / -xdev \\( {prune} \\) -prune -o -type d -printf '%p\\t%y %m %u:%g\\n'"
        " -o -printf '%p\\t%y %m %u:%g %s %T@ %l\\n'"
    )
    return dict(line.split("\t") for line in found.splitlines())


@pytest.fixture(scope="session")
def deploy(files, run_site):
    """Run site.yml with everything right except `variables`; return its exit code and what it printed, in one line."""

    def run(variables: dict, *options: str) -> tuple[int, str]:
        right = {"saml_sp_idp_metadata_file": str(files / "idp.xml"), "saml_sp_idp_keys": []}
        return run_site(right | variables, *options)

    return run


@pytest.fixture
def refused(host, deploy):
    """Require that the site is refused with these phrases in the message, and that nothing has changed on the host."""

    def require(variables: dict, *phrases: str) -> None:
        before = disk(host)
        code, said = deploy(variables)
        assert code == 2, said
        assert "changed=0 unreachable=0 failed=1" in said
        missing = [phrase for phrase in phrases if phrase not in said]
        assert not missing, said
        assert disk(host) == before

    return require


PROVIDED = {
    "apache_ssl_certificate_source": "provided",
    "apache_ssl_certificate_file": "{files}/good.pem",
    "apache_ssl_key_file": "{files}/good.key",
}

ACME = {"apache_ssl_certificate_source": "acme", "apache_ssl_acme_contact": "root@example.org"}
# Metadata is checked only if the service provider's variables have no faults.
COPY = {"saml_sp_idp_metadata_file": "{files}/idp.xml"}
FETCHED = {"saml_sp_idp_metadata_file": ""}
ASKED = FETCHED | {"saml_sp_idp_metadata_url": ""}
CERN = COPY | {"saml_sp_profile": "cern"}

UPN = {"id": "upn", "name": "upn", "format": "basic"}

# Each of these has its own fault, and UPN identifies the users.
ATTRIBUTES = CERN | {
    "saml_sp_remote_user": ["upn"],
    "saml_sp_attributes": [
        UPN | {"default": "guest"},
        {"id": "upn", "name": "eptid", "decoder": "nameid"},
        {"id": "UPN", "name": "displayName"},
        {"id": "REMOTE_USER", "name": "upn"},
        {"id": "name.with.dots", "name": "displayName"},
    ],
}

# Each fault with every variable that it depends on, and what the message must contain.
CASES = {
    "no server name": (
        COPY | {"flask_sso_server_name": ""},
        ["flask_sso_server_name is not set", '"flask_sso_server_name: app.example.org"'],
    ),
    "a URL for a host name": (
        {"flask_sso_server_name": "https://flask.example.org/"},
        ['flask_sso_server_name is "https://flask.example.org/"', "without scheme, port or path"],
    ),
    "a host name without a domain": (
        {"flask_sso_server_name": "flask"},
        ['flask_sso_server_name is "flask"', "labels joined by dots"],
    ),
    "an alias with a space": (
        {"apache_ssl_server_aliases": ["www example.org"]},
        ["apache_ssl_server_aliases", "www example.org", "is not a host name"],
    ),
    "one port for two protocols": (
        {"apache_ssl_http_port": 443},
        ["apache_ssl_http_port and apache_ssl_https_port are both 443", "usually 80 and 443"],
    ),
    "no certificate file": (
        PROVIDED | {"apache_ssl_certificate_file": "{files}/none.pem"},
        ['apache_ssl_certificate_file "{files}/none.pem"', "not a file on the controller", "Write the paths"],
    ),
    "no chain file": (
        PROVIDED | {"apache_ssl_chain_file": "{files}/none.pem"},
        ['apache_ssl_chain_file is "{files}/none.pem"', "or leave the variable empty"],
    ),
    "a certificate that is none": (
        PROVIDED | {"apache_ssl_certificate_file": "{files}/idp.xml"},
        ['apache_ssl_certificate_file "{files}/idp.xml"', "Give"],
    ),
    "a key that is none": (
        PROVIDED | {"apache_ssl_key_file": "{files}/idp.xml"},
        ['apache_ssl_key_file "{files}/idp.xml"', "Give"],
    ),
    "another certificate's key": (
        PROVIDED | {"apache_ssl_key_file": "{files}/another.key"},
        ['apache_ssl_key_file "{files}/another.key"', "is not the key of", "{files}/good.pem", "Give the pair"],
    ),
    "an expired certificate": (
        PROVIDED | {"apache_ssl_certificate_file": "{files}/expired.pem", "apache_ssl_key_file": "{files}/expired.key"},
        ['apache_ssl_certificate_file "{files}/expired.pem"', "which is not now", "that is valid"],
    ),
    "a certificate of tomorrow": (
        PROVIDED | {"apache_ssl_certificate_file": "{files}/future.pem", "apache_ssl_key_file": "{files}/future.key"},
        ['apache_ssl_certificate_file "{files}/future.pem"', "which is not now", "that is valid"],
    ),
    "a certificate for another name": (
        PROVIDED
        | {
            "apache_ssl_certificate_file": "{files}/misnamed.pem",
            "apache_ssl_key_file": "{files}/misnamed.key",
            "flask_sso_server_name": NAME,
        },
        ["{files}/misnamed.pem", "issued for DNS:www.example.com", f'not for "{NAME}"', "subjectAltName"],
    ),
    "an ACME CA without a contact": (
        ACME | {"apache_ssl_acme_contact": ""},
        ['apache_ssl_acme_contact is ""', "an email address to which the CA may write"],
    ),
    "an ACME CA over plain HTTP": (
        ACME | {"apache_ssl_acme_directory": "http://acme.example.org/dir"},
        ['apache_ssl_acme_directory is "http://acme.example.org/dir"', "Write the https address"],
    ),
    "a port where ACME does not ask": (
        ACME | {"apache_ssl_http_port": 8080},
        ["apache_ssl_http_port is 8080", "port 80 only"],
    ),
    "days to the end in words": (
        {"apache_ssl_expiry_days": -1},
        ["apache_ssl_expiry_days is -1", "at least 0"],
    ),
    "a chain that does not belong to the certificate": (
        PROVIDED
        | {
            "apache_ssl_certificate_file": "{files}/issued.pem",
            "apache_ssl_key_file": "{files}/issued.key",
            "apache_ssl_chain_file": "{files}/another.pem",
        },
        ["{files}/issued.pem", "{files}/another.pem", "did not issue it", "Give"],
    ),
    "no directory of the application": (
        {"flask_app_source": "/no/such/directory"},
        ['flask_app_source is "/no/such/directory"', "not a directory on the controller", "Write the path"],
    ),
    "a repository that is not there": (
        {"flask_app_source_type": "git", "flask_app_source": "/no/such/repository"},
        ['flask_app_source is "/no/such/repository", which git cannot clone', '"git ls-remote"'],
    ),
    "a repository with a password in its address": (
        {"flask_app_source_type": "git", "flask_app_source": "https://alice:hunter2@git.example.org/app.git"},
        ["flask_app_source has a user name or password", '"git help credentials"'],
    ),
    "an archive with another checksum": (
        {
            "flask_app_source_type": "archive",
            "flask_app_source": "{files}/idp.xml",
            "flask_app_source_sha256": "0" * 64,
        },
        [f'flask_app_source_sha256 is "{"0" * 64}"', "Find out which is right"],
    ),
    "no package": (
        {"flask_app_source_type": "package", "flask_app_source": "hello>=1.0"},
        ['flask_app_source is "hello>=1.0", which is no package', '"hello==1.0"'],
    ),
    "a package index with a password in its address": (
        {"flask_app_index_url": "https://alice:hunter2@index.example.org/simple/"},
        ["flask_app_index_url is no address, or has a user name", "flask_app_index_password"],
    ),
    "no wheelhouse": (
        {"flask_app_wheelhouse": "/no/such/wheels"},
        ['flask_app_wheelhouse is "/no/such/wheels"', '"pip download"'],
    ),
    "an application without requirements": (
        {"flask_app_source": "{files}/app"},
        ['flask_app_requirements is "requirements.txt"', "{files}/app holds no such file", "pip freeze"],
    ),
    "a callable without a module": (
        {"flask_app_wsgi": "application"},
        ['flask_app_wsgi is "application"', '"wsgi:application"'],
    ),
    "a step that is one string": (
        {"flask_app_before_switch": [{"command": "flask db upgrade"}]},
        ["flask_app_before_switch has, as entry 1, a command that is not a list of words", "Write the program"],
    ),
    "a worker without a name for its unit": (
        {"flask_app_workers": [{"name": "Mail queue", "command": ["celery"]}]},
        ['flask_app_workers has, as entry 1, the name "Mail queue"', "Write lower-case letters"],
    ),
    "a name that is no account's": (
        {"flask_app_name": "Flask App"},
        ['flask_app_name is "Flask App"', "lower-case letters"],
    ),
    "the name of the system's own account": (
        {"flask_app_name": "news", "flask_app_user": "news"},
        ['flask_app_user is "news"', "home is /var/spool/news", "Choose another flask_app_name", "account of yours"],
    ),
    "the name of a service": (
        {"flask_app_name": "dbus", "flask_app_user": "dbus"},
        ["There is a unit dbus.service", "Choose another flask_app_name"],
    ),
    "a directory that is in use": (
        {"flask_app_path": "/usr/lib", "flask_app_user": "flask_app"},
        ['flask_app_path is "/usr/lib"', "this role has not created", "Name another directory"],
    ),
    "one account for code and application": (
        {"flask_app_user": "web", "flask_app_owner": "web"},
        ["flask_app_user and flask_app_owner are both", "Name two accounts"],
    ),
    "an application with a named pipe": (
        {"flask_app_source": "{files}/piped"},
        ["{files}/piped/pipe is a named pipe. Remove it", "flask_app_exclude"],
    ),
    "an application with a link to something else": (
        {"flask_app_source": "{files}/linked"},
        ["{files}/linked/settings.py is a link to /etc/hostname, outside of {files}/linked", "flask_app_exclude"],
    ),
    "requirements that are left out": (
        {"flask_app_exclude": ["requirements*"], "flask_app_source": str(bench_client.PROJECT / "app")},
        ["requirements.txt is left out, but needed", "Name another file"],
    ),
    "a name that no environment can have": (
        {"flask_app_environment": {"API-KEY": "hunter2"}},
        ['flask_app_environment has "API-KEY", which is not a valid variable name', "Write letters"],
    ),
    "an environment in which Python does not start": (
        {"flask_app_environment": {"PYTHONHOME": "/opt/python"}},
        ['flask_app_environment has "PYTHONHOME"', "Remove it"],
    ),
    "a credential that is a path": (
        {"flask_app_credentials": {"../environment": "hunter2"}},
        ["flask_app_credentials has an invalid name or secret", '"ldap_password: ..."'],
    ),
    "a secret key that can be guessed": (
        {"flask_app_credentials": {"secret_key": "hunter2"}},
        ["secret_key of fewer than 32 characters", "openssl rand -hex 32"],
    ),
    "uWSGI's customary port": (
        {"uwsgi_proxy_backend": "127.0.0.1:3031"},
        ['uwsgi_proxy_backend is "127.0.0.1:3031"', "port 0", "Unix socket"],
    ),
    "a backend without a port": (
        {"uwsgi_proxy_backend": "localhost"},
        ['uwsgi_proxy_backend is "localhost"', '"host:port"'],
    ),
    "a path of two words": (
        {"uwsgi_proxy_path": "/ /elsewhere"},
        ['uwsgi_proxy_path is "/ /elsewhere"', "begins with a slash"],
    ),
    "an unknown profile": (
        COPY | {"saml_sp_profile": "atlantis"},
        ['saml_sp_profile is "atlantis"', '"federation", "cern_adfs_names" or the path'],
    ),
    "no entityID": (
        COPY | {"saml_sp_profile": "generic"},
        ["saml_sp_idp_entity_id is not set", "Write the entityID"],
    ),
    "no metadata source": (
        ASKED | {"saml_sp_profile": "generic", "saml_sp_idp_entity_id": IDP, "saml_sp_mdq_url": ""},
        ["no metadata source", "Write saml_sp_idp_metadata_url", "saml_sp_idp_metadata_file"],
    ),
    "no metadata file": (
        {"saml_sp_idp_metadata_file": "/no/such/file.xml"},
        ['saml_sp_idp_metadata_file is "/no/such/file.xml"', "not a file on the controller", "Write"],
    ),
    "metadata over plain HTTP": (
        FETCHED | {"saml_sp_idp_metadata_url": "http://auth.cern.ch/metadata"},
        ['saml_sp_idp_metadata_url is "http://auth.cern.ch/metadata"', "write an https address"],
    ),
    "metadata that cannot be fetched": (
        FETCHED | {"saml_sp_idp_metadata_url": "https://idp.invalid/metadata"},
        ['saml_sp_idp_metadata_url is "https://idp.invalid/metadata"', "cannot be fetched", "metadata_file"],
    ),
    "two metadata sources": (
        COPY | {"saml_sp_idp_metadata_url": "https://idp.example.org/metadata"},
        ["saml_sp_idp_metadata_url", "{files}/idp.xml", "Set only one of them"],
    ),
    "a query service without the key of its answers": (
        ASKED | {"saml_sp_mdq_url": "https://mdq.example.org/"},
        ["saml_sp_mdq_url", "saml_sp_metadata_certificate_file is not set", "your federation publishes"],
    ),
    "a query service without a slash": (
        ASKED | {"saml_sp_mdq_url": "https://mdq.example.org"},
        ['saml_sp_mdq_url is "https://mdq.example.org"', '"entities/"', "slash at its end"],
    ),
    "no certificate of the federation": (
        COPY | {"saml_sp_metadata_certificate_file": "/no/such/file.pem"},
        ['saml_sp_metadata_certificate_file is "/no/such/file.pem"', "not a file on the controller"],
    ),
    "a fingerprint that is none": (
        COPY | {"saml_sp_idp_keys": ["SHA256:Zm9v"]},
        ["saml_sp_idp_keys is ['SHA256:Zm9v']", "64 hexadecimal digits", "reports the keys"],
    ),
    "neither an identity provider nor a discovery service": (
        COPY | {"saml_sp_profile": "federation"},
        ["saml_sp_idp_entity_id is not set", "saml_sp_discovery_url"],
    ),
    "a login page for metadata": (
        {"saml_sp_idp_metadata_file": "{files}/page.xml"},
        ['saml_sp_idp_metadata_file "{files}/page.xml" is not XML', "not a web page"],
    ),
    "empty metadata": (
        {"saml_sp_idp_metadata_file": "{files}/empty.xml"},
        ['saml_sp_idp_metadata_file "{files}/empty.xml" is not XML', "Check"],
    ),
    "metadata of another identity provider": (
        {"saml_sp_idp_metadata_file": "{files}/other.xml"},
        ["{files}/other.xml", f"describes https://other.example.org, not {IDP}", "Correct the entityID"],
    ),
    "a directory without keys": (
        COPY | {"saml_sp_keys_directory": "{files}"},
        ['saml_sp_keys_directory is "{files}"', "no active/sp-signing-cert.pem", "or leave the variable empty"],
    ),
    "a user name that no attribute carries": (
        CERN | {"saml_sp_remote_user": ["nickname"]},
        ["saml_sp_remote_user is ['nickname']", "not among saml_sp_attributes (upn,"],
    ),
    "an id that is a variable of httpd": (
        ATTRIBUTES,
        ['saml_sp_attributes has the id "REMOTE_USER"', "httpd or a server uses itself", '"my_REMOTE_USER"'],
    ),
    "an id with dots": (
        ATTRIBUTES,
        ['saml_sp_attributes has the id "name.with.dots"', 'Write letters, digits, "_" and "-"'],
    ),
    "ids that look the same in a header": (
        ATTRIBUTES,
        ['saml_sp_attributes has the ids "upn" and "UPN"', "cannot distinguish", "Change one of them"],
    ),
    "one id that is two kinds of value": (
        ATTRIBUTES,
        ['the id "upn" with different decoders or scopes', "Write the same for all, or choose another id"],
    ),
    "a user name that all users would have": (
        ATTRIBUTES,
        ['has a default for "upn"', "would be one user", "Leave it out"],
    ),
    "a rule about an unknown attribute": (
        CERN | {"shibboleth_sp_protected": [{"path": "/admin", "attributes": {"Role": ["admin"]}}]},
        ["shibboleth_sp_protected requires ['Role'], which no user can have", "Write ids of saml_sp_attributes"],
    ),
    "a profile with a format that SAML does not know": (
        COPY | {"saml_sp_profile": "{files}/odd.yml"},
        ["value of format must be one of: basic, uri, unspecified, got: url", 'The profile "{files}/odd.yml"'],
    ),
}

# Values that a role's argument specification refuses. Those of all parts are reported together, before other checks.
CHOICES = {
    "an unknown source of certificates": (
        {"apache_ssl_certificate_source": "heaven"},
        ["apache_ssl_certificate_source", "heaven", "private_ca, provided"],
    ),
    "a wish about other sites that is none": (
        {"apache_ssl_other_sites": "both"},
        ["apache_ssl_other_sites", "both", "ask, remove, keep"],
    ),
    "a word for a number": (
        {"flask_app_threads": "many"},
        ["flask_app_threads", "many", "int"],
    ),
}


def test_everything_right_is_not_refused_and_only_looked_at(host, deploy):
    before = disk(host)
    code, said = deploy({}, "--tags=preflight")
    assert code == 0, said
    assert "saml_sp : Check the metadata" in said
    assert disk(host) == before


def test_profile_of_ones_own_is_a_file_and_no_more(host, deploy, files):
    """A new identity provider needs no change of the role."""
    profile = files / "profile.yml"
    profile.write_text(
        f"entity_id: https://{NAME}/sp\nidp_entity_id: {IDP}\nremote_user: [uid]\n"
        "attributes:\n  - {id: uid, name: uid, format: basic, required: true}\n"
    )
    before = disk(host)
    code, said = deploy({"saml_sp_profile": str(profile)}, "--tags=preflight")
    assert code == 0, said
    assert disk(host) == before


RUNS = [
    (variables, names)
    for cases in (CASES, CHOICES)
    for variables, names in pack({name: variables for name, (variables, _phrases) in cases.items()})
]


@pytest.fixture(scope="module")
def refusal(host, deploy, files) -> Callable[[str], tuple[int, str, bool]]:
    """Return what runs the site with a fault, and with those that share its run, unless that was done before.

    It returns the exit code, what was printed, and whether the host's disk is as it was before.
    """

    @cache
    def run(number: int) -> tuple[int, str, bool]:
        before = disk(host)
        variables = {name: fill(value, files) for name, value in RUNS[number][0].items()}
        return *deploy(variables), disk(host) == before

    return lambda name: run(next(number for number, (_, names) in enumerate(RUNS) if name in names))


@pytest.mark.parametrize("name", CASES | CHOICES)
def test_bad_input_is_refused_before_anything_changes(refusal, files, name):
    code, said, unchanged = refusal(name)
    _variables, phrases = (CASES | CHOICES)[name]
    assert code == 2, said
    assert "changed=0 unreachable=0 failed=1" in said
    missing = [phrase for phrase in phrases if fill(phrase, files) not in said]
    assert not missing, said
    assert unchanged


def test_one_fault_is_one_line(refused):
    refused(
        {"flask_app_memory": "much"},
        '1 fault, to fix before anything is changed: - flask_app_memory is "much", which systemd would ignore. Write'
        ' bytes, a number with K, M, G or T, a percentage or "infinity", for example "512M". PLAY RECAP',
    )


def test_faults_of_two_roles_are_one_message(refused):
    refused(
        {"apache_ssl_expiry_days": -1, "flask_app_memory": "much", "flask_app_packages": "{{ nothing_like_it }}"},
        "3 faults, to fix before anything is changed: - apache_ssl_expiry_days is -1. Write a whole number of at least"
        " 0, without quotes. - flask_app_packages cannot be checked: 'nothing_like_it' is undefined"
        ' - flask_app_memory is "much", which systemd would ignore.',
    )


def test_part_that_cannot_be_looked_at_hides_no_fault_of_another(host, deploy):
    before = disk(host)
    code, said = deploy({"apache_ssl_expiry_days": -1, "flask_app_socket_group": "{{ nothing_like_it }}"})
    assert code == 2, said
    assert "'nothing_like_it' is undefined" in said
    assert "1 fault, to fix before anything is changed: - apache_ssl_expiry_days is -1." in said
    assert disk(host) == before


def test_package_that_no_repository_has_is_refused(refused):
    refused(
        {"flask_app_packages": ["no-such-package"]},
        "does not get its packages: No package matching 'no-such-package' is available",
        "a wrong name comes from a variable such as flask_app_packages",
        "The site is as it was.",
    )


# Configuration that an administrator added to httpd, which is not installed, and what the message must contain.
SITES = {
    "a site without apache_ssl_other_sites": (
        {"sites-enabled/wiki.conf": "<VirtualHost *:80>\n</VirtualHost>\n", "conf-enabled/hand.conf": ""},
        {},
        [
            "/etc/apache2/conf-enabled/hand.conf, /etc/apache2/sites-enabled/wiki.conf",
            'Set apache_ssl_other_sites to "keep"',
            'or to "remove"',
            "/var/lib/flask_sso/taken-over",
        ],
    ),
    "a virtual host in httpd's main file": (
        {"apache2.conf": "<VirtualHost *:80>\n</VirtualHost>\n"},
        {"apache_ssl_other_sites": "remove"},
        ["the virtual hosts in /etc/apache2/apache2.conf", "Remove them from the file"],
    ),
    "the site's name at another site": (
        {"apache2.conf": f"<VirtualHost *:443>\nServerName {NAME}\n</VirtualHost>\n"},
        {"apache_ssl_other_sites": "keep"},
        [f"/etc/apache2/apache2.conf already answers for {NAME}", "Remove the name or address from that file"],
    ),
    "a site that takes a whole address": (
        {"apache2.conf": "<VirtualHost 192.0.2.1:443>\nServerName wiki.example.org\n</VirtualHost>\n"},
        {"apache_ssl_other_sites": "keep"},
        ["/etc/apache2/apache2.conf already answers for 192.0.2.1"],
    ),
    "a site of this collection under a former name": (
        {
            "apache2.conf": "Include sites-enabled/*.conf\n",
            "sites-enabled/flask_sso-former.conf": f"<VirtualHost *:443>\nServerName {NAME}\n</VirtualHost>\n",
        },
        {},
        [
            "/etc/apache2/sites-enabled/flask_sso-former.conf already answers",
            "If apache_ssl_site had another value before",
        ],
    ),
    "a mod_md that serves others": (
        {"apache2.conf": "LoadModule md_module modules/mod_md.so\n"},
        ACME | {"apache_ssl_other_sites": "keep"},
        ['apache_ssl_certificate_source is "acme"', "use mod_md already", "Choose another source"],
    ),
}


@pytest.mark.parametrize(("sites", "variables", "phrases"), SITES.values(), ids=SITES)
def test_configuration_of_an_administrator_is_not_touched(host, refused, sites, variables, phrases):
    for name, text in sites.items():
        host.check_output("mkdir --parents $(dirname /etc/apache2/%s)", name)
        host.check_output("printf %s %s > /etc/apache2/%s", "%s", text, name)
    try:
        refused(variables, *phrases)
    finally:
        host.check_output("rm --recursive /etc/apache2")


def test_ports_of_another_program_are_refused(host, refused):
    for port in (80, 443):
        host.check_output(f"systemd-run --quiet --unit=stranger-{port} python3 -m http.server {port}")
        host.check_output(f"timeout 10 sh -c 'until ss -Hltn sport = :{port} | grep -q .; do sleep 0.1; done'")
    try:
        refused(
            {},
            f"Port 80, 443 on flask-sso-refusals{bench_client.LANE} is held by python3",
            "Stop that service",
            "apache_ssl_http_port (80)",
        )
    finally:
        host.check_output("systemctl stop stranger-80 stranger-443")


def test_unknown_operating_system_is_refused(host, refused):
    """The host reports another operating system."""
    host.check_output("printf 'NAME=openSUSE\\nID=opensuse-leap\\nVERSION_ID=15.6\\n' > /run/os-release")
    host.check_output("mount --bind /run/os-release /usr/lib/os-release")
    try:
        name = f"flask-sso-refusals{bench_client.LANE}"
        refused({}, f"{name} runs openSUSE", "Debian 12 or 13", "Ubuntu 24.04", "AlmaLinux, RHEL, Rocky Linux")
    finally:
        host.check_output("umount /usr/lib/os-release")
