# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
#
#   remove_unused.sh DIRECTORY RELEASE KEEP WHEELS RECORDS BELOW
#
# Removes old releases, so that RELEASE and those of the others that ran last stay, KEEP in all; the RECORDS of releases that are gone;
# virtual environments that no release uses; and all wheels but WHEELS. Prints what it has removed. Another run may meanwhile make a release, or
# activate one: what current leads to stays, and what was begun in the last hour and has not run. BELOW is the program below.py.

set -eu
cd "$1"
top=$1 below=$6
remove() { python3 -I -c "$below" "$top" "${1%/*}" rm --recursive --force "./${1##*/}"; }
for directory in releases venvs wheels; do
    # Root must not follow a link that the owner has put there.
    [ ! -L "$directory" ] || { echo "$1/$directory is a link. Remove it." >&2 && exit 1; }
done
is_recent() { find "$1" -prune -mmin -60 | grep --quiet .; }
current=$(readlink current || true)
for release in releases/*; do
    id=${release#releases/}
    # A record is as old as the release's last activation; a release without one has never run.
    if [ ! -d "$release" ] || [ "$id" = "$2" ] || [ "$1/$release" = "$current" ]; then
        continue
    elif [ -e "$5/$id.json" ]; then
        echo "$(stat --format=%.9Y "$5/$id.json") $release"
    elif ! is_recent "$release"; then
        echo "0 $release"
    fi
done | sort --reverse --numeric-sort | tail --lines "+$3" |
    while read -r _ release; do
        [ -L "$release" ] || remove "$release/complete" # first, so that an interrupted removal leaves no release that counts as complete
        remove "$release"
        echo "$release"
    done
for record in "$5"/*.json "$5"/*.json.new; do
    name=${record##*/}
    [ -d "releases/${name%%.json*}" ] || rm --force "$record"
done
for venv in venvs/*; do
    if [ -d "$venv" ] && [ ! -L "$venv" ] && ! find releases -maxdepth 2 -name venv -lname "*/$venv" | grep --quiet .; then
        remove "$venv/complete" # likewise
        remove "$venv"
        echo "$venv"
    fi
done
for wheels in wheels/*; do
    if [ -d "$wheels" ] && [ "$1/$wheels" != "$4" ] && ! is_recent "$wheels"; then
        remove "$wheels"
        echo "$wheels"
    fi
done
