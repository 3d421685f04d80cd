# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
#
#   ask_repository.sh SETTING...    has dnf read the list of a repository with these settings. Nothing is kept of it, so nothing
#                                     is verified

directory=$(mktemp --directory)
trap 'rm -r "$directory"' EXIT
printf '%s\n' '[shibboleth]' name=Shibboleth skip_if_unavailable=0 repo_gpgcheck=0 "$@" >"$directory/shibboleth.repo"
dnf --quiet --setopt=reposdir="$directory" --setopt=cachedir="$directory" --setopt=logdir="$directory" makecache
