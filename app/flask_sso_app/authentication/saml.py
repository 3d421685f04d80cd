# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""SAML in the application: it is the service provider (SP) itself, with python3-saml.

:mod:`.saml_messages` validates messages beyond what python3-saml does. :mod:`.saml_store` keeps the sessions in a
database that all processes share.
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
from flask.typing import ResponseReturnValue
from onelogin.saml2.auth import OneLogin_Saml2_Auth
from onelogin.saml2.constants import OneLogin_Saml2_Constants as Constants
from onelogin.saml2.logout_request import OneLogin_Saml2_Logout_Request
from onelogin.saml2.logout_response import OneLogin_Saml2_Logout_Response
from onelogin.saml2.utils import OneLogin_Saml2_Utils
from onelogin.saml2.xml_utils import OneLogin_Saml2_XML
from sqlalchemy import exc
from werkzeug.exceptions import ServiceUnavailable
from werkzeug.local import LocalProxy
from werkzeug.wrappers import Response

from flask_sso_app import login
from flask_sso_app.authentication import saml_messages, saml_settings
from flask_sso_app.authentication.saml_messages import InvalidMessageError
from flask_sso_app.authentication.saml_store import digest, now
from flask_sso_app.identity import Identity, Session, parse_datetime

NAME = "saml"

#: Seconds within which the user has to log in at the identity provider.
LOGIN_TIMEOUT = 900

#: Seconds after its IssueInstant during which a LogoutRequest is accepted.
LOGOUT_REQUEST_LIFETIME = 300

#: Seconds for which the ID of a response is remembered after the response has expired.
REPLAY_MARGIN = 300

#: Maximum size of a message that is posted.
MAX_MESSAGE_BYTES = 1 << 20

#: The service provider of the current application.
current_sp: saml_settings.ServiceProvider = LocalProxy(  # type: ignore[assignment]
    lambda: current_app.extensions[NAME]
)


def init_app(app: Flask) -> None:
    """Set up the service provider and its endpoints.

    :raises flask_sso_app.settings.SettingsError: if the setting ``SAML`` is wrong.
    """
    sp = app.extensions[NAME] = saml_settings.load(app)
    app.add_url_rule("/login", "login", log_in)
    app.add_url_rule(sp.config["acs"], "saml_acs", acs, methods=["POST"])
    app.add_url_rule(sp.config["slo"], "saml_slo", slo)
    if sp.config["slo_post"]:
        app.add_url_rule(sp.config["slo_post"], "saml_slo_post", slo_post, methods=["POST"])
    app.add_url_rule(sp.config["metadata"], "saml_metadata", metadata)
    app.register_error_handler(InvalidMessageError, reject_message)
    for failure in (exc.DBAPIError, exc.TimeoutError):
        app.register_error_handler(failure, report_store)
    with app.app_context():
        is_idp_metadata_valid()  # logs an error if it is not


# Sessions


def identify(_variables: Mapping[str, Any]) -> Identity | None:
    """Return the identity of the session whose ID is in the cookie.

    :return: None without a session, without a required attribute, or without exactly one value of the identifier.
    """
    saml_session, attributes = load_session()
    if not all(attributes.get(name) for name in current_sp.config["required"]):
        return None
    return Identity.from_attributes(NAME, current_app.config["ATTRIBUTES"], attributes, saml_session)


def load_session() -> tuple[Session | None, dict[str, tuple[str, ...]]]:
    """Return the session and those of its attributes that are named in the settings."""
    config, session_id = current_app.config, session.get(NAME, "")
    data = current_sp.store.get_session(session_id, current_sp.config["timeout"]) if session_id else None
    if data is None or (current_sp.config["bound_to_address"] and data.get("address") != client_address()):
        return None, {}
    names = dict.fromkeys([*config["ATTRIBUTES"].values(), *config["MORE_ATTRIBUTES"]])
    attributes = {name: tuple(data["attributes"][name]) for name in names if data["attributes"].get(name)}
    saml_session = Session(
        id=digest(session_id),
        identity_provider=data["identity_provider"],
        authenticated_at=parse_datetime(data["authenticated_at"]),
        context=data["context"],
    )
    return saml_session, attributes


def client_address() -> str:
    """Return the IP address of the client, as the server or the proxy in front of it reports it."""
    return g.server_variables.get("REMOTE_ADDR", "")


# Login


