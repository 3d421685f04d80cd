# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An application gets each of its secrets in a file that no other user can read."""

from ansible_collections.campus.flask_sso.plugins.filter.credential_files import credential_files


def test_each_secret_is_a_file_and_the_secret_key_is_not_among_them():
    secrets = {"secret_key": "k" * 32, "ldap_password": "hunter2", "not_a_secret_key": "x"}
    files = credential_files(secrets, "/etc/guestbook/credentials", "guestbook")
    assert [(file["path"], file["secret"]) for file in files] == [
        ("/etc/guestbook/credentials/ldap_password", "hunter2"),
        ("/etc/guestbook/credentials/not_a_secret_key", "x"),
    ]
    assert all((file["group"], file["mode"]) == ("guestbook", "0440") for file in files)


def test_application_without_secrets_has_no_files():
    assert credential_files({}, "/etc/guestbook/credentials", "guestbook") == []
