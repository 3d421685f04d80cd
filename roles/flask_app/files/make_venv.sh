# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
#
#   make_venv.sh DIRECTORY VENV PYTHON SERVER CONSTRAINT PROJECT REQUIREMENTS FILE [OPTION]...
#
# Makes a virtual environment of PYTHON, unless another run has done so meanwhile, with server.txt, constraints.txt and project.txt, which have
# the requirements SERVER, CONSTRAINT and PROJECT. Installs in it, with the OPTIONs of pip, what the FILE with the server names, and then the
# application's REQUIREMENTS, which may not change it. FILE is there, or server.txt; REQUIREMENTS may be project.txt. These may have paths from
# the DIRECTORY of the application; -I keeps Python from importing modules from there.

directory=$1 venv=$2 python=$3 server=$4 constraint=$5 project=$6 requirements=$7 file=$8
shift 8
umask 022
# pip has the lock, too, and keeps it where it goes on without this script, as after an interruption.
exec 9>>"${venv%/*}/.lock"
flock --timeout 1800 9 || { echo "Another run, or what one has left, has been at work in ${venv%/*} for half an hour." >&2 && exit 1; }
[ ! -e "$venv/complete" ] || exit 0
cd "$directory" || exit
rm --recursive --force "$venv"
mkdir "$venv"
printf '%s\n' "$server" >"$venv/server.txt"
printf '%s\n' "$constraint" >"$venv/constraints.txt"
printf '%s\n' "$project" >"$venv/project.txt"
install() { "$venv/bin/pip" install --disable-pip-version-check --no-input --compile --requirement "$@"; }
"$python" -I -m venv "$venv"
install "$file" "$@"
install "$requirements" --constraint "$venv/constraints.txt"
# A power failure may not leave an environment that is complete, and has empty files.
sync --file-system "$venv"
touch "$venv/complete"
