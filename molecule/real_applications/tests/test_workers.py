# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Celery and RQ work for an application, in its account, environment and sandbox."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

DONE = {"user": "alice", "account": "django", "secret": True}
UNITS = ("django-worker-celery", "django-worker-rq")


def test_work_of_a_page_is_done_by_the_workers(alice: httpx.Client) -> None:
    assert alice.get("/django/work").json() == {"celery": DONE, "rq": DONE}


def test_worker_that_is_restarted_ends_its_work_first(host, alice: httpx.Client) -> None:
    before = host.check_output(f"systemctl show --property=MainPID --value {' '.join(UNITS)}").split()
    with ThreadPoolExecutor() as threads:
        page = threads.submit(alice.get, "/django/work", params={"seconds": 5})
        host.check_output("sleep 2")
        host.check_output(f"systemctl restart {' '.join(UNITS)}")
        assert page.result().json() == {"celery": DONE, "rq": DONE}
    after = host.check_output(f"systemctl show --property=MainPID --value {' '.join(UNITS)}").split()
    assert len({*before, *after}) == 4


@pytest.mark.parametrize("unit", UNITS)
def test_worker_has_the_sandbox_of_the_service(host, unit: str) -> None:
    asked = "systemctl show --property=ProtectSystem,NoNewPrivileges,PrivateTmp,User {{}}"
    assert host.check_output(asked.format(unit)) == host.check_output(asked.format("django"))
