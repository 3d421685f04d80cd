# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of pgAdmin, under the name by which it looks for them."""

DATA_DIR = "/var/lib/pgadmin"
AUTHENTICATION_SOURCES = ["webserver"]
WEBSERVER_REMOTE_USER = "REMOTE_USER"
