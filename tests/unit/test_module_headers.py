# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules begin as ansible-test requires, which is too slow to run each time."""

from pathlib import Path

import pytest

MODULES = sorted((Path(__file__).parents[2] / "plugins/modules").glob("*.py"))


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_a_module_names_its_license_and_an_author_in_the_form_that_ansible_test_knows(module: Path):
    head = module.read_text("utf-8").splitlines()
    assert (
        head[3]
        == "# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)"
    )
    assert "author: campus.flask_sso contributors (!UNKNOWN)" in head
