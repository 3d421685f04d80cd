# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An application takes no accounts, units and directories of other origin, knows its own, and says what is missing."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.campus.flask_sso.plugins.modules import application_state

OURS = "# SPDX-FileCopyrightText: campus.flask_sso contributors\n[Unit]\n"
RELEASE = "srv/guestbook/releases/0123456789ab/"


class Host:
    """A host below a directory: its accounts, its groups, and who owns all files."""

    def __init__(self, root: Path):
        self.root, self.accounts, self.groups, self.owner = root, {}, {}, "root"

    def add(self, name: str, **account):
        """Add an account, by default as the role makes them, and the group that `group` names."""
        usual = {"uid": 990, "dir": f"{self.root}/srv/guestbook", "login": "nologin", "gecos": "campus.flask_sso"}
        group = account.pop("group", name)
        entry = {f"pw_{key}": value for key, value in (usual | account).items()}
        entry["pw_shell"] = f"/usr/sbin/{entry.pop('pw_login')}"
        self.accounts[name] = SimpleNamespace(pw_gid=entry["pw_uid"], pw_name=name, **entry)
        self.groups[group] = SimpleNamespace(gr_gid=entry["pw_uid"])

    def write(self, path: str, content: str = ""):
        """Write a file; a path with a slash at its end is a directory."""
        target = self.root / path
        (target if path.endswith("/") else target.parent).mkdir(parents=True, exist_ok=True)
        if not path.endswith("/"):
            target.write_text(content)


@pytest.fixture
def host(tmp_path, monkeypatch) -> Host:
    """A host without anything of the application's names."""
    host = Host(tmp_path)
    monkeypatch.setattr(application_state.pwd, "getpwnam", host.accounts.__getitem__)
    monkeypatch.setattr(application_state.pwd, "getpwuid", lambda _uid: SimpleNamespace(pw_name=host.owner))
    monkeypatch.setattr(application_state.grp, "getgrnam", host.groups.__getitem__)
    monkeypatch.setattr(application_state, "ETC", str(tmp_path / "etc"))
    monkeypatch.setattr(application_state, "STATE", str(tmp_path / "var/lib"))
    monkeypatch.setattr(application_state, "COMMANDS", str(tmp_path / "usr/local/sbin"))
    monkeypatch.setattr(
        application_state, "UNIT_DIRECTORIES", [f"{tmp_path}/etc/systemd/system", f"{tmp_path}/usr/lib/systemd"]
    )
    is_closed = application_state.is_closed  # directories of tests are themselves below closed ones
    monkeypatch.setattr(application_state, "is_closed", lambda path: path == f"{tmp_path}/srv" and is_closed(path))
    (tmp_path / "srv").mkdir()
    return host


@pytest.fixture
def state(run_module, host):
    """Look at the host with the usual parameters or others; return all that is found."""

    def run(**parameters) -> dict:
        names = {"name": "guestbook", "user": "guestbook", "owner": "guestbook-deploy", "group": "www-data"}
        units = ["guestbook", "guestbook-gunicorn"]
        path = f"{host.root}/srv/guestbook"
        return run_module(application_state, check_mode=True, path=path, units=units, **names | parameters)

    return run


@pytest.fixture
def look(state):
    """Look at the host for the usual accounts or others; return the conflicts and which accounts the role creates."""

    def run(**accounts) -> tuple[list[str], list[str]]:
        result = state(**accounts)
        return result["conflicts"], result["missing_accounts"]

    return run


def deployed(host: Host, gecos: str):
    """Create what a deployed application has."""
    host.owner = "guestbook-deploy"
    host.add("guestbook-deploy", gecos=gecos)
    host.add("guestbook", gecos=gecos)
    for unit in ("guestbook.service", "guestbook.socket", "guestbook-worker-mail.service"):
        host.write(f"etc/systemd/system/{unit}", OURS)
    wants = "etc/systemd/system/multi-user.target.wants/"
    host.write(wants)
    for unit in ("guestbook-worker-mail.service", "guestbook-worker-gone.service"):
        (host.root / wants / unit).symlink_to(host.root / "etc/systemd/system" / unit)
    for path in (RELEASE, "etc/guestbook/credentials/secret_key", "var/lib/guestbook/"):
        host.write(path)


def test_nothing_is_in_the_way_on_a_bare_host(look):
    assert look() == ([], ["guestbook-deploy", "guestbook"])


def test_what_an_earlier_run_created_is_recognised(host, look):
    deployed(host, "campus.flask_sso")
    assert look() == ([], [])


