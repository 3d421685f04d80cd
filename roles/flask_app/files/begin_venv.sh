# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
#
#   begin_venv.sh VENV [FILE LINE]...    creates the directory of a virtual environment with these files

venv=$1
shift
umask 022
mkdir "$venv"
while [ $# -gt 0 ]; do
    printf '%s\n' "$2" >"$venv/$1"
    shift 2
done
