# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the scenarios' runs keep is what Ansible and Python would make again."""

import importlib
import io
import sys
import zipfile

import pytest
from ansible._internal._templating._jinja_bits import AnsibleEnvironment
from untrusted_roles import ROOT

sys.path.insert(0, str(ROOT / "molecule/shared/callback_plugins"))
import controller_cache


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """Keep templates in a directory, for this test alone."""
    monkeypatch.setattr(AnsibleEnvironment, "compile", AnsibleEnvironment.compile)
    controller_cache.keep_compiled_templates(tmp_path)
    return tmp_path


def test_template_is_compiled_once_and_stays_the_same(kept):
    codes = [AnsibleEnvironment().compile("{{ 1 + 1 }} is {{ name | upper }}") for _ in range(2)]
    assert len(list(kept.iterdir())) == 1
    assert codes[0] == codes[1]


def test_other_marks_of_a_template_are_another_template(kept):
    environment = AnsibleEnvironment()
    plain = environment.compile("{{ name }} [[ name ]]")
    environment.variable_start_string, environment.variable_end_string = "[[", "]]"
    assert environment.compile("{{ name }} [[ name ]]") != plain
    assert len(list(kept.iterdir())) == 2


def test_modules_have_the_bytecode_of_their_sources(tmp_path, monkeypatch):
    module = io.BytesIO()
    with zipfile.ZipFile(module, "w") as archive:
        archive.writestr("part/__init__.py", "")
        archive.writestr("part/one.py", "value = 1\n")
    path = tmp_path / "module.zip"
    path.write_bytes(controller_cache.with_bytecode(module.getvalue()))
    names = zipfile.ZipFile(path).namelist()
    assert names == ["part/__init__.py", "part/__init__.pyc", "part/one.py", "part/one.pyc"]
    monkeypatch.syspath_prepend(path)
    loaded = importlib.import_module("part.one")
    assert (loaded.value, loaded.__file__) == (1, str(path / "part/one.pyc"))
