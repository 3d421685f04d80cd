# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
#
#   complete_release.sh DIRECTORY RELEASE VENV OWNER USER RUN BELOW CODE [REQUIREMENT]
#
# Compiles a release, makes it and its virtual environment readable, and checks as USER whether that account can read all of it (or exit
# status 3), and with the Python CODE whether the server is REQUIREMENT (or 4). Then the release is complete, unless another RUN has begun it (5).

directory=$1 release=$2 venv=$3 owner=$4 user=$5 run=$6 below=$7
shift 7
as_owner() { runuser --user "$owner" -- "$@"; }
cd /
# A file that Python cannot compile is no error: it may be a template, or a tool for another version.
as_owner "$venv/bin/python" -I -c \
    'import compileall, os, sys; os.umask(0o022); compileall.compile_dir(sys.argv[1], quiet=2)' "$release/app"
# A command that root ran there may have left files that only root can read. The owner gets them and opens them, as root would follow a link that
# the owner puts in their place.
for place in "$release" "$venv"; do
    python3 -I -c "$below" "$directory" "${place#"$directory"/}" \
        find -P . -xdev ! -user "$owner" ! '(' -type f -links +1 ')' -execdir chown --no-dereference "$owner:$owner" '{}' +
done
as_owner find -P "$release" "$venv" ! -type l '(' ! -perm -644 -o -perm /111 ! -perm -111 -o -type d ! -perm -755 ')' \
    -exec chmod u+rwX,go+rX '{}' +
closed=$(runuser --user "$user" -- find "$release" "$venv" -not -type l '(' -not -readable -o -type d -not -executable ')' 2>&1) &&
    [ -z "$closed" ] || { printf '%s\n' "$closed" && exit 3; }
another=$(runuser --user "$user" -- "$venv/bin/python" -I -c "$@" 2>&1) && [ -z "$another" ] || { printf '%s\n' "$another" && exit 4; }
as_owner sync --file-system "$release" # as in make_venv.sh
# shellcheck disable=SC2016 # these are variables of the owner's shell
as_owner sh -euc '
    exec 9>>"${2%/*}/.lock"
    flock --timeout 7200 9 || { echo "pip has been at work in ${2%/*} for two hours, for this run or another one. Run again when it has ended." && exit 5; }
    [ "$(cat "$1/run")" = "$3" ] || { echo "Another run has begun the same release. Run the playbook again, one run at a time." && exit 5; }
    install --mode=0444 --no-target-directory /dev/null "$1/complete"
    rm --force "$1/was-complete" "$1/run"
' sh "$release" "$venv" "$run"
