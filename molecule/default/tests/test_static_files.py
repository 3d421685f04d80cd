# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Static files are small and stay in caches; what needs a login does not, and its length tells nothing."""

from collections.abc import Iterator

import bench_client
import httpx
import pytest
from testinfra.host import Host

STATIC = "/srv/flask_app/current/app/flask_sso_app/static"
HASHED = "/static/test/style.27e20196a850.css"
FOR_USERS = "/static/for-users/style.27e20196a850.css"
PLAIN = "/static/style.css"
PARTS = {"Accept-Encoding": "identity", "Range": "bytes=10-19"}


@pytest.fixture(scope="module", autouse=True)
def files(web: Host) -> Iterator[None]:
    """Put copies of the style sheet, with a hash in their names, for all visitors and for users only."""
    made = [f"{STATIC}/{path.split('/')[2]}" for path in (HASHED, FOR_USERS)]
    web.check_output("cd %s && mkdir --parents %s %s", STATIC, *made)
    for directory in made:
        web.check_output("cp %s/style.css %s/style.27e20196a850.css", STATIC, directory)
    yield
    web.check_output("rm --recursive %s %s", *made)


def test_file_with_a_hash_in_its_name_is_kept_for_a_year_and_compressed(visitor: httpx.Client) -> None:
    answer = visitor.get(HASHED)
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert (answer.headers["Content-Encoding"], answer.headers["Vary"]) == ("gzip", "Accept-Encoding")
    kept = {"If-Modified-Since": answer.headers["Last-Modified"]}
    again = visitor.get(HASHED, headers=kept)
    assert (again.status_code, again.headers["Cache-Control"]) == (304, answer.headers["Cache-Control"])


@pytest.mark.parametrize("path", [PLAIN, HASHED.replace("style", "missing")])
def test_other_file_and_a_missing_one_are_not_kept(visitor: httpx.Client, path: str) -> None:
    assert visitor.get(path).headers["Cache-Control"] == "private, no-cache"


def test_file_that_needs_a_login_is_not_kept(visitor: httpx.Client) -> None:
    """Whatever its name, and however its path is written."""
    page, _ = bench_client.saml_login(visitor, FOR_USERS, "ghopper")
    for path in (FOR_USERS, FOR_USERS.replace("/for", "//for"), FOR_USERS.replace("-", "%2D")):
        answer = visitor.get(path)
        assert (answer.status_code, answer.text) == (200, page.text)
        assert answer.headers["Cache-Control"] == "private, no-cache"


def test_part_of_a_file_is_sent(visitor: httpx.Client) -> None:
    whole, part = visitor.get(PLAIN), visitor.get(PLAIN, headers=PARTS)
    assert (part.status_code, part.content) == (206, whole.content[10:20])


@pytest.mark.parametrize("path", ["/", "/api/me", "/no/such/page"])
def test_page_is_not_compressed(visitor: httpx.Client, path: str) -> None:
    """The length of a compressed page reveals its secrets (BREACH)."""
    assert "Content-Encoding" not in visitor.get(path).headers


def test_upload_that_is_too_large_gets_a_page_that_names_the_limit(visitor: httpx.Client) -> None:
    """Without the application."""
    answer = visitor.post("/", content=bytes(16 * 1024**2 + 1))
    assert answer.status_code == 413
    assert "may have 16 MiB" in answer.text


def test_encoded_slash_is_refused(visitor: httpx.Client) -> None:
    """Unless apache_ssl_encoded_slashes allows it, see federation."""
    answer = visitor.get("/a%2Fb")
    assert answer.status_code == 404
    assert "Content-Security-Policy" not in answer.headers
