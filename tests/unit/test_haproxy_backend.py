# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which nodes a balancer sends visitors to, and how one is taken out and put back."""

import fcntl
import os
import re
import socket
from threading import Thread

import pytest
from ansible_collections.campus.flask_sso.plugins.modules import haproxy_backend

STATISTICS = """\
# pxname,svname,scur,status,weight,
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


class Balancer:
    """Answers like HAProxy, and does what it is told unless it refuses. A session ends each time it is asked."""

    def __init__(self, path, statistics, refuses=""):
        self.path, self.statistics, self.refuses, self.told = path, statistics, refuses, []
        self.number = 100
        self.admin = socket.socket(socket.AF_UNIX)
        self.admin.bind(path)
        self.admin.listen()
        self.thread = Thread(target=self.serve, daemon=True)

    def __enter__(self):
        """Begin."""
        self.thread.start()
        return self

    def __exit__(self, *_):
        """End."""
        self.admin.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.admin.close()

    def serve(self):
        """Answer until the end."""
        while True:
            try:
                connection, _ = self.admin.accept()
            except OSError:
                return
            with connection:
                connection.sendall(self.answer(connection.recv(100).decode().strip()).encode())

    def locked(self):
        """Return whether other runs wait."""
        directory = os.open(os.path.dirname(self.path), os.O_RDONLY)
        try:
            fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(directory)
        return False

    def answer(self, command):
        """Do it; return what HAProxy would say."""
        if command == "show info":
            return f"Name: HAProxy\nPid: {self.number}\nUptime: 0d\n"
        if command == "show stat":
            said = self.statistics
            self.statistics = re.sub(
                r"(?m)^(nodes,web1),(\d+)", lambda row: f"{row[1]},{max(int(row[2]) - 1, 0)}", said
            )
            return said
        self.told.append(command)
        if self.refuses:
            return self.refuses
        assert self.locked()
        _, _, server, _, state = command.split()
        new = {"maint": "MAINT", "ready": "UP 1/2"}[state]
        name = server.replace("/", ",")
        self.statistics = re.sub(rf"(?m)^({name},\d+),[^,]*", rf"\1,{new}", self.statistics)
        return "\n"


@pytest.fixture
def answering(path, backend):
    """Ask a HAProxy that has these statistics; return what the module says."""

    def ask(statistics):
        with Balancer(path, statistics) as balancer:
            said = backend()
        assert balancer.told == []
        return said

    return ask


@pytest.fixture
def change(path, run_module):
    """Change a server at a HAProxy; return what the module says, and what it told HAProxy."""

    def change(server, state, statistics=STATISTICS, *, refuses="", check_mode=False):
        with Balancer(path, statistics, refuses) as balancer:
            said = run_module(
                haproxy_backend, check_mode=check_mode, socket=path, backend="nodes", server=server, state=state
            )
        return said, balancer.told

    return change


def test_nodes_that_get_visitors_are_those_that_are_up_or_not_checked(answering):
    said = answering(STATISTICS)
    assert (said["running"], said["serving"]) == (True, ["web1", "web2", "web6"])
    assert said["healthy"] == ["web1", "web6"]
    assert said["states"]["web3"] == "DOWN 1/2"
    assert "web7" not in said["states"]


def test_balancer_without_the_backend_is_an_error(answering):
    assert "has no backend nodes" in answering("# pxname,svname,status,\nother,BACKEND,UP,\n")["msg"]


def test_balancer_that_ends_meanwhile_does_not_run(answering):
    said = answering("")
    assert (said["running"], said["states"]) == (False, {})


def test_process_is_named(answering, backend):
    assert answering(STATISTICS)["process"] == 100
    assert backend()["process"] == 0


@pytest.mark.parametrize("left", [False, True], ids=["no socket", "a socket without a listener"])
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


def test_node_is_taken_out_once(change):
    said, told = change("web1", "disabled")
    assert (said["changed"], said["out"], said["serving"]) == (True, True, ["web2", "web6"])
    assert told == ["set server nodes/web1 state maint"]


def test_node_that_is_out_stays_out(change):
    said, told = change("web4", "disabled")
    assert (said["changed"], said["out"], told) == (False, True, [])


@pytest.mark.parametrize("other", ["UP 1/2", "DOWN", "MAINT", "DRAIN"])
def test_only_healthy_node_is_not_taken_out(change, other):
    """One that was put back, and not checked yet, is not healthy."""
    rows = f"nodes,web1,0,UP,\nnodes,web2,0,{other},\nnodes,BACKEND,0,UP,\n"
    said, told = change("web1", "disabled", f"# pxname,svname,scur,status,\n{rows}")
    assert (said["changed"], said["out"], told) == (False, False, [])


def test_two_nodes_are_not_both_taken_out(path, run_module):
    """Two runs that take out one each, where only these serve."""
    statistics = "# pxname,svname,scur,status,\nnodes,web1,0,UP,\nnodes,web2,0,UP,\nnodes,BACKEND,0,UP,\n"
    with Balancer(path, statistics) as balancer:
        out = [
            run_module(haproxy_backend, socket=path, backend="nodes", server=name, state="disabled")["out"]
            for name in ("web1", "web2")
        ]
    assert (out, balancer.told) == ([True, False], ["set server nodes/web1 state maint"])


@pytest.mark.parametrize("name", ["web4", "web5"], ids=["out", "drained by hand"])
def test_node_is_put_back_and_not_yet_healthy(change, name):
    said, told = change(name, "enabled")
    assert (said["changed"], said["out"], name in said["healthy"]) == (True, False, False)
    assert told == [f"set server nodes/{name} state ready"]


def test_check_mode_changes_nothing(change):
    said, told = change("web1", "disabled", check_mode=True)
    assert (said["changed"], told) == (True, [])


def test_node_that_the_balancer_does_not_have_is_no_error(change):
    said, told = change("web9", "disabled")
    assert (said["changed"], said["out"], told) == (False, False, [])


def test_balancer_that_refuses_is_an_error(change):
    said, _ = change("web1", "disabled", refuses="Permission denied\n")
    assert said["msg"].endswith('says to "set server nodes/web1 state maint": Permission denied')


def with_sessions(number):
    """Return statistics in which the first node has this many sessions."""
    return STATISTICS.replace("web1,0,", f"web1,{number},")


@pytest.fixture
def drained(path, run_module, monkeypatch):
    """Take the first node out; return what the module says, and how often it waited. A function may change HAProxy."""

    def drained(statistics, seconds=60, meanwhile=None):
        waits = []

        def wait(_):
            assert not balancer.locked()
            waits.append(1)
            if meanwhile:
                meanwhile(balancer)

        monkeypatch.setattr(haproxy_backend.time, "sleep", wait)
        with Balancer(path, statistics) as balancer:
            options = {"server": "web1", "state": "disabled", "drain_seconds": seconds}
            return run_module(haproxy_backend, socket=path, backend="nodes", **options), len(waits)

    return drained


def test_node_that_is_taken_out_has_no_sessions_left(drained):
    """Meanwhile, other runs may look."""
    said, waits = drained(with_sessions(9))
    assert (said["out"], said["sessions"]) == (True, 0)
    assert waits > 5


def test_sessions_that_do_not_end_in_time_are_reported(drained):
    said, waits = drained(with_sessions(9), seconds=0)
    assert (said["out"], said["sessions"] > 5, waits) == (True, True, 0)


def test_node_that_stays_is_not_waited_for(drained):
    rows = "nodes,web1,9,UP,\nnodes,web2,0,DOWN,\nnodes,BACKEND,0,UP,\n"
    said, waits = drained(f"# pxname,svname,scur,status,\n{rows}")
    assert (said["out"], said["sessions"], waits) == (False, 9, 0)


def test_balancer_that_is_reloaded_meanwhile_is_told_again(drained):
    def reload(balancer):
        if balancer.told == ["set server nodes/web1 state maint"]:
            balancer.statistics = with_sessions(3)

    said, _ = drained(with_sessions(3), meanwhile=reload)
    assert (said["out"], said["sessions"]) == (True, 0)


def test_balancer_that_stops_meanwhile_has_no_visitors(drained):
    said, _ = drained(with_sessions(9), meanwhile=lambda balancer: setattr(balancer, "statistics", ""))
    assert (said["running"], said["out"], said["sessions"]) == (False, False, 0)
