# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
#
#   compile_uwsgi.sh DIRECTORY PYTHON BUILDER SERVER
#
# Makes a wheel of the uWSGI that the requirement SERVER names, for PYTHON, in DIRECTORY, unless another run has done so meanwhile. It is built
# by what the requirements BUILDER name.

directory=$1 python=$2 builder=$3 server=$4
umask 022
mkdir -p "$directory"
cd "$directory" || exit
(umask 077 && : >>.lock) # which the application may not hold
exec 9>>.lock
flock --timeout 1800 9 || { echo "Another run, or what one has left, has been at work in $directory for half an hour." >&2 && exit 1; }
for wheel in *.whl; do
    [ ! -e "$wheel" ] || exit 0
done
rm -rf builder
printf '%s\n' "$builder" > builder.txt
printf '%s\n' "$server" > server.txt
"$python" -I -m venv builder
builder/bin/pip install --quiet --requirement builder.txt
builder/bin/pip download --quiet --no-deps --no-build-isolation --no-binary=:all: --dest builder --requirement server.txt
tar --extract --directory builder --file builder/uwsgi-*.tar.gz
# The threads of a process share one deadline. Reading a body extends it; if another thread's request has just ended and reset it, uWSGI's
# sum is in the past, so uWSGI would kill the process at once.
sed --in-place 's/^\(\t*\)\(.*[.]harakiri\) += sec;$/\1\2 = UMAX(\2, uwsgi_now()) + sec;/' builder/uwsgi-*/core/utils.c
builder/bin/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir builder/wheel ./builder/uwsgi-*/
# pip would leave a part of it on a full disk, or after a power failure.
sync builder/wheel/*.whl
mv builder/wheel/*.whl .
rm -r builder
