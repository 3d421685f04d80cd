# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Describe what is at a path, and restore it from the description, atomically."""

from __future__ import annotations

import base64
import glob
import os
import tempfile
from contextlib import suppress
from stat import S_ISVTX
from typing import Any

try:
    from ansible.module_utils.compat import selinux
except ImportError:  # there is no SELinux without its library
    selinux = None

MOST_STEPS = 200  # to the target of a link, whose own links may lead in a circle
TEMPORARY = ".flask_sso-"  # begins the name of what is about to replace a file


def snapshot(path: str) -> dict[str, Any]:
    """Describe what is at a path, so that :func:`restore` can restore it.

    :param path: Absolute path.
    :returns: ``kind`` (``absent``, ``file``, ``directory``, ``link``) and what that kind needs.
    :raises OSError: if it cannot be read.
    """
    if os.path.islink(path):
        return {"kind": "link", "target": os.readlink(path)}
    if not os.path.lexists(path):
        return {"kind": "absent"}
    stat = os.stat(path)
    found = {"kind": "directory", "uid": stat.st_uid, "gid": stat.st_gid, "mode": stat.st_mode & 0o7777}
    if os.path.isfile(path):
        with open(path, "rb") as stream:
            found.update(kind="file", content=base64.b64encode(stream.read()).decode("ascii"))
    return found


def replace_file(path: str, content: bytes, uid: int, gid: int, mode: int, time: int | None = None) -> None:
    """Replace a file by renaming a complete one over it, so that no reader sees a part of it.

    :param path: Absolute path.
    :param content: What to write.
    :param uid: Owner.
    :param gid: Group.
    :param mode: Permission bits.
    :param time: Time of the file, in nanoseconds; by default now.
    :raises OSError: if it cannot be written; the former file is then unchanged.
    """
    descriptor, temporary = tempfile.mkstemp(dir=os.path.dirname(path), prefix=TEMPORARY)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
            os.fchown(stream.fileno(), uid, gid)
            os.fchmod(stream.fileno(), mode)
        if time is not None:
            os.utime(temporary, ns=(time, time))
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def replace_link(path: str, target: str) -> None:
    """Replace a link by renaming a new one over it, so that it is never missing.

    :param path: Absolute path.
    :param target: Where the link leads.
    :raises OSError: if it cannot be created; the former link is then unchanged.
    """
    temporary = os.path.join(os.path.dirname(path), f"{TEMPORARY}{os.getpid()}")
    os.symlink(target, temporary)
    try:
        os.rename(temporary, path)
    except OSError:
        os.unlink(temporary)
        raise


def remove_temporary(directories: set[str]) -> None:
    """Remove what a process that was killed left beside the file that it was about to replace.

    :param directories: Directories in which no other process replaces files now. What another account has put there
        under such a name, and cannot be removed, stays.
    """
    for directory in directories:
        for left in glob.glob(os.path.join(glob.escape(directory), f"{TEMPORARY}*")):
            with suppress(OSError):
                os.unlink(left)


def sync_directory(path: str) -> None:
    """Wait until the names in a directory would survive a power failure.

    :param path: Absolute path.
    :raises OSError: if that is not possible.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def is_roots(path: str) -> bool:
    """Return whether only root, or the account of this process, can change where a path leads.

    A link's owner alone does not tell: where another account may rename what is in a directory, it can give a link of
    root the name of another one, and link what is on the way to its target elsewhere.

    :param path: Absolute path. What is there, and not a link, may belong to any account.
    """
    place, names, steps = "/", path.split("/"), 0
    while names:
        stat = os.lstat(place)
        shared = stat.st_mode & 0o022 and not stat.st_mode & S_ISVTX
        steps += 1
        if stat.st_uid not in (0, os.geteuid()) or shared or steps > MOST_STEPS:
            return False
        place = os.path.normpath(os.path.join(place, names.pop(0)))
        if os.path.islink(place):
            if os.lstat(place).st_uid not in (0, os.geteuid()):
                return False
            target = os.readlink(place)
            names = target.split("/") + names
            place = "/" if target.startswith("/") else os.path.dirname(place)
    return True


def make_directory(path: str, uid: int, gid: int, mode: int) -> None:
    """Create a directory, or change the owner and mode of the existing one.

    :param path: Absolute path. A link to a directory is followed if only root can change where it leads.
    :param uid: Owner.
    :param gid: Group.
    :param mode: Permission bits.
    :raises OSError: if something else is there, or a link that another account has created or could change.
    """
    linked = os.path.islink(path)
    if linked and not is_roots(path):
        raise OSError(f"{path} is a link that another account has created, or could lead elsewhere. Remove it.")
    if not os.path.isdir(path):
        os.mkdir(path)
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | (0 if linked else os.O_NOFOLLOW))
    try:
        os.fchown(descriptor, uid, gid)
        os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)


def remove(path: str) -> None:
    """Remove what is at a path; a directory only if it is empty, as it may contain other files by now.

    :param path: Absolute path.
    :raises OSError: if it cannot be removed.
    """
    if os.path.isdir(path) and not os.path.islink(path):
        if not os.listdir(path):
            os.rmdir(path)
    elif os.path.lexists(path):
        os.unlink(path)


def restore(path: str, wanted: dict[str, Any]) -> None:
    """Restore what was at a path.

    :param path: Absolute path.
    :param wanted: What :func:`snapshot` returned; for a file, it may also have its ``time``.
    :raises OSError: if that is not possible.
    """
    if wanted["kind"] == "file":
        content = base64.b64decode(wanted["content"])
        replace_file(path, content, wanted["uid"], wanted["gid"], wanted["mode"], wanted.get("time"))
    elif wanted["kind"] == "directory":
        make_directory(path, wanted["uid"], wanted["gid"], wanted["mode"])
    elif wanted["kind"] == "link":
        replace_link(path, wanted["target"])
    else:
        remove(path)
        return
    label(path)


def label(path: str) -> None:
    """Give a path its default SELinux context, as what is renamed into place has that of its temporary name.

    :param path: Absolute path.
    :raises OSError: if the context cannot be set.
    """
    if selinux and selinux.is_selinux_enabled() == 1:
        code, context = selinux.matchpathcon(path, os.lstat(path).st_mode)
        if code == 0 and context:
            selinux.lsetfilecon(path, context)


def restore_all(wanted: dict[str, dict[str, Any]]) -> None:
    """Restore several paths: directories are made before their contents, and removed after them.

    What is as wanted is not written again, so nothing fails on a full disk if nothing was changed there.

    :param wanted: What :func:`snapshot` returned, by path.
    :raises OSError: if that is not possible.
    """
    gone = {path for path, entry in wanted.items() if entry["kind"] == "absent"}
    for path in sorted(wanted.keys() - gone) + sorted(gone, reverse=True):
        if snapshot(path) != wanted[path]:
            restore(path, wanted[path])
