#!/usr/bin/env bash
# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Deploys on a bare Debian 12 the same as site.yml: the same packages, builds, keys, files, checks and services, and nothing more.
# Only its time counts, so the configuration files are copied from a host that site.yml deployed.
#
#   site.sh collect    packs them there
#   site.sh deploy     deploys with them

set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")"
here=$PWD
readonly here site=flask_app host=flask.example.org metadata=https://auth.cern.ch/auth/realms/cern/protocol/saml/descriptor

if [[ $1 == collect ]]; then
    tar --create --absolute-names --exclude __pycache__ --file benchmark-files.tar \
        /etc/apache2/{flask_sso,mods-enabled,ports.conf,sites-enabled} "/etc/$site"/{environment,uwsgi.ini} \
        /etc/shibboleth/{attribute-map,attribute-policy,protocols,security-policy,shibboleth2}.xml /etc/shibboleth/{access-denied,missing-attributes}.html \
        "/etc/systemd/system/$site".{service,socket} /etc/systemd/system/shibd.service.d "/srv/$site/releases"/*/app "/srv/$site/venvs"/*/server.txt
    exit
fi

export DEBIAN_FRONTEND=noninteractive

owner() { runuser --user "$site-deploy" -- "$@"; }

echo Packages
apt-get -qq update
apt-get -qq install apache2 apache2-dev build-essential curl libapache2-mod-shib python3-cryptography python3-dev python3-packaging \
    python3-venv shibboleth-sp-utils >/dev/null

echo Accounts and files
for account in "$site-deploy" "$site"; do
    useradd --system --user-group --home-dir "/srv/$site" --no-create-home --shell /usr/sbin/nologin "$account"
done
rm --force /etc/apache2/{mods,conf,sites}-enabled/*
tar --extract --absolute-names --file benchmark-files.tar
chown --recursive "$site-deploy:" "/srv/$site"

echo Application
release=$(dirname "$(sed --quiet 's/^chdir = //p' "/etc/$site/uwsgi.ini")")
cd "$release"
owner python3 -m venv venv
for requirements in "/srv/$site/venvs"/*/server.txt app/requirements.txt; do
    owner venv/bin/pip install --quiet --disable-pip-version-check --requirement "$requirements"
done
owner python3 -m compileall -q app
install --directory --group "$site" --mode 0750 "/etc/$site/credentials"
openssl rand -hex 32 | install --group "$site" --mode 0440 /dev/stdin "/etc/$site/credentials/secret_key"

echo Module
build=$(mktemp --directory)
cd "$build"
"$release/venv/bin/pip" download --quiet --disable-pip-version-check --no-deps --no-binary :all: --requirement "/srv/$site/venvs"/*/server.txt
tar --extract --strip-components 1 --file uwsgi-*.tar.gz
cd apache2
sed --in-place "/ptr = buf = apr_palloc(r->pool, headerlen);/e cat $here/packet_bounds.c" mod_proxy_uwsgi.c
apxs -c mod_proxy_uwsgi.c >/dev/null 2>&1
install --mode 0644 .libs/mod_proxy_uwsgi.so "$(awk '/proxy_uwsgi_module/ { print $3 }' /etc/apache2/mods-enabled/flask_sso-40-uwsgi.conf)"
rm --recursive "$build"

echo Keys and metadata
install --directory --mode 0700 "/etc/ssl/flask_sso/$site"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -subj "/CN=$host" -keyout "/etc/ssl/flask_sso/$site/private_ca-key.pem" \
    -out "/etc/ssl/flask_sso/$site/certificate.pem" 2>/dev/null
install --directory /etc/shibboleth/keys/1
ln --symbolic 1 /etc/shibboleth/keys/active
for use in signing encrypt; do
    shib-keygen -o /etc/shibboleth/keys/1 -u _shibd -g _shibd -n "sp-$use" -h "$host" -e "https://$host/Shibboleth.sso" >/dev/null 2>&1
done
curl --silent --show-error --fail --output /etc/shibboleth/idp-metadata.xml "$metadata"

echo Checks and services
systemctl daemon-reload
apache2ctl -t 2>/dev/null
shibd -t >/dev/null 2>&1
systemd-run --quiet --pipe --wait --collect --property=User="$site" --property=WorkingDirectory="$release/app" \
    --property=EnvironmentFile="/etc/$site/environment" "$release/venv/bin/python" -c 'from flask_sso_app.wsgi import application'
systemctl --quiet enable --now "$site.socket"
systemctl restart "$site" shibd apache2
curl --silent --show-error --fail --insecure --output /dev/null --resolve "$host:443:127.0.0.1" "https://$host/"
