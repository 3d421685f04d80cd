# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which nodes a balancer sends visitors to."""

import socket
from threading import Thread

import pytest
from ansible_collections.campus.flask_sso.plugins.modules import haproxy_backend

STATISTICS = """\
# pxname,svname,qcur,status,weight,
site,FRONTEND,,OPEN,,
nodes,web1,0,UP,1,
nodes,web2,0,UP 1/3,1,
nodes,web3,0,DOWN 1/2,1,
nodes,web4,0,MAINT,1,
nodes,web5,0,DRAIN,1,
nodes,web6,0,no check,1,
nodes,BACKEND,0,UP,3,
others,web7,0,UP,1,
"""


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "admin.sock")


@pytest.fixture
def backend(path, run_module):
    """Ask the socket; return what the module says."""
    return lambda: run_module(haproxy_backend, check_mode=True, socket=path, backend="nodes")


@pytest.fixture
def answering(path, backend):
    """Ask a HAProxy that has these statistics; return what the module says."""

    def ask(statistics):
        with socket.socket(socket.AF_UNIX) as admin:
            admin.bind(path)
            admin.listen()

            def answer():
                connection, _ = admin.accept()
                with connection:
                    assert connection.recv(100) == b"show stat\n"
                    connection.sendall(statistics.encode())

            thread = Thread(target=answer)
            thread.start()
            said = backend()
            thread.join()
            return said

    return ask


def test_nodes_that_get_visitors_are_those_that_are_up_or_not_checked(answering):
    said = answering(STATISTICS)
    assert (said["running"], said["serving"]) == (True, ["web1", "web2", "web6"])
    assert said["healthy"] == ["web1", "web6"]
    assert said["states"]["web3"] == "DOWN 1/2"
    assert "web7" not in said["states"]


@pytest.mark.parametrize("statistics", ["", "# pxname,svname,status,\nother,BACKEND,UP,\n"])
def test_balancer_without_the_backend_is_an_error(answering, statistics):
    assert "has no backend nodes" in answering(statistics)["msg"]


@pytest.mark.parametrize("left", [False, True], ids=["no socket", "a socket that nobody listens to"])
def test_balancer_that_does_not_run_is_no_error(path, backend, left):
    if left:
        with socket.socket(socket.AF_UNIX) as admin:
            admin.bind(path)
    said = backend()
    assert (said["changed"], said["running"], said["serving"]) == (False, False, [])


def test_balancer_that_hangs_is_an_error(path, backend, monkeypatch):
    monkeypatch.setattr(
        haproxy_backend.socket.socket, "settimeout", lambda admin, _: socket.socket.setblocking(admin, False)
    )
    with socket.socket(socket.AF_UNIX) as admin:
        admin.bind(path)
        admin.listen()
        assert "HAProxy does not answer at" in backend()["msg"]
