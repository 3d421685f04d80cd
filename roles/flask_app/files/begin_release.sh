# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
#
#   begin_release.sh DIRECTORY RELEASE VENV OWNER    creates the directories of a release; removes what an interrupted run left;
#                                                    prints "venv" where its virtual environment is complete

directory=$1 release=$2 venv=$3 owner=$4
umask 022
mkdir --parents "$directory"
for path in "$directory" "$directory/releases" "$release" "$release/app"; do
    # Root must not follow a link that the owner has put there.
    [ ! -L "$path" ] || { echo "$path is a link. Remove it." >&2 && exit 1; }
    [ "$path" != "$release" ] || [ -e "$release/complete" ] || rm --recursive --force "$release"
    [ -d "$path" ] || mkdir "$path"
    chown --no-dereference "$owner:$owner" "$path"
    chmod 0755 "$path"
done
[ ! -e "$venv/complete" ] || echo venv
