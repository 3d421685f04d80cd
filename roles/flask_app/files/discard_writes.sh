# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
#
#   discard_writes.sh DIRECTORY PATH... -- COMMAND...
#
# Runs a systemd-run COMMAND that sees, at each PATH, a copy in memory, and discards what was written to it. The copies are in DIRECTORY,
# which only root enters; the sandbox could not make them itself. What the command prints goes through a file there: SELinux does not let
# every pipe through D-Bus, as systemd-run's --pipe needs.

directory=$1
shift
discard() {
    ! mountpoint --quiet "$directory" || umount --recursive --lazy "$directory"
    [ ! -d "$directory" ] || rmdir "$directory"
}
# What another account leads root to, it could read in the copy: from where one may replace links, there is none on the way to PATH.
require_roots() (
    IFS=/ place='' roots=true
    for name in $1; do
        place=${place%/}/$name
        [ ! -L "$place" ] || $roots || { echo "$place is a link. Remove it." && exit 1; }
        [ -z "$(find -H "$place" -prune '(' ! -user root -o -perm /022 ! -perm -1000 ')')" ] || roots=false
    done
)
discard # what an interrupted run left
trap discard EXIT
mkdir --mode=0700 "$directory"
mount -t tmpfs -o mode=0700 tmpfs "$directory"
number=0
bound=
while [ "$1" != -- ]; do
    path=$1 number=$((number + 1))
    copy=$directory/$number
    shift
    [ -f "$path" ] || [ -d "$path" ] || continue
    require_roots "$path"
    mkdir "$copy"
    if [ -d "$path" ]; then
        mkdir "$copy/changes" "$copy/work" "$copy/seen"
        chown --reference="$path" "$copy/changes"
        chmod --reference="$path" "$copy/changes"
        mount -t overlay -o "lowerdir=$path,upperdir=$copy/changes,workdir=$copy/work" overlay "$copy/seen"
    else
        cp -p "$path" "$copy/seen"
    fi
    bound="$bound --property=BindPaths=$copy/seen:$path"
done
shift
program=$1
shift
status=0
# shellcheck disable=SC2086 # a property for each path; a unit's paths have no spaces
"$program" $bound "--property=StandardOutput=file:$directory/output" "$@" || status=$?
[ ! -f "$directory/output" ] || cat "$directory/output"
exit "$status"
