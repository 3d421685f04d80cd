# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP, as seen from outside: the site's pages come from the application, and unneeded methods are refused."""

import bench_client
import httpx
import pytest

FROM_THE_APPLICATION = "Content-Security-Policy"


@pytest.mark.parametrize("host", [bench_client.HOST, "other.example"])
def test_http_leads_to_https_for_good(visitor: httpx.Client, host: str) -> None:
    """Path and query are kept, and the target is the site, whatever name was asked for."""
    response = visitor.get(f"http://{bench_client.HOST}/a/page?x=1", headers={"Host": host}, follow_redirects=False)
    assert response.status_code == 301
    assert response.headers["Location"] == f"{bench_client.SITE}/a/page?x=1"


@pytest.mark.parametrize(("http2", "version"), [(False, "HTTP/1.1"), (True, "HTTP/2")])
def test_first_page_comes_from_the_application(http2: bool, version: str) -> None:
    """It needs no login, in either version of HTTP."""
    with bench_client.client(http2=http2) as session:
        response = session.get("/")
    assert (response.status_code, response.http_version) == (200, version)
    assert FROM_THE_APPLICATION in response.headers
    assert "Log in" in response.text


@pytest.mark.parametrize("path", ["/", "/Shibboleth.sso/Metadata", "/shibboleth-sp/main.css"])
def test_trace_is_refused(visitor: httpx.Client, path: str) -> None:
    """httpd never echoes a request with its cookies, not even as the last proxy of a chain."""
    response = visitor.request("TRACE", path, headers={"X-Echo": "canary", "Max-Forwards": "0"})
    assert response.status_code == 405
    assert "canary" not in response.text


@pytest.mark.parametrize("host", ["other.example", f"{bench_client.HOST}.other.example", "localhost", "127.0.0.1"])
def test_unknown_host_is_refused_before_the_application(visitor: httpx.Client, host: str) -> None:
    """A name that is not the site's gets nothing from the application or the service provider."""
    for path in ("/", "/login", "/Shibboleth.sso/Metadata"):
        response = visitor.get(path, headers={"Host": host}, follow_redirects=False)
        assert response.status_code in (403, 421)
        assert FROM_THE_APPLICATION not in response.headers


@pytest.mark.parametrize("path", ["/", "/login", "/no/such/page", "/Shibboleth.sso/Session", "/server-status"])
def test_every_answer_carries_the_security_headers(visitor: httpx.Client, path: str) -> None:
    """Pages, redirects and errors alike."""
    headers = visitor.get(path, follow_redirects=False).headers
    assert int(headers["Strict-Transport-Security"].removeprefix("max-age=")) >= 63072000
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert "private" in headers["Cache-Control"] or "no-store" in headers["Cache-Control"]
    assert headers["Referrer-Policy"] == "strict-origin-when-cross-origin"
    assert headers["Server"] == "Apache"


@pytest.mark.parametrize(
    ("path", "status", "kind"),
    [
        ("/Shibboleth.sso/Metadata", 200, "application/samlmetadata+xml"),
        ("/Shibboleth.sso/Status", 403, "text/html"),
        ("/Shibboleth.sso/no-such-handler", 500, "text/html"),
        ("/shibboleth-sp/main.css", 200, "text/css"),
        ("/shibboleth-sp/no-such-file", 404, "text/html"),
    ],
)
def test_service_provider_is_never_proxied(visitor: httpx.Client, path: str, status: int, kind: str) -> None:
    """Its addresses answer by themselves, and its status only to the host itself."""
    response = visitor.get(path)
    assert response.status_code == status
    assert response.headers["Content-Type"].startswith(kind)
    assert FROM_THE_APPLICATION not in response.headers
