# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Write the condition that a request has none of some methods, as an argument of httpd."""

from __future__ import annotations

DOCUMENTATION = r"""
name: other_methods
short_description: Write the condition that a request has none of some methods, as an argument of httpd
version_added: 0.1.0
author: campus.flask_sso contributors (!UNKNOWN)
description:
  - Returns an expression of httpd in quotation marks. It reads the line that the visitor has sent, because an internal
    request, such as that for the index of a directory, has GET as its method, and the application then gets the
    visitor's.
  - Lower case does not matter, because frameworks such as Flask take C(post) for C(POST).
  - HEAD counts as GET.
options:
  _input:
    description: The methods.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Show a directive
  ansible.builtin.debug:
    msg: Require expr {{ ['POST', 'PUT'] | campus.flask_sso.other_methods }}
"""

RETURN = r"""
_value:
  description: The expression, with quotation marks.
  type: str
"""

import re
from typing import Callable

from ansible.errors import AnsibleFilterError

METHOD = re.compile("[A-Z]+")


def other_methods(methods: list[str]) -> str:
    """Write the condition that a request has none of some methods.

    :param methods: The methods.
    :returns: The expression, with quotation marks.
    :raises AnsibleFilterError: if one is not a word in upper case.
    """
    names = sorted({*methods, "HEAD"} if "GET" in methods else set(methods))
    if not names or not all(METHOD.fullmatch(name) for name in names):
        raise AnsibleFilterError(f'{methods!r} are no methods. Write words in upper case, for example "POST".')
    return f'"%{{THE_REQUEST}} !~ /^({"|".join(names)}) /i"'


class FilterModule:
    """The filter that Ansible loads."""

    def filters(self) -> dict[str, Callable[..., str]]:
        """Return the filter by its name."""
        return {"other_methods": other_methods}
