# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
#
#   compile.sh DIRECTORY REQUIREMENT GUARD APXS MODULE [ARCHIVE]
#
# Takes the source of uWSGI from the ARCHIVE, if there is one (exit status 4 unless it has the digest of the REQUIREMENT), or downloads what the
# REQUIREMENT of pip names. Inserts the GUARD where its module for httpd allocates a packet (3 unless that is one place), compiles the module with
# APXS and installs it as the file MODULE. All of that is in DIRECTORY, which is removed at the end, with the ARCHIVE.

directory=$1 requirement=$2 guard=$3 apxs=$4 module=$5 archive=${6-}
umask 077
rm --recursive --force "$directory"
trap 'rm --recursive --force "$directory" "$archive"' EXIT
mkdir --parents "$directory"
cd "$directory" || exit
if [ -n "$archive" ]; then
    echo "${requirement##*:}  $archive" | sha256sum --check --status || exit 4
    mv "$archive" uwsgi-source.tar.gz
else
    printf '%s\n' "$requirement" >requirements.txt
    python3 -m venv venv
    venv/bin/pip download --quiet --disable-pip-version-check --no-deps --no-binary=:all: --requirement requirements.txt
fi
printf '%s\n' "$guard" >guard.c
tar --extract --strip-components 2 --wildcards --file uwsgi-*.tar.gz '*/apache2/mod_proxy_uwsgi.c'
place='^ *ptr = buf = apr_palloc(r->pool, headerlen);$'
[ "$(grep --count "$place" mod_proxy_uwsgi.c)" = 1 ] || exit 3
sed --in-place "/$place/e cat guard.c" mod_proxy_uwsgi.c
"$apxs" -c mod_proxy_uwsgi.c
install --mode=0644 .libs/mod_proxy_uwsgi.so "$module.new"
sync "$module.new" # or a power failure may leave a part of it under the name
mv "$module.new" "$module" # a httpd that has loaded another one keeps it
