# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A release is complete only when its account can read it and its server is the one that was asked for."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

import pytest

FILES = Path(__file__).parents[2] / "roles/flask_app/files"
BELOW = (FILES / "below.py").read_text()
# What only root may do. Of what root itself does there is a list.
CHANGES = ["chmod", "ln", "mkdir", "rm", "tar"]
PROGRAMS = {
    "runuser": 'ACCOUNT=$2; export ACCOUNT; shift 3; exec "$@"',
    "chown": '[ "${ACCOUNT-}" ] || echo "chown $*" >>"$LISTED"',
    **{name: f'[ "${{ACCOUNT-}}" ] || echo "{name} $*" >>"$LISTED"; exec /usr/bin/{name} "$@"' for name in CHANGES},
    "install": 'for last; do :; done; exec touch "$last"',
    "find": 'case "$*" in *-readable*) printf "%s" "$FOUND" ;; *-user*) ;; *) exec /usr/bin/find "$@" ;; esac',
}


@pytest.fixture
def listed(tmp_path) -> Path:
    """The list of what root has changed."""
    path = tmp_path / "listed"
    path.touch()
    return path


@pytest.fixture
def run(programs, listed):
    """Run a script of the role with these arguments; return what it came to."""
    programs(PROGRAMS)

    def call(script: str, *arguments: object, found: str = "") -> subprocess.CompletedProcess:
        command = ["sh", "-euc", (FILES / script).read_text(), "sh", *map(str, arguments)]
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            env=os.environ | {"FOUND": found, "LISTED": str(listed)},
        )

    return call


@pytest.fixture
def release(tmp_path) -> Path:
    """A release with an application, and a virtual environment beside it."""
    (tmp_path / "release/app").mkdir(parents=True)
    (tmp_path / "release/app/wsgi.py").write_text("application = None\n")
    (tmp_path / "venv/bin").mkdir(parents=True)
    (tmp_path / "venv/bin/python").symlink_to(sys.executable)
    return tmp_path / "release"


@pytest.fixture
def begin(run, release, tmp_path):
    """Begin the release 1 beside that release, from an archive with its application."""
    incoming = tmp_path / "incoming/run"

    def call(*command: object) -> subprocess.CompletedProcess:
        incoming.mkdir(parents=True, exist_ok=True)
        with tarfile.open(incoming / "app.tar", "w") as archive:
            archive.add(release / "app", ".")
        paths = (tmp_path, tmp_path / "releases/1", tmp_path / "venvs/1")
        return run("begin_release.sh", *paths, "owner", incoming, "app.tar", *command)

    return call


def complete(run, release, code: str, found: str = "") -> subprocess.CompletedProcess:
    """Complete a release whose server is judged by Python code."""
    top = release.parent
    (release / "run").write_text("this\n")
    return run(
        "complete_release.sh", top, release, top / "venv", "owner", "user", "this", BELOW, code, "x==1", found=found
    )


def test_a_release_that_holds_is_complete_and_compiled(run, release):
    done = complete(run, release, "import sys; assert sys.argv[1:] == ['x==1']")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (release / "complete").exists()
    assert list((release / "app/__pycache__").iterdir())


@pytest.mark.parametrize("code", ["print('x 2')", "raise SystemExit('no distribution x')"])
def test_another_server_than_the_one_that_was_asked_for_is_refused(run, release, code):
    done = complete(run, release, code)
    assert done.returncode == 4
    assert "x" in done.stdout
    assert not (release / "complete").exists()


def test_a_release_that_its_account_cannot_read_is_refused(run, release):
    done = complete(run, release, "", found="/srv/app/secret")
    assert (done.returncode, done.stdout) == (3, "/srv/app/secret\n")
    assert not (release / "complete").exists()


def test_environment_is_made_meanwhile_and_as_the_owner(begin, tmp_path):
    """The run goes on, and what pip prints meanwhile is not in its output."""
    said, gate = tmp_path / "said", tmp_path / "gate"
    code = 'echo noise; until [ -e "$2" ]; do sleep 0.01; done; echo "$ACCOUNT $(ps -o sid= -p $$) $$" >"$1"'
    assert begin("sh", "-euc", code, "sh", said, gate).stdout == ""
    assert (tmp_path / "releases/1/app/wsgi.py").exists()
    assert not said.exists()
    gate.touch()
    for _ in range(500):
        if said.exists() and said.read_text():
            break
        time.sleep(0.01)
    owner, session, process = said.read_text().split()
    assert owner == "owner"
    assert session == process


def test_nothing_begins_for_a_virtual_environment_that_is_complete(begin, tmp_path):
    venv = tmp_path / "venvs/1"
    venv.mkdir(parents=True)
    (venv / "complete").touch()
    assert begin("touch", tmp_path / "said").stdout == "venv\n"
    time.sleep(0.2)
    assert not (tmp_path / "said").exists()


