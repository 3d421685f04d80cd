# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Give a new virtual environment the pip of another one.

On the bench, this is in the place of Python's ensurepip, which unpacks and compiles pip each time. The files are the
same.
"""

import shutil
import sys
from pathlib import Path

MODEL = Path("/usr/local/lib/venv")

if __name__ == "__main__":
    prefix = Path(sys.prefix)
    shutil.copytree(MODEL / "lib", prefix / "lib", dirs_exist_ok=True, symlinks=True)
    for script in MODEL.glob("bin/pip*"):
        shutil.copy(script, prefix / "bin")
        copy = prefix / "bin" / script.name
        copy.write_text(copy.read_text().replace(str(MODEL), sys.prefix))
