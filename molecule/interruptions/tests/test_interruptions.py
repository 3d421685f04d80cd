# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run that is killed, or lacks what it needs, leaves a site that serves; one run completes it.

The tests follow each other in the life of one site; each changes everything about it.
"""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Timer

import bench_client
import pytest
from conftest import Change, restart, served
from testinfra.host import Host

LONG = bool(os.environ.get("FLASK_SSO_LONG"))
POINTS = 25 if LONG else 5
TASK = re.compile(r"(TASK|RUNNING HANDLER) \[(.*?)\] \*")
# A disk may be full at a new release, at the record of what was there before, and at httpd's files.
DIRECTORIES = ("/srv/flask_app", "/var/lib/flask_sso", "/etc/apache2")
SETTINGS = "/etc/apache2 /etc/flask_app /etc/shibboleth /etc/systemd/system"
RECORD = "/etc/flask_app/releases/variables"  # for release.yml; a run empties it before its first change
LOCK = """
import fcntl, subprocess, time
stream = open("/var/lib/dpkg/lock-frontend", "w")
fcntl.lockf(stream, fcntl.LOCK_EX)
subprocess.run(["systemd-notify", "--ready"], check=True)
time.sleep(600)
"""


def visitors() -> AbstractContextManager[list[str]]:
    """Visit the site all the time; yields the list of answers."""
    return bench_client.visitors("/healthz", "/healthz", "/healthz")


def settings(web: Host) -> str:
    """Return owners, modes, targets and checksums of all files that the services start with."""
    found = f"find {SETTINGS} -not -path {RECORD} -not -name filler -not -type d"
    listed = web.check_output(f"{found} -printf '%p %u %g %m %l\\n' | sort")
    return listed + web.check_output(f"{found} -type f -exec sha256sum {{}} + | sort")


def heal(web: Host, change: Change, watch: Callable[[str], object] = str, **variables: object) -> str:
    """Deploy a change that was not completed; return how long that took."""
    began = time.monotonic()
    run = change.deploy(watch=watch, **variables)
    seconds = time.monotonic() - began
    assert run.code == 0, run.said
    assert served().only(change.name)
    assert web.run("ls /var/lib/flask_sso/*.journal").failed  # nothing waits for a later reload
    return f"{seconds:.0f} s"


@contextmanager
def on_small_disks(web: Host) -> Iterator[None]:
    """Put each of the directories on a file system of its own, with 16 MB that are free.

    Services with a namespace of their own see what is mounted in a container when they are restarted.
    """
    disks = {directory: f"/run/disks{directory.replace('/', '-')}" for directory in DIRECTORIES}
    for directory, disk in disks.items():
        used = f"du --summarize --block-size=1k {directory} | cut --fields=1"
        web.check_output(f"mkdir --parents {disk}")
        web.check_output(f"mount -t tmpfs -o size=$(($({used}) + 16384))k tmpfs {disk}")
        web.check_output(f"cp --archive {directory}/. {disk}/ && mount --bind {disk} {directory}")
    restart(web)
    try:
        yield
    finally:
        for directory, disk in disks.items():
            web.check_output(f"umount --lazy {directory} && find {directory} -mindepth 1 -delete")
            web.check_output(f"cp --archive {disk}/. {directory}/ && umount --lazy {disk}")
        restart(web)


@contextmanager
def full(web: Host, directory: str) -> Iterator[None]:
    """Fill the file system of a directory."""
    filler = f"{directory}/filler"
    assert web.run(f"dd if=/dev/zero of={filler} bs=4k").failed  # at the first block that does not fit
    assert web.check_output(f"df --output=avail {directory} | tail --lines=1").strip() == "0"
    try:
        yield
    finally:
        web.check_output(f"rm {filler}")


@contextmanager
def without_network(web: Host) -> Iterator[None]:
    """Cut the host off from all but its neighbours, among whom are the visitors."""
    route = web.check_output("ip route show default")
    web.check_output("ip route delete default")
    try:
        yield
    finally:
        web.check_output(f"ip route add {route}")


@contextmanager
def locked_packages(web: Host) -> Iterator[Callable[[], object]]:
    """Hold the lock of the package manager, until the block ends or calls what this yields."""
    notify = "--property=Type=notify --property=NotifyAccess=all"
    web.check_output(f"systemd-run --unit=package-lock --collect {notify} python3 -c %s", LOCK)

    def unlock() -> None:
        web.run("systemctl stop package-lock")

    try:
        yield unlock
    finally:
        unlock()


@pytest.mark.parametrize("point", range(POINTS))
def test_site_survives_a_run_that_is_killed(web, changes, course, report, point) -> None:
    """Then a restart of its services, then a boot. The points are spread over the tasks from the first change on.

    Nothing new runs before the first handler has ended, but shibd, which loads a newer shibboleth2.xml by itself.
    """
    old, new = served().application, next(changes)
    first, last = course
    task = first + 1 + (last - first - 1) * (2 * point + 1) // (2 * POINTS)
    with visitors() as answers:
        killed = new.deploy(kill_at=task)
    assert killed.code == -signal.SIGKILL, killed.said
    begun = TASK.findall(killed.said)
    # Nothing new runs before the first handler has ended.
    runs = [old, new.name] if "RUNNING HANDLER" in {kind for kind, _ in begun[:-1]} else [old]
    assert answers
    assert {answer.removeprefix("200 ") for answer in answers} <= set(runs)
    then = served()
    assert replace(then, shibd=old).only(*runs)
    assert then.shibd in {old, new.name}

    restart(web)
    restarted = served()
    assert restarted.only(old, new.name)
    bench_client.boot(web)
    booted = served()
    assert booted.only(old, new.name)
    took = heal(web, new)
    report(
        f"Point {point + 1} of {POINTS}: killed at task {task} of {last}, {begun[-1][1]}.\n"
        f"None of {len(answers)} requests failed. From {old} to {new.name}, it served {then},\n"
        f"after a restart {restarted},\nafter a boot {booted}. One run completed it in {took}."
    )


def test_full_disk_changes_nothing(web, changes, report) -> None:
    """The services also start as before, with the same files; with space again, one run completes the change."""
    old, new = served(), next(changes)
    with on_small_disks(web):
        before = settings(web)
        for directory in DIRECTORIES:
            with full(web, directory):
                with visitors() as answers:
                    failed = new.deploy()
                assert failed.code == 2, failed.said
                assert "No space left on device" in failed.said
                assert settings(web) == before, directory
                assert set(answers) == {f"200 {old.application}"}
                assert served() == old, directory
                restart(web)
                assert served() == old, directory
            report(f"{directory} full: none of {len(answers)} requests failed, and the services' files are as before.")
        took = heal(web, new)
    assert served().only(new.name)
    report(f"With space again, one run completed the change in {took}.")


def test_cut_network_changes_nothing_and_locked_packages_are_awaited(web, changes, report) -> None:
    """The change needs a package of the index; the run that completes it also one of the distribution."""
    old, new = served(), next(changes)
    requirements = Path(new.variables["flask_app_source"]) / "requirements.txt"
    requirements.write_text(f"{requirements.read_text()}iniconfig==2.1.0\n")
    with without_network(web), visitors() as answers:
        failed = new.deploy()
        assert served() == old
    assert failed.code == 2, failed.said
    assert set(answers) == {f"200 {old.application}"}
    restart(web)
    assert served() == old
    report(f"Network cut: none of {len(answers)} requests failed.")

    with locked_packages(web) as unlock:
        waits = []

        def unlock_later(line: str) -> None:
            if line.startswith("TASK [Install the packages of all parts together]"):
                waits.append(Timer(5, unlock))
                waits[0].start()

        took = heal(web, new, watch=unlock_later, flask_app_packages=["hello"])
    assert len(waits) == 1
    assert web.package("hello").is_installed
    report(f"With the network again, one run completed the change in {took}, 5 s of which it waited for a lock.")


@pytest.mark.skipif(not LONG, reason="the run waits for a minute: make test-long")
def test_packages_that_stay_locked_change_nothing(web, changes, report) -> None:
    """The run fails before anything else changes."""
    old, new = served(), next(changes)
    web.check_output("dpkg --purge hello")
    before = settings(web)
    with locked_packages(web), visitors() as answers:
        failed = new.deploy(flask_app_packages=["hello"])
        assert served() == old
    assert failed.code == 2, failed.said
    assert "lock" in failed.said
    assert set(answers) == {f"200 {old.application}"}
    assert settings(web) == before
    took = heal(web, new, flask_app_packages=["hello"])
    report(f"Packages locked: none of {len(answers)} requests failed, and one run completed the change in {took}.")
