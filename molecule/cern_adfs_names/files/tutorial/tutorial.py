# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An application as CERN's tutorial for the earlier sign-on taught it: Flask-SSO, a session of its own, one page.

It knows nothing of this collection but where its secret key is.
"""

import os
from pathlib import Path

from flask import Flask, redirect, render_template_string, session
from flask_sso import SSO

HOME = """\
<!doctype html>
<title>Home</title>
{% if user %}
<dl>
  {% for name, value in user.items() if value %}<dt>{{ name }}</dt><dd id="{{ name }}">{{ value }}</dd>{% endfor %}
</dl>
{% else %}
<a href="/login">Log in</a>
{% endif %}
"""

app = Flask(__name__)
app.config.update(
    SECRET_KEY=Path(os.environ["CREDENTIALS_DIRECTORY"], "secret_key").read_text(),
    SESSION_COOKIE_SECURE=True,
    SSO_LOGIN_URL="/login",
    # What the environ calls it: whether a user has to have it, and what the session calls it.
    SSO_ATTRIBUTE_MAP={
        "ADFS_LOGIN": (True, "username"),
        "ADFS_FULLNAME": (True, "fullname"),
        "ADFS_PERSONID": (True, "personid"),
        "ADFS_DEPARTMENT": (True, "department"),
        "ADFS_EMAIL": (True, "email"),
        "ADFS_AUTHLEVEL": (False, "authlevel"),
        "ADFS_GROUP": (False, "group"),
        "ADFS_ROLE": (False, "role"),
        "ADFS_IDENTITYCLASS": (False, "external"),
    },
)
sso = SSO(app)


@sso.login_handler
def log_in(user):
    """Remember who logged in, from text that WSGI passes as Latin-1."""
    session["user"] = {name: value and value.encode("latin-1").decode("utf-8") for name, value in user.items()}
    return redirect("/")


@app.route("/")
def home():
    """Show who is logged in."""
    return render_template_string(HOME, user=session.get("user"))
