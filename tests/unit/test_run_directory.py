# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""All tasks and hosts of a run have one private directory on the controller, and nothing of it stays."""

import subprocess
import sys
from pathlib import Path

import yaml

PLAY = [
    {
        "hosts": "all",
        "gather_facts": False,
        "vars": {
            "ansible_connection": "local",
            "ansible_python_interpreter": "{{ ansible_playbook_python }}",
            "directory": "{{ lookup('campus.flask_sso.run_directory') }}",
        },
        "tasks": [
            {
                "ansible.builtin.copy": {
                    "content": "",
                    "dest": "{{ directory }}/{{ inventory_hostname }}",
                    "mode": "0644",
                }
            },
            {"ansible.builtin.command": "stat --format=%a,%n {{ directory }} {{ directory }}/one {{ directory }}/two"},
        ],
    }
]


def test_directory_is_shared_private_and_removed(tmp_path: Path):
    (tmp_path / "play.yml").write_text(yaml.safe_dump(PLAY))
    command = [
        str(Path(sys.executable).with_name("ansible-playbook")),
        "-v",
        "-i",
        "one,two,",
        str(tmp_path / "play.yml"),
    ]
    ran = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout
    (found,) = {line.strip(" -'") for line in ran.stdout.splitlines() if line.strip(" -'").startswith("700,")}
    assert not Path(found.removeprefix("700,")).exists()
