# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the options that staged_files, activation and rollback share."""

from __future__ import annotations


class ModuleDocFragment:
    """The fragments; the options themselves are in plugins/module_utils/staging.py."""

    DOCUMENTATION = r"""
options:
  site:
    description:
      - Name of the site that the run deploys. A failure rolls back the files of this site only, for any service
        they were staged.
    type: str
    required: true
  journal_directory:
    description: Directory of the journals.
    type: path
    default: /var/lib/flask_sso
"""

    FILES = r"""
options:
  name:
    description:
      - Name of the service, the same for staging and activation. Several roles and sites may share it.
    type: str
    required: true
  files:
    description: The files, in any order. Directories are made before their contents.
    type: list
    elements: dict
    suboptions:
      path:
        description: Absolute path.
        type: path
        required: true
      state:
        description: What is at the path.
        type: str
        choices: [file, directory, link, absent]
        default: file
      target:
        description: Target of a link. Required with O(files[].state=link).
        type: str
      content:
        description: Text of a file, by default none.
        type: str
      content_base64:
        description: Bytes of a file in Base64, instead of O(files[].content).
        type: str
      secret:
        description: Text of a file that must never be shown, instead of O(files[].content).
        type: str
      keep:
        description: Whether an existing file keeps its text. A missing one is written.
        type: bool
        default: false
      keep_time:
        description:
          - Whether the file keeps the time of the one that it replaces, as a service that loads newer files by itself
            would load this one before its check.
        type: bool
        default: false
      shared:
        description:
          - Whether other sites may want a file that this one does not, with O(files[].state=absent). It then stays
            until the last of them does not want it.
        type: bool
        default: false
      owner:
        description: Owner.
        type: str
        default: root
      group:
        description: Group.
        type: str
        default: root
      mode:
        description: Octal mode; by default V(0755) for a directory and V(0644) for a file.
        type: str
"""
