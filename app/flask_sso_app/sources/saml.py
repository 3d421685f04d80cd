# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""SAML: the application itself is the service provider, by python3-saml, in any number of processes.

Messages are checked by python3-saml and :mod:`.saml_response`; what has to be remembered is in :mod:`.saml_store`.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from html import escape, unescape
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, current_app, g, redirect, render_template, request, session, url_for
from onelogin.saml2.auth import OneLogin_Saml2_Auth
from onelogin.saml2.constants import OneLogin_Saml2_Constants as Constants
from onelogin.saml2.logout_request import OneLogin_Saml2_Logout_Request
from onelogin.saml2.logout_response import OneLogin_Saml2_Logout_Response
from onelogin.saml2.utils import OneLogin_Saml2_Utils
from onelogin.saml2.xml_utils import OneLogin_Saml2_XML
from werkzeug.wrappers import Response

from flask_sso_app import login
from flask_sso_app.identity import Identity, Session, parse_instant
from flask_sso_app.sources import saml_response, saml_settings
from flask_sso_app.sources.saml_response import RefusedError
from flask_sso_app.sources.saml_store import digest, now

NAME = "saml"

#: Seconds that a user has for logging in at the identity provider.
PATIENCE = 900

#: Seconds that a request to log out is good for.
FRESH = 300

#: Bytes of the longest message.
LONGEST = 1 << 20


def init_app(app: Flask) -> None:
    """Set up the login and the addresses that the identity provider knows."""
    sp = app.extensions[NAME] = saml_settings.load(app)
    app.add_url_rule("/login", "login", enter)
    app.add_url_rule(sp.setting["acs"], "saml_acs", consume, methods=["POST"])
    app.add_url_rule(sp.setting["logout"], "saml_logout", leave)
    if sp.setting["logout_post"]:
        app.add_url_rule(sp.setting["logout_post"], "saml_logout_post", leave_by_post, methods=["POST"])
    app.add_url_rule(sp.setting["metadata"], "saml_metadata", metadata)
    app.register_error_handler(RefusedError, refuse)
    with app.app_context():
        in_force()


def here() -> saml_settings.ServiceProvider:
    """Return this application's service provider."""
    return current_app.extensions[NAME]


# Who is logged in


def identify(_variables: Mapping[str, Any]) -> Identity | None:
    """Return the identity behind the session whose id is in the cookie.

    :return: None without a session, without a required attribute, or without exactly one value of the identifier.
    """
    user, attributes = recall()
    if not all(attributes.get(name) for name in here().setting["required"]):
        return None
    return Identity.from_attributes(NAME, current_app.config["ATTRIBUTES"], attributes, user)


def recall() -> tuple[Session | None, dict[str, tuple[str, ...]]]:
    """Return the session and those of its attributes that are named in the settings."""
    config, key = current_app.config, session.get(NAME, "")
    facts = here().store.find(key, here().setting["timeout"]) if key else None
    if facts is None or (here().setting["bound_to_address"] and facts.get("address") != address()):
        return None, {}
    names = dict.fromkeys([*config["ATTRIBUTES"].values(), *config["MORE_ATTRIBUTES"]])
    attributes = {name: tuple(facts["attributes"][name]) for name in names if facts["attributes"].get(name)}
    user = Session(digest(key), facts["identity_provider"], parse_instant(facts["authenticated_at"]), facts["context"])
    return user, attributes


def address() -> str:
    """Return the visitor's address, of which a proxy in front tells as of everything else."""
    return g.variables.get("REMOTE_ADDR", "")


# Log in


def enter() -> Response | tuple[str, int]:
    """Send the user to the identity provider, and remember who asked for what."""
    if g.identity is not None:
        return redirect(login.target())
    if not in_force():
        return render_template("outdated.html"), 503
    cookie, browser = browser_cookie()
    browser = browser or secrets.token_urlsafe()
    key, auth = secrets.token_urlsafe(), toolkit(here().setting["acs"])
    response = redirect(auth.login(return_to=key))
    here().store.wait(key, browser, auth.get_last_request_id(), login.target(), PATIENCE)
    # The answer is a POST from another site, which no browser sends a Lax cookie with. So a second one, SameSite=None,
    # tells that this browser asked; it is good for nothing else. Without it, an attacker could have a victim's browser
    # post the answer to the attacker's own login. The session's cookie stays Lax: the redirect after the answer has it.
    response.set_cookie(
        cookie, browser, PATIENCE, secure=current_app.config["SESSION_COOKIE_SECURE"], httponly=True, samesite="None"
    )
    return response


