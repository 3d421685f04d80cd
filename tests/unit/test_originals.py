# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The removal of a site restores what was there before the collection, and nothing else."""

import os

import pytest
from staged_service import ACCEPT, REFUSE, tree

ORIGINAL = "/usr/share/web/a.conf"


@pytest.fixture
def deployed(service, systemctl):
    """Deploy a site that replaces a file and takes out a link; return the tree before."""
    (service.etc / "ports.conf").write_text("Listen 80\n")
    (service.etc / "enabled").mkdir()
    (service.etc / "enabled/stock.conf").symlink_to(ORIGINAL)
    before = tree(service.etc)
    deploy(service)
    return before


def deploy(service, site: str = "site", **options) -> None:
    """Deploy a site: its own files, and what every site shares."""
    service.stage(
        {"path": "ports.conf", "content": "# Not used\n"},
        {"path": "modules.conf", "content": "Load\n"},
        {"path": "sites", "state": "directory"},
        {"path": f"sites/{site}", "state": "directory"},
        {"path": f"sites/{site}/a.conf", "content": "a\n"},
        {"path": f"sites/{site}/site.key", "secret": "key", "keep": True},
        purge=[str(service.etc / "enabled/*")],
        site=site,
        **options,
    )
    service.activate(site=site)


def remove(service, site: str = "site", **options) -> dict:
    """Remove a site as the roles do; return what the staging returned."""
    result = service.stage(site=site, restore=True, **options)
    if result.get("changed") and not options.get("check_mode"):
        service.activate(site=site)
    return result


def records(service) -> list[str]:
    """Return what is left of journals and originals."""
    return os.listdir(service.journals)


def test_everything_is_as_before(service, deployed):
    assert remove(service, checks=ACCEPT)["changed"]
    assert tree(service.etc) == deployed
    assert records(service) == []


def test_also_after_further_deployments(service, deployed):
    service.stage({"path": "sites/site/a.conf", "content": "second\n"}, {"path": "ports.conf", "content": "# Third\n"})
    service.activate()
    remove(service)
    assert tree(service.etc) == deployed


def test_a_second_removal_changes_nothing(service, deployed):
    remove(service)
    again = remove(service)
    assert (again["changed"], again["used_paths"]) == (False, [])


def test_a_site_that_never_was_there_changes_nothing(service, deployed):
    now = tree(service.etc)
    assert not remove(service, "other")["changed"]
    assert tree(service.etc) == now


def test_check_mode_reports_the_same_paths_and_changes_nothing(service, deployed):
    now = tree(service.etc)
    said = remove(service, check_mode=True)
    assert tree(service.etc) == now
    assert said["changed_paths"] == remove(service)["changed_paths"]


def test_excluded_files_stay_until_they_are_removed_too(service, deployed):
    remove(service, exclude=["*.key"])
    assert tree(service.etc).keys() - deployed.keys() == {"sites", "sites/site", "sites/site/site.key"}
    assert not remove(service, exclude=["*.key"])["changed"]
    remove(service)
    assert tree(service.etc) == deployed


def test_a_kept_file_is_used_by_the_next_deployment(service, deployed):
    remove(service, exclude=["*.key"])
    (service.etc / "sites/site/site.key").write_text("kept")
    deploy(service)
    assert tree(service.etc)["sites/site/site.key"][1] == "kept"
    remove(service)
    assert tree(service.etc) == deployed


def test_a_directory_with_other_files_stays(service, deployed):
    (service.etc / "sites/site/by-hand").write_text("mine")
    remove(service)
    assert tree(service.etc).keys() - deployed.keys() == {"sites", "sites/site", "sites/site/by-hand"}
    assert not remove(service)["changed"]


def test_what_another_site_uses_stays_until_that_is_removed(service, deployed):
    deploy(service, "other")
    remove(service)
    left = tree(service.etc)
    assert left.keys() == {
        "ports.conf", "enabled", "modules.conf", "sites", "sites/other", "sites/other/a.conf", "sites/other/site.key"
    }  # fmt: skip
    assert left["ports.conf"][1] == "# Not used\n"
    remove(service, "other")
    assert tree(service.etc) == deployed


def test_what_one_of_two_sites_no_longer_wants_stays_as_long_as_the_other_does(service, systemctl):
    """In any order of their runs, and without a change by the first one."""
    unwanted = {"path": "sandbox.conf", "state": "absent", "shared": True}
    for site in ("one", "two"):
        service.stage({"path": "sandbox.conf", "content": "strict\n"}, site=site)
        service.activate(site=site)
    for _run in range(2):
        assert not service.stage(unwanted, site="one")["changed"]
        assert (service.etc / "sandbox.conf").exists()
    assert not service.stage({"path": "sandbox.conf", "content": "strict\n"}, site="two")["changed"]
    assert service.stage(unwanted, site="two")["changed"]
    service.activate(site="two")
    assert (tree(service.etc), records(service)) == ({}, [])


