# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is between visitors and the host: names, proxies, the firewall (FS6)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from ..host import Output
from ..model import Finding, UnseenError, check, error, note, ok, warning
from ..site import Site

PROXY = re.compile(r"\b((?:https?|all)_proxy)=\"?(?:\w+://)?(?:[^@\s\"]*@)?([^\s\"/]+)", re.IGNORECASE)
INPUT_CHAIN = re.compile(r"hook input[^}]*policy drop;[^}]*}")
CALLED = {80: "http", 443: "https"}


@check(
    "FS601",
    "The site's name has an address",
    cause=(
        "The name of the site has no address, or one that is not this host's: visitors get nowhere, or somewhere else."
    ),
    remedy="Ask the operators of your DNS for the name. Behind a load balancer, its address is right.",
    after=("FS201",),
)
def name(site: Site) -> Iterator[Finding]:
    """Resolve it as every program on this host does."""
    own = site.host.run("hostname", "-I").text.split()
    for each in site.sites:
        found = sorted(
            {line.split()[0] for line in site.host.run("getent", "ahosts", each.name).text.splitlines() if line}
        )
        if not found:
            yield warning(f"{each.name} has no address.")
        elif set(found) & {*own, "127.0.0.1", "127.0.1.1", "::1"}:
            yield ok(f"{each.name} is this host.")
        else:
            yield note(f"{each.name} is {', '.join(found)}; this host is {', '.join(own)}.")


@check(
    "FS602",
    "No proxy is between the host and the provider",
    cause=(
        "The services send their requests through a proxy. If it does not let them pass, no metadata and no keys "
        "arrive."
    ),
    remedy=(
        "If the provider can be reached directly, name it in no_proxy in the unit's Environment; otherwise try: "
        "curl -v with the metadata's address."
    ),
)
def proxy(site: Site) -> Iterator[Finding]:
    """Read the environment of the services; of the system's, only what it would give to new logins."""
    units = [unit.name for unit in site.services]
    text = site.host.run("systemctl", "show", "--property=Environment", *units).text
    if site.host.find("/etc/environment"):
        text += site.host.read("/etc/environment")
    found = dict(PROXY.findall(text))
    for variable, host in found.items():
        yield note(f"{variable} is {host}.")
    if not found:
        yield ok("The services have no proxy in their environment.")


def firewalls(site: Site) -> Iterator[tuple[str, str]]:
    """Ask each kind of firewall that there is.

    :param site: The site.
    :returns: Name of each that refuses what it does not name, and what it lets pass.
    """
    # The first of them writes the rules of the last.
    for program, *asking in (["firewall-cmd", "--list-all"], ["ufw", "status"], ["nft", "list", "ruleset"]):
        try:
            rules = site.host.run(program, *asking)
        except UnseenError:
            continue
        if refuses(program, rules):
            yield program, rules.text
            return


def refuses(program: str, rules: Output) -> bool:
    """Return whether a firewall runs and refuses what it does not name."""
    if program == "ufw":
        return rules.text.startswith("Status: active")
    return rules.status == 0 and (program == "firewall-cmd" or bool(INPUT_CHAIN.search(rules.text)))


@check(
    "FS603",
    "The firewall lets visitors pass",
    cause="The firewall of this host lets no client reach a port of the site; from the host itself, all seems well.",
    remedy=(
        "Let apache_ssl open the ports (apache_ssl_firewall), or open them: firewall-cmd --add-service=https, or "
        "ufw allow https."
    ),
    after=("FS201",),
)
def firewall(site: Site) -> Iterator[Finding]:
    """Look for the ports in the rules."""
    found = list(firewalls(site))
    for program, rules in found:
        for port in sorted({each.port for each in site.sites}):
            named = re.search(rf"\b{port}\b" + (rf"|\b{CALLED[port]}\b" if port in CALLED else ""), rules)
            yield ok(f"{program} names port {port}.") if named else warning(f"{program} does not name port {port}.")
    if not found:
        yield ok("No firewall of this host refuses anything.")


@check(
    "FS604",
    "The provider's certificate is trusted",
    cause=(
        "httpd asks the provider for tokens, and does not trust its certificate: the CA that has issued it is not known"
        " on this host."
    ),
    remedy=(
        "Install the CA's certificate: update-ca-certificates on Debian, update-ca-trust on others. Do not switch the "
        "check off."
    ),
    after=("FS201",),
)
def provider(site: Site) -> Iterator[Finding]:
    """Connect as mod_auth_openidc does; shibd relies on the keys in the metadata instead."""
    endpoints = ("OIDCProviderMetadataURL", "OIDCProviderTokenEndpoint", "OIDCProviderJwksUri")
    urls = [urlsplit(each.value(name)) for each in site.sites for name in endpoints if each.value(name)]
    for name, port in sorted({(url.hostname or "", url.port or 443) for url in urls}):
        try:
            distrust = site.host.connect(name, port, name).distrust
        except OSError as fault:
            yield note(f"{name} cannot be reached directly: {fault}.")
            continue
        yield error(f"{name}: {distrust}.") if distrust else ok(f"{name} is trusted.")
    if not urls:
        raise UnseenError("no site here uses mod_auth_openidc")
