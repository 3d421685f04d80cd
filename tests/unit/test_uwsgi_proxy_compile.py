# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module for httpd has the check of the packet's size where the packet is allocated, or is not compiled."""

import subprocess
import tarfile
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


@pytest.mark.parametrize("places", [0, 1, 2])
def test_check_is_inserted_in_the_one_place(programs, tmp_path, monkeypatch, places):
    programs(PROGRAMS)
    archive, module = tmp_path / "uwsgi-1.tar.gz", tmp_path / "mod_proxy_uwsgi-1.so"
    source = "\n".join(["first", *[PLACE] * places, "last", ""]).encode()
    with tarfile.open(archive, "w:gz") as file:
        member = tarfile.TarInfo("uwsgi-1/apache2/mod_proxy_uwsgi.c")
        member.size = len(source)
        file.addfile(member, BytesIO(source))
    monkeypatch.setenv("ARCHIVE", str(archive))
    command = ["sh", "-euc", SCRIPT.read_text(), "sh", tmp_path / "build", "uwsgi==1", GUARD, "apxs", module]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == (0 if places == 1 else 3), done.stderr
    assert module.exists() == (places == 1)
    if places == 1:
        assert module.read_text() == f"first\n{GUARD}\n{PLACE}\nlast\n"
        assert module.stat().st_mode & 0o777 == 0o644
    assert not (tmp_path / "build").exists()
