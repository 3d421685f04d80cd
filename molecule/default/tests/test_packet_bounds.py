# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A request that does not fit into a uwsgi packet ends at httpd.

A packet says its size in 16 bits. Past them the size would wrap, and a client who adds fields after a variable of the
list could make the list end there, before the variables that httpd sets.
"""

from collections.abc import Iterator
from itertools import accumulate

import bench_client
import bench_fixtures
import httpx
import pytest
from testinfra.host import Host

LIMIT = 65535
WRAP = LIMIT + 1
FIELD = 8000


@pytest.fixture(params=[False, True], ids=["HTTP/1.1", "HTTP/2"])
def session(request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    """Return a client for either version of HTTP."""
    with bench_client.client(http2=request.param) as client:
        yield client


def padded(session: httpx.Client, path: str, padding: int = 0) -> httpx.Response:
    """Ask for `path` with fields that make the packet `padding` bytes longer, behind the client's other fields."""
    count = -(-padding // FIELD)
    names = [f"Pad-{number:02}" for number in range(count)]
    letters = padding - sum(size_of(f"HTTP_{name}", "") for name in names)
    values = ["a" * (letters // count + (number < letters % count)) for number in range(count)]
    return session.get(path, headers=dict(zip(names, values, strict=True)))


def size_of(name: str, value: str) -> int:
    """Return how many bytes a variable takes in a packet."""
    return 2 + len(name) + 2 + len(value)


def test_recorder_measures_packets_to_the_byte(recorder: None, session: httpx.Client) -> None:
    """The padding does what the other tests rely on."""
    base = padded(session, "/").json()["size"]
    for size in (2000, 20000, 60000):
        packet = padded(session, "/", size - base).json()
        assert packet["size"] == sum(size_of(*variable) for variable in packet["variables"]) == size


def test_largest_packet_arrives_whole_and_the_next_is_refused(recorder: None, session: httpx.Client) -> None:
    """65535 bytes go through with every variable, 65536 are answered by httpd."""
    plain = padded(session, "/").json()
    whole = padded(session, "/", LIMIT - plain["size"])
    assert whole.status_code == 200
    assert whole.json()["size"] == LIMIT
    assert dict(plain["variables"]).keys() <= dict(whole.json()["variables"]).keys()
    assert padded(session, "/", WRAP - plain["size"]).status_code == 431


def test_no_prefix_of_the_variables_is_read_as_all_of_them(recorder: None, visitor: httpx.Client) -> None:
    """65536 bytes and every length at which a variable ends, once and twice around, are answered by httpd."""
    plain = padded(visitor, "/").json()
    ends = [0, *accumulate(size_of(*variable) for variable in plain["variables"])]
    assert len(ends) > 25
    for wraps in (1, 2):
        answers = {end: padded(visitor, "/", wraps * WRAP + end - plain["size"]).status_code for end in ends}
        assert set(answers.values()) == {431}, answers


def test_application_serves_up_to_the_limit_and_not_beyond(web: Host, session: httpx.Client) -> None:
    """The same boundary with the application itself at the socket."""
    with bench_fixtures.recording(web):
        base = padded(session, "/healthz").json()["size"]
    assert padded(session, "/healthz", LIMIT - base).text == "ok"
    assert padded(session, "/healthz", WRAP - base).status_code == 431
