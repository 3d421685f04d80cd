#!/usr/bin/python
# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Collect what an httpd serves in addition to the sites of this collection, and who configured it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: httpd_inventory
short_description: Collect what an httpd serves in addition to the sites of this collection, and who configured it
version_added: 0.1.0
description:
  - Reads the configuration files as httpd does, from O(root) on, with their includes and conditions.
  - Distinguishes the distribution's defaults from what an administrator enabled or changed. Nothing is changed.
author: campus.flask_sso contributors (!UNKNOWN)
options:
  root:
    description: The file that httpd reads first.
    type: path
    required: true
  server_root:
    description: The directory that relative paths belong to.
    type: path
    required: true
  modules:
    description: Modules that are loaded before the first file is read, named without "mod_".
    type: list
    elements: str
    default: []
  enabled:
    description: Shell patterns of the files that httpd includes.
    type: list
    elements: str
    required: true
  ours:
    description: Shell patterns of the files that this collection writes.
    type: list
    elements: str
    required: true
  root_text:
    description:
      - What this collection writes into O(root) where it alone uses httpd; empty where it leaves that file. A file with
        the same first line is its own, too.
    type: str
    default: ""
  unused:
    description: Beginning of the text of files that this collection has emptied.
    type: str
    required: true
  stock:
    description:
      - Command that lists the configuration files of the distribution's packages, each in a line with its checksum (MD5
        or SHA-256). Packages that are not installed may make it fail.
    type: list
    elements: str
    required: true
  document_root:
    description: Directory that the distribution's own site serves.
    type: path
    required: true
  placeholder:
    description: File of the distribution that is copied to O(document_root).
    type: path
    required: true
  files:
    description: Files of the site that is deployed.
    type: list
    elements: path
    default: []
  names:
    description: Its names.
    type: list
    elements: str
    default: []
  ports:
    description: Its ports.
    type: list
    elements: int
    default: []
  key:
    description: Its private key. The public part is returned, too, as one look costs less than two.
    type: path
  certificate:
    description: Its certificate, with the chain.
    type: path
attributes:
  check_mode:
    description: Runs as usual, as it only reads.
    support: full