def test_accounts_without_the_remark_get_it(host, look):
    deployed(host, "")
    assert look() == ([], ["guestbook-deploy", "guestbook"])


def test_an_account_that_lost_its_home_gets_it_again(host, look):
    deployed(host, "campus.flask_sso")
    host.add("guestbook", dir="/home/guestbook")
    assert look()[1] == ["guestbook"]


def test_accounts_with_the_remark_are_the_roles_own(host, state):
    """Those without it may be a user's, so a removal leaves them."""
    host.add("guestbook-deploy")
    host.add("guestbook", gecos="")
    assert state()["made_accounts"] == ["guestbook-deploy"]


def test_an_account_of_another_application_is_not_this_ones(host, state):
    host.add("guestbook", dir="/srv/other")
    assert state()["made_accounts"] == []


def test_the_group_of_the_socket_is_created_where_it_is_missing(host, state):
    assert state()["missing_groups"] == ["www-data"]
    host.groups["www-data"] = SimpleNamespace(gr_gid=33)
    assert state()["missing_groups"] == []


def test_files_of_another_server_are_found(host, state):
    host.write("etc/systemd/system/guestbook-gunicorn.socket", OURS)
    paths = [f"{host.root}/etc/systemd/system/guestbook{suffix}" for suffix in (".socket", "-gunicorn.socket")]
    assert state(leftovers=paths)["leftovers"] == paths[1:]


def test_interrupted_first_run_is_recognised(host, look):
    host.add("guestbook-deploy")
    host.add("guestbook")
    host.write("srv/guestbook/lost+found/")
    host.write("etc/guestbook/saml/key.pem")
    assert look()[0] == []


@pytest.mark.parametrize(
    ("account", "reason"),
    [
        ({"uid": 1000, "dir": "/home/guestbook", "login": "bash", "gecos": "Ada Lovelace,,,"}, "shell /usr/sbin/bash"),
        ({"uid": 9, "dir": "/var/spool/news", "gecos": "news"}, "home is /var/spool/news"),
        ({"gecos": "ftp daemon"}, "this role has not created"),
        ({"login": "false", "gecos": ""}, "this role has not created"),
        ({"uid": 0, "dir": "/root"}, "is root (UID 0)"),
    ],
)
def test_unmanaged_account_is_refused(host, look, account, reason):
    host.add("guestbook", **account)
    (conflict,) = look()[0]
    assert 'flask_app_user is "guestbook"' in conflict
    assert reason in conflict


def test_account_that_was_chosen_is_used_as_it_is(host, look):
    host.add("ada", uid=1000, dir="/home/ada", login="bash", gecos="")
    assert look(user="ada") == ([], ["guestbook-deploy"])
    assert look(owner="ada") == ([], ["guestbook"])
    assert "are both" in look(user="ada", owner="ada")[0][0]


def test_account_that_was_chosen_has_a_group_of_its_name(host, look):
    host.add("ada", uid=1000, gecos="Ada", dir="/home/ada", group="users")
    assert "whose own group has another name" in look(user="ada")[0][0]


def test_account_that_was_chosen_and_is_missing_is_made(look):
    assert look(user="web") == ([], ["guestbook-deploy", "web"])


def test_group_of_the_same_name_is_refused(host, look):
    host.groups["guestbook"] = SimpleNamespace(gr_gid=50)
    assert "there is a group of that name" in look()[0][0]


@pytest.mark.parametrize(
    ("path", "content", "reason"),
    [
        ("etc/systemd/system/guestbook.service", "[Unit]\n", "a unit guestbook.service"),
        ("usr/lib/systemd/guestbook.socket", "[Unit]\n", "a unit guestbook.socket"),
        ("etc/systemd/system/guestbook-gunicorn.service", "[Unit]\n", "a unit guestbook-gunicorn.service"),
        ("etc/systemd/system/guestbook-worker-mail.service", "[Unit]\n", "/guestbook-worker-mail.service, which"),
        ("etc/systemd/system/guestbook-timer-night.timer", "[Timer]\n", "/guestbook-timer-night.timer, which"),
        ("usr/local/sbin/guestbook-run", "#!/bin/sh\n", "/guestbook-run, which"),
        ("etc/guestbook/guestbook.conf", "", "/etc/guestbook with guestbook.conf, which"),
        ("etc/guestbook", "", "/etc/guestbook with guestbook, which"),
        ("var/lib/guestbook/data", "", "/var/lib/guestbook with data, which"),
        ("srv/guestbook/index.html", "", "with index.html, which this role has not created"),
        ("srv/guestbook/releases/20240101120000/", "", "with releases, which"),
    ],
)
def test_unmanaged_unit_or_directory_is_refused(host, look, path, content, reason):
    host.write(path, content)
    (conflict,) = look()[0]
    assert reason in conflict
    assert "hoose another flask_app_name" in conflict


