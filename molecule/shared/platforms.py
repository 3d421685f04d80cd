# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests have to know of a distribution: the names that it gives to the same things."""

from dataclasses import dataclass, replace

from testinfra.host import Host


@dataclass(frozen=True)
class Platform:
    """Names on a host.

    Tests that are parametrized take the names of these fields.
    """

    #: httpd's unit, and its program.
    httpd: str
    #: httpd's account and group.
    httpd_user: str
    #: shibd's account.
    shibd_user: str
    #: The command that checks httpd's configuration.
    check: str
    #: Directory of httpd's configuration.
    httpd_directory: str
    #: httpd's log of the site's requests, and that of errors.
    access_log: str
    error_log: str
    #: Directory of the sites' keys and certificates.
    tls_directory: str
    #: An interpreter that gunicorn runs in, which needs Python 3.10.
    gunicorn_python: str
    #: The key exchange with a client that knows all of them.
    key_exchange: str
    #: Files of httpd that are not named after the collection.
    stock_files: frozenset[str]
    #: Modules that are loaded here, and built in elsewhere.
    core_modules: frozenset[str]
    #: Modules that are built in.
    built_in: frozenset[str]

    @property
    def tls_key(self) -> str:
        """The key of the site's certificate."""
        return f"{self.tls_directory}/flask_app/private_ca-key.pem"


DEBIAN = Platform(
    httpd="apache2",
    httpd_user="www-data",
    shibd_user="_shibd",
    check="apache2ctl",
    httpd_directory="/etc/apache2",
    access_log="/var/log/apache2/flask_app-access.log",
    error_log="/var/log/apache2/error.log",
    tls_directory="/etc/ssl/flask_sso",
    gunicorn_python="python3",
    key_exchange="X25519",
    stock_files=frozenset({"/etc/apache2/apache2.conf", "/etc/apache2/ports.conf"}),
    core_modules=frozenset(),
    built_in=frozenset({"core", "so", "watchdog", "http", "log_config", "logio", "version", "unixd"}),
)
# OpenSSL 3.5 knows a hybrid one.
DEBIAN_13 = replace(DEBIAN, key_exchange="X25519MLKEM768")
RED_HAT = Platform(
    httpd="httpd",
    httpd_user="apache",
    shibd_user="shibd",
    check="/usr/sbin/httpd",
    httpd_directory="/etc/httpd",
    access_log="/var/log/httpd/flask_app-access_log",
    error_log="/var/log/httpd/error_log",
    tls_directory="/etc/pki/tls/flask_sso",
    gunicorn_python="python3.11",
    key_exchange="X25519",
    stock_files=frozenset({"/etc/httpd/conf/httpd.conf"}),
    core_modules=frozenset({"dir", "log_config", "logio", "systemd", "unixd"}),
    built_in=frozenset({"core", "so", "http"}),
)


def of(host: Host) -> Platform:
    """Return the names on a host."""
    if host.file("/etc/redhat-release").exists:
        return RED_HAT
    return DEBIAN_13 if host.file("/etc/debian_version").content_string.startswith("13.") else DEBIAN
