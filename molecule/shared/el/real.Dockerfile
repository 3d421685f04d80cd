# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# EL 9 itself, for machines that reach a registry: what the bench needs of a host that boots, and nothing that the site needs.

FROM almalinux:9 AS el
RUN dnf install --assumeyes ca-certificates dbus-broker iproute procps-ng python3 systemd util-linux \
    && dnf clean all \
    && install --directory /usr/local/share/ca-certificates
# The bench installs its CA as on Debian.
RUN printf '%s\n' '#!/bin/sh' 'cp /usr/local/share/ca-certificates/*.crt /etc/pki/ca-trust/source/anchors/' 'exec update-ca-trust' \
        > /usr/local/sbin/update-ca-certificates \
    && chmod 0755 /usr/local/sbin/update-ca-certificates
COPY ca/ /usr/local/share/ca-certificates/
RUN update-ca-certificates || true
STOPSIGNAL SIGRTMIN+3
CMD ["/lib/systemd/systemd"]