def test_what_is_left_of_a_release_goes_and_one_that_is_complete_stays(run, begin, tmp_path):
    release, venv = tmp_path / "releases/1", tmp_path / "venvs/1"
    assert begin().stdout == ""
    assert (release / "venv").readlink() == venv
    assert (release / "run").read_text() == "run\n"
    (release / "app/left").touch()
    venv.mkdir()
    (venv / "complete").touch()
    assert begin().stdout == "venv\n"
    assert not (release / "app/left").exists()
    (release / "app/kept").touch()
    (release / "complete").touch()
    begin()
    assert (release / "app/kept").exists()


def test_a_complete_release_that_is_unpacked_again_in_part_does_not_count_and_stays(begin, programs, tmp_path):
    """As on a full disk; it may run."""
    begin()
    (tmp_path / "releases/1/complete").touch()
    (tmp_path / "releases/1/app/kept").touch()
    programs({"tar": "exit 2"})
    for _attempt in range(2):
        assert begin().returncode == 2
        assert not (tmp_path / "releases/1/complete").exists()
        assert (tmp_path / "releases/1/app/kept").exists()


def test_a_release_that_another_run_has_begun_is_not_complete(run, release):
    """It may be unpacked in part."""
    (release / "run").write_text("another\n")
    top = release.parent
    done = run("complete_release.sh", top, release, top / "venv", "owner", "user", "this", BELOW, "")
    assert done.returncode == 5
    assert "Another run has begun the same release." in done.stdout
    assert not (release / "complete").exists()


def test_each_run_has_its_own_files_for_pip_until_a_day_later(begin, tmp_path):
    for other, age in (("running", 0), ("killed", 2 * 86400)):
        (tmp_path / "incoming" / other).mkdir(parents=True)
        os.utime(tmp_path / "incoming" / other, (time.time() - age,) * 2)
    begin()
    assert os.listdir(tmp_path / "incoming") == ["running"]


def test_an_application_is_unpacked_with_the_time_of_its_release(begin, release, tmp_path):
    os.utime(release / "app/wsgi.py", (0, 0))
    begun = begin()
    assert (begun.returncode, begun.stderr) == (0, "")
    assert (tmp_path / "releases/1/app/wsgi.py").read_text() == "application = None\n"
    assert time.time() - (tmp_path / "releases/1/app/wsgi.py").stat().st_mtime < 60
    assert not (tmp_path / "incoming").exists()


def test_root_changes_nothing_that_an_owner_could_replace_by_a_link(run, begin, release, listed, tmp_path):
    begin()
    begun = listed.read_text().splitlines()
    assert begun == [
        f"mkdir --parents {tmp_path}",
        f"chown --no-dereference owner:owner {tmp_path}",
        f"rm --recursive --force {tmp_path}/incoming/run",
    ]
    complete(run, release, "")
    assert listed.read_text().splitlines() == begun


def test_a_link_in_the_place_of_the_directory_is_not_followed(run, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "app").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "incoming").mkdir()
    paths = (tmp_path / "app", tmp_path / "app/releases/1", tmp_path / "app/venvs/1")
    begun = run("begin_release.sh", *paths, "owner", tmp_path / "incoming/run", "app.tar")
    assert begun.returncode == 1
    assert "app is a link. Remove it." in begun.stderr
    assert not list((tmp_path / "elsewhere").iterdir())


def test_what_only_root_can_read_is_opened_but_not_what_a_link_leads_to(run, release, tmp_path):
    (release / "app/wsgi.py").chmod(0o600)
    (release / "app/closed").mkdir(mode=0o700)
    (tmp_path / "secret").touch(mode=0o600)
    (release / "app/link").symlink_to(tmp_path / "secret")
    complete(run, release, "")
    modes = {path: path.stat().st_mode & 0o777 for path in (release / "app/wsgi.py", release / "app/closed")}
    assert list(modes.values()) == [0o644, 0o755]
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("exchanged", ["", "releases", "venvs"])
def test_root_gives_nothing_away_that_a_link_leads_to(run, programs, tmp_path, exchanged):
    """The owner acts while its own Python runs, just before root looks for what is not the owner's."""
    for path in ("app/releases/1/app", "app/venvs/1/bin", "victim/1"):
        (tmp_path / path).mkdir(parents=True)
    exchange = f"cd {tmp_path}/app; mv {exchanged} away; ln -s {tmp_path}/victim {exchanged}" if exchanged else "true"
    python = tmp_path / "app/venvs/1/bin/python"
    python.write_text(f"#!/bin/sh\n{exchange}\n")
    python.chmod(0o755)
    (tmp_path / "victim/1/shadow").touch()
    programs(
        {"find": 'case "$*" in *-readable*) ;; *) exec /usr/bin/find "$@" ;; esac', "chown": f"pwd >>{tmp_path}/given"}
    )
    paths = (tmp_path / "app", tmp_path / "app/releases/1", tmp_path / "app/venvs/1")
    (tmp_path / "app/releases/1/run").write_text("this\n")
    done = run("complete_release.sh", *paths, "daemon", "user", "this", BELOW, "")
    given = set((tmp_path / "given").read_text().splitlines()) if (tmp_path / "given").exists() else set()
    assert not [path for path in given if path.startswith(str(tmp_path / "victim"))]
    assert done.returncode == bool(exchanged)
    if exchanged:
        assert f"{tmp_path}/app/{exchanged} is a link. Remove it." in done.stderr
    else:
        assert str(tmp_path / "app/releases/1") in given


