# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The archive that is published holds what users need, and nothing that happens to be in the tree."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: What only development needs. A file that is tracked is published, or is one of these.
DEVELOPMENT = [
    ".",
    "Makefile",
    "REUSE.toml",
    "ansible.cfg",
    "app/requirements-dev.txt",
    "app/tests",
    "benchmarks",
    "changelogs/config.yaml",
    "changelogs/fragments",
    "galaxy.yml",
    "inventories/bench",
    "molecule",
    "pyproject.toml",
    "requirements-dev.txt",
    "site.yml",
    "tests",
    "tools",
]
#: What is found in the trees of those who use a checkout, and must never be published.
PRIVATE = [
    ".env",
    ".idea/workspace.xml",
    ".vscode/settings.json",
    "id_rsa",
    "secrets.yml",
    "campus-flask_sso-0.0.1.tar.gz",
    "app/.env",
    "app/venv/lib/secret.py",
    "app/flask_sso_app/__pycache__/settings.cpython-311.pyc",
    "app/saml.sqlite",
    "artifacts/app.example.org/app.example.org.key",
    "docs/.notes.md.swp",
    "inventories/example/group_vars/all.yml",
    "inventories/example/artifacts/private_ca/ca.key",
    "inventories/mine/hosts.yml",
    "playbooks/artifacts/app.example.org/app.example.org.key",
    "plugins/modules/__pycache__/own_site.cpython-311.pyc",
    "roles/flask_app/files/id_rsa",
    "roles/flask_app/tasks/.main.yml.swp",
    "roles/flask_app/tasks/main.yml.orig",
]


def is_for(path: str, place: str) -> bool:
    """Return whether a path is a place, or below it; "." is what begins with a dot at the top."""
    return path.startswith(".") if place == "." else path == place or path.startswith(place + "/")


#: They are gone once a version is released.
FRAGMENTS = "changelogs/fragments"
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")


@pytest.fixture(scope="module")
def published(tracked: set[str], tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Build the archive from a copy of the tree with private files in it, and list the archive's."""
    place = tmp_path_factory.mktemp("archive")
    for name in [*tracked, *PRIVATE]:
        (place / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
    for name in tracked:
        shutil.copyfile(ROOT / name, place / "tree" / name)
    for name in PRIVATE:
        (place / "tree" / name).write_text("secret", "utf-8")
    galaxy = str(Path(sys.executable).with_name("ansible-galaxy"))
    subprocess.run([galaxy, "collection", "build", "--output-path", str(place), str(place / "tree")], check=True)
    (archive,) = place.glob("*.tar.gz")
    with tarfile.open(archive) as members:
        return {member.name for member in members if member.isfile()}


def test_everything_that_is_not_for_development_is_published(tracked: set[str], published: set[str]):
    expected = {name for name in tracked if not any(is_for(name, place) for place in DEVELOPMENT)}
    assert published == expected | {"MANIFEST.json", "FILES.json"}


def test_nothing_private_is_published(published: set[str]):
    assert not published & set(PRIVATE)


def test_the_list_of_development_files_has_no_missing_file(tracked: set[str]):
    assert [place for place in DEVELOPMENT if not any(is_for(name, place) for name in tracked)] in ([], [FRAGMENTS])


def test_published_pages_link_to_published_files(published: set[str]):
    """Whether a link leads anywhere in a checkout is for tools/links.py."""
    pages = [name for name in published if name.endswith(".md")]
    links = {
        (page, os.path.normpath(Path(page).parent / link))
        for page in pages
        for link in LINK.findall((ROOT / page).read_text("utf-8"))
    }
    assert len(links) > 50
    assert [(page, link) for page, link in sorted(links) if not any(is_for(name, link) for name in published)] == []
