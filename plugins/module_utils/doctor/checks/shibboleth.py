# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""shibd, and mod_shib in httpd (FS5)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timezone
from urllib.parse import urljoin, urlsplit
from xml.etree import ElementTree as ET

from ..host import READ_BYTES
from ..model import Finding, UnseenError, check, error, note, ok, warning
from ..site import SHIBBOLETH, Site

MD = "{urn:oasis:names:tc:SAML:2.0:metadata}"
FAULT = re.compile(r"\b(?:ERROR|CRIT|FATAL|ALERT|EMERG)\b")
WARNING_DAYS, OLD_DAYS = 3, 7
HOME = f"{SHIBBOLETH}/"
CONFIGURATION = f"{HOME}shibboleth2.xml"
OVERRIDE = "-override.xml"


def parsed(path: str, text: str) -> ET.Element:
    """Parse a file of shibd.

    :param path: Its path.
    :param text: Its text.
    :raises UnseenError: if it is no XML.
    """
    try:
        return ET.fromstring(text)  # noqa: S314 (the administrator's own file, or what shibd has validated)
    except ET.ParseError as fault:
        too_long = len(text) > READ_BYTES * 0.9
        raise UnseenError(f"{path} is {'too long to be read here' if too_long else f'not XML: {fault}'}") from fault


def named(root: ET.Element, *names: str) -> list[ET.Element]:
    """Return the elements of these names below another one, in whichever of shibd's namespaces."""
    return [each for each in root.iter() if each.tag.rpartition("}")[2] in names]


def configurations(site: Site) -> list[ET.Element]:
    """Parse shibd's configuration, and the settings of further sites, which shibd reads when one is asked for.

    :param site: The site.
    :raises UnseenError: if there is none, or one is no XML.
    """
    first = parsed(CONFIGURATION, site.shibboleth)
    places = [each.get("path") for each in named(first, "ExternalApplicationOverrides")]
    paths = [path for place in places if place for path in site.host.find(f"{urljoin(HOME, place)}/*{OVERRIDE}")]
    return [first, *(parsed(path, site.host.read(path)) for path in paths)]


def elements(site: Site, *names: str) -> list[ET.Element]:
    """Return the elements of these names in the configuration of all sites."""
    return [each for root in configurations(site) for each in named(root, *names)]


def metadata(site: Site) -> list[tuple[ET.Element, dict[str, ET.Element]]]:
    """Read the identity providers' metadata that shibd has on the disk.

    :param site: The site.
    :returns: Each configuration that has some, with its documents by their paths.
    :raises UnseenError: if none has, or a document is too long.
    """
    found = []
    for configuration in configurations(site):
        documents = {}
        for provider in named(configuration, "MetadataProvider"):
            kept, own = provider.get("backingFilePath"), provider.get("path")
            if kept or own:
                path = urljoin("/var/cache/shibboleth/", kept) if kept else urljoin(HOME, own)
                documents[path] = parsed(path, site.host.read(path))
        if documents:
            found.append((configuration, documents))
    if not found:
        raise UnseenError("shibd keeps no metadata in a file; it asks for it at each login")
    return found


