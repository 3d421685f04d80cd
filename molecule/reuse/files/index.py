# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A package index of the files in the working directory, for "deploy" with the password "hunter2"."""

import base64
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ALLOWED = f"Basic {base64.b64encode(b'deploy:hunter2').decode()}"


class Index(SimpleHTTPRequestHandler):
    """Serves /simple/NAME/ and the files that it names."""

    def end_headers(self):
        """Ask for an account."""
        self.send_header("WWW-Authenticate", 'Basic realm="index"')
        super().end_headers()

    def send_head(self):
        """Answer requests with the password only; write the page of a package before it is read."""
        if self.headers.get("Authorization") != ALLOWED:
            return self.send_error(401)
        page = Path(self.translate_path(self.path))
        if page.parent.name == "simple":
            page.mkdir(parents=True, exist_ok=True)
            files = [
                path.name for path in Path().glob("*.whl") if path.name.startswith(f"{page.name.replace('-', '_')}-")
            ]
            (page / "index.html").write_text("".join(f'<a href="/{name}">{name}</a>' for name in files))
        return super().send_head()


ThreadingHTTPServer(("127.0.0.1", 8079), Index).serve_forever()
