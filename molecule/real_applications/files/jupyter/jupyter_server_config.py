# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jupyter believes httpd, which alone reaches its socket, who the user is."""

from jupyter_server.auth import IdentityProvider, User


class HeaderIdentityProvider(IdentityProvider):
    """The user is in a header."""

    def get_user(self, handler):
        """Return the user of a request, or None."""
        name = handler.request.headers.get("Remote-User")
        return User(name) if name else None


c = get_config()  # noqa: F821 (Jupyter defines it)
c.ServerApp.identity_provider_class = HeaderIdentityProvider
c.ServerApp.sock = "/run/jupyter/http.sock"
c.ServerApp.sock_mode = "0660"
c.ServerApp.base_url = "/jupyter/"
c.ServerApp.allow_remote_access = True
