# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Create Trac's project if there is none, upgrade it, then serve."""

import fcntl
import os
from pathlib import Path

from echo import echoing
from trac.env import Environment
from trac.web.main import dispatch_request

project = Path(os.environ["TRAC_ENV"])
# Several processes may start at the same time.
with open(project.with_suffix(".lock"), "w") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    environment = Environment(str(project), create=not project.exists())
    if environment.needs_upgrade():
        environment.upgrade(backup=True)

application = echoing(dispatch_request)