def test_a_virtual_environment_that_is_a_link_is_not_opened(run, release, tmp_path):
    """The account that owns it could lead root anywhere."""
    (tmp_path / "closed/bin").mkdir(parents=True)
    (tmp_path / "closed/bin/python").symlink_to(sys.executable)
    (tmp_path / "closed").chmod(0o700)
    shutil.rmtree(release.parent / "venv")
    (release.parent / "venv").symlink_to(tmp_path / "closed")
    complete(run, release, "")
    assert (tmp_path / "closed").stat().st_mode & 0o777 == 0o700


@pytest.fixture
def pip(programs, tmp_path):
    """Set the commands that stand in for pip in environments that python9 makes; return where its calls are listed."""
    calls = tmp_path / "calls"

    def call(commands: str) -> Path:
        pip = f'echo "$@" >>{calls}; {commands}'
        make = f'mkdir -p "$4/bin"; printf "%s\\n" "#!/bin/sh" \'{pip}\' >"$4/bin/pip"; chmod +x "$4/bin/pip"'
        programs({"python9": make, "sync": f'echo "sync $(ls "$2" | tr "\\n" " ")" >>{calls}'})
        return calls

    return call


def make_venv(run, venv: Path, *compiled: object) -> subprocess.CompletedProcess:
    """Make an environment with a server, which may be compiled, and requirements."""
    return run("make_venv.sh", "/", venv, "python9", "x==1 --hash=1", "./", "requirements.txt", *compiled)


@pytest.mark.parametrize(
    ("is_compiled", "failing"),
    [(True, "compile"), *product((False, True), ("", "server", "requirements.txt"))],
)
def test_server_is_installed_first_and_what_follows_may_not_change_it(run, pip, tmp_path, is_compiled, failing):
    venv, wheels = tmp_path / "venv", tmp_path / "wheels"
    server = f"{venv}/{'constraints' if is_compiled else 'server'}.txt"
    fail = "{ echo unknown >&2; exit 1; }"
    listed_calls = pip(f'[ "$6" != "{server if failing == "server" else failing}" ] || {fail}')
    build = f'echo "compiled in $1 by $2 with $3 from $4" >>"${{1%/*}}/calls"; [ "$3" != fails ] || {fail}'
    builder = "fails" if failing == "compile" else "setuptools==1"
    done = make_venv(run, venv, *((build, wheels, builder) if is_compiled else ()))
    install = "install --disable-pip-version-check --no-input --compile --requirement"
    steps = {
        "compile": f"compiled in {wheels} by {venv}/bin/pip with {builder} from x==1 --hash=1",
        "server": f"{install} {server}" + f" --no-index --find-links {wheels}" * is_compiled,
        "requirements.txt": f"{install} requirements.txt --constraint {venv}/constraints.txt",
        # On the disk before it counts as complete.
        "": "sync bin constraints.txt project.txt server.txt ",
    }
    wanted = [step for step in steps if is_compiled or step != "compile"]
    calls = listed_calls.read_text().splitlines()
    assert calls == [steps[step] for step in wanted[: wanted.index(failing) + 1]]
    assert (done.returncode, done.stderr) == ((1, "unknown\n") if failing else (0, ""))
    assert (venv / "complete").exists() == (not failing)
    texts = [(venv / f"{name}.txt").read_text() for name in ("server", "constraints", "project")]
    assert texts == ["x==1 --hash=1\n", "x==1\n", "./\n"]


def test_two_runs_do_not_fill_the_same_environment(run, pip, tmp_path):
    """The second one waits for the first one, and takes what that has made."""
    calls = pip("sleep 1")
    (tmp_path / "venvs").mkdir()
    with ThreadPoolExecutor() as pool:
        runs = [pool.submit(make_venv, run, tmp_path / "venvs/1") for _ in range(2)]
    assert [made.result().returncode for made in runs] == [0, 0]
    assert [line.split()[0] for line in calls.read_text().splitlines()] == ["install", "install", "sync"]


