#!/usr/bin/env python3
# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write docs/doctor.md from the checks of the doctor; with --check, write nothing and fail where it differs."""

from __future__ import annotations

import sys
from itertools import groupby
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/doctor.md"
HEAD = """<!-- SPDX-FileCopyrightText: campus.flask_sso contributors -->
<!-- SPDX-License-Identifier: GPL-3.0-or-later -->
<!-- Made from plugins/module_utils/doctor/checks/ by tools/doctor_docs.py. -->

# The doctor

Something does not work, and five programs could be at fault. The doctor looks at all of them, changes nothing, and
says which one it is:

```console
ansible-playbook -i inventories/mine/hosts.yml playbooks/doctor.yml    # from the controller
flask-sso-doctor                                                       # on the host, where site.yml has left it
flask-sso-doctor login --since 10m                                     # a user could not log in: why
```

It does not matter who deployed the host. Each check has a code that stays the same, and reports one of these:

| | |
| --- | --- |
| error | Visitors are kept out. |
| warning | Some visitors are, or all will be. |
| note | It may be intended. |
| skipped | It was not looked at, as it does not apply, this account may not, or another fault would explain it. |
| ok | Nothing is wrong with it. |

Keys, cookies, tokens and the values of attributes are never shown. Begin with the first fault; the others may be gone
after it.
"""


def page() -> str:
    """Write the page.

    :returns: Its text.
    """
    sys.path.insert(0, str(ROOT / "plugins/module_utils"))
    from doctor import checks  # noqa: PLC0415 (it is found only now)

    parts = [HEAD]
    found = sorted(checks.CHECKS.values(), key=lambda check: check.code)
    for topic, group in groupby(found, key=lambda check: check.topic):
        title = getattr(checks, topic).__doc__.rpartition(" (")[0]
        parts.append(f"## {title}\n")
        for check in group:
            explained = f"\n\nNot looked at after a fault of {', '.join(check.after)}." if check.after else ""
            parts.append(
                f'### <a id="{check.code.lower()}"></a>{check.code}: {check.title}\n\n'
                f"If not: {check.cause}\n\n**What to do:** {check.remedy}{explained}\n"
            )
    return "\n".join(parts)


def main(check: bool) -> int:
    """Write or compare the page.

    :param check: Whether only to compare.
    :returns: The exit code.
    """
    if not check:
        PAGE.write_text(page(), "utf-8")
    elif not PAGE.exists() or PAGE.read_text("utf-8") != page():
        print("docs/doctor.md differs from the checks of the doctor; run python tools/doctor_docs.py")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
