# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Users are made when they first come."""

from django.conf import settings
from django.contrib.auth.backends import RemoteUserBackend


class People(RemoteUserBackend):
    """Whoever httpd has authenticated is a user; some are administrators."""

    def configure_user(self, request, user, created=True):
        """Say on each login what a user may do."""
        user.is_staff = user.is_superuser = user.username in settings.ADMINISTRATORS
        user.save()
        return user
