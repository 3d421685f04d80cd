# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print packages that differ from the arguments ("name==version") or whose files have changed."""

import hashlib
import sys
from base64 import urlsafe_b64encode
from importlib.metadata import distribution

for requirement in sys.argv[1:]:
    name, version = requirement.split("==")
    installed = distribution(name)
    source = installed.read_text("direct_url.json")  # its source, unless that is the package index
    if installed.version != version or source:
        print(name, installed.version, source or "")
    for file in installed.files:
        if file.hash:
            digest = hashlib.new(file.hash.mode, file.locate().read_bytes()).digest()
            if urlsafe_b64encode(digest).decode().rstrip("=") != file.hash.value:
                print(file.locate())
