# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Upgrade the database and the static files, then serve."""

import fcntl
import os

from django.conf import settings
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from echo import echoing

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
application = echoing(get_wsgi_application())

# Several processes may start at the same time.
with open(settings.STATE / "setup.lock", "w") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    call_command("migrate", interactive=False, verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)
