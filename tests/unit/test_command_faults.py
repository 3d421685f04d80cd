# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Steps, workers and timers that systemd could not run are refused, without their arguments."""

import pytest
from ansible_collections.campus.flask_sso.plugins.filter.command_faults import command_faults


def test_what_people_write_is_accepted():
    timers = [
        {"name": "clean", "command": ["flask", "clean", "--days", 5], "calendar": "Mon..Fri 03:30", "seconds": 60},
        {"name": "every", "command": ["sh", "-c", 'echo "50% of $HOME"'], "calendar": "*-*-* 0/2:00:00 Europe/Zurich"},
    ]
    assert command_faults(timers, "timers", named=True) == []
    assert command_faults([{"command": ["flask", "db", "upgrade"]}], "steps") == []
    assert command_faults([], "steps") == []


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("flask clean", "not a mapping"),
        ({"command": ["flask"]}, 'the name "None"'),
        ({"name": "Mail queue", "command": ["flask"]}, 'the name "Mail queue"'),
        ({"name": "a/../b", "command": ["flask"]}, 'the name "a/../b"'),
        ({"name": "a"}, "not a list of words"),
        ({"name": "a", "command": "flask clean"}, "not a list of words"),
        ({"name": "a", "command": []}, "not a list of words"),
        ({"name": "a", "command": ["sh", "-c", "a\nUser=root"]}, "not a list of words"),
        ({"name": "a", "command": ["flask", True]}, "not a list of words"),
        ({"name": "a", "command": ["TOKEN=hunter2", "flask"]}, "does not begin with a program"),
        ({"name": "a", "command": ["--unset=PATH", "flask"]}, "does not begin with a program"),
        ({"name": "a", "command": [""]}, "does not begin with a program"),
        ({"name": "a", "command": ["flask"], "seconds": "60"}, "seconds that are no number"),
        ({"name": "a", "command": ["flask"], "stop_seconds": 0}, "stop_seconds that are no number"),
        ({"name": "a", "command": ["flask"], "calendar": "daily\nUnit=x"}, "a calendar that systemd cannot read"),
    ],
)
def test_fault_has_its_place_and_the_remedy_but_no_arguments(entry, said):
    (message,) = command_faults([{"name": "fine", "command": ["true"]}, entry], "timers", named=True)
    assert message.startswith("timers has, as entry 2, ")
    assert said in message
    assert " Write " in message
    assert "hunter2" not in message


def test_variable_that_is_no_list_and_a_name_twice_are_refused():
    assert "is not a list" in command_faults("flask clean", "steps")[0]
    twice = [{"name": "a", "command": ["true"]}] * 2
    assert "has a name twice" in command_faults(twice, "workers", named=True)[0]