"""

EXAMPLES = r"""
- name: Collect what httpd serves
  campus.flask_sso.httpd_inventory:
    root: /etc/apache2/apache2.conf
    server_root: /etc/apache2
    enabled: [/etc/apache2/sites-enabled/*, /etc/apache2/ports.conf]
    ours: ["*/flask_sso-*"]
    unused: "# Not used"
    stock: [dpkg-query, --show, "--showformat=${Conffiles}\n", apache2]
    document_root: /var/www/html
    placeholder: /usr/share/apache2/default-site/index.html
  register: found
"""

RETURN = r"""
unmanaged:
  description:
    - Files and links among O(enabled) that an administrator added or changed, and O(root) where this collection would
      replace it.
  returned: always
  type: list
  elements: str
pages:
  description: Files that the distribution's own site serves, except for its default page.
  returned: always
  type: list
  elements: str
replaced:
  description: Whether O(root) is what this collection writes there.
  returned: always
  type: bool
elsewhere:
  description: Files with other virtual hosts that are not read because of a file among O(enabled).
  returned: always
  type: list
  elements: str
listens:
  description: Ports on which other files let httpd listen.
  returned: always
  type: list
  elements: int
served:
  description: Ports of other virtual hosts; V(0) is any.
  returned: always
  type: list
  elements: int
conflicting_hosts:
  description:
    - Virtual hosts that answer for one of O(names) on one of O(ports), or that take all requests to an address of this
      host away from it. Those among O(files) do not count.
  returned: always
  type: list
  elements: dict
  contains:
    path:
      description: The file.
      type: str
    ours:
      description: Whether this collection wrote it.
      type: bool
    what:
      description: The name, pattern or address.
      type: str
loaded:
  description: Modules that other files load, named without "mod_".
  returned: always
  type: list
  elements: str
files:
  description: All configuration files that take effect.
  returned: always
  type: list
  elements: str
key:
  description: What O(key) is.
  returned: always
  type: dict
  contains:
    public:
      description: The public key as PEM; empty if there is none.
      type: str
    msg:
      description: Why there is none.
      type: str
certificate:
  description: The content of O(certificate); empty if there is none.
  returned: always
  type: str
locations:
  description: URL paths that the virtual hosts of the site's names have rules, files or programs for.
  returned: always
  type: list
  elements: dict
  contains:
    path:
      description: The file.
      type: str
    location:
      description: The URL path, without a slash at its end.
      type: str
"""

import glob
import hashlib
import os
import re
from fnmatch import fnmatch

from ansible.module_utils.basic import AnsibleModule

# What distributions compile into httpd itself.
STATIC_MODULES = ("core", "http", "log_config", "logio", "so", "unixd", "version", "watchdog")
ARGUMENT = re.compile(r'"([^"]*)"|\'([^\']*)\'|(\S+)')
ADDRESS = re.compile(r"(?:(?P<host>\S+):)?(?P<port>\d+)")
CHECKSUM = re.compile(r"[0-9a-f]{32}|[0-9a-f]{64}")


def address_and_port(text):
    """Parse an address in a directive.

    :param str text: For example ``443``, ``*:443``, ``[::]:443`` or ``192.0.2.1``.
    :returns: tuple of the address, ``*`` for any, and the port, 0 for any.
    """
    match = ADDRESS.fullmatch(text)
    host, port = (match["host"] or "*", int(match["port"])) if match else (text, 0)
    return re.sub(r"^(_default_|0\.0\.0\.0|\[::\])$", "*", host), port


def host_name(text):
    """Return the name in the argument of a ServerName, which may have a scheme and a port.

    :param str text: For example ``https://app.example.org:443``.
    :returns: str, in lower case.
    """
    return re.sub(r":\d+$", "", text.lower().rpartition("://")[2])


class Configuration:
    """The configuration that httpd reads, as far as it concerns ports and virtual hosts.

    :param str server_root: Directory that relative paths belong to.
    :param list modules: Modules that are loaded before the first file is read.
    """

    def __init__(self, server_root, modules):
        self.server_root = server_root
        self.modules = {*STATIC_MODULES, *modules}
        self.defines = {}
        self.files = []
        self.open = []
        self.roots = []
        self.hosts = []
        self.listens = []
        self.loaded = []
        self.locations = []
        self.host = None

    def _expand(self, text):
        """Replace variables of Define."""
        return re.sub(r"\$\{(\w+)\}", lambda match: self.defines.get(match[1], match[0]), text)

    def _holds(self, section, argument):
        """Whether what is in a section takes effect."""
        wanted = not argument.startswith("!")
        name = argument.lstrip("!")
        if section == "ifmodule":
            return wanted == (re.sub(r"^mod_|(_module|\.c)$", "", name) in self.modules)
        if section == "ifdefine":
            return wanted == (name in self.defines)
        if section == "iffile":
            return wanted == os.path.exists(os.path.join(self.server_root, name))
        return True

    def read(self, path):
        """Read a file and what it includes; one that includes itself or cannot be read is left to httpd's own check.

        :param str path: Absolute path.
        """
        if path in self.open or not os.path.isfile(path):
            return
        self.open.append(path)
        if path not in self.files:
            self.files.append(path)
        sections = []  # open sections, and whether they apply
        for line in map(str.strip, content(path).decode("utf-8", "replace").replace("\\\n", " ").splitlines()):
            if line.startswith("</"):
                if sections and sections.pop()[0] == "virtualhost":
                    self.host = None
            elif line and not line.startswith("#"):
                name, *rest = line.lstrip("<").split(None, 1)
                name = name.rstrip(">").lower()
                rest = rest[0].rstrip(">") if rest and line.startswith("<") else "".join(rest)
                arguments = [self._expand("".join(groups)) for groups in ARGUMENT.findall(rest)]
                holds = all(held for _name, held in sections)
                take = self._take
                if line.startswith("<"):
                    sections.append((name, self._holds(name, arguments[0] if arguments else "")))
                    take = self._take_section
                if holds and arguments:
                    take(path, name, arguments)
        self.open.pop()

    def _take_section(self, path, name, arguments):
        """Evaluate the first line of a section."""
        if name == "virtualhost":
            pairs = list(map(address_and_port, arguments))
            addresses, ports = [address for address, _port in pairs], [port for _address, port in pairs]
            self.host = {"path": path, "addresses": addresses, "ports": ports, "names": []}
            self.hosts.append((self.host, list(self.open)))
        elif name == "location" and arguments[0] != "~":
            self.locations.append((path, arguments[0].rstrip("/") or "/", self.host))

    def _take(self, path, name, arguments):
        """Evaluate one directive."""
        if name == "define":
            self.defines[arguments[0]] = arguments[1] if len(arguments) > 1 else ""
        elif name == "undefine":
            self.defines.pop(arguments[0], None)
        elif name == "loadmodule":
            self.modules.add(re.sub(r"^mod_|_module$", "", arguments[0]))
            self.loaded.append((path, re.sub(r"^mod_|_module$", "", arguments[0])))
        elif name in ("include", "includeoptional"):
            pattern = os.path.join(self.server_root, arguments[0])
            for found in sorted(glob.glob(os.path.join(pattern, "*") if os.path.isdir(pattern) else pattern)):
                self.read(found)
        elif name == "listen":
            self.listens.append((path, address_and_port(arguments[0])[1]))
        elif name in ("servername", "serveralias") and self.host is not None:
            self.host["names"] += map(host_name, arguments)
        elif name in ("alias", "proxypass") and self.host is not None:
            self.locations.append((path, arguments[0].rstrip("/") or "/", self.host))
        elif name == "documentroot" and self.host is None:
            self.roots.append((path, arguments[0]))


def is_stock(path, checksums):
    """Return whether a file is unchanged since its package was installed.

    :param str path: Absolute path; a link counts as what it leads to.
    :param dict checksums: MD5 or SHA-256 by path.
    :returns: bool
    """
    target = os.path.realpath(path)
    wanted = checksums.get(target, "")
    if not os.path.isfile(target):
        return False
    algorithm = "md5" if len(wanted) == 32 else "sha256"
    return hashlib.new(algorithm, content(target), usedforsecurity=False).hexdigest() == wanted


def content(path):
    """Return what is in a file.

    :param str path: Absolute path.
    :returns: bytes
    """
    with open(path, "rb") as stream:
        return stream.read()


def packaged(listing):
    """Parse a package manager's list of configuration files.

    :param str listing: One file a line, its path first and its checksum among the words after it.
    :returns: dict of checksums by path.
    """
    lines = [line.split() for line in listing.splitlines()]
    return {words[0]: word for words in lines for word in words[1:] if CHECKSUM.fullmatch(word)}


def public_key(module, path):
    """Read the public part of a private key.

    :param AnsibleModule module: The module, which runs OpenSSL.
    :param str path: File of the key, or nothing.
    :returns: dict of the key as PEM and, if there is none, the reason.
    """
    if not path or not os.path.isfile(path):
        return {"public": "", "msg": f"There is no file {path}."}
    openssl = module.get_bin_path("openssl")
    if not openssl:
        return {"public": "", "msg": "The command openssl is missing."}
    code, printed, said = module.run_command([openssl, "pkey", "-pubout", "-passin", "pass:", "-in", path])
    return {"public": "" if code else printed, "msg": said.strip()}


def text(path):
    """Read a file.

    :param str path: The file, or nothing; it may be missing.
    :returns: str, empty if there is none.
    """
    return content(path).decode("utf-8", "replace") if path and os.path.isfile(path) else ""


def conflicts(host, names, ports):
    """List what prevents visitors from reaching a site with these names and ports.

    :param dict host: A virtual host, as :class:`Configuration` describes it.
    :param list names: Names of the site.
    :param list ports: Ports of the site.
    :returns: list of names, patterns and addresses.
    """
    if not {0, *ports} & {*host["ports"]}:
        return []
    # An address goes before "*", whatever the names are.
    narrow = [address for address in host["addresses"] if address != "*"]
    return narrow or [pattern for pattern in host["names"] if any(fnmatch(name, pattern) for name in names)]


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "path", "required": True},
            "server_root": {"type": "path", "required": True},
            "modules": {"type": "list", "elements": "str", "default": []},
            "enabled": {"type": "list", "elements": "str", "required": True},
            "ours": {"type": "list", "elements": "str", "required": True},
            "root_text": {"type": "str", "default": ""},
            "unused": {"type": "str", "required": True},
            "stock": {"type": "list", "elements": "str", "required": True},
            "document_root": {"type": "path", "required": True},
            "placeholder": {"type": "path", "required": True},
            "files": {"type": "list", "elements": "path", "default": []},
            "names": {"type": "list", "elements": "str", "default": []},
            "ports": {"type": "list", "elements": "int", "default": []},
            "key": {"type": "path", "no_log": False},
            "certificate": {"type": "path"},
        },
        supports_check_mode=True,
    )
    wanted = module.params
    found = Configuration(wanted["server_root"], wanted["modules"])
    found.read(wanted["root"])
    checksums = packaged(module.run_command(wanted["stock"])[1]) if found.files else {}
    unused = wanted["unused"].encode()

    def ours(path):
        named = any(fnmatch(path, pattern) for pattern in wanted["ours"])
        text = content(path) if os.path.isfile(path) else b""
        # A file with added lines is the administrator's.
        return named or (text.startswith(unused) and len(text.strip().splitlines()) == 1)

    def is_unmanaged(path):
        return not ours(path) and not is_stock(path, checksums)

    first = wanted["root_text"].encode().partition(b"\n")[0]
    replaced = bool(first) and found.files != [] and content(wanted["root"]).startswith(first)
    replaceable = [wanted["root"]] if first and found.files and not replaced else []
    there = {path for pattern in wanted["enabled"] for path in glob.glob(pattern)}
    enabled = sorted(path for path in there if os.path.islink(path) or not os.path.isdir(path))
    others = [(host, files) for host, files in found.hosts if not ours(host["path"])]
    # The distribution's site is its own virtual host or, without one of this collection before it, the main server.
    serves = any(is_stock(host["path"], checksums) for host, _files in others) or (
        len(others) == len(found.hosts) and wanted["document_root"] in dict(map(reversed, found.roots))
    )
    pages = glob.glob(os.path.join(wanted["document_root"], "*")) if serves else []
    placeholder = content(wanted["placeholder"]) if os.path.isfile(wanted["placeholder"]) else None
    module.exit_json(
        changed=False,
        unmanaged=list(filter(is_unmanaged, enabled + replaceable)),
        replaced=replaced,
        pages=sorted(path for path in pages if not os.path.isfile(path) or content(path) != placeholder),
        elsewhere=sorted({host["path"] for host, files in others if not {*enabled} & {*files}}),
        listens=sorted({port for path, port in found.listens if not ours(path)}),
        served=sorted({port for host, _files in others for port in host["ports"]}),
        conflicting_hosts=[
            {"path": host["path"], "ours": ours(host["path"]), "what": what}
            for host, _files in found.hosts
            for what in conflicts(host, wanted["names"], wanted["ports"])
            if host["path"] not in wanted["files"]
        ],
        loaded=sorted({name for path, name in found.loaded if not ours(path)}),
        files=found.files,
        key=public_key(module, wanted["key"]),
        certificate=text(wanted["certificate"]),
        locations=[
            {"path": path, "location": location}
            for path, location, host in found.locations
            if host is None or conflicts(host, wanted["names"], wanted["ports"])
        ],
    )


if __name__ == "__main__":
    main()
