# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Users are created at their first login."""

from django.conf import settings
from django.contrib.auth.backends import RemoteUserBackend


class People(RemoteUserBackend):
    """Every user whom httpd has authenticated is a user here; some are administrators."""

    def configure_user(self, request, user, created=True):
        """Set at each login what a user may do."""
        user.is_staff = user.is_superuser = user.username in settings.ADMINISTRATORS
        user.save()
        return user
