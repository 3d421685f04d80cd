# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
#
#   make_venv.sh DIRECTORY VENV PYTHON SERVER PROJECT REQUIREMENTS [COMPILE WHEELS BUILDER]
#
# Makes a virtual environment of PYTHON, unless another run has done so meanwhile. Installs in it the requirement SERVER, compiled in WHEELS by
# what the requirements BUILDER name where the script COMPILE is given, and then the application's REQUIREMENTS, which may not change it. These
# may be project.txt, which has the requirement PROJECT, and may have paths from the DIRECTORY of the application; -I keeps Python from importing
# modules from there.

directory=$1 venv=$2 python=$3 server=$4 project=$5 requirements=$6
shift 6
umask 022
# pip has the lock, too, and keeps it where it goes on without this script, as after an interruption.
exec 9>>"${venv%/*}/.lock"
flock --timeout 7200 9 || { echo "pip has been at work in ${venv%/*} for two hours, for this run or another one. Run again when it has ended." >&2 && exit 1; }
[ ! -e "$venv/complete" ] || exit 0
cd "$directory" || exit
rm --recursive --force "$venv"
mkdir "$venv"
printf '%s\n' "$server" >"$venv/server.txt"
printf '%s\n' "${server%% *}" >"$venv/constraints.txt" # the version without its digest, as a constraint may have none
printf '%s\n' "$project" >"$venv/project.txt"
install() { "$venv/bin/pip" install --disable-pip-version-check --no-input --compile --requirement "$@"; }
"$python" -I -m venv "$venv"
if [ $# = 0 ]; then
    install "$venv/server.txt"
else
    sh -euc "$1" sh "$2" "$venv/bin/pip" "$3" "$server"
    install "$venv/constraints.txt" --no-index --find-links "$2"
fi
install "$requirements" --constraint "$venv/constraints.txt"
# A power failure may not leave an environment that is complete, and has empty files.
sync --file-system "$venv"
touch "$venv/complete"
