# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A certificate is optional; gunicorn behind an HTTP proxy accepts the user's identity from httpd only."""

from __future__ import annotations

from pathlib import Path

import bench_client
import lxml.html
import pytest
from client_certificate_tests import *  # noqa: F403 (tests and fixtures that pytest finds here, too)
from client_certificate_tests import Logs, deploy
from client_certificates import AUTHORITY, TWINS, Gate, forge, person, serial, visit
from testinfra.host import Host

HELLO = "/flask/hello"
# Headers of the proxy, in the spellings of different servers.
SPELLINGS = [
    "X-Gate-SSL-CLIENT-S-DN-CN",
    "X_Gate_SSL_CLIENT_S_DN_CN",
    "x-gate_ssl-client_s-dn-cn",
    "X.Gate.SSL.CLIENT.S.DN.CN",
    "X-GATE-anything",
    "X_Request_ID",
]
# The header of a certificate's second name.
SECOND_NAME = "X-Gate-SSL-CLIENT-S-DN-CN-1"


@pytest.fixture
def gate() -> Gate:
    """Return the settings of this gate."""
    return Gate(path="/flask", unit="flask_app-gunicorn", blank="_")


def test_visitors_without_a_certificate_are_anonymous() -> None:
    """They get the first page, and a message where a name is needed."""
    assert visit(None, HELLO).text == "Hello Unauthorized!"
    assert visit(None, "/flask/").status_code == 200
    assert visit(None, "/flask/api/me").status_code == 401
    answer = visit(None, "/flask/profile")
    assert (answer.status_code, answer.url.path) == (403, "/flask/login")
    assert "with a client certificate" in answer.text


@pytest.mark.parametrize("http2", [False, True])
def test_known_people_are_greeted_by_name(http2: bool) -> None:
    """Over HTTP/1.1 and HTTP/2."""
    for who, name in {"ghopper": "Grace Hopper", "cpayne": "Cecilia Payne"}.items():
        answer = visit(person(who), HELLO, http2=http2)
        assert (answer.text, answer.http_version) == (f"Hello {name}!", "HTTP/2" if http2 else "HTTP/1.1")


def test_headers_of_other_names_change_nothing() -> None:
    """The application ignores them."""
    assert visit(None, HELLO, headers=TWINS).text == "Hello Unauthorized!"


@pytest.mark.parametrize(
    "connection",
    [
        [("Connection", SECOND_NAME)],
        [("connection", f"close, {SECOND_NAME.lower()}")],
        [("Connection", f"close;{SECOND_NAME}")],
        [("Connection", f"keep-alive {SECOND_NAME}")],
        [("Connection", "close"), ("Connection", SECOND_NAME)],
        [("Connection", "X-Request-ID")],
        [("Connection", "close, x_forwarded-proto")],
    ],
    ids=["alone", "comma", "semicolon", "blank", "second header", "the request's id", "the scheme"],
)
def test_no_visitor_has_a_header_of_the_proxy_dropped(logs: Logs, tmp_path: Path, connection: list) -> None:
    """mod_proxy drops what Connection names: a certificate of two people would become the first one's, https http."""
    name = connection[-1][1].split()[-1].split(";")[-1]
    with logs(f"A visitor asked to drop the header {name}, which only httpd may set"):
        answer = visit(forge(tmp_path, "Grace Hopper", "Cecilia Payne"), HELLO, headers=connection)
    assert answer.status_code == 400
    assert "Hello" not in answer.text


@pytest.mark.parametrize("name", ["Keep-Alive", "Proxy-Connection", "TE", "Trailer", "Upgrade"])
def test_other_headers_about_the_connection_drop_nothing(tmp_path: Path, name: str) -> None:
    """Mod_proxy drops these themselves, not what they name."""
    two = forge(tmp_path, "Grace Hopper", "Cecilia Payne")
    assert visit(two, HELLO, headers={name: SECOND_NAME}).text == "Hello Unauthorized!"


@pytest.mark.parametrize("files", [None, person("ghopper")], ids=["without a certificate", "with one"])
@pytest.mark.parametrize("name", SPELLINGS)
def test_headers_that_only_the_proxy_sends_are_taken_from_visitors(logs: Logs, name: str, files: tuple | None) -> None:
    """However they are spelt; an empty one at the end changes nothing, and the log names them."""
    forged = [(name, "Cecilia Payne"), (SPELLINGS[1].replace("S_DN_CN", "VERIFY"), "SUCCESS"), ("X-Gate-last", "")]
    with logs(f"A visitor sent the header {name}, which only httpd may set"):
        answer = visit(files, HELLO, headers=forged)
    assert answer.text == ("Hello Grace Hopper!" if files else "Hello Unauthorized!")


