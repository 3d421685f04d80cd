# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
#
#   remove_unused.sh DIRECTORY RELEASE KEEP WHEELS
#
# Removes old releases, so that RELEASE and the newest of the others stay, KEEP in all; virtual environments that no release uses; and
# all wheels but WHEELS. Prints what it has removed.

set -eu
cd "$1"
for directory in releases venvs wheels; do
    # Root must not follow a link that the owner has put there.
    [ ! -L "$directory" ] || { echo "$1/$directory is a link. Remove it." >&2 && exit 1; }
done
find releases -mindepth 1 -maxdepth 1 -type d ! -name "$2" -printf '%T@ %p\n' | sort --reverse --numeric-sort | tail --lines "+$3" |
    while read -r _ release; do
        rm --recursive "$release"
        echo "$release"
    done
for venv in venvs/*; do
    if [ -d "$venv" ] && ! find releases -maxdepth 2 -name venv -lname "*/$venv" | grep --quiet .; then
        rm --force "$venv/complete" # first, so that an interrupted removal leaves no environment that counts as complete
        rm --recursive "$venv"
        echo "$venv"
    fi
done
for wheels in wheels/*; do
    if [ -d "$wheels" ] && [ "$1/$wheels" != "$4" ]; then
        rm --recursive "$wheels"
        echo "$wheels"
    fi
done
