# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
#
#   fill_venv.sh VENV PYTHON REQUIREMENTS SERVER [OPTION]...
#
# Makes a virtual environment of PYTHON and installs in it, with the OPTIONs of pip, what the file SERVER names, and then the application's
# REQUIREMENTS, which may not change it. These may have paths from the working directory; -I keeps Python from importing modules from there.

venv=$1 python=$2 requirements=$3 server=$4
shift 4
umask 022
install() { "$venv/bin/pip" install --disable-pip-version-check --no-input --compile --requirement "$@"; }
"$python" -I -m venv "$venv"
install "$server" "$@"
install "$requirements" --constraint "$venv/constraints.txt"
