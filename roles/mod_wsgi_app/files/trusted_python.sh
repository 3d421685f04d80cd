# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
#
#   trusted_python.sh PYTHON
#
# Prints the version of PYTHON, or, with exit status 3, what of its path another account than root can replace: root compiles with it, and httpd
# loads its library while it is root.

found=$(command -v -- "$1") || { echo "There is no $1." >&2 && exit 1; }
python=$(readlink --canonicalize-existing -- "$found")
path=$python
while
    untrusted=$(find "$path" -maxdepth 0 '(' ! -user root -o -perm -002 ')')
    [ -z "$untrusted" ] || { printf '%s\n' "$untrusted" && exit 3; }
    [ "$path" != / ]
do
    path=$(dirname -- "$path")
done
exec "$python" --version
