# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module for httpd has the check of the packet's size where the packet is allocated, or is not compiled."""

import subprocess
import tarfile
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "roles/uwsgi_proxy/files/compile.sh"
GUARD = 'if (large("%d \\\\n", 1)) {\n    return 431; /* & */\n}'
PLACE = "    ptr = buf = apr_palloc(r->pool, headerlen);"
# pip "downloads" the archive that the test has made, and apxs "compiles" by a copy.
PROGRAMS = {
    "python3": 'mkdir -p "$3/bin"; printf "#!/bin/sh\\ncp %s .\\n" "$ARCHIVE" >"$3/bin/pip"; chmod +x "$3/bin/pip"',
    "apxs": 'mkdir .libs; cp "$2" .libs/mod_proxy_uwsgi.so',
}


def archive_with(path: Path, places: int) -> Path:
    """Make a source archive in which a packet is allocated in that many places."""
    source = "\n".join(["first", *[PLACE] * places, "last", ""]).encode()
    with tarfile.open(path, "w:gz") as file:
        member = tarfile.TarInfo("uwsgi-1/apache2/mod_proxy_uwsgi.c")
        member.size = len(source)
        file.addfile(member, BytesIO(source))
    return path


@pytest.fixture
def compile_module(programs, tmp_path):
    """Compile the module of a requirement, from an archive of the controller if one is given."""
    programs(PROGRAMS)

    def compile_module(requirement: str, *archive: Path) -> tuple[int, Path]:
        module = tmp_path / "mod_proxy_uwsgi-1.so"
        command = [
            "sh",
            "-euc",
            SCRIPT.read_text(),
            "sh",
            tmp_path / "build",
            requirement,
            GUARD,
            "apxs",
            module,
            *archive,
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert not (tmp_path / "build").exists(), done.stderr
        return done.returncode, module

    return compile_module


@pytest.mark.parametrize("places", [0, 1, 2])
def test_check_is_inserted_in_the_one_place(compile_module, tmp_path, monkeypatch, places):
    monkeypatch.setenv("ARCHIVE", str(archive_with(tmp_path / "uwsgi-1.tar.gz", places)))
    code, module = compile_module("uwsgi==1")
    assert code == (0 if places == 1 else 3)
    assert module.exists() == (places == 1)
    if places == 1:
        assert module.read_text() == f"first\n{GUARD}\n{PLACE}\nlast\n"
        assert module.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("is_the_one", [True, False])
def test_archive_of_the_controller_is_taken_if_it_has_the_digest(compile_module, tmp_path, is_the_one):
    """Nothing is downloaded then: pip, which this test does not have, is not called."""
    archive = archive_with(tmp_path / "archive.tar.gz", 1)
    digest = sha256(archive.read_bytes() if is_the_one else b"").hexdigest()
    code, module = compile_module(f"uwsgi==1 --hash=sha256:{digest}", archive)
    assert code == (0 if is_the_one else 4)
    assert module.exists() == is_the_one
    assert not archive.exists()
