# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is on a host: httpd's virtual hosts and what they pass on to, units of systemd, shibd; found, not configured."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import urljoin, urlsplit

from .host import Handshake, Host, Output, Response
from .logins import Login, logins
from .model import UnseenError

# How httpd lists virtual hosts: an address with those that share it, or with its only one.
ADDRESS = re.compile(r"^(\S+):(\d+)\s+is a NameVirtualHost", re.MULTILINE)
NAMED = re.compile(r"^\s+port (\d+) namevhost (\S+) \((.+):(\d+)\)", re.MULTILINE)
ALONE = re.compile(r"^(\S+):(\d+)\s+(\S+) \((.+):(\d+)\)", re.MULTILINE)
TARGET = re.compile(
    r"^(?:proxy:)?(?:unix:(?P<socket>[^|]+)\|)?(?P<protocol>uwsgi|https?|fcgi|scgi|ajp)://(?P<place>[^/]*)"
)
OPENID_TYPES = ("openid-connect", "auth-openidc")
SHIBBOLETH = "/etc/shibboleth"
INCLUDES = 8  # how deep files include each other


@dataclass(frozen=True)
class Backend:
    """What httpd passes requests to: a Unix socket, or an address with a port."""

    protocol: str
    socket: str = ""
    place: str = ""


@dataclass(frozen=True)
class VirtualHost:
    """A virtual host, with its directives as (name in lower case, arguments); a section is one that begins with <."""

    name: str
    address: str
    port: int
    directives: list[tuple[str, list[str]]] = field(default_factory=list)

    def values(self, directive: str) -> list[list[str]]:
        """Return the arguments of each directive of a name."""
        return [arguments for name, arguments in self.directives if name == directive.lower()]

    def value(self, directive: str) -> str:
        """Return the first argument of a directive, empty if there is none."""
        return next((arguments[0] for arguments in self.values(directive) if arguments), "")

    @property
    def is_secure(self) -> bool:
        """Whether it speaks TLS."""
        return self.value("SSLEngine").lower() == "on"

    @property
    def url(self) -> str:
        """Address of its first page."""
        standard = self.port == (443 if self.is_secure else 80)
        return f"{'https' if self.is_secure else 'http'}://{self.name}{'' if standard else f':{self.port}'}/"

    @property
    def openid_paths(self) -> list[str]:
        """The paths on which mod_auth_openidc begins a login."""
        found: dict[str, bool] = {}
        path = ""
        for name, arguments in self.directives:
            if name.startswith(("<location", "</location")):
                path = arguments[0] if arguments and arguments[0].startswith("/") else ""
            elif path and name == "authtype":
                found.setdefault(path, arguments[0].lower() in OPENID_TYPES)
            elif path and name == "oidcunauthaction":
                found[path] = arguments[0].lower() == "auth"
        return [path for path, begins in found.items() if begins]

    @property
    def backends(self) -> list[Backend]:
        """What it passes requests to."""
        passing = ("proxypass", "proxypassmatch", "sethandler", "balancermember")
        words = [word for name, words in self.directives if name in passing for word in words]
        targets = [target for target in map(TARGET.match, words) if target]
        return list(dict.fromkeys(Backend(t["protocol"], t["socket"] or "", t["place"]) for t in targets))


@dataclass(frozen=True)
class Beginning:
    """How a login begins: what the site answers, and where it sends the browser."""

    site: VirtualHost
    url: str
    response: Response

    @property
    def provider(self) -> str:
        """The address at the provider."""
        return self.response.headers.get("location", "")


@dataclass(frozen=True)
class Unit:
    """A unit of systemd, as `systemctl show` describes it."""

    name: str
    state: str
    enabled: str
    result: str
    invocation: str