def test_what_is_left_of_an_environment_is_made_again(run, pip, tmp_path):
    pip("true")
    (tmp_path / "venv/lib").mkdir(parents=True)
    assert make_venv(run, tmp_path / "venv").returncode == 0
    assert not (tmp_path / "venv/lib").exists()


def test_half_a_wheel_is_none(run, programs, tmp_path):
    """As on a full disk: the next run makes it again."""
    wheel = 'while [ "$1" != --wheel-dir ]; do shift; done; mkdir "$2"; echo half >"$2/uwsgi.whl"'
    source = "cd build; mkdir -p uwsgi-1/core; touch uwsgi-1/core/utils.c; tar -czf uwsgi-1.tar.gz uwsgi-1"
    # The builder is found by what builds, and is no part of the environment.
    is_found = f'[ "$PYTHONPATH" = {tmp_path}/wheels/1/build/builder ]'
    programs(
        {"pip9": f'case $1 in download) {is_found}; {source} ;; wheel) {is_found}; {wheel}; exit "$STATUS" ;; esac'}
    )
    call = ("compile_uwsgi.sh", tmp_path / "wheels/1", "pip9", "setuptools==1", "uwsgi==1")
    os.environ["STATUS"] = "1"
    assert run(*call).returncode == 1
    assert not list((tmp_path / "wheels/1").glob("*.whl"))
    os.environ["STATUS"] = "0"
    made = run(*call)
    assert (made.returncode, made.stderr) == (0, "")
    assert sorted(path.name for path in (tmp_path / "wheels/1").iterdir()) == [".lock", "uwsgi.whl"]


@pytest.mark.parametrize("script", sorted(FILES.parents[1].glob("*/files/*.sh")), ids=lambda path: path.name)
def test_scripts_use_no_variable_that_ansible_would_replace(script):
    """The module command replaces those that its own environment has, such as $PWD, before the shell sees them."""
    assert re.findall(r"[$]{?[A-Z]\w*", script.read_text()) == []


@pytest.mark.parametrize("old", ["releases/old", "venvs/old"])
def test_what_is_removed_in_part_does_not_count_as_complete(run, programs, tmp_path, old):
    for path in ("releases", "venvs", "wheels", old):
        (tmp_path / "app" / path).mkdir(parents=True, exist_ok=True)
    (tmp_path / "app" / old / "complete").touch()
    os.utime(tmp_path / "app" / old, (0, 0))
    programs({"rm": 'case "$*" in */old) exit 1 ;; *) exec /usr/bin/rm "$@" ;; esac'})
    removed = run("remove_unused.sh", tmp_path / "app", "current", 1, tmp_path / "app/wheels/1", tmp_path, BELOW)
    assert removed.returncode == 1
    assert list((tmp_path / "app" / old).iterdir()) == []


@pytest.mark.parametrize("name", ["releases", "venvs", "wheels"])
def test_nothing_is_removed_behind_a_link(run, tmp_path, name):
    (tmp_path / "elsewhere/kept").mkdir(parents=True)
    (tmp_path / "app").mkdir()
    for directory in {"releases", "venvs", "wheels"} - {name}:
        (tmp_path / "app" / directory).mkdir()
    (tmp_path / "app" / name).symlink_to(tmp_path / "elsewhere")
    removed = run("remove_unused.sh", tmp_path / "app", "current", 1, tmp_path / "app/wheels/1", tmp_path, BELOW)
    assert removed.returncode == 1
    assert (tmp_path / "elsewhere/kept").exists()


def test_a_directory_that_becomes_a_link_meanwhile_is_not_emptied(run, programs, tmp_path):
    for path in ("elsewhere/old", "app/releases/old", "app/venvs", "app/wheels"):
        (tmp_path / path).mkdir(parents=True)
    os.utime(tmp_path / "app/releases/old", (0, 0))
    # The owner acts when the releases have been listed.
    exchange = f"mv {tmp_path}/app/releases {tmp_path}/away; ln -s {tmp_path}/elsewhere {tmp_path}/app/releases"
    programs({"sort": f'cat >{tmp_path}/list; {exchange}; exec /usr/bin/sort "$@" <{tmp_path}/list'})
    removed = run("remove_unused.sh", tmp_path / "app", "current", 1, tmp_path / "app/wheels/1", tmp_path, BELOW)
    assert removed.returncode == 1
    assert "releases is a link. Remove it." in removed.stderr
    assert (tmp_path / "elsewhere/old").exists()