def log_in() -> Response | tuple[str, int]:
    """Send the user to the identity provider with an AuthnRequest."""
    if g.identity is not None:
        return redirect(login.next_url())
    if not is_idp_metadata_valid():
        return render_template("metadata_expired.html"), 503
    cookie_name, browser_id = browser_cookie()
    browser_id = browser_id or secrets.token_urlsafe()
    relay_state, auth = secrets.token_urlsafe(), saml_auth(current_sp.config["acs"])
    response = redirect(auth.login(return_to=relay_state))
    request_id = auth.get_last_request_id()
    current_sp.store.add_request(relay_state, browser_id, request_id, login.next_url(), LOGIN_TIMEOUT)
    # The response is a cross-site POST, and browsers send no Lax cookie with it. A second cookie with SameSite=None
    # therefore binds the request to this browser; it has no other use. Without it an attacker could log a victim's
    # browser in to the attacker's account. The session cookie stays Lax: it is sent with the redirect after the POST.
    response.set_cookie(
        cookie_name,
        browser_id,
        max_age=LOGIN_TIMEOUT,
        secure=current_app.config["SESSION_COOKIE_SECURE"],
        httponly=True,
        samesite="None",
    )
    return response


def is_idp_metadata_valid() -> bool:
    """Tell whether the identity provider's metadata is still valid, and log an error if it is not."""
    valid_until = current_sp.idp_valid_until
    if now() < valid_until:
        return True
    current_app.logger.error(
        "Login is not possible: the identity provider's metadata %s expired at %s. Deploy a current copy.",
        current_sp.config["idp_metadata"],
        datetime.fromtimestamp(valid_until, timezone.utc).isoformat(),
    )
    return False


def browser_cookie() -> tuple[str, str]:
    """Return name and value of the cookie that identifies the browser during a login."""
    name = f"{current_app.config['SESSION_COOKIE_NAME']}_saml"
    return name, request.cookies.get(name, "")


def acs() -> Response | tuple[str, int]:
    """Assertion consumer service: validate the response to a pending AuthnRequest and start a session.

    :raises InvalidMessageError: if the response is not valid, or if this browser has no pending request.
    """
    if not is_idp_metadata_valid():
        return render_template("metadata_expired.html"), 503
    limit_message_size()
    store, browser_id = current_sp.store, browser_cookie()[1]
    pending = store.pop_request(request.form.get("RelayState", ""), browser_id)
    if pending is None:
        raise InvalidMessageError("no pending request of this browser: not sent, expired, or already answered")
    with rejecting_errors():
        response = saml_messages.SamlResponse(
            current_sp.settings, request.form.get("SAMLResponse", ""), current_sp.decryption_keys
        )
        response.validate(request_data(current_sp.config["acs"]), pending.request_id)
        expires = now() + current_sp.config["lifetime"]
        expires = min(expires, response.get_session_not_on_or_after() or expires)
        data = session_data(response)
        ids = {response.get_id(), response.get_assertion_id()}
        ids_expire = response.get_assertion_not_on_or_after() + REPLAY_MARGIN
    if not all(store.mark_used(message_id, ids_expire) for message_id in ids):
        raise InvalidMessageError("the ID of the response or of its assertion was already used")
    # Another tab may have logged in meanwhile. Browsers send the session cookie with this POST only if the identity
    # provider is on the same site, so the store also ends the last session of this browser.
    store.delete_session(session.get(NAME, ""))
    session.clear()
    session[NAME] = store.create_session(data, expires, browser_id)
    g.identity = identify(g.server_variables)
    if g.identity is None:
        return login.reject(*load_session(), current_sp.config["required"])
    return redirect(pending.next_url, 303)


def session_data(response: saml_messages.SamlResponse) -> dict[str, Any]:
    """Return what the store keeps of a validated response."""
    return {
        "attributes": response.read_attributes(current_sp.config["attributes"]),
        "identity_provider": current_sp.settings.get_idp_data()["entityId"],
        "authenticated_at": response.authn_instant,
        "context": next(iter(response.get_authn_contexts()), ""),
        "name_id": response.get_nameid_data(),
        "session_index": response.get_session_index() or "",
        "address": client_address(),
    }


# Logout


