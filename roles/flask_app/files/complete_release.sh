# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
#
#   complete_release.sh RELEASE VENV OWNER USER CODE [REQUIREMENT]
#
# Gives a release its virtual environment, compiles it and makes it readable, and checks as USER whether that account can read all of it (or exit
# status 3), and with the Python CODE whether the server is REQUIREMENT (or 4). Then the release is complete.

release=$1 venv=$2 owner=$3 user=$4
shift 4
ln --symbolic --force --no-dereference "$venv" "$release/venv"
chown --no-dereference "$owner:$owner" "$release/venv"
# A file that Python cannot compile is no error: it may be a template, or a tool for another version.
runuser --user "$owner" -- "$venv/bin/python" -I -c \
    'import compileall, os, sys; os.umask(0o022); compileall.compile_dir(sys.argv[1], quiet=2)' "$release/app"
# A command that root ran there may have left files that only root can read. Links are not followed, as the owner may have put them there.
for path in "${release%/*}" "${venv%/*}"; do
    [ ! -L "$path" ] || { echo "$path is a link. Remove it." >&2 && exit 1; }
done
find -P "$release" "$venv" ! -type l '(' ! -perm -644 -o -perm /111 ! -perm -111 -o -type d ! -perm -755 ')' \
    -execdir chmod u+rwX,go+rX '{}' +
cd /
closed=$(runuser --user "$user" -- find "$release" "$venv" -not -type l '(' -not -readable -o -type d -not -executable ')' 2>&1) &&
    [ -z "$closed" ] || { printf '%s\n' "$closed" && exit 3; }
another=$(runuser --user "$user" -- "$venv/bin/python" -I -c "$@" 2>&1) && [ -z "$another" ] || { printf '%s\n' "$another" && exit 4; }
runuser --user "$owner" -- install --mode=0444 --no-target-directory /dev/null "$release/complete"
