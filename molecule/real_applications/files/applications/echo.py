# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an application sees of a request, for tests that compare servers."""

import json


def echoing(application):
    """Answer requests that carry the header Echo with their path as it came, and pass on all others.

    :param application: WSGI callable.
    :returns: WSGI callable.
    """

    def answer(environ, start_response):
        if "HTTP_ECHO" not in environ:
            return application(environ, start_response)
        start_response("200 OK", [("Content-Type", "application/json")])
        seen = {name: environ.get(name, "") for name in ("SCRIPT_NAME", "PATH_INFO", "QUERY_STRING")}
        return [json.dumps(seen).encode()]

    return answer
