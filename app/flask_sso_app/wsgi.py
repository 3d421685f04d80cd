# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entry point of the application server: ``flask_sso_app.wsgi:application``."""

from flask_sso_app import create_app

application = create_app()
