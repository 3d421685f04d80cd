# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
#
#   trusted_python.sh PYTHON
#
# Prints the version of PYTHON, or, with exit status 3, what of its path another account than root can replace: root compiles with it, and httpd
# loads its library while it is root. Of a path with links, that is each link, with the directories that it is in.

found=$(command -v -- "$1") || { echo "There is no $1." >&2 && exit 1; }

# Root's own, and not for all to write to, unless only owners replace what is there, as in /tmp. A link has no permissions of its own.
trust() {
    untrusted=$(find "$1" -maxdepth 0 '(' ! -uid 0 -o ! -type l -perm -002 ! -perm -1000 ')')
    [ -z "$untrusted" ] || { printf '%s\n' "$untrusted" && exit 3; }
}

path=$found
while
    directory=$(cd "$(dirname -- "$path")" && pwd -P)
    path=$directory/$(basename -- "$path")
    trust "$path"
    while
        trust "$directory"
        [ "$directory" != / ]
    do
        directory=$(dirname -- "$directory")
    done
    [ -L "$path" ]
do
    target=$(readlink -- "$path")
    case $target in
        /*) path=$target ;;
        *) path=$(dirname -- "$path")/$target ;;
    esac
done
exec "$found" --version
