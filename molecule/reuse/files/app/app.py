# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A user's application: it answers with its release, at once or after a while."""

import time

from flask import Flask, request

RELEASE = "first"

app = Flask(__name__)


@app.get("/")
def release():
    """Answer with the release."""
    return RELEASE


@app.get("/slow")
def slow():
    """Answer after a second, or as many as are asked for, with the release that took the request."""
    time.sleep(float(request.args.get("seconds", 1)))
    return RELEASE