class Site:
    """What the checks look at: the host, and what was found on it, each once.

    Its properties raise UnseenError where something cannot be found out.
    """

    def __init__(self, host: Host, since: float = 3600) -> None:
        self.host = host
        self.begin = host.now() - since
        self._handshakes: dict[str, Handshake | OSError] = {}

    def handshake(self, virtual_host: VirtualHost) -> Handshake:
        """Begin TLS at a site. If it does not answer, later checks do not wait for it again.

        :param virtual_host: The site.
        :raises OSError: if nothing listens, or it speaks no TLS.
        """
        url = virtual_host.url
        if url not in self._handshakes:
            try:
                self._handshakes[url] = self.host.connect(virtual_host.name, virtual_host.port, virtual_host.address)
            except OSError as fault:
                self._handshakes[url] = fault
        found = self._handshakes[url]
        if isinstance(found, OSError):
            raise found
        return found

    def may(self, account: str, right: str, path: str) -> bool:
        """Try whether an account has a right to a path, through all directories above it.

        :param account: Name of the account.
        :param right: As `test` calls it: -r, -w or -x.
        :param path: The path.
        """
        tried = self.host.run("runuser", "-u", account, "--", "test", right, path)
        if tried.text:
            raise UnseenError(f"it cannot be tried as the account {account}: {tried.text.strip()}")
        return tried.status == 0

    # httpd

    @cached_property
    def httpd(self) -> str:
        """The program that controls httpd."""
        for program in ("/usr/sbin/apache2ctl", "/usr/sbin/httpd"):
            if self.host.find(program):
                return program
        raise UnseenError("httpd is not installed here")

    @property
    def httpd_service(self) -> str:
        """The name of httpd's service, and of its directories in /etc and /var/log."""
        return "apache2" if self.httpd.endswith("apache2ctl") else "httpd"

    @property
    def httpd_account(self) -> str:
        """The account under which httpd answers requests."""
        return "www-data" if self.httpd_service == "apache2" else "apache"

    @cached_property
    def httpd_test(self) -> Output:
        """What httpd says about its configuration."""
        return self.host.run(self.httpd, "-t", "-D", "DUMP_VHOSTS", "-D", "DUMP_MODULES")

    @cached_property
    def virtual_hosts(self) -> list[VirtualHost]:
        """Return what httpd would serve if it read its configuration now."""
        if self.httpd_test.status:
            raise UnseenError("httpd refuses its configuration")
        text = self.httpd_test.text
        shared = {port: address for address, port in ADDRESS.findall(text)}
        places = [(shared.get(port, "*"), port, name, path, line) for port, name, path, line in NAMED.findall(text)]
        places += ALONE.findall(text)
        return [
            VirtualHost(name, reachable(address), int(port), self._section(path, int(line)))
            for address, port, name, path, line in dict.fromkeys(places)
        ]

    @property
    def sites(self) -> list[VirtualHost]:
        """The virtual hosts with TLS that visitors know by a name."""
        found = [each for each in self.virtual_hosts if each.is_secure and not each.name.endswith(".invalid")]
        if not found:
            raise UnseenError("httpd has no virtual host with TLS")
        return found

    @property
    def backends(self) -> list[Backend]:
        """What the sites pass requests to."""
        found = list(dict.fromkeys(backend for site in self.sites for backend in site.backends))
        if not found:
            raise UnseenError("httpd passes no requests to an application's server")
        return found

    def _section(self, path: str, number: int) -> list[tuple[str, list[str]]]:
        """Read the directives of the virtual host that begins at a line."""
        lines = self.host.read(path).splitlines()[number:]
        ends = (index for index, line in enumerate(lines) if line.strip().lower() == "</virtualhost>")
        return self._directives(lines[: next(ends, len(lines))])

    def _directives(self, lines: Iterable[str], depth: int = 0) -> list[tuple[str, list[str]]]:
        found: list[tuple[str, list[str]]] = []
        for line in lines:
            name, arguments = directive(line)
            if name in ("include", "includeoptional") and arguments and depth < INCLUDES:
                root = "" if arguments[0].startswith("/") else f"/etc/{self.httpd_service}/"
                for included in self.host.find(root + arguments[0]):
                    found += self._directives(self.host.read(included).splitlines(), depth + 1)
            elif name:
                found.append((name, arguments))
        return found

    # systemd

    def units(self, *names: str) -> list[Unit]:
        """Look at units.

        :param names: Their names.
        :returns: Those that the host has.
        """
        wanted = "Id,LoadState,ActiveState,UnitFileState,Result,InvocationID"
        shown = self.host.run("systemctl", "show", f"--property={wanted}", *names)
        if shown.status:
            raise UnseenError(f"systemd does not answer: {shown.text.strip()}")
        found = []
        for block in shown.text.strip().split("\n\n"):
            unit = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
            if unit.get("LoadState") == "loaded":
                state, enabled, result, invocation = (
                    unit.get(name, "") for name in ("ActiveState", "UnitFileState", "Result", "InvocationID")
                )
                found.append(Unit(unit["Id"], state, enabled, result, invocation))
        return found

    @cached_property
    def services(self) -> list[Unit]:
        """The units of httpd and shibd."""
        return self.units(f"{self.httpd_service}.service", *(["shibd.service"] if self.has_shibboleth else []))

    @cached_property
    def application_units(self) -> list[Unit]:
        """The units of the application's servers; they have the name of its socket."""
        names = [backend.socket.rpartition("/")[2].rpartition(".")[0] for backend in self.backends if backend.socket]
        units = self.units(*[f"{name}.{kind}" for name in names for kind in ("socket", "service")]) if names else []
        if not units:
            raise UnseenError("no unit of systemd has the name of the socket to which httpd passes requests")
        return units

    def journal(self, unit: Unit) -> str:
        """Read what a unit has printed: since its last start, or what came before it ended."""
        running = unit.state == "active" and unit.invocation
        which = f"_SYSTEMD_INVOCATION_ID={unit.invocation}" if running else f"--unit={unit.name}"
        return self.host.run("journalctl", "--quiet", "--no-pager", "--output=cat", "--lines=400", which).text

    @cached_property
    def kernel_log(self) -> str:
        """What the kernel has said lately."""
        since = f"--since=@{self.begin:.0f}"
        read = self.host.run("journalctl", "--quiet", "--no-pager", "--dmesg", "--output=cat", since)
        if read.status:
            raise UnseenError(f"the kernel's log cannot be read: {read.text.strip()}")
        return read.text

    @cached_property
    def is_container(self) -> bool:
        """Whether the kernel, and with it clock and log, are those of another host."""
        return self.host.run("systemd-detect-virt", "--container").status == 0

    # Logins

    @cached_property
    def logins(self) -> list[Login]:
        """The last logins, and why some failed."""
        return logins(self)

    @cached_property
    def beginnings(self) -> list[Beginning]:
        """Begin a login at each site, as a browser does."""
        found = []
        for each in self.sites:
            paths = [] if each.value("SSLVerifyClient").lower() == "require" else each.openid_paths[:1]
            if not paths and self.has_shibboleth:
                paths = ["/Shibboleth.sso/Login"]
            for url in [urljoin(each.url, path) for path in paths]:
                try:
                    beginning = Beginning(each, url, self.host.request(url, each.address))
                except OSError:
                    continue
                if beginning.provider.startswith("https://"):
                    found.append(beginning)
        if not found:
            raise UnseenError("no site here sends its users to a provider")
        return found

    @cached_property
    def providers(self) -> list[tuple[str, Response | OSError]]:
        """Follow each login to its provider, without its certificate being checked: address and answer."""
        found: list[tuple[str, Response | OSError]] = []
        for beginning in self.beginnings:
            address = beginning.provider.partition("?")[0]
            try:
                found.append((address, self.host.request(beginning.provider, urlsplit(address).hostname or "")))
            except OSError as fault:
                found.append((address, fault))
        return found

    # Shibboleth

    @cached_property
    def has_shibboleth(self) -> bool:
        """Whether a site of this host uses mod_shib; where httpd cannot tell, whether it is installed."""
        if self.httpd_test.status:
            return bool(self.host.find("/usr/sbin/shibd"))
        return "mod_shib" in self.httpd_test.text or "shib_module" in self.httpd_test.text

    @property
    def shibd_account(self) -> str:
        """The account of shibd."""
        return "_shibd" if self.httpd_service == "apache2" else "shibd"

    @cached_property
    def shibboleth(self) -> str:
        """The text of shibd's configuration."""
        if not self.has_shibboleth:
            raise UnseenError("httpd has not loaded mod_shib")
        return self.host.read(f"{SHIBBOLETH}/shibboleth2.xml")


def reachable(address: str) -> str:
    """Return where this host reaches an address that httpd listens on.

    :param address: As httpd lists it.
    """
    return "127.0.0.1" if address in ("*", "_default_") else address.strip("[]")


def directive(line: str) -> tuple[str, list[str]]:
    """Split a line of httpd's configuration.

    :param line: The line.
    :returns: Name in lower case, and arguments; an empty name for a comment. That of a section begins with <.
    """
    line = line.strip().rstrip(">") if line.lstrip().startswith("<") else line.strip()
    if not line or line.startswith("#"):
        return "", []
    try:
        name, *arguments = shlex.split(line)
    except ValueError:
        name, *arguments = line.split()
    return name.lower(), arguments
