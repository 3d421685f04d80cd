# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find Python libraries that are missing or too old."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import PackageNotFoundError, version

from ansible.module_utils.compat.version import LooseVersion


def library_faults(**oldest: str) -> str:
    """Compare the libraries of this Python with those that are needed.

    :param oldest: The oldest version of each library that is new enough.
    :returns: One sentence for all faults, which names the host and the interpreter; empty if there are none.
    """
    faults = []
    for name, needed in oldest.items():
        try:
            found = version(name)
        except PackageNotFoundError:
            faults.append(f"{name} >= {needed} is missing")
            continue
        if LooseVersion(found) < LooseVersion(needed):
            faults.append(f"{name} is {found}, and {needed} or later is needed")
    if not faults:
        return ""
    remedy = " ".join(f'"{name}>={needed}"' for name, needed in oldest.items())
    return (
        f"Python libraries on {platform.node()}: {'; '.join(faults)}. Install what is needed:"
        f" {sys.executable} -m pip install {remedy}"
    )
