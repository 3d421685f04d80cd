#!/usr/bin/env python3
# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep each role's README and defaults in step with its argument specification, the one home of prose about variables.

Without arguments, write the tables of every README, in docs/variables.md that of the variables that roles share, and in
docs/architecture.md that of the plugins.
With --check, write nothing and fail where they differ. Either way, fail where an argument specification, the role's
defaults and its entry points disagree.

A template is the default of options that are a str, path or raw. An option of another type has its template in the
defaults alone, and says it in words: antsibull-docs and ansible-doc take no template for a number.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- begin: made by tools/role_docs.py -->", "<!-- end -->"

#: By directory of plugins, what it has, and how roles and playbooks use one.
PLUGINS = {
    "modules": ("module", r"^ +(?:- )?campus\.flask_sso\.{}:"),
    "lookup": ("lookup", r"'campus\.flask_sso\.{}'"),
    "filter": ("filter", r"(?:\| *|')campus\.flask_sso\.{}\b"),
}
#: A group of the inventory is none.
SHARED = re.compile(r"(?<!groups\[')\bflask_sso_[a-z]\w*")
#: The option that describes a variable of several options, where they say different things about it.
DESCRIBED_BY = {
    "flask_sso_beside": "apache_ssl_beside",
    "flask_sso_maintenance": "flask_app_maintenance",
    "flask_sso_path_prefix": "flask_app_path_prefix",
    "flask_sso_ready_path": "flask_app_ready_path",
    "flask_sso_remove_data": "flask_app_remove_data",
    "flask_sso_server_name": "apache_ssl_server_name",
    "flask_sso_site": "apache_ssl_site",
    "flask_sso_support_contact": "saml_sp_support_contact",
    "flask_sso_uwsgi_version": "flask_app_uwsgi_version",
}


def load(path: Path) -> dict:
    """Read a YAML file.

    :param path: The file; it may be missing.
    :returns: Its content, empty for a missing file.
    """
    return yaml.safe_load(path.read_text("utf-8")) or {} if path.exists() else {}


def calls() -> tuple[set[str], list[str]]:
    """Find which entry points the collection calls by tasks_from.

    :returns: Names of entry points, of whichever role; and what is wrong with a call, one sentence each.
    """
    names, wrong = set(), []
    for path in (path for folder in ("molecule", "playbooks", "roles") for path in (ROOT / folder).rglob("*.yml")):
        for name in re.findall(r"tasks_from: (\S+)", path.read_text("utf-8")):
            names.add(name.removesuffix(".yml"))
            if name.endswith(".yml"):
                wrong.append(f"{path.relative_to(ROOT)}: Ansible checks no arguments for {name}; leave out the suffix")
    return names, wrong


def is_worded(kind: str, default: object) -> bool:
    """Return whether an option's default is said in words, as it is a template that is not of the option's type.

    :param kind: Type of the option.
    :param default: What the role's defaults have for it.
    """
    return isinstance(default, str) and "{{" in default and kind not in ("path", "raw", "str")


def disagreements(role: Path, specs: dict, called: set[str]) -> list[str]:
    """Compare an argument specification with the role's entry points and defaults.

    :param role: Directory of the role.
    :param specs: Its entry points with their specifications.
    :param called: Names that are entry points of any role that has such tasks.
    :returns: What is wrong, one sentence each.
    """
    defaults = load(role / "defaults/main.yml")
    options = {name: option for spec in specs.values() for name, option in spec["options"].items()}
    files = {path.stem for path in (role / "tasks").glob("*.yml")}
    wrong = [f"entry point {name} has no specification" for name in sorted(files & {"main", *called} - set(specs))]
    wrong += [f"entry point {name} is specified, but has no tasks" for name in sorted(set(specs) - files)]
    wrong += [f"{name} has a default, but no specification" for name in defaults if name not in options]
    optional = [name for name, option in options.items() if not option.get("required")]
    wrong += [f"{name} is specified, but has no default" for name in optional if name not in defaults]
    if sorted(defaults) == sorted(optional) and list(defaults) != optional:
        wrong.append("defaults/main.yml has another order than meta/argument_specs.yml")
    for entry, spec in specs.items():
        wrong += [
            f"entry point {entry} has no {key}" for key in sorted({"short_description", "description"} - set(spec))
        ]
        for name, option in spec["options"].items():
            wrong += [f"{name} has no {key} in {entry}" for key in ("type", "description") if key not in option]
            given, default = json.dumps(option.get("default")), json.dumps(defaults.get(name))
            if is_worded(option.get("type"), defaults.get(name)):
                default = "null"
            if name in defaults and given != default:
                wrong.append(f"{name} is {default} in the defaults and {given} in the specification of {entry}")
    return [f"{role.name}: {sentence}" for sentence in wrong]