def in_force() -> bool:
    """Tell whether the identity provider's metadata still holds; if not, the log says it."""
    until = here().valid_until
    if now() < until:
        return True
    current_app.logger.error(
        "Nobody can log in: the metadata of the identity provider, %s, was valid until %s. Deploy a fresh copy.",
        here().setting["idp_metadata"],
        datetime.fromtimestamp(until, timezone.utc).isoformat(),
    )
    return False


def browser_cookie() -> tuple[str, str]:
    """Return name and value of the cookie that tells one browser from another while its user logs in."""
    name = f"{current_app.config['SESSION_COOKIE_NAME']}_saml"
    return name, request.cookies.get(name, "")


def consume() -> Response | tuple[str, int]:
    """Begin a session for whom the identity provider's answer names; the answer has to be one that is waited for."""
    if not in_force():
        return render_template("outdated.html"), 503
    request.max_content_length = request.max_form_memory_size = LONGEST
    store, lifetime, browser = here().store, here().setting["lifetime"], browser_cookie()[1]
    waiting = store.take(request.form.get("RelayState", ""), browser)
    if waiting is None:
        raise RefusedError("this browser does not wait for it: never asked, asked too long ago, or answered before")
    with hostile():
        response = saml_response.Response(here().toolkit, request.form.get("SAMLResponse", ""), here().keys)
        response.check(request_data(here().setting["acs"]), waiting.message)
        expires = min(now() + lifetime, response.get_session_not_on_or_after() or now() + lifetime)
        name_id, index = response.get_nameid_data(), response.get_session_index() or ""
        facts = {
            "attributes": response.read(here().setting["attributes"]),
            "identity_provider": here().toolkit.get_idp_data()["entityId"],
            "authenticated_at": response.authenticated_at,
            "context": next(iter(response.get_authn_contexts()), ""),
            "name_id": name_id,
            "session_index": index,
            "address": address(),
        }
        used, until = {response.get_id(), response.get_assertion_id()}, response.get_assertion_not_on_or_after()
    if not all(store.use(name, until + FRESH) for name in used):
        raise RefusedError("its ID or its assertion's was used before")
    # Another tab may have logged in meanwhile. Browsers send its session's cookie only from an identity provider of the
    # same site, so the store also knows which session the browser began last.
    store.end(session.get(NAME, ""))
    session.clear()
    session[NAME] = store.start(name_id.get("Value") or "", index, facts, expires, browser)
    g.identity = identify(g.variables)
    if g.identity is None:
        return login.refuse(*recall(), here().setting["required"])
    return redirect(waiting.target, 303)


# Log out


def log_out() -> Response:
    """End the session here, then at the identity provider if it can, which sends the user to :func:`leave`."""
    home, auth = url_for("pages.home"), toolkit(here().setting["logout"])
    facts = here().store.end(session.get(NAME, ""))
    if not facts or not facts["name_id"].get("Value") or not auth.get_slo_url():
        return redirect(home)
    name_id = facts["name_id"]
    url = auth.logout(
        return_to=home,
        name_id=name_id["Value"],
        name_id_format=name_id.get("Format"),
        nq=name_id.get("NameQualifier"),
        spnq=name_id.get("SPNameQualifier"),
        session_index=escape(facts["session_index"]),
    )
    return redirect(url)


def leave() -> Response:
    """Do as the identity provider's signed message says: end sessions, or go on after a logout from here."""
    kind = "SAMLRequest" if "SAMLRequest" in request.args else "SAMLResponse"
    names = [part.partition("=")[0] for part in request.query_string.decode("latin-1").split("&")]
    # The signature is over the query as it was sent. Were a name there twice, or escaped, Flask could read another
    # value than the one that is signed.
    if sorted(names) != sorted(request.args) or not {kind, "SigAlg", "Signature"} <= set(names):
        raise RefusedError("its query is not signed, or not in the one form that leaves no doubt what is signed")
    if request.args["SigAlg"] not in saml_response.SIGNATURES:
        raise RefusedError(f"its SigAlg is not accepted: {request.args['SigAlg']}")
    auth = toolkit(here().setting["logout"])
    verify = auth.validate_request_signature if kind == "SAMLRequest" else auth.validate_response_signature
    if not verify(request.args):
        raise RefusedError(auth.get_last_error_reason())
    return redirect(obey(kind, request.args[kind], request.args.get("RelayState"), here().setting["logout"]))


def leave_by_post() -> Response:
    """Do the same for a message that carries its signature in itself. No cookie comes with it, and none is needed."""
    request.max_content_length = request.max_form_memory_size = LONGEST
    kind = "SAMLRequest" if "SAMLRequest" in request.form else "SAMLResponse"
    with hostile():
        text = base64.b64decode(request.form.get(kind, ""))
        saml_response.check_signed(OneLogin_Saml2_XML.to_etree(text), here().toolkit)
        # python3-saml inflates whatever can be, so it gets just what is signed, packed as in a query.
        message = OneLogin_Saml2_Utils.deflate_and_base64_encode(text)
    return redirect(obey(kind, message, request.form.get("RelayState"), here().setting["logout_post"]), 303)


