# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
#
#   begin_release.sh DIRECTORY RELEASE VENV OWNER INCOMING ARCHIVE
#
# Creates the directories of a release, unpacks INCOMING/ARCHIVE there and removes INCOMING; removes what an interrupted run left, also of its
# virtual environment. Prints "venv" where that is complete.

directory=$1 release=$2 venv=$3 owner=$4 incoming=$5 archive=$6
umask 022
trap 'rm --recursive --force "$incoming"' EXIT
mkdir --parents "$directory"
[ ! -L "$directory" ] || { echo "$directory is a link. Remove it." >&2 && exit 1; }
chown --no-dereference "$owner:$owner" "$directory"
# What is made below inherits the label. Without SELinux, this does nothing.
! command -v restorecon >/dev/null || restorecon "$directory"
cd /
# Below the directory root does nothing, as it would follow a link that the owner puts there, at whatever moment.
# shellcheck disable=SC2016 # these are variables of the owner's shell
runuser --user "$owner" -- sh -euc '
    directory=$1 release=$2 venv=$3
    [ -e "$release/complete" ] || rm --recursive --force "$release"
    mkdir --parents "$directory/releases" "$release/app" "${venv%/*}"
    chmod 0755 "$directory" "$directory/releases" "$release" "$release/app" "${venv%/*}"
    # A browser asks for static files by their time, which has to change with the release.
    tar --extract --file - --directory "$release/app" --touch --preserve-permissions
    if [ -e "$venv/complete" ]; then echo venv; else rm --recursive --force "$venv"; fi
' sh "$directory" "$release" "$venv" <"$incoming/$archive"