def test_what_no_other_site_wants_is_removed(service, systemctl):
    service.stage({"path": "sandbox.conf", "content": "strict\n"})
    service.activate()
    assert service.stage({"path": "sandbox.conf", "state": "absent", "shared": True})["changed"]
    assert tree(service.etc) == {}


def test_a_failed_check_leaves_the_site_as_it_was(service, deployed):
    now = tree(service.etc)
    assert "line 7 is wrong" in remove(service, checks=REFUSE)["msg"]
    assert tree(service.etc) == now
    remove(service)
    assert tree(service.etc) == deployed


def test_a_failed_check_changes_no_record(service, deployed):
    """Neither of the site that is refused, nor of the one that stays when its removal is."""
    assert service.stage(
        {"path": "ports.conf", "content": "# Not used\n"}, {"path": "b.conf"}, site="b", checks=REFUSE
    )["msg"]
    remove(service)
    assert tree(service.etc) == deployed
    deploy(service)
    deploy(service, "other")
    assert remove(service, checks=REFUSE)["msg"]
    remove(service, "other")
    assert tree(service.etc)["ports.conf"][1] == "# Not used\n"


def test_a_removal_that_the_service_does_not_start_with_is_rolled_back(service, deployed, systemctl):
    now = tree(service.etc)
    (service.etc / "theirs.conf").write_text("broken")
    service.stage(restore=True)
    assert service.activate()["failed"]
    (service.etc / "theirs.conf").unlink()
    assert tree(service.etc) == now
    remove(service)
    assert tree(service.etc) == deployed


def test_an_interrupted_removal_is_completed(service, deployed):
    service.stage(restore=True)
    assert remove(service)["changed"]
    assert tree(service.etc) == deployed
    assert records(service) == []


def test_a_deployment_that_was_rolled_back_leaves_no_record(service, systemctl):
    service.stage({"path": "a.conf", "content": "a\n"})
    service.roll_back()
    assert not remove(service)["changed"]
    assert records(service) == []


def test_what_an_earlier_version_has_written_is_not_restored(service, systemctl):
    """It recorded nothing, and its file is not what the host's owner had."""
    path = service.etc / "ports.conf"
    path.write_text("# campus.flask_sso, 1\n")
    service.stage({"path": "ports.conf", "content": "# campus.flask_sso, 2\n"}, {"path": "b.conf", "content": "b\n"})
    service.activate()
    said = remove(service)["msg"]
    assert f"has written {path} and did not record" in said
    assert tree(service.etc).keys() == {"ports.conf", "b.conf"}
    path.write_text("Listen 80\n")
    remove(service)
    assert tree(service.etc) == {"ports.conf": ("-rw-r--r--", "Listen 80\n")}
    assert records(service) == []


def test_a_directory_with_the_name_of_the_collection_is_its_own(service, systemctl):
    """Tasks create directories of keys before the service's files are staged."""
    (service.etc / "flask_sso").mkdir(mode=0o700)
    service.stage({"path": "flask_sso", "state": "directory", "mode": "0755"})
    service.activate()
    remove(service)
    assert tree(service.etc) == {}


def test_what_the_site_alone_has_made_is_named(service, deployed):
    made = [
        str(service.etc / path)
        for path in ("modules.conf", "sites", "sites/site", "sites/site/a.conf", "sites/site/site.key")
    ]
    assert remove(service, check_mode=True)["made_paths"] == made
    deploy(service, "other")
    assert remove(service, check_mode=True)["made_paths"] == made[2:]


def test_a_removed_service_needs_no_unit(service, deployed, systemctl):
    service.stage(restore=True)
    assert service.activate(unit=None, files=[])["changed_paths"]
    assert "restart" not in systemctl.read_text().splitlines()[-1]
    assert (tree(service.etc), records(service)) == (deployed, [])


def test_diff_does_not_show_what_only_some_accounts_can_read(service, deployed):
    """The removal does not know which files were secrets."""
    (service.etc / "sites/site/a.conf").chmod(0o640)
    shown = str(service.stage(site="site", restore=True, check_mode=True)["diff"])
    assert "Listen 80" in shown
    assert "(not shown)" in shown
    assert "'a\\n'" not in shown


def test_what_other_sites_go_on_to_use_stays_and_is_restored_with_the_last_of_them(service, deployed):
    deploy(service, "other")
    now = tree(service.etc)
    said = remove(service, shared_with=["other"], check_mode=True)
    assert (said["changed"], records(service)) == (False, ["service.originals"])
    assert not remove(service, shared_with=["other"])["changed"]
    assert tree(service.etc) == now
    assert remove(service)["used_paths"] == []
    remove(service, "other")
    assert tree(service.etc) == deployed
    assert records(service) == []


def test_sites_that_share_mean_nothing_without_a_removal(service):
    assert "missing parameter" in service.stage({"path": "a", "content": "a"}, shared_with=["other"])["msg"]
