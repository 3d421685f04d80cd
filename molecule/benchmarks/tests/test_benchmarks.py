# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every measurement of `make bench` runs, and gives a figure for all that it names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import bench_client
import choices
import measure
import pytest

CHOICE = "shibboleth", "uwsgi"  # the bench's own, so nothing changes
SCRIPT_HOST = f"flask-sso-script{bench_client.LANE}"


@pytest.fixture(scope="module", autouse=True)
def short() -> Iterator[None]:
    """Load for a second and wait for nothing: the figures mean nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measure, "ROUNDS", 1)
        patch.setattr(measure, "LOAD_SECONDS", 1)
        patch.setattr(measure, "IDLE_SECONDS", 0)
        patch.setattr(choices, "SECONDS", 1)
        yield


@pytest.fixture(scope="module")
def figures() -> dict[str, dict]:
    """All figures of measure.py; the script runs on a host of its own, meanwhile."""
    fresh = measure.seconds(measure.playbook, "site.yml")
    second = choices.deploy(*CHOICE)
    measure.collect_files()
    with ThreadPoolExecutor() as pool:
        script = pool.submit(measure.seconds, measure.script, SCRIPT_HOST)
        running = measure.running_site()
        times = {measure.FRESH: [fresh], measure.SECOND: [second], measure.SCRIPT: [script.result()]}
    times |= {name: [took] for name, took in measure.release().items()}
    return {"seconds": times, **running}


def test_the_site_is_measured_beside_other_set_ups(figures, capsys):
    measure.report(figures)
    table = capsys.readouterr().out
    written = json.loads(measure.RESULT.read_text())
    assert {target.name for target in measure.TARGETS if figures["rates"][target.name]["rate"] > 0} == set(
        written["rates"]
    )
    assert all(size > 1 for sizes in figures["memory"].values() for size in sizes.values())
    assert all(f"\n{name} " in table for name in [*figures["rates"], *figures["memory"], *figures["seconds"]])
    assert all(goal["goal"] in table for goal in written["goals"])


def test_a_choice_is_measured(figures):
    choices.install_ab()
    row = choices.row(*CHOICE, *figures["seconds"][measure.SECOND])
    _, _, _, stranger, known, memory, took, _ = row.split("|")
    assert all(float(cell.split("/")[0].split()[0]) > 0 for cell in (stranger, known, memory, took))
