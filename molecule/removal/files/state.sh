#!/bin/sh
# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Prints two lines for each file: its path with type, owner, mode and target, and its path with the checksum of its content.
# Accounts have tests of their own. Names in /etc/ssl/certs are not ASCII, and nothing changes there.

set -eu
list() {
    find /etc /srv /usr/local /usr/lib/apache2/modules /var/lib/apache2 ! -path '/etc/*passwd*' ! -path '/etc/*group*' \
        ! -path '/etc/*shadow*' ! -path '/etc/sub[ug]id*' ! -path /etc/.pwd.lock ! -path '/etc/ssl/certs*' "$@"
}
list -printf '%p %y %u:%g %m %l\n'
list -type f -exec sha256sum {} + | sed 's/^\([^ ]*\) *\(.*\)/\2 \1/'
find /var/lib -maxdepth 1 -printf '%p %y %u:%g %m %l\n'
