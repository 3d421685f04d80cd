# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys are published, switched and retired, without a failed login and a lost session. The tests do this in order."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import bench_client
import httpx
import pytest
from bench_fixtures import run_playbook
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

KEYS = "/etc/shibboleth/keys"


def rotate(step: str, **variables) -> tuple[int, str]:
    """Run a step of the rotation; return its exit code and what it printed."""
    return run_playbook("playbooks/rotate_sp_keys.yml", {"shibboleth_sp_rotation": step} | variables)


def register() -> None:
    """Let the identity provider read the metadata again."""
    code, said = run_playbook("molecule/shared/register_sp.yml", {})
    assert code == 0, said


def signers() -> list[bool]:
    """Return, for each signing key in the metadata, whether requests are signed with it."""
    with bench_client.client() as visitor:
        request = visitor.get("/login", follow_redirects=False).next_request
        return [bench_client.signed_with(request, key) for key in bench_client.sp_certificates(visitor, "signing")]


def log_in() -> None:
    """Log in, by an assertion that was encrypted for the site."""
    with bench_client.client() as visitor:
        _, journey = bench_client.saml_login(visitor, "/login", "ghopper")
        assert b"EncryptedAssertion" in bench_client.saml_responses(journey)[-1]
        assert visitor.get("/api/me").json()["name"] == "Grace Hopper"


@pytest.fixture(scope="module")
def member() -> Iterator[httpx.Client]:
    """Return a user who logged in before the rotation. No step ends the session."""
    with bench_client.client() as session:
        bench_client.saml_login(session, "/login", "cpayne")
        yield session


def is_logged_in(member: httpx.Client) -> bool:
    """Return whether the user still has the session."""
    answer = member.get("/api/me", follow_redirects=False)
    return answer.status_code == 200 and "cpayne" in answer.text


def unchanged(said: str) -> bool:
    """Return whether a run changed nothing."""
    return "changed=0 unreachable=0 failed=0" in said


def test_one_key_signs_at_first(member):
    assert signers() == [True]
    assert is_logged_in(member)
    log_in()


@pytest.mark.parametrize(
    ("step", "words"),
    [("switch", 'has published no next keys. Run it with "publish" first'), ("backwards", "publish, switch, retire")],
)
def test_step_out_of_order_is_refused(step, words):
    code, said = rotate(step)
    assert code == 2
    assert words in said
    assert "changed=0" in said


def test_retiring_without_a_rotation_changes_nothing():
    code, said = rotate("retire")
    assert (code, unchanged(said)) == (0, True), said


def test_next_keys_are_published_beside_those_that_sign(member):
    code, said = rotate("publish")
    assert code == 0, said
    assert is_logged_in(member)
    assert signers() == [True, False]
    with bench_client.client() as visitor:
        assert len(bench_client.sp_certificates(visitor, "encryption")) == 2
    log_in()
    register()
    log_in()
    paper = (bench_client.PAPERS / "sp-metadata.xml").read_text()
    assert paper.count('use="signing"') == 2


def test_publishing_again_and_the_site_in_between_change_nothing(run_site):
    code, said = rotate("publish")
    assert (code, unchanged(said)) == (0, True), said
    code, said = run_site({})
    assert (code, unchanged(said)) == (0, True), said


def test_switching_too_early_is_refused():
    code, said = rotate("switch")
    assert code == 2
    assert 'shibboleth_sp_rotation is "switch", 14 days too early' in said
    assert "shibboleth_sp_rotation_force" in said
    assert signers() == [True, False]


def test_next_keys_sign_when_the_time_is_over(web, member):
    """According to the host's disk, the metadata was published 15 days ago."""
    web.check_output(f"touch --no-dereference --date='15 days ago' {KEYS}/next")
    code, said = rotate("switch")
    assert code == 0, said
    assert is_logged_in(member)
    assert signers() == [True, False]  # the new one, which metadata names first
    log_in()  # by an identity provider that still encrypts for the one before
    register()
    log_in()
    code, said = rotate("switch")
    assert (code, unchanged(said)) == (0, True), said


def test_next_rotation_waits_for_this_one():
    code, said = rotate("publish")
    assert code == 2
    assert 'Run it with "retire" first' in said


def test_retired_keys_are_gone(web, member):
    before = web.check_output(f"readlink --canonicalize {KEYS}/previous")
    code, said = rotate("retire")
    assert code == 2
    assert "days too early" in said
    code, said = rotate("retire", shibboleth_sp_rotation_force=True)
    assert code == 0, said
    assert is_logged_in(member)
    assert web.run(f"ls {before}/*").rc != 0
    assert signers() == [True]
    log_in()
    assert set(web.check_output(f"ls {KEYS}").split()) == {"1", "2", "active"}


def write_keys(directory: Path) -> x509.Certificate:
    """Write a set of keys; return the certificate that signs."""
    directory.mkdir(parents=True)
    for use in ("encrypt", "signing"):
        key = rsa.generate_private_key(65537, 3072)
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, directory.name)])
        now = datetime.now(UTC)
        term = (now - timedelta(days=1), now + timedelta(days=30))
        builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), *term)
        certificate = builder.sign(key, hashes.SHA256())
        pem = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        (directory / f"sp-{use}-key.pem").write_bytes(key.private_bytes(*pem))
        (directory / f"sp-{use}-cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return certificate


def test_keys_are_copied_from_the_controller(web, run_site, tmp_path):
    """Several hosts share keys on the controller; a rotation moves directories there."""
    active, following = write_keys(tmp_path / "active"), write_keys(tmp_path / "next")
    code, said = run_site({"saml_sp_keys_directory": str(tmp_path)})
    assert code == 0, said
    assert "BEGIN" not in said
    with bench_client.client() as visitor:
        assert bench_client.sp_certificates(visitor, "signing") == [active, following]
    assert signers() == [True, False]
    register()
    log_in()
    assert web.check_output(f"stat --format '%U %a' {KEYS}/active/sp-signing-key.pem") == "_shibd 400"
    assert web.check_output(f"find {KEYS} -type d ! -user root") == ""  # shibd replaces none by a link

    (tmp_path / "active").rename(tmp_path / "previous")
    (tmp_path / "next").rename(tmp_path / "active")
    code, said = run_site({"saml_sp_keys_directory": str(tmp_path)})
    assert code == 0, said
    with bench_client.client() as visitor:
        assert bench_client.sp_certificates(visitor, "signing") == [following, active]
    log_in()
    code, said = rotate("publish", saml_sp_keys_directory=str(tmp_path))
    assert code == 2
    assert f"so flask-sso-web{bench_client.LANE} gets its keys from there" in said
