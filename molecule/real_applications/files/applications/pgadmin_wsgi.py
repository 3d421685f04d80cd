# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Serve pgAdmin, which makes its database when it is first imported."""

import builtins
import os
import secrets
import sys
from importlib.util import find_spec

from echo import echoing

builtins.SERVER_MODE = True
# pgAdmin insists on an account of its own, with which nobody logs in where httpd says who somebody is.
os.environ.setdefault("PGADMIN_SETUP_PASSWORD", secrets.token_urlsafe())
sys.path.insert(1, find_spec("pgadmin4").submodule_search_locations[0])

from pgAdmin4 import app  # noqa: E402 (it is found only now)

application = echoing(app)
