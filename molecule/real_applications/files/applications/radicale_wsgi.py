# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Serve Radicale."""

from echo import echoing
from radicale import application as radicale

application = echoing(radicale)