def log_out() -> Response:
    """End the session here and, if the identity provider supports single logout, send a LogoutRequest."""
    home, auth = url_for("pages.home"), saml_auth(current_sp.config["slo"])
    data = current_sp.store.delete_session(session.get(NAME, ""))
    if not data or not data["name_id"].get("Value") or not auth.get_slo_url():
        return redirect(home)
    name_id = data["name_id"]
    url = auth.logout(
        return_to=home,
        name_id=name_id["Value"],
        name_id_format=name_id.get("Format"),
        nq=name_id.get("NameQualifier"),
        spnq=name_id.get("SPNameQualifier"),
        session_index=escape(data["session_index"]),
    )
    return redirect(url)


def slo() -> Response:
    """Single logout service, binding HTTP-Redirect: process a message with a signed query.

    :raises InvalidMessageError: if the signature or the message is not valid.
    """
    path = current_sp.config["slo"]
    kind = message_kind(request.args)
    names = [part.partition("=")[0] for part in request.query_string.decode("latin-1").split("&")]
    # The signature covers the query as it was sent. With a repeated or percent-encoded name, Flask could read another
    # value than the signed one.
    if sorted(names) != sorted(request.args) or not {kind, "SigAlg", "Signature"} <= set(names):
        raise InvalidMessageError("the query is not signed, or has a repeated or percent-encoded parameter name")
    if request.args["SigAlg"] not in saml_messages.SIGNATURE_ALGORITHMS:
        raise InvalidMessageError(f"SigAlg is not allowed: {request.args['SigAlg']}")
    auth = saml_auth(path)
    validate = auth.validate_request_signature if kind == "SAMLRequest" else auth.validate_response_signature
    if not validate(request.args):
        raise InvalidMessageError(auth.get_last_error_reason())
    return redirect(process_logout_message(kind, request.args[kind], request.args.get("RelayState"), path))


def slo_post() -> Response:
    """Single logout service, binding HTTP-POST: process a message with an XML signature. It needs no cookie.

    :raises InvalidMessageError: if the signature or the message is not valid.
    """
    limit_message_size()
    path = current_sp.config["slo_post"]
    kind = message_kind(request.form)
    with rejecting_errors():
        text = base64.b64decode(request.form.get(kind, ""))
        saml_messages.validate_signature(OneLogin_Saml2_XML.to_etree(text), current_sp.settings)
        # python3-saml inflates every message that it can, so encode the signed text as in a query.
        message = OneLogin_Saml2_Utils.deflate_and_base64_encode(text)
    return redirect(process_logout_message(kind, message, request.form.get("RelayState"), path), 303)


def message_kind(parameters: Mapping[str, str]) -> str:
    """Return the name of the parameter that carries the message: ``SAMLRequest`` or ``SAMLResponse``."""
    return "SAMLRequest" if "SAMLRequest" in parameters else "SAMLResponse"


def process_logout_message(kind: str, message: str, relay_state: str | None, path: str) -> str:
    """Process a logout message whose signature is valid.

    :param kind: ``SAMLRequest`` or ``SAMLResponse``.
    :param message: the message, encoded as in a query.
    :param relay_state: RelayState of a request, which its response has to repeat.
    :param path: path of the endpoint that received the message.
    :return: URL to redirect to.
    :raises InvalidMessageError: if the message is not valid.
    """
    if kind == "SAMLRequest":
        return process_logout_request(message, relay_state, path)
    return process_logout_response(message, path)


def process_logout_request(message: str, relay_state: str | None, path: str) -> str:
    """End the sessions that a LogoutRequest names, no matter which browser carries it.

    :return: URL of the LogoutResponse.
    :raises InvalidMessageError: if the request is not valid.
    """
    auth = saml_auth(path)
    request_id, name_id, indexes = validate_logout_request(message, path)
    if auth.get_slo_response_url() is None:
        raise InvalidMessageError("the identity provider's metadata has no URL for the LogoutResponse")
    if not current_sp.store.mark_used(
        request_id, now() + 2 * (LOGOUT_REQUEST_LIFETIME + current_sp.config["clock_skew"])
    ):
        raise InvalidMessageError("the ID of the request was already used")
    current_sp.store.delete_sessions(name_id, indexes)
    response = OneLogin_Saml2_Logout_Response(current_sp.settings)
    response.build(request_id)
    parameters = {"SAMLResponse": response.get_response()}
    if relay_state is not None:
        parameters["RelayState"] = relay_state
    auth.add_response_signature(parameters)
    return auth.redirect_to(auth.get_slo_response_url(), parameters)