def table(*lines: tuple[str, ...]) -> str:
    """Write a Markdown table.

    :param lines: Its lines, the heading first; cells may hold Ansible's markup and line breaks.
    :returns: The table.
    """
    head, *body = lines
    cells = [[cell(text) for text in line] for line in body]
    return "\n".join(f"| {' | '.join(line)} |" for line in [head, ["---"] * len(head), *cells])


def cell(text: str) -> str:
    """Write what a cell of a table holds: on one line, and without Ansible's markup.

    :param text: Markdown with Ansible's markup.
    :returns: Markdown.
    """
    return re.sub(r"\b[CV]\((.*?)\)", r"`\1`", " ".join(text.split())).replace("|", r"\|")


def prose(description: str | list[str]) -> str:
    """Join what ansible-doc shows as paragraphs.

    :param description: The description of an option.
    :returns: It as one string.
    """
    return description if isinstance(description, str) else " ".join(description)


def variables(options: dict, defaults: dict, parent: str = "") -> list[tuple[str, ...]]:
    """Describe options, each followed by its suboptions.

    :param options: Options of an argument specification.
    :param defaults: What they are by default; suboptions say that themselves.
    :param parent: What stands before their names.
    :returns: Lines of a table.
    """
    lines = []
    for name, option in options.items():
        kind = f"{option['type']} of {option['elements']}" if "elements" in option else option["type"]
        default = defaults.get(name, option.get("default"))
        text = default.strip() if default and isinstance(default, str) else json.dumps(default)
        shown = "required" if option.get("required") else f"`{text}`"
        lines.append((f"`{parent}{name}`", kind, shown, prose(option["description"])))
        suffix = "[]." if option["type"] == "list" else "."
        lines += variables(option.get("options", {}), {}, f"{parent}{name}{suffix}")
    return lines


def reference(specs: dict, defaults: dict) -> str:
    """Write the generated part of a README.

    :param specs: Entry points of a role with their specifications.
    :param defaults: The role's defaults.
    :returns: Markdown, between its markers.
    """
    options = {name: option for spec in specs.values() for name, option in spec["options"].items()}
    entries = []
    for entry, spec in specs.items():
        entries.append((f"`{entry}`", f"{spec['short_description']}.", which(spec["options"], options)))
    parts = ["## Entry points", table(("Entry point", "What it does", "Variables"), *entries)]
    if options:
        heading = ("Variable", "Type", "Default", "Meaning")
        parts += ["## Variables", table(heading, *variables(options, defaults))]
    return "\n\n".join([BEGIN, *parts, END])


def which(read: dict, options: dict) -> str:
    """Say which variables an entry point reads, in the shorter of two ways.

    :param read: Options of the entry point.
    :param options: Options of all entry points.
    :returns: Markdown.
    """
    absent = [name for name in options if name not in read]
    if not read:
        return "none"
    if not absent:
        return "all"
    named = ", ".join(f"`{name}`" for name in (absent if len(absent) < len(read) else read))
    return f"all but {named}" if len(absent) < len(read) else named


