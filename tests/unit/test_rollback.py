# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a site has staged is rolled back, and nothing of another site."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st
from staged_service import Service, tree


def test_files_staged_for_all_services_are_rolled_back_by_the_module(service, systemctl):
    (service.etc / "systemd/system").mkdir(parents=True)
    before = tree(service.etc)
    service.stage({"path": "systemd/system/web.service", "content": "new\n"})
    service.stage({"path": "other.conf"}, name="other")
    staged = tree(service.etc)
    assert service.roll_back(check_mode=True)["changed"]
    assert tree(service.etc) == staged
    assert service.roll_back()["changed"]
    assert tree(service.etc) == before
    assert systemctl.read_text() == "daemon-reload\n"
    assert not service.roll_back()["changed"]


def test_files_of_another_site_stay(service, systemctl):
    """Its run was interrupted, and its next one completes it."""
    service.stage({"path": "a.conf"}, {"path": "shared.conf", "content": "a"}, site="a")
    service.stage({"path": "a.service"}, site="a", name="a")
    before = tree(service.etc)
    service.stage({"path": "b.conf"}, {"path": "shared.conf", "content": "b"}, site="b")
    result = service.roll_back(site="b")
    assert result["changed_paths"] == [str(service.etc / name) for name in ("b.conf", "shared.conf")]
    assert tree(service.etc) == before
    assert not service.roll_back(site="b")["changed"]
    assert service.roll_back(site="a")["changed"]
    assert tree(service.etc) == {}


def test_file_that_another_site_has_changed_since_stays(service):
    """That site gets back what there was before both, if it is rolled back, too."""
    (service.etc / "shared.conf").write_text("neither\n")
    before = tree(service.etc)
    service.stage({"path": "shared.conf", "content": "a"}, {"path": "a.conf"}, site="a")
    service.stage({"path": "shared.conf", "content": "b"}, site="b")
    staged = tree(service.etc)
    service.roll_back(site="a")
    assert tree(service.etc) == {"shared.conf": staged["shared.conf"]}
    service.roll_back(site="b")
    assert tree(service.etc) == before


@pytest.mark.parametrize("site", [None, "", "../a"])
def test_site_without_a_name_is_refused(service, site):
    """It would be every site."""
    service.stage({"path": "a.conf"})
    before = tree(service.etc)
    assert "Write a name without a slash." in service.roll_back(site=site)["msg"]
    assert tree(service.etc) == before


CHANGES = st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["one", "two"]), st.integers(0, 3)), max_size=6)


@given(CHANGES, st.permutations("ab"))
def test_sites_are_rolled_back_in_any_order(run_module, changes, order):
    """The first leaves what the other one changed last, the second leaves nothing."""
    with TemporaryDirectory() as directory:
        service = Service(run_module, Path(directory))
        (service.etc / "one").write_text("neither\n")
        before = tree(service.etc)
        for site, name, content in changes:
            # Each site has contents of its own: a file that needs no change is not the site's.
            service.stage({"path": name, "content": f"{site} {content}"}, site=site)
        staged = tree(service.etc)
        service.roll_back(site=order[0])
        left = {name: entry for name, entry in staged.items() if entry[1].startswith(order[1])}
        assert left.items() <= tree(service.etc).items()
        assert not any(entry[1].startswith(order[0]) for entry in tree(service.etc).values())
        service.roll_back(site=order[1])
        assert tree(service.etc) == before
        assert not list(service.journals.glob("*"))
