# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The faults of molecule/doctor: how each is made, which code names it, and how it is healed.

A fault is real unless its name begins with "logged_" (a line is written to a log) or "simulated_".
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field, replace

METADATA = "/etc/shibboleth/idp-metadata.xml"
CACHED = "/var/cache/shibboleth/old.xml"
SHIBBOLETH = "/etc/shibboleth/shibboleth2.xml"
SERVER = "/etc/apache2/sites-enabled/flask_sso-flask_app.conf"
PROXY = "/etc/apache2/flask_sso/flask_app/40-uwsgi.conf"
ATTRIBUTES, FILTER = "/etc/shibboleth/attribute-map.xml", "/etc/shibboleth/attribute-policy.xml"
UWSGI = "/etc/flask_app/uwsgi.ini"
TUTORIAL = "/etc/apache2/sites-enabled/tutorial.conf"
APPLICATION = "/srv/flask_app/current/app/flask_sso_app/wsgi.py"
SAVED = "/root/saved"
CLOCK = "/root/clock"
RELOAD = "systemctl reload apache2"
# systemd would refuse the sixth restart within ten seconds.
RESTART = "systemctl reset-failed apache2 && systemctl restart apache2"
RESTART_SHIBD = f"systemctl reset-failed shibd && systemctl restart shibd && {RESTART}"
RESTART_APPLICATION = "systemctl reset-failed flask_app.service && systemctl restart flask_app.service"
EMPTY_LOGS = "truncate --size=0 /var/log/shibboleth/*.log /var/log/apache2/*.log"
DENIAL = 'type=AVC msg=audit(%s.1:2): avc:  denied  { write } for pid=3 comm="httpd" name="x" tcontext=a:b:c:s0'
# A rule that most users do not meet, behind those of the site, which it replaces.
FOR_ADMINS = (
    r"<Location /for-admins>\nAuthType shibboleth\nShibRequestSetting requireSession true\n"
    r"Require shib-attr CernRoles admin\nAuthzSendForbiddenOnFailure On\n</Location>"
)
REFUSED_VALUES = '<PermitValueRule xsi:type="NOT"><Rule xsi:type="ANY"/></PermitValueRule>'
# The metadata gets a certificate that is not the provider's.
OTHER_KEY = f"""
import re
other = "".join(open("/etc/shibboleth/keys/active/sp-signing-cert.pem").read().split("-----")[2].split())
with open("{METADATA}", "r+") as file:
    text = re.sub("(<[a-z:]*X509Certificate>)[^<]+", lambda match: match[1] + other, file.read())
    file.seek(0)
    file.truncate()
    file.write(text)
"""


@dataclass(frozen=True)
class Fault:
    """A fault: which code names it, commands that make it and heal it, and what makes it show.

    `shown_by` is "large request" or "login", by `user` to `path`; `on` the host that has the fault; `says` is a part
    of what the doctor has seen. `meanwhile` is done while the user is at the provider, and undone after the login.
    """

    code: str
    inject: str
    heal: str
    shown_by: str = ""
    on: str = "web"
    user: str = "ghopper"
    path: str = "/login"
    says: str = ""
    meanwhile: tuple[str, str] = ("true", "true")


@dataclass(frozen=True)
class Remedy:
    """How a person follows a remedy: words of it, what is filled in for some of them, and where they are written."""

    words: str
    filled: dict[str, str] = field(default_factory=dict)
    where: str = "{}"

    def command(self, printed: str) -> str:
        """Return the command that does what is printed; an AssertionError if the words are not in it."""
        assert self.words in printed, printed
        words = self.words
        for placeholder, value in self.filled.items():
            words = words.replace(placeholder, value)
        return self.where.replace("{}", words)


def changed(code: str, path: str, *scripts: str, then: str = "true", first: str = "true", shown_by: str = "") -> Fault:
    """Change a file by scripts of sed, after a command, and before one that also follows the restored file."""
    edits = " && ".join(f"sed -Ei {shlex.quote(script)} {path}" for script in scripts)
    inject = f"{first} && cat {path} > {SAVED} && {edits} && ! cmp --silent {SAVED} {path} && {then}"
    return Fault(code, inject, f"cat {SAVED} > {path} && {then}", shown_by)


def during_a_login(code: str, path: str, script: str, says: str) -> Fault:
    """Change a file of shibd by a script of sed while a user is at the provider, so that only the login shows it."""
    made = changed(code, path, script, then=RESTART_SHIBD)
    return Fault(code, "true", EMPTY_LOGS, shown_by="login", says=says, meanwhile=(made.inject, made.heal))