def obey(kind: str, message: str, relay_state: str | None, path: str) -> str:
    """Do as a message says that the identity provider signed.

    :param kind: SAMLRequest or SAMLResponse.
    :param message: the message as a query has it.
    :param path: where it came to.
    :return: where to go then.
    :raises RefusedError: if it is not for this site and moment.
    """
    return end_sessions(message, relay_state, path) if kind == "SAMLRequest" else arrive(message, path)


def end_sessions(text: str, relay_state: str | None, path: str) -> str:
    """End the sessions that the identity provider names, whosever browser brings the message.

    :return: where to go with the answer.
    """
    auth, data, skew = toolkit(path), request_data(path), here().setting["clock_skew"]
    with hostile():
        message = OneLogin_Saml2_Logout_Request(here().toolkit, text)
        message.is_valid(data, raise_exceptions=True)
        document = OneLogin_Saml2_XML.to_etree(message.get_xml())
        age = now() - OneLogin_Saml2_Utils.parse_SAML_to_time(document.get("IssueInstant"))
        name_id = saml_response.name_of(document, here().keys)
        indexes = message.get_session_indexes(document)
    if document.get("Destination") != OneLogin_Saml2_Utils.get_self_url_no_query(data):
        raise RefusedError("its Destination is another address, or none")
    if not -skew <= age <= FRESH + skew:
        raise RefusedError(f"it was written {age} seconds ago")
    if not name_id:
        raise RefusedError("it names nobody")
    if auth.get_slo_response_url() is None:
        raise RefusedError("the identity provider's metadata says no address for the answer")
    if not here().store.use(message.id, now() + 2 * (FRESH + skew)):
        raise RefusedError("it was used before")
    here().store.end_all(name_id, indexes)
    answer = OneLogin_Saml2_Logout_Response(here().toolkit)
    answer.build(message.id)
    parameters = {"SAMLResponse": answer.get_response()}
    if relay_state is not None:
        parameters["RelayState"] = relay_state
    auth.add_response_signature(parameters)
    return auth.redirect_to(auth.get_slo_response_url(), parameters)


def arrive(text: str, path: str) -> str:
    """Return where to go after a logout that began here. Nothing hangs on the answer: the session ended before."""
    with hostile():
        message = OneLogin_Saml2_Logout_Response(here().toolkit, text)
        message.is_valid(request_data(path), raise_exceptions=True)
        status = message.get_status()
    if status != Constants.STATUS_SUCCESS:
        current_app.logger.warning("The identity provider did not end its session: %r", status)
    return url_for("pages.home")


# Messages


def metadata() -> Response:
    """Describe this service provider to an identity provider."""
    return Response(here().metadata, mimetype="application/samlmetadata+xml")


class Toolkit(OneLogin_Saml2_Auth):
    """python3-saml with the identity provider's addresses as they are; the settings have them escaped, for messages."""

    def get_sso_url(self) -> str:
        """Return the address for logins."""
        return unescape(super().get_sso_url())

    def get_slo_url(self) -> str | None:
        """Return the address for logouts."""
        return unescape(super().get_slo_url() or "") or None

    def get_slo_response_url(self) -> str | None:
        """Return the address for answers to logouts."""
        return unescape(super().get_slo_response_url() or "") or None


def toolkit(path: str) -> Toolkit:
    """Return python3-saml for the request at hand, which came to ``path``."""
    return Toolkit(request_data(path), here().toolkit)


def request_data(path: str) -> dict[str, Any]:
    """Describe the request to python3-saml. The address is the setting's: a Host header is anybody's."""
    site = urlsplit(here().setting["site"])
    return {
        "https": "on" if site.scheme == "https" else "off",
        "http_host": site.netloc,
        "script_name": path,
        "get_data": request.args,
        "query_string": request.query_string.decode("latin-1"),
        "validate_signature_from_qs": True,
    }


@contextmanager
def hostile() -> Iterator[None]:
    """Refuse whatever breaks in here: a message from outside may break a library anywhere."""
    try:
        yield
    except RefusedError:
        raise
    except Exception as error:  # noqa: BLE001
        raise RefusedError(f"{type(error).__name__}: {error}") from None


def refuse(reason: RefusedError) -> tuple[str, int]:
    """Tell the log why a message is not accepted, and the user no more than what to do."""
    current_app.logger.warning("SAML message to %s refused: %.500r", request.path, str(reason))
    return render_template("unaccepted.html"), 403
