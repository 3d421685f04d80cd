# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say what is wrong with a host that serves an application behind httpd, with proof, cause and remedy.

It changes nothing, and needs only Python's standard library and what is on the host. Imports are relative, as the same
files are a part of the module `doctor` and, in an archive, the command `flask-sso-doctor`.

A check is a function in `checks/`, which yields what it sees; its decorator says everything else about it. To add one,
write it beside those of the same program, add a healthy and a faulty host to tests/unit/doctor, and run
`python tools/doctor_docs.py`.
"""
