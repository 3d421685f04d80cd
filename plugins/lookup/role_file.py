# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Return the text of a file of a role, whichever role asks for it."""

from __future__ import annotations

DOCUMENTATION = r"""
name: role_file
short_description: Read a file of a role, or render one of its templates
version_added: 0.1.0
author: campus.flask_sso contributors (!UNKNOWN)
description:
  - The lookups P(ansible.builtin.file#lookup) and P(ansible.builtin.template#lookup) search in the role whose task
    runs. This one finds the files of any role of this collection, so a role can describe a file that another stages.
  - What is in a role's directory C(templates) is rendered with the variables of the task. It can include the
    templates beside it.
options:
  _terms:
    description: Paths that begin with the name of the role.
    type: list
    elements: str
    required: true
  template_vars:
    description: Further variables of the templates.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Print the rules of the proxy
  ansible.builtin.debug:
    msg: "{{ lookup('campus.flask_sso.role_file', 'uwsgi_proxy/templates/fragment.conf.j2') }}"
"""

RETURN = r"""
_raw:
  description: The texts.
  type: list
  elements: str
"""

from collections import ChainMap
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase
from ansible.template import generate_ansible_template_vars, trust_as_template

#: What ansible.cfg says may have several lines, the time and the user of a run, with which each run would change files.
MANAGED = "Ansible managed"
ROLES = Path(__file__).parents[2] / "roles"


class LookupModule(LookupBase):
    """The plugin that Ansible loads."""

    def run(
        self,
        terms: list[str],
        variables: dict[str, Any] | None = None,
        template_vars: dict[str, Any] | None = None,
        **_options: Any,
    ) -> list[str]:
        """Return the texts.

        :param terms: Paths that begin with the name of a role.
        :param variables: The task's variables.
        :param template_vars: Further variables of the templates.
        :returns: The texts, those of templates rendered.
        :raises AnsibleLookupError: if there is no such file.
        """
        return [self._text(ROLES / term, template_vars or {}, variables or {}) for term in terms]

    def _text(self, path: Path, *layers: dict[str, Any]) -> str:
        """Return the text of a file, rendered if it is a template.

        :param path: The file.
        :param layers: What a template can read, the first layer before the others.
        """
        if not path.is_file():
            raise AnsibleLookupError(f"{path} is no file.")
        text = self._loader.get_text_file_contents(str(path))
        if path.parent.name != "templates":
            return text
        # Layers, as a copy of all variables takes longer than most templates.
        variables = ChainMap(
            *layers, {"ansible_managed": MANAGED}, generate_ansible_template_vars(path.name, str(path))
        )
        templar = self._templar.copy_with_new_env(available_variables=variables, searchpath=[str(path.parent)])
        return templar.template(trust_as_template(text), escape_backslashes=False)
