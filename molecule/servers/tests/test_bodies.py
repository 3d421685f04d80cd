# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every response of the application reaches the visitor, whatever the request contains and however fast it is sent."""

import hashlib
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat

import httpx
import pytest
from conftest import stranger

SIZES = [10, 4_000, 32_000, 100_000, 1_000_000, 20_000_000]
HTTP = [pytest.param({}, id="HTTP/1.1"), pytest.param({"http1": False, "http2": True}, id="HTTP/2")]
SECONDS = 5  # that a request may take, as server.yml says
ALLOWED = 50 * 1024 * 1024  # bytes of a request, likewise


def parts(size: int, pause: float = 0) -> Iterator[bytes]:
    """Return bytes of this size in parts of 1 MB at most, with pauses between them."""
    for start in range(0, size, 1_000_000):
        yield b"a" * min(1_000_000, size - start)
        time.sleep(pause)


@pytest.mark.parametrize("http", HTTP)
@pytest.mark.parametrize("size", SIZES)
def test_unread_body_does_not_lose_the_response(server: str, http: dict, size: int) -> None:
    """A method that is not allowed, and a path that does not exist, under load."""
    body = b"a" * size
    rounds = max(1, min(25, 5_000_000 // size))

    def ask(path: str) -> int:
        with stranger(server, **http) as client:
            return client.post(path, content=body).status_code

    with ThreadPoolExecutor(4) as crowd:
        found = Counter(crowd.map(ask, ["/", "/missing"] * rounds))
    assert found == {405: rounds, 404: rounds}


@pytest.mark.parametrize("http", HTTP)
def test_large_response_to_a_large_unread_request_is_complete(server: str, http: dict) -> None:
    """Neither side waits forever for the other to read."""
    with stranger(server, **http) as client:
        for _ in range(3):
            answer = client.post("/unread/5000000", content=b"a" * 5_000_000)
            assert (answer.status_code, len(answer.content)) == (200, 5_000_000)


def test_largest_body_that_is_allowed_arrives_whole(site: httpx.Client) -> None:
    headers = {"Content-Length": str(ALLOWED)}
    answer = site.post("/digest", content=parts(ALLOWED), headers=headers)
    expected = hashlib.sha256()
    for part in parts(ALLOWED):
        expected.update(part)
    assert answer.text == f"{ALLOWED} {expected.hexdigest()}"
    assert site.post("/", content=parts(ALLOWED), headers=headers).status_code == 405


def test_body_of_unknown_length_arrives_whole_or_is_refused_in_words(server: str, site: httpx.Client) -> None:
    """The uwsgi protocol has no place for one."""
    for size in (100, 3_000_000):
        answer = site.post("/digest", content=parts(size))
        if server == "uwsgi":
            assert answer.status_code == 411
        else:
            assert answer.text == f"{size} {hashlib.sha256(b'a' * size).hexdigest()}"


def test_visitor_who_asks_before_sending_gets_an_answer(site: httpx.Client) -> None:
    """Some programs ask with Expect: 100-continue."""
    answer = site.post("/digest", content=b"a" * 100_000, headers={"Expect": "100-continue"})
    assert answer.text.startswith("100000 ")


@pytest.mark.parametrize("server", ["uwsgi", "gunicorn"], indirect=True)
def test_slow_upload_may_take_longer_than_a_request(server: str) -> None:
    """The application is called when all has arrived; its time limit begins then. Several come at once."""
    size = 6_000_000

    def upload(pause: float) -> str:
        with stranger(server) as client:
            return client.post("/digest", content=parts(size, pause), headers={"Content-Length": str(size)}).text

    with ThreadPoolExecutor(5) as crowd:
        found = set(crowd.map(upload, repeat((SECONDS + 4) / 6, 5)))
    assert found == {f"{size} {hashlib.sha256(b'a' * size).hexdigest()}"}


def test_requests_that_end_cost_nothing_those_that_still_arrive(server: str) -> None:
    """Threads of a process share one deadline in uWSGI."""

    def upload() -> int:
        with stranger(server) as client:
            body = parts(3_000_000, pause=1)
            return client.post("/digest", content=body, headers={"Content-Length": "3000000"}).status_code

    def ask() -> int:
        with stranger(server) as client:
            return client.get("/").status_code

    with ThreadPoolExecutor(4) as crowd:
        uploads = [crowd.submit(upload) for _ in range(2)]
        while not all(one.done() for one in uploads):
            assert ask() == 200
        assert [one.result() for one in uploads] == [200, 200]


@pytest.mark.parametrize("server", ["gunicorn", "mod_wsgi"], indirect=True)
def test_visitor_who_listens_slowly_gets_all(server: str) -> None:
    """A pause does not cut the answer. Under uWSGI, all of a request has to end in its time."""
    with stranger(server) as client, client.stream("POST", "/unread/30000000") as answer:
        size = 0
        for part in answer.iter_raw(65536):
            if not size:
                time.sleep(SECONDS + 2)
            size += len(part)
    assert size == 30_000_000


def test_body_that_is_too_large_is_refused(site: httpx.Client, server: str) -> None:
    """Also if httpd accepts it, so that the disk does not fill. uWSGI closes the connection, the others answer 413."""
    size = ALLOWED + 1
    answer = site.post("/digest", content=parts(size), headers={"Content-Length": str(size)})
    assert answer.status_code in ({500, 503} if server == "uwsgi" else {413})
    assert server == "uwsgi" or f"may have {ALLOWED} bytes" in answer.text
