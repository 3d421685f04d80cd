# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A process that Ansible starts for a task has no garbage collector; the one that runs the whole time has."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCRIPT = """
import gc, os, runpy
runpy.run_path("plugins/callback/no_garbage_collection.py")["CallbackModule"]()
child = os.fork()
if not child:
    os._exit(gc.isenabled())
print(gc.isenabled(), os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_only_the_processes_for_tasks_have_none():
    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "0"]


def test_this_checkout_enables_it():
    command = [Path(sys.executable).with_name("ansible-config"), "dump", "--only-changed"]
    environment = {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert "['campus.flask_sso.no_garbage_collection']" in done.stdout
