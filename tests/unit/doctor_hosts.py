# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A made-up host for the doctor, as it says what real ones say: healthy, until a test changes one of its answers."""

from __future__ import annotations

from fnmatch import fnmatch

from ansible_collections.campus.flask_sso.plugins.module_utils.doctor.host import Handshake, Host, Output, Response
from ansible_collections.campus.flask_sso.plugins.module_utils.doctor.model import UnseenError

NOW = 1_800_000_000.0  # 2027-01-15 08:00 UTC
SITE = "https://app.example.org/"
PROVIDER = "https://idp.example.org/idp"
OPENID_LOGIN = "https://op.example.org/auth?client_id=app"
OPENID_CONFIGURATION = '{"claims_supported": ["sub", "roles"]}'
SOCKET = "/run/app.sock"

HTTPD_DUMP = """\
VirtualHost configuration:
*:80                   app.example.org (/etc/apache2/sites-enabled/app.conf:1)
*:443                  is a NameVirtualHost
         default server unknown.invalid (/etc/apache2/sites-enabled/app.conf:5)
         port 443 namevhost unknown.invalid (/etc/apache2/sites-enabled/app.conf:5)
         port 443 namevhost app.example.org (/etc/apache2/sites-enabled/app.conf:9)
                 alias www.example.org
Loaded Modules:
 mod_shib (shared)
"""
HTTPD_FILE = """\
<VirtualHost *:80>
    Redirect permanent / https://app.example.org/
</VirtualHost>

<VirtualHost *:443>
    SSLEngine on
</VirtualHost>

<VirtualHost *:443>
    ServerName app.example.org
    ServerAlias www.example.org
    SSLEngine on
    SSLCertificateFile "/etc/ssl/app.pem"
    SSLCertificateKeyFile /etc/ssl/app.key
    # ProxyPass / http://127.0.0.1:1/
    IncludeOptional flask_sso/app/*.conf
</VirtualHost>
"""
OPENID_FILE = """\
OIDCClientID app
OIDCProviderIssuer https://op.example.org
OIDCProviderTokenEndpoint https://op.example.org/token
OIDCRedirectURI /callback
OIDCCacheType file
SSLCARevocationFile /etc/ssl/crl.pem
<Location /login>
    AuthType openid-connect
    Require claim roles:admin
</Location>
"""
PROXY_FILE = 'ProxyPass /Shibboleth.sso !\nProxyPassMatch "^(/|$)" unix:/run/app.sock|uwsgi://app retry=0\n'
SHIBBOLETH_FILE = f"""\
<SPConfig xmlns="urn:mace:shibboleth:3.0:native:sp:config">
  <UnixListener address="shibd.sock"/>
  <DataSealer type="Versioned" path="/run/shibboleth/sealer.keys"/>
  <ApplicationDefaults entityID="https://app.example.org/Shibboleth.sso">
    <Sessions checkAddress="false"><SSO entityID="{PROVIDER}">SAML2</SSO></Sessions>
    <MetadataProvider type="XML" path="idp-metadata.xml"/>
  </ApplicationDefaults>
</SPConfig>
"""
IDP_METADATA = f"""\
<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="{PROVIDER}" validUntil="2027-03-01T00:00:00Z">
  <IDPSSODescriptor><KeyDescriptor/></IDPSSODescriptor>
</EntityDescriptor>
"""
SP_METADATA = """\
<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="https://app.example.org/Shibboleth.sso">
  <SPSSODescriptor><AssertionConsumerService Location="https://app.example.org/Shibboleth.sso/SAML2/POST"/></SPSSODescriptor>
</EntityDescriptor>
"""


def certificate(
    fingerprint: str = "AA",
    ends: str = "Jan  1 00:00:00 2028",
    names: str = "DNS:app.example.org, DNS:www.example.org",
    issuer: str = "",
) -> Output:
    """Say what openssl says about a certificate."""
    lines = [
        f"sha256 Fingerprint={fingerprint}",
        f"notAfter={ends} GMT",
        f"X509v3 Subject Alternative Name: \n    {names}",
        public_key("KEY").text,
        issuer,
    ]
    return Output(0, "\n".join(lines))


def public_key(key: str) -> Output:
    """Say what openssl says about a key."""
    return Output(0, f"-----BEGIN PUBLIC KEY-----\n{key}\n-----END PUBLIC KEY-----\n")


def unit(**changes: str) -> dict[str, str]:
    """Describe a unit of systemd that runs, but for what is changed."""
    healthy = {"LoadState": "loaded", "ActiveState": "active", "UnitFileState": "enabled", "Result": "success"}
    return {**healthy, "InvocationID": "1", **changes}


