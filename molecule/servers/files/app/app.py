# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A user's application: it reads a body or does not, sends long responses, and does what a sandbox forbids."""

import hashlib
import mmap
import os
import pwd
import tempfile
import time
from pathlib import Path

from flask import Flask, Response, request
from flask_sock import Sock

RELEASE = "first"

app = Flask(__name__)
sockets = Sock(app)


@app.get("/")
def release():
    """Answer with the release."""
    return RELEASE


@app.post("/digest")
def digest():
    """Answer with the size and the SHA-256 of what was sent."""
    size, found = 0, hashlib.sha256()
    while part := request.stream.read(65536):
        size += len(part)
        found.update(part)
    return f"{size} {found.hexdigest()}"


@app.post("/size")
def size():
    """Answer with the size of what was sent."""
    return str(sum(map(len, iter(lambda: request.stream.read(1_000_000), b""))))


@app.post("/unread/<int:size>")
def unread(size):
    """Answer with many bytes, and read nothing."""
    return Response(b"a" * size, mimetype="application/octet-stream")


@app.get("/events")
def events():
    """Send an event each fifth of a second, and say which release does, until the file "enough" is there."""
    enough = Path(f"/var/lib/{pwd.getpwuid(os.getuid()).pw_name}/enough")
    enough.unlink(missing_ok=True)

    def stream():
        for _ in range(5 * 100):
            yield f"data: {RELEASE}\n\n"
            time.sleep(0.2)
            if enough.exists():
                yield "data: end\n\n"
                return

    return Response(stream(), mimetype="text/event-stream")


@app.get("/pause/<float:seconds>")
@app.get("/long/<float:seconds>")
def pause(seconds):
    """Answer after a while, and send nothing before."""
    time.sleep(seconds)
    return "done"


@sockets.route("/echo")
def echo(socket):
    """Send what httpd says about the visitor, and then what the visitor sends."""
    socket.send(request.headers["X-Gate-REMOTE-ADDR"])
    while True:
        socket.send(socket.receive())


def change_owner():
    """Change a file's group to another one of its owner."""
    with tempfile.NamedTemporaryFile() as file:
        os.chown(file.name, -1, os.getgid())


NEEDS = {
    "scheduling": lambda: os.nice(1),
    "jit": lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC),
    "proc": lambda: Path("/proc/meminfo").read_text(),
    "chown": change_owner,
    "mount": lambda: os.chroot("/"),
}


@app.get("/need/<name>")
def need(name):
    """Do what a sandbox may forbid; answer with the process, and with the error that it got."""
    try:
        NEEDS[name]()
    except OSError as error:
        return f"{os.getpid()} {type(error).__name__}"
    return f"{os.getpid()} done"


def create_app():
    """Create the application, for a flask_app_wsgi that names a function."""
    return app
