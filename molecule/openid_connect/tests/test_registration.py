# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run leaves a sheet with what the provider has to know, and the bench's provider knows exactly that."""

import json

import bench_client
from testinfra.host import Host


def test_sheet_has_the_addresses_that_work(provider: Host, provider_directory: str) -> None:
    """They are those with which the tests of logins and logouts are registered."""
    sheet = (bench_client.PAPERS / "openid-connect-registration.md").read_text()
    client = json.loads(provider.file(f"{provider_directory}/settings.json").content)["client"]
    assert f"| Redirect URI | `{client['redirect_uris'][0]}` |" in sheet
    assert f"| Base URL, and address after a logout | `{client['post_logout_redirect_uris'][0]}` |" in sheet
    assert f"| Back-channel logout | `{client['backchannel_logout_uri']}`, with" in sheet
    assert f"| Client | `{client['client_id']}`, confidential |" in sheet


def test_sheet_has_scopes_claims_and_roles() -> None:
    """And no secret."""
    sheet = (bench_client.PAPERS / "openid-connect-registration.md").read_text()
    for row in (
        "| Scopes | `openid` |",
        "| Access tokens of programs | JWT for the audience `flask-example`, signed with RS256 |",
        "| `Group` | `realm_access.groups` |",
        "| `/for-two-roles` | `CernRoles` | `admin`, `operator` |",
        "| `/for-two-roles` | `Group` | `fleet` |",
    ):
        assert row in sheet
    assert "`cern_upn` identifies users" in sheet
    assert (bench_client.ARTIFACTS / "bench" / "client-secret").read_text()[:32] not in sheet