class FakeHost(Host):
    """A host whose answers are in dictionaries."""

    def __init__(self) -> None:
        #: What a command that begins with these words prints; the longest beginning counts.
        self.commands: dict[str, Output] = {
            "/usr/sbin/apache2ctl -t": Output(0, HTTPD_DUMP),
            "df --block-size=1 --output=target,avail": Output(
                0, "Mounted on Avail Use%\n/ 50000000000 20%\n/run 5000000 -\n"
            ),
            "df --block-size=1 --output=target,ipcent": Output(0, "Mounted on IUse%\n/ 20%\n/boot/efi -\n"),
            "getent ahosts app.example.org": Output(0, "192.0.2.1 STREAM app.example.org\n192.0.2.1 DGRAM\n"),
            "id -u": Output(0, "0\n"),
            "hostname -I": Output(0, "192.0.2.1 2001:db8::1 \n"),
            "journalctl": Output(0, ""),
            "nft list ruleset": Output(0, ""),
            "openssl crl": Output(0, "lastUpdate=Jan 14 08:00:00 2027 GMT\nnextUpdate=Feb 13 08:00:00 2027 GMT\n"),
            "openssl pkey": public_key("KEY"),
            "openssl x509 -in": certificate(),
            "openssl x509 -noout": certificate(),
            "runuser": Output(0, ""),
            "runuser -u _shibd -- /usr/sbin/shibd -t": Output(0, "overall configuration is loadable\n"),
            "ss -H": Output(
                0,
                'LISTEN 0      511          *:443      *:*    users:(("apache2",pid=2,fd=4))\n'
                'LISTEN 0      511       [::]:80    [::]:*    users:(("apache2",pid=2,fd=3))\n',
            ),
            "stat --format=%Y": Output(0, f"{NOW - 3600:.0f}\n"),
            "stat --format=%U": Output(0, "app app 600\n"),
            "systemctl show --property=Environment": Output(0, "Environment=LANG=C\n"),
            "systemd-detect-virt --container": Output(1, "none\n"),
            "timedatectl show": Output(0, "yes\n"),
        }
        self.units = {name: unit() for name in ("apache2.service", "shibd.service", "app.socket", "app.service")}
        self.files = {
            "/etc/apache2/flask_sso/app/20-openid.conf": OPENID_FILE,
            "/etc/apache2/flask_sso/app/40-uwsgi.conf": PROXY_FILE,
            "/etc/apache2/sites-enabled/app.conf": HTTPD_FILE,
            "/etc/shibboleth/idp-metadata.xml": IDP_METADATA,
            "/etc/shibboleth/shibboleth2.xml": SHIBBOLETH_FILE,
            "/run/shibboleth/sealer.keys": "20270116-01ab23cd:KEY1\n20270115-01ab23cd:KEY2\n",
            "/proc/meminfo": "MemTotal:       4000000 kB\nMemAvailable:   2000000 kB\n",
            "/run/app.sock": "",
            "/run/shibboleth/shibd.sock": "",
            "/usr/sbin/apache2ctl": "",
            "/usr/sbin/shibd": "",
            "/var/log/apache2/error.log": "",
            "/var/log/shibboleth/shibd.log": "",
            "/var/log/shibboleth/transaction.log": "",
        }
        self.answers: dict[str, Response | OSError] = {
            "http://app.example.org/": Response(301, {"location": SITE}, ""),
            SITE: Response(200, {}, "Hello"),
            f"{SITE}Shibboleth.sso/Login": Response(302, {"location": f"{PROVIDER}?SAMLRequest=x"}, ""),
            f"{SITE}Shibboleth.sso/Metadata": Response(200, {}, SP_METADATA),
            f"{SITE}login": Response(
                302, {"location": OPENID_LOGIN, "set-cookie": "state=x; Path=/; SameSite=Lax"}, ""
            ),
            OPENID_LOGIN: Response(200, {"date": "Fri, 15 Jan 2027 08:00:05 GMT"}, ""),
            "https://op.example.org/.well-known/openid-configuration": Response(200, {}, OPENID_CONFIGURATION),
        }
        self.distrust = self.provider_distrust = ""

    def run(self, *command: str, stdin: str = "") -> Output:
        """Answer a command as its longest known beginning says."""
        if command[:3] == (
            "systemctl",
            "show",
            "--property=Id,LoadState,ActiveState,UnitFileState,Result,InvocationID",
        ):
            blocks = [{"Id": name, **self.units.get(name, {"LoadState": "not-found"})} for name in command[3:]]
            return Output(
                0, "\n\n".join("\n".join(f"{key}={value}" for key, value in block.items()) for block in blocks)
            )
        words = " ".join(command)
        known = [beginning for beginning in self.commands if words.startswith(beginning)]
        if not known:
            raise UnseenError(f"{command[0]} is not installed here")
        return self.commands[max(known, key=len)]

    def read(self, path: str) -> str:
        """Return a file of the dictionary."""
        if path not in self.files:
            raise UnseenError(f"{path} does not exist")
        return self.files[path]

    def find(self, pattern: str) -> list[str]:
        """Find files of the dictionary."""
        return sorted(path for path in self.files if fnmatch(path, pattern))

    def connect(self, name: str, port: int, address: str = "127.0.0.1") -> Handshake:
        """Present the certificate, which openssl reads next."""
        return Handshake("PEM", self.provider_distrust if name == "op.example.org" else self.distrust)

    def request(self, url: str, address: str = "127.0.0.1", cookie: str = "") -> Response:
        """Answer, or fail, as the dictionary says; what is not in it, is not found."""
        answer = self.answers.get(url, Response(404, {}, ""))
        if isinstance(answer, OSError):
            raise answer
        return answer

    def now(self) -> float:
        """Return always the same time."""
        return NOW
