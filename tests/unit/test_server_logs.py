# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""gunicorn logs a request that failed by its id, and no query, in which a code of a login may be."""

import logging
import sys
from datetime import timedelta
from types import ModuleType, SimpleNamespace

import pytest
import untrusted_roles


class Logger:
    """What gunicorn's own class has of it."""

    info = staticmethod(logging.getLogger("gunicorn").info)
    exception = staticmethod(logging.getLogger("gunicorn").exception)


@pytest.fixture
def log(tmp_path, monkeypatch, caplog):
    """Return the logger that the role's settings have for gunicorn."""
    package, module = ModuleType("gunicorn"), ModuleType("gunicorn.glogging")
    module.Logger = Logger
    monkeypatch.setitem(sys.modules, "gunicorn", package)
    monkeypatch.setitem(sys.modules, "gunicorn.glogging", module)
    caplog.set_level(logging.INFO)
    settings: dict = {}
    made = untrusted_roles.Site(tmp_path).made("flask_app", "gunicorn.py.j2", {"flask_app_server": "gunicorn"})
    exec(made, settings)  # noqa: S102 - these are the role's own settings
    return settings["logger_class"]()


@pytest.mark.parametrize(
    ("headers", "status", "said"),
    [
        ([("X-REQUEST-ID", "a1b2")], "404 Not Found", ["Request a1b2: GET was answered with 404 in 2 ms"]),
        ([], "500 Internal Server Error", ["Request -: GET was answered with 500 in 2 ms"]),
        ([("X-REQUEST-ID", "a1b2")], "302 Found", []),
    ],
    ids=["refused", "failed without an id", "answered"],
)
def test_request_that_is_not_answered_is_named_by_its_id(log, caplog, headers, status, said):
    request = SimpleNamespace(headers=headers, method="GET")
    log.access(SimpleNamespace(status=status), request, {}, timedelta(milliseconds=2))
    assert caplog.messages == said


def test_exception_is_logged_without_the_query(log, caplog):
    try:
        raise RuntimeError
    except RuntimeError:
        log.exception("Error handling request %s %s", "GET", "/callback?code=canary")
    assert caplog.messages == ["Error handling request GET /callback"]
