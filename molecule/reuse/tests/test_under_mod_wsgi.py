# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""With httpd running the application, releases are as safe, and no request holds a thread forever.

The tests follow each other, and those of the other files, in the life of one site.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from conftest import visitors
from releases import Run

SECONDS = 5  # that a request may take, as mod_wsgi.yml says
REQUESTS = 8  # that are served at the same time
ENDLESS = "/slow?seconds=60"


@pytest.fixture
def release(deploy) -> Callable[..., Run]:
    """Deploy a release for mod_wsgi."""
    return partial(deploy, playbook="mod_wsgi.yml")


def links(host) -> list[str]:
    """Return where the application's links lead."""
    return [host.file(path).linked_to for path in ("/srv/guestbook/current", "/etc/guestbook/mod_wsgi-venv")]


def test_first_release_is_served(release, page):
    run = release("fourth")
    assert run.code == 0, run.said
    assert page().text == "fourth"
    assert release("fourth").changed == 0


def test_new_release_replaces_the_old_one_without_a_failed_request(release):
    """A slow request is finished by the release that accepted it."""
    with visitors("/", "/", "/slow?seconds=2") as answers:
        run = release("fifth")
    assert run.code == 0, run.said
    assert set(answers) == {"200 fourth", "200 fifth"}


def test_release_that_mod_wsgi_cannot_load_is_rolled_back(host, release, page):
    """It can be imported, so only the site's response shows it; every process loads the previous release again."""
    before = links(host)
    run = release("unloadable", "import sys\n\nif 'mod_wsgi' in sys.modules:\n    raise RuntimeError('not today')\n")
    assert run.code == 2, run.said
    assert "guestbook could not run with its new files" in run.said
    assert "The web server's error log has the reason" in run.said
    assert links(host) == before
    assert {page().text for _ in range(3 * REQUESTS)} == {"fifth"}


def test_request_that_takes_too_long_is_given_up_in_time(page):
    began = time.monotonic()
    assert page(ENDLESS).status_code == 504
    assert SECONDS < time.monotonic() - began < SECONDS + 8


def test_site_recovers_when_no_request_ends(page):
    """Every thread is busy; mod_wsgi replaces the processes, without a reload of httpd."""
    with ThreadPoolExecutor(REQUESTS) as crowd:
        assert min(answer.status_code for answer in crowd.map(page, [ENDLESS] * REQUESTS)) >= 500
    deadline = time.monotonic() + 8 * SECONDS
    while page().status_code != 200:
        assert time.monotonic() < deadline
    assert page().text == "fifth"
