# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of a long run says what failed and what Ansible warned of, and fails."""

from pathlib import Path

import failures
import pytest

PASSED = """make[1]: Entering directory '/src'
WARNING  Molecule scenarios should migrate to 'extensions/molecule'
  │ TASK [Look at the host] ***
  │ ok: [web]
make[1]: Leaving directory '/src'
"""
WARNED = PASSED.replace("ok: [web]", "\x1b[1;35m[{}]: failed to look up user nobody\x1b[0m\n  │ ok: [web]")
FAILED = (
    PASSED.replace("ok: [web]", "fatal: [web]: FAILED! => no space left")
    + "make[1]: *** [Makefile:50: test-default] Error 2\n"
)


@pytest.fixture
def said(tmp_path, capsys):
    """Judge a log; return the exit code and what was said."""

    def judge(text: str) -> tuple[int, str]:
        log = Path(tmp_path / "test.log")
        log.write_text(text, "utf-8")
        return failures.main(log), capsys.readouterr().out

    return judge


def test_a_run_without_faults_passes_in_silence(said):
    assert said(PASSED + "[WARNING]: this is the linter's\n") == (0, "")


@pytest.mark.parametrize("kind", ["WARNING", "DEPRECATION WARNING"])
def test_a_warning_of_a_scenario_fails_and_names_its_task(said, kind):
    code, text = said(WARNED.format(kind))
    assert code == 1
    assert f"[{kind}]: failed to look up user nobody\n  by TASK [Look at the host]\n" in text


def test_a_failure_is_named_with_its_reason(said):
    code, text = said(FAILED.replace("make[1]: Leaving directory '/src'\n", "") + "make[1]: Leaving directory '/src'\n")
    assert code == 1
    assert "test-default failed:\n  fatal: [web]: FAILED! => no space left\n" in text
