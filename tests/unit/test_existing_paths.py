# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What exists is named in the order in which it was asked for, whatever it is."""

from ansible_collections.campus.flask_sso.plugins.modules import existing_paths


def test_files_directories_and_links_exist(run_module, tmp_path):
    (tmp_path / "directory").mkdir()
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "file").touch()
    paths = [f"{tmp_path}/{name}" for name in ("link", "none", "file", "file/none", "directory", "none/none")]
    result = run_module(existing_paths, paths=paths)
    assert (result["changed"], result["paths"]) == (False, [paths[0], paths[2], paths[4]])