def validate_logout_request(message: str, path: str) -> tuple[str, str, list[str]]:
    """Validate a LogoutRequest and return its ID, NameID and session indexes.

    :raises InvalidMessageError: if the request is not valid.
    """
    data, skew = request_data(path), current_sp.config["clock_skew"]
    with rejecting_errors():
        logout_request = OneLogin_Saml2_Logout_Request(current_sp.settings, message)
        logout_request.is_valid(data, raise_exceptions=True)
        document = OneLogin_Saml2_XML.to_etree(logout_request.get_xml())
        age = now() - OneLogin_Saml2_Utils.parse_SAML_to_time(document.get("IssueInstant"))
        name_id = saml_messages.logout_name_id(document, current_sp.decryption_keys)
        indexes = logout_request.get_session_indexes(document)
    if document.get("Destination") != OneLogin_Saml2_Utils.get_self_url_no_query(data):
        raise InvalidMessageError("Destination is missing or is not this endpoint")
    if not -skew <= age <= LOGOUT_REQUEST_LIFETIME + skew:
        raise InvalidMessageError(f"the request was issued {age} seconds ago")
    if not name_id:
        raise InvalidMessageError("NameID is empty")
    return logout_request.id, name_id, indexes


def process_logout_response(message: str, path: str) -> str:
    """Return where to go after a logout that started here. The session here has already ended.

    :raises InvalidMessageError: if the response is not valid.
    """
    with rejecting_errors():
        response = OneLogin_Saml2_Logout_Response(current_sp.settings, message)
        response.is_valid(request_data(path), raise_exceptions=True)
        status = response.get_status()
    if status != Constants.STATUS_SUCCESS:
        current_app.logger.warning("Logout at the identity provider failed: %r", status)
    return url_for("pages.home")


# Metadata and messages


def metadata() -> Response:
    """Return the metadata of this service provider."""
    return Response(current_sp.metadata, mimetype="application/samlmetadata+xml")


class SamlAuth(OneLogin_Saml2_Auth):
    """python3-saml for one request.

    The settings hold the identity provider's URLs XML-escaped, as python3-saml writes them into messages unchanged.
    For redirects they are unescaped here.
    """

    def get_sso_url(self) -> str:
        """Return the URL for AuthnRequests."""
        return unescape(super().get_sso_url())

    def get_slo_url(self) -> str | None:
        """Return the URL for LogoutRequests."""
        return unescape(super().get_slo_url() or "") or None

    def get_slo_response_url(self) -> str | None:
        """Return the URL for LogoutResponses."""
        return unescape(super().get_slo_response_url() or "") or None


def saml_auth(path: str) -> SamlAuth:
    """Return python3-saml for the current request.

    :param path: path of the endpoint.
    """
    return SamlAuth(request_data(path), current_sp.settings)


def request_data(path: str) -> dict[str, Any]:
    """Return the current request as python3-saml expects it. The host is the setting's, as a client sets ``Host``."""
    site = urlsplit(current_sp.config["site"])
    return {
        "https": "on" if site.scheme == "https" else "off",
        "http_host": site.netloc,
        "script_name": path,
        "get_data": request.args,
        "query_string": request.query_string.decode("latin-1"),
        "validate_signature_from_qs": True,
    }


def limit_message_size() -> None:
    """Let Flask reject a form that is larger than any message, with status 413."""
    request.max_content_length = request.max_form_memory_size = MAX_MESSAGE_BYTES


@contextmanager
def rejecting_errors() -> Iterator[None]:
    """Reject the message on any exception: an untrusted message can raise any in the XML and SAML libraries.

    :raises InvalidMessageError: instead of any other exception.
    """
    try:
        yield
    except InvalidMessageError:
        raise
    except Exception as error:  # noqa: BLE001
        raise InvalidMessageError(f"{type(error).__name__}: {error}") from None


def reject_message(error: InvalidMessageError) -> tuple[str, int]:
    """Log why a message is rejected; the user gets a page without details."""
    current_app.logger.warning("SAML message to %s rejected: %.500r", request.path, str(error))
    return render_template("saml_message_rejected.html"), 403


def report_store(error: exc.SQLAlchemyError) -> ResponseReturnValue:
    """Log that the store of sessions fails. Only who has a session, or begins one, gets this page."""
    current_app.logger.error("The store of sessions fails: %s", error)
    unavailable = ServiceUnavailable("The database of sessions does not answer. Try again later.")
    return current_app.handle_http_exception(unavailable)