def test_link_that_enables_an_unmanaged_worker_is_refused(host, look):
    wants = "etc/systemd/system/multi-user.target.wants"
    host.write("usr/lib/systemd/guestbook-worker-mail.service", "[Unit]\n")
    host.write(f"{wants}/")
    (host.root / wants / "guestbook-worker-mail.service").symlink_to(
        host.root / "usr/lib/systemd/guestbook-worker-mail.service"
    )
    assert "wants/guestbook-worker-mail.service, which" in look()[0][0]


@pytest.mark.parametrize("target", ["/dev/null", "other.service"])
def test_alias_or_masked_unit_is_refused(host, look, target):
    host.write("etc/systemd/system/other.service", OURS)
    (host.root / "etc/systemd/system/guestbook.service").symlink_to(target)
    assert "a unit guestbook.service" in look()[0][0]


@pytest.mark.parametrize("account", ["guestbook", "guestbook-deploy"])
def test_directory_that_accounts_can_enter_for_another_reason_is_accepted(host, look, monkeypatch, account):
    deployed(host, "campus.flask_sso")
    (host.root / "srv").chmod(0o750)
    run_command = "ansible.module_utils.basic.AnsibleModule.run_command"
    monkeypatch.setattr(run_command, lambda _self, _command: (0, "", ""))
    assert look()[0] == []
    monkeypatch.setattr(run_command, lambda _self, command: (int(account in command), "", ""))
    assert "is closed to other accounts" in look()[0][0]


def test_directory_that_the_accounts_could_not_reach_is_refused(host, look):
    (host.root / "srv").chmod(0o750)
    (conflict,) = look()[0]
    assert f'Run "chmod o+x {host.root}/srv"' in conflict


@pytest.fixture
def release(host, programs) -> list[str]:
    """A complete release of an account that exists, with a "runuser" that runs the command as this account."""
    deployed(host, "campus.flask_sso")
    host.write(RELEASE + "complete")
    host.write("srv/guestbook/venvs/ba9876543210/complete")
    programs({"runuser": 'shift 3; exec "$@"'})
    return [f"{host.root}/{RELEASE}", f"{host.root}/srv/guestbook/venvs/ba9876543210"]


def test_a_complete_release_is_not_built_again(state, release):
    assert state(release=release)["release_complete"] is True


def test_a_release_is_complete_although_its_account_is_still_missing(state, host, release):
    del host.accounts["guestbook"]
    assert state(release=release)["release_complete"] is True


@pytest.mark.parametrize("missing", ["release", "its mark", "environment", "the environment's mark"])
def test_what_is_missing_is_built(state, host, release, missing):
    paths = {
        "release": host.root / RELEASE,
        "its mark": host.root / RELEASE / "complete",
        "environment": Path(release[1]),
        "the environment's mark": Path(release[1], "complete"),
    }
    paths[missing].rename(host.root / "gone")
    assert state(release=release)["release_complete"] is False


def test_a_release_that_the_account_cannot_read_is_built(state, programs, release):
    programs({"runuser": f"echo {release[0]}app"})
    assert state(release=release)["release_complete"] is False


def test_without_a_source_there_is_no_release(state):
    assert state()["release_complete"] is False


def test_what_the_site_was_deployed_with_is_read_back(host, state):
    """Where it is recorded, and the record is whole."""
    record = "etc/guestbook/releases/variables"
    assert state(variables=f"{host.root}/{record}")["variables"] == {}
    host.write(record, '{"apache_ssl_hsts_seconds": "0123456789ab"}\n')
    assert state(variables=f"{host.root}/{record}")["variables"] == {"apache_ssl_hsts_seconds": "0123456789ab"}
    host.write(record, '{"apache_ssl_')
    assert state(variables=f"{host.root}/{record}")["variables"] == {}
    assert state()["variables"] == {}


@pytest.mark.parametrize(
    "template", ["app.service.j2", "app.socket.j2", "companion.service.j2", "companion.timer.j2", "run.py.j2"]
)
def test_what_the_role_writes_has_the_mark_by_which_it_knows_it(template):
    text = (Path(__file__).parents[2] / "roles/flask_app/templates" / template).read_text("utf-8")
    assert application_state.MARK in re.sub("{#.*?#}", "", text, flags=re.DOTALL)