def test_backend_hears_nothing_of_such_headers(web: Host) -> None:
    """Seen from the backend: a listener in its place gets only httpd's headers."""
    web.check_output(
        "systemctl stop flask_app-gunicorn.socket flask_app-gunicorn.service; rm /run/flask_app-gunicorn.sock"
    )
    listener = 'python3 -c "{}"'.format(
        "import socket, os; s = socket.socket(socket.AF_UNIX); s.bind('/run/flask_app-gunicorn.sock');"
        " os.chmod('/run/flask_app-gunicorn.sock', 0o666); s.listen(); print(s.accept()[0].recv(65536).decode())"
    )
    web.check_output(f"systemd-run --collect --unit=listener --property=StandardOutput=file:/run/heard {listener}")
    web.check_output("timeout 10 sh -c 'until test -S /run/flask_app-gunicorn.sock; do sleep 0.1; done'")
    visit(None, HELLO, headers=dict.fromkeys(SPELLINGS, "forged"))
    heard = web.file("/run/heard").content_string
    web.check_output("rm /run/flask_app-gunicorn.sock; systemctl start flask_app-gunicorn.socket")
    assert "X-Gate-SSL-CLIENT-VERIFY: NONE" in heard
    assert "forged" not in heard


@pytest.mark.parametrize("name", ["SCRIPT_NAME", "PATH_INFO", "Script-Name"])
def test_headers_move_no_visitor_to_another_path(name: str) -> None:
    """Httpd decides by the path in the request who may see it; the application has to see the same path."""
    assert visit(None, "/flask/elsewhere/hello", headers={name: "/flask/elsewhere"}).status_code == 404
    assert visit(None, "/flask/hello", headers={name: "/flask/elsewhere"}).text == "Hello Unauthorized!"


def test_backend_is_not_reachable_in_another_way(web: Host) -> None:
    """Any client of gunicorn could be any user, so only httpd reaches it."""
    door = web.file("/run/flask_app-gunicorn.sock")
    assert (door.user, door.group, door.mode) == ("flask_app", "www-data", 0o660)
    listening = web.check_output("ss --tcp --listening --processes --no-header")
    assert "gunicorn" not in listening


def test_links_and_redirects_stay_under_the_path() -> None:
    """As one who clicks sees it; outside of the path there is nothing."""
    page = visit(person("ghopper"), "/flask/")
    links = {link for _, _, link, _ in lxml.html.fromstring(page.text).iterlinks()}
    assert links
    assert all(link.startswith(("/flask/", "#")) for link in links)
    for link in links - {"#main"}:
        assert visit(person("ghopper"), link).status_code == 200
    answer = visit(None, "/flask/profile", follow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (302, "/flask/login?next=/flask/profile")
    assert visit(person("ghopper"), answer.headers["Location"]).url.path == "/flask/profile"
    assert visit(person("ghopper"), "/hello").status_code == 404


def test_browser_shows_page_and_style() -> None:
    """Chromium, with Grace's certificate."""
    with bench_client.browser(AUTHORITY / "people" / "ghopper") as page:
        failed = []
        page.on("response", lambda response: failed.append(response.url) if response.status >= 400 else None)
        page.goto(f"{bench_client.SITE}/flask/")
        assert "Grace Hopper" in page.text_content("main")
        assert failed == []


def test_valid_certificate_that_is_not_allowed_gets_a_readable_page(logs: Logs) -> None:
    """Visitors without a certificate are anonymous as before; a certificate has to be an allowed one."""
    deploy({"client_certificates_allowed": [{"serial": serial(person("ghopper"))}]})
    assert visit(None, HELLO).text == "Hello Unauthorized!"
    assert visit(person("ghopper"), HELLO).text == "Hello Grace Hopper!"
    with logs("AH01630: client denied by server configuration"):
        answer = visit(person("cpayne"), HELLO)
    assert answer.status_code == 403
    assert "Access denied" in answer.text
    assert serial(person("cpayne")) in answer.text
