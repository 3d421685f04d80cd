# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
#
#   compile.sh DIRECTORY REQUIREMENT GUARD APXS MODULE
#
# Downloads the uWSGI that a REQUIREMENT of pip names, inserts the GUARD where its module for httpd allocates a packet (exit status 3 unless that
# is one place), compiles the module with APXS and installs it as the file MODULE. All of that is in DIRECTORY, which is removed at the end.

directory=$1 requirement=$2 guard=$3 apxs=$4 module=$5
umask 077
rm --recursive --force "$directory"
trap 'rm --recursive --force "$directory"' EXIT
mkdir --parents "$directory"
cd "$directory" || exit
printf '%s\n' "$requirement" >requirements.txt
printf '%s\n' "$guard" >guard.c
python3 -m venv venv
venv/bin/pip download --quiet --disable-pip-version-check --no-deps --no-binary=:all: --requirement requirements.txt
tar --extract --strip-components 2 --wildcards --file uwsgi-*.tar.gz '*/apache2/mod_proxy_uwsgi.c'
place='^ *ptr = buf = apr_palloc(r->pool, headerlen);$'
[ "$(grep --count "$place" mod_proxy_uwsgi.c)" = 1 ] || exit 3
sed --in-place "/$place/e cat guard.c" mod_proxy_uwsgi.c
"$apxs" -c mod_proxy_uwsgi.c
install --mode=0644 .libs/mod_proxy_uwsgi.so "$module.new"
sync "$module.new" # or a power failure may leave a part of it under the name
mv "$module.new" "$module" # a httpd that has loaded another one keeps it
