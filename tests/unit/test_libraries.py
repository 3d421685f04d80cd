# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A library that is missing or too old is named, with the command that installs it."""

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.campus.flask_sso.plugins.filter.ca_faults import ca_faults
from ansible_collections.campus.flask_sso.plugins.filter.certificate_chain import certificate_chain
from ansible_collections.campus.flask_sso.plugins.filter.private_key import private_key
from ansible_collections.campus.flask_sso.plugins.module_utils import libraries
from ansible_collections.campus.flask_sso.plugins.modules import saml_metadata
from ansible_collections.campus.flask_sso.plugins.plugin_utils.certificates import CRYPTOGRAPHY

ROOT = Path(__file__).parents[2]
#: Imports a filter of the collection where cryptography cannot be imported.
WITHOUT = """
import sys
sys.modules["cryptography"] = None
sys.path.insert(0, ".collections")
from ansible_collections.campus.flask_sso.plugins.filter import {name}
print(*{name}.FilterModule().filters())
"""


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Pretend that these libraries are installed and no others."""
    found: dict[str, str] = {}

    def version(name: str) -> str:
        if name not in found:
            raise importlib.metadata.PackageNotFoundError(name)
        return found[name]

    monkeypatch.setattr(libraries, "version", version)
    return found


def test_new_enough_libraries_are_no_fault(installed: dict[str, str]):
    installed |= {"lxml": "5.10", "signxml": "5.1.0"}
    assert libraries.library_faults(lxml="5.2.1", signxml="5.1") == ""


def test_every_fault_is_named_together_with_the_remedy(installed: dict[str, str]):
    installed["signxml"] = "4.0.5"
    faults = libraries.library_faults(lxml="5.2.1", signxml="5.1")
    assert "lxml >= 5.2.1 is missing; signxml is 4.0.5, and 5.1 or later is needed. Install" in faults
    assert faults.endswith(f'{sys.executable} -m pip install "lxml>=5.2.1" "signxml>=5.1"')


def test_metadata_is_not_judged_with_a_library_that_is_too_old(installed: dict[str, str], run_module):
    installed |= {"lxml": "6.0", "signxml": "4.0.5", "cryptography": "50.0"}
    found = run_module(saml_metadata, content="<a/>", trusted_source=True)
    assert found["failed"]
    assert "signxml is 4.0.5, and 5.1 or later is needed" in found["msg"]
    assert found["msg"].endswith(". Nothing was changed.")


@pytest.mark.parametrize("judge", [ca_faults, certificate_chain, private_key])
def test_a_filter_reports_that_cryptography_is_too_old(installed: dict[str, str], judge):
    installed["cryptography"] = "38.0.4"
    with pytest.raises(AnsibleFilterError, match=r"cryptography is 38\.0\.4, and .* or later is needed"):
        judge("file")


@pytest.mark.parametrize("name", ["ca_faults", "certificate_chain", "private_key"])
def test_a_filter_is_found_without_cryptography_so_that_it_can_report_it(name: str):
    command = [sys.executable, "-c", WITHOUT.format(name=name)]
    said = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    assert said.stdout.split() == [name]


def test_what_an_execution_environment_installs_is_new_enough():
    lines = (ROOT / "meta/ee-requirements.txt").read_text("utf-8").splitlines()
    ranges = dict(line.split(" >= ") for line in lines if line and not line.startswith("#"))
    assert ranges == saml_metadata.OLDEST
    assert libraries.LooseVersion(ranges["cryptography"]) >= libraries.LooseVersion(CRYPTOGRAPHY)
