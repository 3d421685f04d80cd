# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules and lookups begin as ansible-test asks, which is too slow to be asked each time."""

from pathlib import Path

import pytest

PLUGINS = Path(__file__).parents[2] / "plugins"
LICENSE = "# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)"


@pytest.mark.parametrize(
    "plugin", sorted([*PLUGINS.glob("modules/*.py"), *PLUGINS.glob("lookup/*.py")]), ids=lambda path: path.stem
)
def test_it_names_its_license_and_an_author_in_the_form_that_ansible_test_knows(plugin: Path):
    head = plugin.read_text("utf-8").splitlines()
    assert LICENSE in head[:4]
    assert "author: campus.flask_sso contributors (!UNKNOWN)" in head
