# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
#
#   begin_release.sh DIRECTORY RELEASE VENV OWNER INCOMING ARCHIVE [COMMAND]...
#
# Creates the directories of a release, with its link to the virtual environment VENV and the name of INCOMING, which is the run's own, unpacks
# INCOMING/ARCHIVE there and removes INCOMING. Removes what an interrupted run left of the release, and beside INCOMING what is older than a day.
# Prints "venv" where that is complete; otherwise begins the COMMAND as the owner, which goes on by itself.

directory=$1 release=$2 venv=$3 owner=$4 incoming=$5 archive=$6
shift 6
umask 022
trap 'rm --recursive --force "$incoming"; rmdir "${incoming%/*}" 2>/dev/null || :' EXIT
find "${incoming%/*}" -mindepth 1 -maxdepth 1 -mmin +1440 -exec rm --recursive --force '{}' +
mkdir --parents "$directory"
[ ! -L "$directory" ] || { echo "$directory is a link. Remove it." >&2 && exit 1; }
chown --no-dereference "$owner:$owner" "$directory"
# What is made below inherits the label. Without SELinux, this does nothing.
! command -v restorecon >/dev/null || restorecon "$directory"
cd /
# Below the directory root does nothing, as it would follow a link that the owner puts there, at whatever moment.
# shellcheck disable=SC2016 # these are variables of the owner's shell
runuser --user "$owner" -- sh -euc '
    directory=$1 release=$2 venv=$3 run=$4
    shift 4
    mkdir --parents "$directory/releases" "${venv%/*}"
    (umask 077 && : >>"${venv%/*}/.lock") # which the application may not hold
    exec 9>>"${venv%/*}/.lock"
    flock --timeout 7200 9 || { echo "pip has been at work in $directory for two hours, for this run or another one. Run again when it has ended." >&2 && exit 1; }
    # One that was complete stays, as it may run, but is no longer complete until all of it was unpacked again.
    [ ! -e "$release/complete" ] || mv "$release/complete" "$release/was-complete"
    [ -e "$release/was-complete" ] || rm --recursive --force "$release"
    mkdir --parents "$release/app"
    rm --force "$release/run"
    chmod 0755 "$directory" "$directory/releases" "$release" "$release/app" "${venv%/*}"
    # Even before it is made, so that no other run takes it for unused.
    ln --symbolic --force --no-dereference "$venv" "$release/venv"
    # A browser asks for static files by their time, which has to change with the release.
    tar --extract --file - --directory "$release/app" --touch --preserve-permissions
    printf "%s\n" "$run" >"$release/run"
    if [ -e "$venv/complete" ]; then
        echo venv
    elif [ $# != 0 ]; then
        setsid "$@" </dev/null >/dev/null 2>&1 9>&- &
    fi
' sh "$directory" "$release" "$venv" "${incoming##*/}" "$@" <"$incoming/$archive"
