# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Code, documentation and tests use the terms that CONTRIBUTING.md asks for, also in names."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: An underscore ends a word, so names of tests and of constants count.
BANNED = re.compile(r"(?<![a-z])(?:nobody|everybody|whoever|somebody)(?![a-z])", re.IGNORECASE)
#: Licenses, past changes, and the two files that name the words.
UNCHECKED = re.compile(r"LICENSE|LICENSES/|changelogs/|CHANGELOG\.md|CONTRIBUTING\.md|tests/unit/test_words\.py")
#: The system account, and the title of a paper.
ALLOWED = [
    ("app/tests/saml_idp.py", "Be Whoever You Want to Be"),
    ("molecule/default/tests/test_host.py", '"{shibd_user}", "nobody"'),
    ("molecule/openid_connect/templates/openid-provider.service.j2", "User=nobody"),
    ("molecule/real_applications/tests/test_public.py", "setpriv --reuid nobody "),
    ("tests/unit/test_failures.py", "failed to look up user nobody"),
    ("tests/unit/test_source_fetch.py", '65534, "nobody"'),
]


def test_no_file_has_a_banned_word(tracked: set[str]) -> None:
    found = []
    for name in sorted(tracked):
        if UNCHECKED.match(name):
            continue
        text = (ROOT / name).read_text("utf-8", errors="replace")
        for file, allowed in ALLOWED:
            text = text.replace(allowed, "") if file == name else text
        found += [
            f"{name}:{number}: {line.strip()}"
            for number, line in enumerate(text.splitlines(), start=1)
            if BANNED.search(line)
        ]
    assert not found, "\n".join(found)


def test_every_allowed_text_is_there() -> None:
    for name, text in ALLOWED:
        assert text in (ROOT / name).read_text("utf-8"), name