def written(code: str, path: str, content: str, then: str = "true") -> Fault:
    """Replace the content of a file that httpd reads, before a command."""
    inject = f"cat {path} > {SAVED} && printf %s {shlex.quote(content)} > {path} && {then}"
    return Fault(code, inject, f"cat {SAVED} > {path} && {RELOAD}")


def logged_by_shibd(code: str, line: str) -> Fault:
    """Simulate a fault by the line that shibd writes about it."""
    log = "/var/log/shibboleth/shibd.log"
    return Fault(code, f'echo "$(date +"%F %T")" {shlex.quote(line)} >> {log}', f": > {log}")


def logged_by_httpd(code: str, line: str) -> Fault:
    """Simulate a fault by the line that httpd writes about it."""
    log, stamp = "/var/log/apache2/error.log", "[%a %b %d %T.000001 %Y]"
    return Fault(code, f'echo "$(LC_ALL=C date +"{stamp}")" {shlex.quote(line)} >> {log}', f": > {log}")


#: Of the site that the collection has deployed.
FAULTS = {
    "full_disk": Fault(
        "FS001",
        "mount -t tmpfs -o size=1m doctor /var/log/apache2 && ! head --bytes=2M /dev/zero > /var/log/apache2/full",
        "umount /var/log/apache2",
    ),
    "no_inodes": Fault(
        "FS002",
        "mount -t tmpfs -o nr_inodes=4 doctor /var/log/apache2 && cd /var/log/apache2 && ! touch 1 2 3 4 5",
        "umount /var/log/apache2",
    ),
    "logged_selinux_denial": Fault(
        "FS006",
        f"mkdir -p /var/log/audit && printf {shlex.quote(DENIAL)} $(date +%s) > /var/log/audit/audit.log",
        "rm -r /var/log/audit",
    ),
    # A container has the clock of its host, so only the doctor's process has another one.
    "simulated_clock": Fault(
        "FS008",
        f"mkdir {CLOCK} && printf 'import time\\nreal = time.time\\ntime.time = lambda: real() + 600\\n'"
        f" > {CLOCK}/sitecustomize.py",
        f"rm -r {CLOCK}",
    ),
    "shibd_stopped": Fault("FS101", "systemctl stop shibd", "systemctl start shibd"),
    "shibd_not_at_boot": Fault("FS102", "systemctl disable shibd", "systemctl enable shibd"),
    "port_taken": Fault(
        "FS103",
        "systemctl stop apache2 && systemd-run --quiet --unit=taker python3 -m http.server 443",
        "systemctl stop taker; systemctl start apache2",
    ),
    "httpd_configuration": Fault(
        "FS201",
        "echo NoSuchDirective > /etc/apache2/sites-enabled/broken.conf",
        "rm /etc/apache2/sites-enabled/broken.conf",
    ),
    "http_behind_a_proxy": changed("FS202", SERVER, "s/SSLEngine on/SSLEngine off/"),
    "application_socket": Fault("FS401", "chmod 600 /run/flask_app.sock", "chmod 660 /run/flask_app.sock"),
    "import": Fault(
        "FS402",
        f"echo 'import a_module_that_is_missing' >> {APPLICATION} && ! systemctl restart flask_app.service",
        f"sed -i '$d' {APPLICATION} && systemctl reset-failed flask_app.service flask_app.socket;"
        " systemctl start flask_app.socket && systemctl restart flask_app.service",
    ),
    "application_stopped": Fault(
        "FS403",
        "systemctl stop flask_app.socket flask_app.service",
        "systemctl start flask_app.socket flask_app.service",
    ),
    "port_3031": changed("FS404", PROXY, r"s#^ProxyPassMatch.*#ProxyPass / uwsgi://127.0.0.1:3031/#"),
    "large_request": changed(
        "FS405", UWSGI, "s/^buffer-size.*/buffer-size = 4096/", then=RESTART_APPLICATION, shown_by="large request"
    ),
    "httpd_crashes": Fault(
        "FS203", "pkill --signal SEGV --parent $(systemctl show --property=MainPID --value apache2)", EMPTY_LOGS
    ),
    "worker_killed": Fault(
        "FS406",
        "kill -9 $(pgrep --parent $(systemctl show --property=MainPID --value flask_app.service) | head -n1)",
        RESTART_APPLICATION,
    ),
    "shibd_configuration": Fault(
        "FS501",
        f"mv /etc/shibboleth/attribute-map.xml {SAVED}",
        f"mv {SAVED} /etc/shibboleth/attribute-map.xml",
    ),
    "shibd_socket": Fault("FS502", "chmod 700 /run/shibboleth", "chmod 750 /run/shibboleth"),
    "metadata_expired": changed(
        "FS503",
        METADATA,
        '0,/<([a-z]+:)?EntityDescriptor/ s/ validUntil="[^"]*"//',
        '0,/EntityDescriptor/ s/EntityDescriptor/& validUntil="2020-01-01T00:00:00Z"/',
    ),
    "metadata_old": changed(
        "FS503",
        SHIBBOLETH,
        's#path="idp-metadata.xml"#url="https://auth.cern.ch/old.xml" backingFilePath="old.xml"#',
        first=f"cat {METADATA} > {CACHED} && touch --date='20 days ago' {CACHED}",
    ),
    "other_provider": changed("FS504", SHIBBOLETH, 's#SSO entityID="[^"]*"#SSO entityID="https://other.example.org"#'),
    "metadata_swallowed": changed(
        "FS505", PROXY, "1i ProxyPass /Shibboleth.sso unix:/run/flask_app.sock|uwsgi://flask_app", then=RELOAD
    ),
    "other_server_name": changed("FS505", SERVER, "s/ServerName flask.example.org/&:8443/", then=RELOAD),
    "log_directory": Fault("FS506", "chown root: /var/log/shibboleth", "chown _shibd: /var/log/shibboleth"),
    "bound_to_an_address": changed("FS507", SHIBBOLETH, 's/checkAddress="false"/checkAddress="true"/'),
    "no_redirect": changed("FS701", SERVER, "s/Redirect permanent/# &/", then=RELOAD),
    "short_headers": changed("FS703", SERVER, "1i LimitRequestFieldSize 1000", then=RELOAD),
    "cookie_of_another_name": changed(
        "FS704",
        SHIBBOLETH,
        's#cookieProps="https"#cookieProps="; path=/; domain=login.example.com; secure; HttpOnly"#',
        then=RESTART_SHIBD,
    ),
    "not_registered": Fault(
        "FS706",
        f"mv /etc/identity-provider/service-providers/flask.example.org.xml {SAVED}",
        f"mv {SAVED} /etc/identity-provider/service-providers/flask.example.org.xml",
        on="provider",
    ),
    "other_signing_key": Fault(
        "FS901",
        f"cat {METADATA} > {SAVED} && python3 -c {shlex.quote(OTHER_KEY)} && {RESTART_SHIBD}",
        f"cat {SAVED} > {METADATA} && {RESTART_SHIBD} && : > /var/log/shibboleth/shibd.log",
        shown_by="login",
    ),
    "unknown_provider": during_a_login(
        "FS902",
        METADATA,
        's#entityID="[^"]*"#entityID="https://other.example.org"#',
        "The login came from https://auth.cern.ch/auth/realms/cern",
    ),
    "other_audience": during_a_login(
        "FS903",
        SHIBBOLETH,
        r's#(<ApplicationDefaults [^>]*entityID=)"[^"]*"#\1"https://other.example.org"#',
        "another service provider",
    ),
    "logged_encryption_key": logged_by_shibd(
        "FS906",
        "ERROR Shibboleth.SSO.SAML2 [1] [default]: failed to decrypt assertion: Unable to resolve any key decryption "
        "keys.",
    ),
    "required_attribute": Fault("FS909", "true", EMPTY_LOGS, shown_by="login", user="hleavitt", says="Required: upn"),
    "unmapped_attribute": replace(
        changed(
            "FS910",
            ATTRIBUTES,
            '/id="PreferredLanguage"/,/<.Attribute>/d',
            then=f"{RESTART_SHIBD} && {EMPTY_LOGS}",
            shown_by="login",
        ),
        says="The attribute PreferredLanguage of the format urn:oasis:names:tc:SAML:2.0:attrname-format:basic",
    ),
    "filtered_attribute": replace(
        changed(
            "FS911",
            FILTER,
            f's#(attributeID="PreferredLanguage") permitAny="true"/>#\\1>{REFUSED_VALUES}</AttributeRule>#',
            then=f"{RESTART_SHIBD} && {EMPTY_LOGS}",
            shown_by="login",
        ),
        says="The attribute PreferredLanguage arrived and was filtered",
    ),
    "rule_not_met": replace(
        changed(
            "FS916",
            SERVER,
            rf"s#^</VirtualHost>#{FOR_ADMINS}\n&#",
            then=f"{RELOAD} && {EMPTY_LOGS}",
            shown_by="login",
        ),
        user="cpayne",
        path="/for-admins",
        says="It asks for: CernRoles admin. The last session from that address had",
    ),
}
#: Of the site that was written by hand.
TUTORIAL_FAULTS = {
    "authority_unknown": Fault(
        "FS604", f"mv /etc/ssl/certs/$(cat /root/hash).0 {SAVED}", f"mv {SAVED} /etc/ssl/certs/$(cat /root/hash).0"
    ),
    "simulated_redirect_uri_mismatch": changed(
        "FS706", TUTORIAL, "s#^SSLEngine.*#&\\nRedirect 400 /provider/authorize#", then=RELOAD
    ),
    # Without DNS, which would look further. Docker writes the first of the files, so it cannot be replaced.
    "no_address": Fault(
        "FS601",
        f"cp /etc/nsswitch.conf {SAVED} && sed -i 's/^hosts:.*/hosts: files/' /etc/nsswitch.conf"
        f" && cat /etc/hosts > {SAVED}-hosts && cat /root/hosts > /etc/hosts",
        f"cat {SAVED}-hosts > /etc/hosts && cp {SAVED} /etc/nsswitch.conf",
    ),
    "cookie_lost_after_a_form": changed(
        "FS705", TUTORIAL, "s/^SSLEngine.*/&\\nOIDCResponseMode form_post\\nOIDCCookieSameSite On/", then=RELOAD
    ),
    "sessions_in_memory": changed("FS801", TUTORIAL, "s/^OIDCCacheType.*/OIDCCacheType shm/"),
    "nested_claim": changed("FS802", TUTORIAL, "s/claim roles/claim groups/"),
    "other_redirect_uri": changed("FS803", TUTORIAL, "s#^OIDCRedirectURI https://#&www.#"),
    "logged_client_secret": logged_by_httpd(
        "FS912",
        "[auth_openidc:error] [pid 2:tid 2] [client 192.0.2.1:5] oidc_util_json_string_print: "
        'oidc_util_check_json_error: response contained an "error" entry with value: ""invalid_client""',
    ),
    "logged_large_session": logged_by_httpd(
        "FS915",
        "[auth_openidc:error] [pid 2:tid 2] [client 192.0.2.1:5] oidc_cache_shm_set: could not store value since "
        "value size is too large (21034 > 16384); consider increasing OIDCCacheShmEntrySizeMax",
    ),
}
#: By the names of faults. Of the others, the remedy is to ask an administrator, to run site.yml, or to look further.
REMEDIES = {
    "application_socket": Remedy("systemctl restart NAME.socket", {"NAME": "flask_app"}),
    "application_stopped": Remedy("systemctl restart UNIT", {"UNIT": "flask_app.socket"}),
    "bound_to_an_address": Remedy(
        'checkAddress="false"', where=f"sed -i 's/checkAddress=\"[a-z]*\"/{{}}/' {SHIBBOLETH}"
    ),
    "cookie_of_another_name": Remedy(
        'cookieProps="https"', where=f'sed -Ei \'s#cookieProps="[^"]*"#{{}}#\' {SHIBBOLETH} && {RESTART_SHIBD}'
    ),
    "http_behind_a_proxy": Remedy("SSLEngine on", where=f"sed -i 's/SSLEngine off/{{}}/' {SERVER}"),
    "large_request": Remedy(
        "buffer-size = 65535", where=f"sed -i 's/^buffer-size.*/{{}}/' {UWSGI} && {RESTART_APPLICATION}"
    ),
    "log_directory": Remedy("chown -R ACCOUNT: /var/log/shibboleth", {"ACCOUNT": "_shibd"}),
    "metadata_swallowed": Remedy("ProxyPass /Shibboleth.sso !", where=f"sed -i '1i {{}}' {PROXY} && {RELOAD}"),
    "no_redirect": Remedy(
        "Redirect permanent / https://NAME/",
        {"NAME": "flask.example.org"},
        where=f"sed -i 's@# Redirect permanent.*@{{}}@' {SERVER} && {RELOAD}",
    ),
    "not_reloaded": Remedy("systemctl reload httpd or apache2", {"httpd or ": ""}),
    "port_taken": Remedy("systemctl restart httpd or apache2", {"httpd or ": ""}, where="systemctl stop taker && {}"),
    "sessions_in_memory": Remedy("OIDCCacheType file", where=f"sed -i 's/^OIDCCacheType.*/{{}}/' {TUTORIAL}"),
    "shibd_not_at_boot": Remedy("systemctl enable UNIT", {"UNIT": "shibd"}),
    "shibd_socket": Remedy("systemctl restart shibd"),
    "shibd_stopped": Remedy("systemctl start UNIT", {"UNIT": "shibd"}),
    "short_headers": Remedy(
        "Remove LimitRequestFieldSize", {"Remove ": ""}, where=f"sed -i '/{{}}/d' {SERVER} && {RELOAD}"
    ),
}
