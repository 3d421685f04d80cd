# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The site as its visitors see it, before they log in (FS7)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from ..model import Finding, check, error, note, ok, warning
from ..site import Beginning, Site

COOKIE_BYTES = 7000  # of the 8190 that httpd accepts by default
INSIDE = ("FS101", "FS103", "FS201", "FS202", "FS203", "FS401", "FS402", "FS403", "FS404", "FS502")
LOGIN = ("FS101", "FS103", "FS201", "FS501", "FS502", "FS503", "FS504", "FS505", "FS803")
UNKNOWN = re.compile(r"<title>\s*Metadata not found")  # SimpleSAMLphp says it with the status 200
MEANINGS = {
    500: "the application or mod_shib failed; the reason is in httpd's error log or the application's journal",
    502: "the application's server closed the connection before it had answered",
    503: "httpd cannot reach the application's server",
    504: "the application's server took longer than httpd waits",
}


@check(
    "FS701",
    "http leads to https",
    cause=(
        "A visitor who writes the name without https is not sent to https. Cookies of a login are not sent there, "
        "so it begins again and again."
    ),
    remedy="Let apache_ssl write the redirect. By hand, in VirtualHost *:80: Redirect permanent / https://NAME/",
    after=("FS101", "FS103", "FS201", "FS203"),
)
def redirect(site: Site) -> Iterator[Finding]:
    """Request the first page without TLS, where httpd has such a port."""
    plain = {each.port for each in site.virtual_hosts if not each.is_secure}
    for each in site.sites:
        if 80 not in plain:
            yield note(f"httpd serves nothing on port 80, so http://{each.name}/ does not answer.")
            continue
        try:
            answer = site.host.request(f"http://{each.name}/", each.address)
        except OSError as fault:
            yield warning(f"http://{each.name}/ does not answer: {fault}.")
            continue
        target = answer.headers.get("location", "")
        seen = f"http://{each.name}/ answers {answer.status} {target}".rstrip() + "."
        yield ok(seen) if target.startswith("https://") else warning(seen)


@check(
    "FS702",
    "The application answers",
    cause="A visitor gets an error of the server instead of a page. The number says where it got stuck.",
    remedy=(
        "502 and 503: see that the application runs, systemctl status. 504: see what it waits for, and "
        "uwsgi_proxy_timeout. 500: read httpd's error log."
    ),
    after=INSIDE,
)
def page(site: Site) -> Iterator[Finding]:
    """Request the first page: a page, a login, or a refusal are all answers."""
    for each in site.sites:
        if each.value("SSLVerifyClient").lower() == "require":
            yield note(f"{each.url} asks for a client certificate, so no page was requested.")
            continue
        try:
            status = site.host.request(each.url, each.address).status
        except OSError as fault:
            yield error(f"{each.url} does not answer: {fault}.")
            continue
        if status < 500:
            yield ok(f"{each.url} answers {status}.")
        else:
            yield error(f"{each.url} answers {status}: {MEANINGS.get(status, 'an error of the server')}.")


@check(
    "FS703",
    "httpd accepts the cookies of a login",
    cause=(
        "httpd refuses requests with long headers. Cookies of logins and of the application together are that long, so "
        "some users get 400 or 431."
    ),
    remedy="Remove LimitRequestFieldSize from httpd's configuration: its default of 8190 is enough.",
    after=("FS101", "FS103", "FS201", "FS203"),
)
def header(site: Site) -> Iterator[Finding]:
    """Send one of an ordinary length, to a path that httpd answers itself."""
    for each in site.sites:
        if each.value("SSLVerifyClient").lower() == "require":
            yield note(f"{each.url} asks for a client certificate, so no page was requested.")
            continue
        try:
            status = site.host.request(f"{each.url}%2F", each.address, cookie="a=" + COOKIE_BYTES * "b").status
        except OSError as fault:
            yield error(f"{each.url} does not answer: {fault}.")
            continue
        seen = f"{each.url} answers {status} to a cookie of {COOKIE_BYTES} bytes."
        yield warning(seen) if status in (400, 431) else ok(seen)


def cookies(beginning: Beginning) -> list[dict[str, str]]:
    """Read the attributes of the cookies with which a login begins.

    :param beginning: What the site has answered.
    :returns: Attributes of each cookie, with names in lower case.
    """
    found = []
    for cookie in beginning.response.headers.get("set-cookie", "").splitlines():
        words = [word.strip().partition("=") for word in cookie.split(";")[1:]]
        found.append({name.lower(): value for name, _equals, value in words})
    return found


@check(
    "FS704",
    "Cookies of a login are for this site",
    cause=(
        "The site sets its cookies for another name than its own, or only for http. The browser does not send them "
        "back, so the login begins again and again."
    ),
    remedy='Set cookieProps="https" in Sessions of shibboleth2.xml. For mod_auth_openidc, remove OIDCCookieDomain.',
    after=LOGIN,
)
def domain(site: Site) -> Iterator[Finding]:
    """Look at those with which a login begins."""
    for beginning in site.beginnings:
        name = beginning.site.name.lower()
        for cookie in cookies(beginning):
            place = cookie.get("domain", name).lstrip(".").lower()
            fits = name == place or name.endswith(f".{place}")
            seen = f"{beginning.url} sets a cookie for {place}."
            yield ok(seen) if fits else error(seen)


@check(
    "FS705",
    "Cookies come back from the provider",
    cause=(
        "Cookies of the login have SameSite=Strict, or Lax where the provider answers with a form. The browser does not"
        " send them with the provider's answer, so the login begins again and again."
    ),
    remedy=(
        'Set cookieProps="https" in Sessions of shibboleth2.xml, as shibboleth_sp does; for mod_auth_openidc, '
        "OIDCCookieSameSite On, and OIDCResponseMode not to form_post."
    ),
    after=(*LOGIN, "FS704"),
)
def same_site(site: Site) -> Iterator[Finding]:
    """Look at those with which a login begins. SAML answers by a form, OpenID Connect only if it was asked to."""
    for beginning in site.beginnings:
        by_form = any(asked in beginning.provider for asked in ("SAMLRequest=", "response_mode=form_post"))
        lost = ("strict", "lax") if by_form else ("strict",)
        for cookie in cookies(beginning):
            value = cookie.get("samesite", "none")
            seen = f"{beginning.url} sets a cookie with SameSite={value}."
            yield error(seen) if value.lower() in lost else ok(seen)


@check(
    "FS706",
    "The provider knows this site",
    cause=(
        "The provider answers this site's users with an error: the site is not registered there, or with another "
        "entityID, client id or redirect URI."
    ),
    remedy=(
        "Register the site: the files are in artifacts/HOST after site.yml. Compare entityID or client id, and the "
        "address at which logins end."
    ),
    after=LOGIN,
)
def known(site: Site) -> Iterator[Finding]:
    """Follow the beginning of a login to the provider, as a browser does."""
    for url, answer in site.providers:
        if isinstance(answer, OSError):
            yield note(f"{url} does not answer this host: {answer}.")
        elif answer.status >= 400:
            yield error(f"{url} answers {answer.status}.")
        elif UNKNOWN.search(answer.body):
            yield error(f"{url} answers that it has no metadata of this site.")
        else:
            yield ok(f"{urlsplit(url).hostname} lets users of this site log in.")