def instant(text: str) -> float:
    """Read a time of XML, in seconds since 1970."""
    return datetime.strptime(text[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc).timestamp()


@check(
    "FS501",
    "shibd accepts its configuration",
    cause="shibd cannot use a part of its configuration. It starts in spite of it, and logins fail later.",
    remedy=(
        "The line names the file or the element. Correct the variable that it comes from and run site.yml, or the "
        "file, and try: shibd -t, for a further site with -c /etc/shibboleth/sites/SITE/shibboleth2.xml."
    ),
    after=("FS503", "FS504"),
)
def configuration(site: Site) -> Iterator[Finding]:
    """Have shibd read it, and that which the role keeps for each further site, as shibd does not try those itself."""
    yield from tried(site)
    for path in site.host.find(f"{HOME}sites/*/shibboleth2.xml"):
        for each in tried(site, "-c", path):
            yield Finding(each.severity, f"{path}: {each.seen}")


def tried(site: Site, *arguments: str) -> Iterator[Finding]:
    """Have shibd read a configuration, and its lines: its exit status says little.

    :param site: The site.
    :param arguments: Which one, if it is not its own.
    :raises UnseenError: if there is no shibd, or this account may not.
    """
    if not site.has_shibboleth:
        raise UnseenError("httpd has not loaded mod_shib")
    test = site.host.run("runuser", "-u", site.shibd_account, "--", "/usr/sbin/shibd", "-t", *arguments)
    if test.text.startswith("runuser:"):
        raise UnseenError(f"it cannot be tried as {site.shibd_account}: {test.text.strip()}")
    wrong = [line for line in test.text.splitlines() if FAULT.search(line)]
    for line in wrong[:5]:
        yield error(line)
    for line in test.text.splitlines():
        if " WARN " in line and "Shibboleth.DEPRECATION" not in line:
            yield note(line)
    if test.status and not wrong:
        yield error(f"shibd -t ends with {test.status}.")
    elif not wrong:
        yield ok("shibd can load it.")


@check(
    "FS502",
    "httpd may open shibd's socket",
    cause="httpd's account cannot reach shibd, so every page that may have a login ends with 500.",
    remedy=(
        "Let httpd's group enter the socket's directory: run site.yml, or systemctl restart shibd, which creates "
        "it again."
    ),
    after=("FS101", "FS501"),
)
def socket(site: Site) -> Iterator[Finding]:
    """Try it as httpd's account."""
    if elements(site, "TCPListener"):
        yield ok("shibd listens on a port.")
        return
    names = [each.get("address", "shibd.sock") for each in elements(site, "UnixListener")] or ["shibd.sock"]
    path = urljoin("/run/shibboleth/", names[0])
    if site.may(site.httpd_account, "-w", path):
        yield ok(f"{site.httpd_account} may write to {path}.")
    elif not site.host.find(path):
        yield error(f"{path} does not exist.")
    else:
        yield error(f"{site.httpd_account} may not write to {path}, or not enter its directory.")


@check(
    "FS503",
    "The identity provider's metadata is valid",
    cause=(
        "The document that says who may vouch for users has expired, is about to, is no longer refreshed, or has "
        "no key."
    ),
    remedy=(
        "Fetch it again: run site.yml. By hand, see in /var/log/shibboleth/shibd.log why shibd cannot fetch it, and"
        " ask the provider's operators."
    ),
)
def validity(site: Site) -> Iterator[Finding]:
    """Look at validUntil, keys and, where shibd refreshes it, at its age."""
    now = site.host.now()
    documents = {path: root for _configuration, found in metadata(site) for path, root in found.items()}
    for path, root in documents.items():
        ends = [
            instant(each.get("validUntil", ""))
            for each in [root, *root.iter(f"{MD}IDPSSODescriptor")]
            if each.get("validUntil")
        ]
        days = (min(ends) - now) / 86400 if ends else WARNING_DAYS + 1
        age = (now - float(site.host.run("stat", "--format=%Y", path).text)) / 86400
        if days < 0:
            yield error(f"{path} expired {-days:.0f} days ago.")
        elif not any(idp.find(f".//{MD}KeyDescriptor") is not None for idp in root.iter(f"{MD}IDPSSODescriptor")):
            yield error(f"{path} has no key of an identity provider.")
        elif days < WARNING_DAYS:
            yield warning(f"{path} expires in {days:.1f} days.")
        elif path.startswith("/var/cache/") and age > OLD_DAYS:
            yield warning(f"{path} was refreshed {age:.0f} days ago.")
        else:
            yield ok(f"{path} is valid.")


@check(
    "FS504",
    "The identity provider is in the metadata",
    cause=(
        "shibd sends users to an identity provider that none of its metadata describes, so it does not know where "
        "that is."
    ),
    remedy="Compare saml_sp_idp_entity_id with entityID in the metadata: each letter counts, and http is not https.",
    after=("FS503",),
)
def provider(site: Site) -> Iterator[Finding]:
    """Compare the entityID of each site's SSO with those of its documents."""
    for configuration, documents in metadata(site):
        wanted = [each.get("entityID") for each in named(configuration, "SSO") if each.get("entityID")]
        described = [each for root in documents.values() for each in root.iter(f"{MD}EntityDescriptor")]
        known = {each.get("entityID", "") for each in described}
        for name in wanted:
            if name in known:
                yield ok(f"{name} is in the metadata.")
            else:
                has = ", ".join(sorted(known)[:3]) or "no provider"
                yield error(f"{name} is not in {' or '.join(documents)}, which has {has}.")
        if not wanted:
            yield ok(f"Users choose among {len(known)} providers.")


@check(
    "FS505",
    "The service provider's metadata is what was registered",
    cause=(
        "The site does not hand out its own metadata, or with other names than it is registered with: a proxy rule"
        " takes the address, or ServerName is wrong."
    ),
    remedy=(
        "Set flask_sso_server_name to the name that visitors use; by hand, ServerName and UseCanonicalName On, and"
        " ProxyPass /Shibboleth.sso ! before ProxyPass /."
    ),
    after=("FS101", "FS103", "FS201", "FS501", "FS502", "FS503"),
)
def own_metadata(site: Site) -> Iterator[Finding]:
    """Fetch it as the provider's operators do, and compare."""
    applications = elements(site, "ApplicationDefaults", "ApplicationOverride")
    wanted = [each.get("entityID", "") for each in applications if each.get("entityID")]
    for each in site.sites:
        url = urljoin(each.url, "/Shibboleth.sso/Metadata")
        try:
            answer = site.host.request(url, each.address)
            root = ET.fromstring(answer.body)  # noqa: S314 (this host's own answer)
        except OSError as fault:
            yield error(f"{url} does not answer: {fault}.")
            continue
        except ET.ParseError:
            # Of several sites, not all need a login.
            yield (error if len(site.sites) == 1 else note)(f"{url} is no metadata; the status is {answer.status}.")
            continue
        name = root.get("entityID", "")
        places = [urlsplit(found.get("Location", "")) for found in root.iter(f"{MD}AssertionConsumerService")]
        others = sorted({f"{place.scheme}://{place.netloc}" for place in places} - {each.url.rstrip("/")})
        if wanted and name not in wanted and "$" not in "".join(wanted):
            yield error(f"{url} has the entityID {name}, and shibd's configuration {' and '.join(wanted)}.")
        elif others:
            yield error(f"{url} has logins end at {', '.join(others)} instead of {each.url}.")
        else:
            yield ok(f"{url} has the entityID {name}.")


@check(
    "FS506",
    "shibd may write its logs",
    cause="shibd's account may not write to the directory of its logs, so nothing says why logins fail.",
    remedy="Run: chown -R ACCOUNT: /var/log/shibboleth, with the account of shibd.service, and restart shibd.",
)
def logs(site: Site) -> Iterator[Finding]:
    """Try it as shibd's account."""
    if not site.has_shibboleth:
        raise UnseenError("httpd has not loaded mod_shib")
    path = "/var/log/shibboleth"
    if site.may(site.shibd_account, "-w", path):
        yield ok(f"{site.shibd_account} may write to {path}.")
    else:
        yield warning(f"{site.shibd_account} may not write to {path}.")


@check(
    "FS507",
    "Sessions are not bound to an address",
    cause=(
        "shibd compares the visitor's address with the one that the provider saw. Behind a load balancer, or with IPv4"
        " and IPv6, they differ, and each login is refused."
    ),
    remedy='Set checkAddress="false" in Sessions of shibboleth2.xml, as shibboleth_sp does.',
)
def addresses(site: Site) -> Iterator[Finding]:
    """Read it in shibd's configuration."""
    for each in elements(site, "Sessions"):
        if each.get("checkAddress", "true") in ("true", "1"):
            yield warning("checkAddress of Sessions is true.")
        else:
            yield ok("checkAddress of Sessions is false.")


@check(
    "FS508",
    "The cookie with a session gets the key of today",
    cause=(
        "The timer that derives a key for each day does not run here, so an old key encrypts, and other nodes do not"
        " recover the sessions that begin here once they have forgotten it."
    ),
    remedy="Run: systemctl restart shibboleth-sealer.timer shibboleth-sealer.service, and read the journal of both.",
)
def sealer(site: Site) -> Iterator[Finding]:
    """Compare the name of the last key with the day."""
    today = f"{datetime.fromtimestamp(site.host.now(), timezone.utc):%Y%m%d}"
    paths = {urljoin(HOME, each.get("path", "")) for each in elements(site, "DataSealer")}
    if not paths:
        raise UnseenError("no other host recovers the sessions of this one")
    for path in paths:
        try:
            text = site.host.read(path)
        except UnseenError as reason:
            if not str(reason).endswith("does not exist"):
                raise
            text = ""
        # Of keys that another program creates, the name may be anything.
        days = re.findall("^([0-9]{8})-[0-9a-f]{8}:", text, re.MULTILINE)
        if not text:
            yield error(f"{path} has no keys.")
        elif days and days[-1] != today:
            yield warning(f"{path} has the key of {days[-1]} last, and today is {today}.")
        else:
            yield ok(f"{path} has the key that encrypts last.")
