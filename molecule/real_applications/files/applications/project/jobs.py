# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work that takes too long for a page: the workers of Celery and of RQ do it."""

import getpass
import os
import time
from pathlib import Path

import redis
import rq
from celery import Celery

BROKER = "redis://localhost:6379"

celery = Celery("jobs", broker=f"{BROKER}/0", backend=f"{BROKER}/0")
queue = rq.Queue(connection=redis.Redis.from_url(f"{BROKER}/1"))


@celery.task(name="work")
def work(user, seconds=0):
    """Take some seconds; return who has done it for whom, and what it found there."""
    time.sleep(seconds)
    Path(os.environ["STATE_DIRECTORY"], "work").write_text(user)
    secret = Path(os.environ["CREDENTIALS_DIRECTORY"], "secret_key")
    return {"user": user, "account": getpass.getuser(), "secret": bool(secret.read_text())}
