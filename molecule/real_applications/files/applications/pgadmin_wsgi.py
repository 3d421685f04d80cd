# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Serve pgAdmin, which creates its database at the first import."""

import builtins
import os
import secrets
import sys
from importlib.util import find_spec

from echo import echoing

builtins.SERVER_MODE = True
# pgAdmin requires an account of its own, which is not used if httpd authenticates the users.
os.environ.setdefault("PGADMIN_SETUP_PASSWORD", secrets.token_urlsafe())
sys.path.insert(1, find_spec("pgadmin4").submodule_search_locations[0])

from pgAdmin4 import app  # noqa: E402 (it is found only now)

application = echoing(app)
