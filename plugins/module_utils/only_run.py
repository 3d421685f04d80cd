# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Let one run at a time read and change the files of a host's services, and the records of them."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ansible.module_utils.basic import AnsibleModule

WAIT_SECONDS = 24 * 3600  # commands of an activation may take hours; each has a limit of its own
LONG_SECONDS = 60  # who waits longer is told for whom
PAUSE_SECONDS = 0.1
HOLDER = "run"  # beside the journals: whose run changes the host


@contextmanager
def only_run(module: AnsibleModule) -> Iterator[None]:
    """Wait until no other run changes the host's services, and keep others waiting.

    The lock is on the directory of the journals, and ends with the process. Check mode changes nothing and has none.

    :param module: The module, with its options ``journal_directory`` and ``site``. It ends if another takes too long.
    """
    directory = module.params["journal_directory"]
    if module.check_mode:
        yield
        return
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        module.fail_json(msg=f"{error}. Nothing was changed.", changed_paths=[])
    try:
        wait(module, descriptor)
        with held(os.path.join(directory, HOLDER), module.params["site"]):
            yield
    finally:
        os.close(descriptor)


def wait(module: AnsibleModule, descriptor: int) -> None:
    """Wait for the lock, as long as a run that lives may need it.

    :param module: The module. It ends if another run takes too long.
    :param descriptor: The directory, open.
    """
    path = os.path.join(module.params["journal_directory"], HOLDER)
    begin, holder = time.monotonic(), ""
    while not locks(descriptor):
        seconds = int(time.monotonic() - begin)
        if seconds >= WAIT_SECONDS:
            module.fail_json(
                msg=f"For {seconds} seconds, {name_of(path)} has been changing this host. Try again when it has ended.",
                changed_paths=[],
            )
        if seconds >= LONG_SECONDS and not holder:
            holder = name_of(path)
            module.log(f"Waiting for {holder}, which is changing this host.")  # Ansible shows nothing until the end
        time.sleep(PAUSE_SECONDS)
    if holder:
        module.warn(f"Waited {int(time.monotonic() - begin)} seconds for {holder}, which was changing this host.")


@contextmanager
def held(path: str, site: str) -> Iterator[None]:
    """Let others know who has the lock. On a full disk they do not, as a rollback has to run there.

    :param path: The file for it.
    :param site: Name of the site that the run deploys.
    """
    with suppress(OSError), open(path, "w", encoding="utf-8") as stream:
        json.dump({"site": site, "process": os.getpid(), "since": time.strftime("%H:%M:%S")}, stream)
    try:
        yield
    finally:
        with suppress(OSError):
            os.unlink(path)


def name_of(path: str) -> str:
    """Say who has the lock.

    :param path: The file that says it; it may be missing.
    :returns: Words for a sentence.
    """
    try:
        with open(path, encoding="utf-8") as stream:
            return "a run for {site} (process {process}, since {since})".format(**json.load(stream))
    except (OSError, ValueError, KeyError):
        return "another run"


def locks(descriptor: int) -> bool:
    """Lock a file or directory, unless another process has done so.

    :param descriptor: It, open.
    :returns: Whether it is locked.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
