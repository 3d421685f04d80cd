# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
#   remove_unused.sh DIRECTORY WHEELS    removes virtual environments that no release uses, and all wheels but WHEELS

cd "$1"
for venv in venvs/*; do
    if [ -d "$venv" ] && ! find releases -maxdepth 2 -name venv -lname "*/$venv" | grep --quiet .; then
        rm --force "$venv/complete" # first, so that an interrupted removal leaves no environment that counts as complete
        rm --recursive "$venv"
        echo "$venv"
    fi
done
for wheels in wheels/*; do
    if [ -d "$wheels" ] && [ "$1/$wheels" != "$2" ]; then
        rm --recursive "$wheels"
        echo "$wheels"
    fi
done
