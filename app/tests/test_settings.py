# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings come from the environment. With an invalid one the application does not start, and says how to fix it."""

from __future__ import annotations

import importlib

import pytest

from flask_sso_app import create_app
from flask_sso_app.settings import SettingsError


def test_secret_key_is_required():
    with pytest.raises(SettingsError, match=r"(?s)CREDENTIALS_DIRECTORY.*FLASK_SSO_SECRET_KEY"):
        create_app()


@pytest.mark.parametrize("content", ["", "\n"])
def test_empty_credential_is_no_secret_key(monkeypatch, tmp_path, content):
    (tmp_path / "secret_key").write_text(content)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    with pytest.raises(SettingsError, match="No secret key"):
        create_app()


def test_credential_takes_precedence_over_the_environment(monkeypatch, tmp_path):
    (tmp_path / "secret_key").write_text("from systemd\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("FLASK_SSO_SECRET_KEY", "from the environment")
    assert create_app().secret_key == "from systemd"


def test_secret_key_from_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("FLASK_SSO_SECRET_KEY", "12345")
    assert create_app().secret_key == "12345"


def test_debug_mode_needs_no_secret_key_and_no_https(monkeypatch):
    monkeypatch.setenv("FLASK_DEBUG", "1")
    app = create_app()
    assert len(app.secret_key) == 64
    assert (app.config["SESSION_COOKIE_NAME"], app.config["SESSION_COOKIE_SECURE"]) == ("flask_sso", False)


def test_attributes_from_the_environment(monkeypatch):
    monkeypatch.setenv("FLASK_SSO_ATTRIBUTES", '{"identifier": "ADFS_LOGIN"}')
    monkeypatch.setenv("FLASK_SSO_MORE_ATTRIBUTES", '["ADFS_DEPARTMENT"]')
    monkeypatch.setenv("FLASK_SSO_TRUSTED_HOSTS", '["flask.example.org"]')
    config = create_app({"SECRET_KEY": "tests"}).config
    assert config["ATTRIBUTES"] == {"identifier": "ADFS_LOGIN"}
    assert config["MORE_ATTRIBUTES"] == ["ADFS_DEPARTMENT"]
    assert config["TRUSTED_HOSTS"] == ["flask.example.org"]


@pytest.mark.parametrize(
    "settings",
    [
        {"ATTRIBUTES": "upn"},
        {"ATTRIBUTES": {"name": "displayName"}},
        {"ATTRIBUTES": {"identifier": "upn", "shoe_size": "x"}},
        {"ATTRIBUTES": {"identifier": "HTTP_UPN"}},
        {"ATTRIBUTES": {"identifier": "upn", "groups": "http_group"}},
        {"ATTRIBUTES": {"identifier": 7}},
        {"ATTRIBUTES": {"identifier": "provider"}},
        {"MORE_ATTRIBUTES": "PersonID"},
        {"MORE_ATTRIBUTES": [""]},
    ],
)
def test_invalid_attributes_are_rejected(settings):
    with pytest.raises(SettingsError):
        create_app({"SECRET_KEY": "tests", **settings})


def test_wsgi_entry_point(monkeypatch):
    monkeypatch.setenv("FLASK_SSO_SECRET_KEY", "tests")
    assert importlib.import_module("flask_sso_app.wsgi").application.name == "flask_sso_app"
