# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a command in a directory whose parents another account may replace by links at any moment.

below.py DIRECTORY RELATIVE COMMAND...

Only root may replace DIRECTORY itself. No name below it is resolved twice, and none may be a link. A comparison of
paths could not tell, as such a link may lead to a mount namespace that is the account's own.
"""

import os
import sys

directory, relative, *command = sys.argv[1:]
path, opened = directory, os.open(directory, os.O_DIRECTORY | os.O_NOFOLLOW)
for name in relative.split("/"):
    path = os.path.join(path, name)
    try:
        opened = os.open(name, os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=opened)
    except NotADirectoryError:
        sys.exit(f"{path} is a link. Remove it.")
os.fchdir(opened)
os.execvp(command[0], command)  # noqa: S606 - the scripts of this role name it