def shared(roles: dict[Path, dict], text: str) -> tuple[str, list[str]]:
    """Write the table of variables that are, or are part of, the default of roles' own.

    :param roles: Entry points of each role with their specifications.
    :param text: The page; what its hand-written part describes is not described again.
    :returns: Markdown, between its markers; and what is wrong, one sentence each.
    """
    found: dict[str, dict[str, str]] = {}
    links = {}
    for role, specs in roles.items():
        options = {name: option for spec in specs.values() for name, option in spec["options"].items()}
        for name, default in load(role / "defaults/main.yml").items():
            links[name] = f"[`{name}`](../roles/{role.name}/README.md)"
            for variable in SHARED.findall(json.dumps(default)):
                found.setdefault(variable, {})[name] = prose(options[name]["description"])
    lines, wrong = [], []
    by_hand = text.partition(BEGIN)[0]
    for variable, users in sorted(found.items()):
        home = DESCRIBED_BY.get(variable)
        if f"\n| `{variable}` |" in by_hand:
            meaning = "See above."
        elif home in users or len(set(users.values())) == 1:
            meaning = users.get(home, next(iter(users.values())))
        else:
            meaning = ""
            wrong.append(
                f"{variable} is described by {', '.join(users)}; name one in DESCRIBED_BY (tools/role_docs.py)"
            )
        lines.append((f"`{variable}`", ", ".join(links[name] for name in users), meaning))
    wrong += [
        f"DESCRIBED_BY (tools/role_docs.py) names {home}, whose default has no {variable}"
        for variable, home in DESCRIBED_BY.items()
        if home not in found.get(variable, {})
    ]
    return "\n\n".join([BEGIN, table(("Variable", "Default of", "Meaning"), *lines), END]), wrong


def plugins() -> tuple[str, list[str]]:
    """Write the table of modules, lookups and filters.

    :returns: Markdown, between its markers; and what is wrong, one sentence each.
    """
    readers = {path.name: path for path in sorted(ROOT.glob("roles/*"))} | {"playbooks": ROOT / "playbooks"}
    texts = {
        name: "\n".join(path.read_text("utf-8") for path in sorted(place.rglob("*")) if path.suffix in (".yml", ".j2"))
        for name, place in readers.items()
    }
    lines, wrong = [], []
    for directory, (kind, form) in PLUGINS.items():
        for path in sorted((ROOT / "plugins" / directory).glob("*.py")):
            use = re.compile(form.format(path.stem), re.MULTILINE)
            users = [name for name, text in texts.items() if use.search(text)]
            if not users:
                wrong.append(f"{path.relative_to(ROOT)} is used by no role and no playbook")
            description = re.search(r"^short_description: (.*)$", path.read_text("utf-8"), re.MULTILINE)[1]
            lines.append((f"`{path.stem}`", kind, prose(description), ", ".join(users)))
    return "\n\n".join([BEGIN, table(("Plugin", "Kind", "What it does", "Used by"), *lines), END]), wrong


def rewritten(path: Path, fresh: str, check: bool) -> list[str]:
    """Put what is generated between the markers of a file.

    :param path: The file; it may be missing.
    :param fresh: Markdown, between its markers.
    :param check: Whether to write nothing.
    :returns: What is wrong, one sentence each.
    """
    name = path.relative_to(ROOT)
    text = path.read_text("utf-8") if path.exists() else ""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        return [f"{name} lacks the markers that its tables go between"]
    if before + fresh + after == text:
        return []
    if check:
        return [f"{name} is not what tools/role_docs.py makes; run it"]
    path.write_text(before + fresh + after, "utf-8")
    return []


def main() -> int:
    """Run the tool.

    :returns: Exit status: 0 when nothing is wrong.
    """
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a README would change")
    check = parser.parse_args().check
    called, wrong = calls()
    roles = {
        role: load(role / "meta/argument_specs.yml").get("argument_specs", {})
        for role in sorted(path.parent for path in ROOT.glob("roles/*/tasks"))
    }
    wrong += [sentence for role, specs in roles.items() for sentence in disagreements(role, specs, called)]
    if not wrong:
        for role, specs in roles.items():
            wrong += rewritten(role / "README.md", reference(specs, load(role / "defaults/main.yml")), check)
        page = ROOT / "docs/variables.md"
        fresh, faults = shared(roles, page.read_text("utf-8"))
        wrong += faults or rewritten(page, fresh, check)
        fresh, faults = plugins()
        wrong += faults or rewritten(ROOT / "docs/architecture.md", fresh, check)
    print(*wrong, sep="\n", end="\n" if wrong else "")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
