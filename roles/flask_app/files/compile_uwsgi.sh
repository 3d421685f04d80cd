# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# shellcheck shell=sh
#
#   compile_uwsgi.sh DIRECTORY PIP BUILDER SERVER
#
# Makes a wheel of the uWSGI that the requirement SERVER names, in DIRECTORY, for the Python of PIP, unless another run has done so meanwhile. It
# is built by what the requirements BUILDER name, which the environment of PIP does not keep.

directory=$1 pip=$2 builder=$3 server=$4
umask 022
mkdir -p "$directory"
cd "$directory" || exit
(umask 077 && : >>.lock) # which the application may not hold
# Not 9, which is the lock of make_venv.sh and stays open: pip keeps both.
exec 8>>.lock
flock --timeout 7200 8 || { echo "pip has been at work in $directory for two hours, for this run or another one. Run again when it has ended." >&2 && exit 1; }
for wheel in *.whl; do
    [ ! -e "$wheel" ] || exit 0
done
rm -rf build
mkdir build
printf '%s\n' "$builder" >build/builder.txt
printf '%s\n' "$server" >build/server.txt
"$pip" install --quiet --disable-pip-version-check --no-compile --target build/builder --requirement build/builder.txt
export PYTHONPATH="$directory/build/builder"
"$pip" download --quiet --disable-pip-version-check --no-deps --no-build-isolation --no-binary=:all: --dest build --requirement build/server.txt
tar --extract --directory build --file build/uwsgi-*.tar.gz
# The threads of a process share one deadline. Reading a body extends it; if another thread's request has just ended and reset it, uWSGI's
# sum is in the past, so uWSGI would kill the process at once.
sed --in-place 's/^\(\t*\)\(.*[.]harakiri\) += sec;$/\1\2 = UMAX(\2, uwsgi_now()) + sec;/' build/uwsgi-*/core/utils.c
"$pip" wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir build/wheel ./build/uwsgi-*/
# pip would leave a part of it on a full disk, or after a power failure.
sync build/wheel/*.whl
mv build/wheel/*.whl .
rm -r build
