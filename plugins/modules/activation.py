#!/usr/bin/python
# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Activate the files that were staged for a service, or roll them back."""

from __future__ import annotations

DOCUMENTATION = r"""
module: activation
short_description: Activate the staged files of a service, or roll them back
version_added: 0.1.0
description:
  - Makes O(unit) run with everything that M(campus.flask_sso.staged_files) has staged for the service, and starts and
    enables it where it does not run. It is for a handler.
  - Writes O(files), if there are any, for processes that load them as soon as they change, and so would load them too
    early if they were staged.
  - If the unit cannot run, everything that O(site) has staged is rolled back, for all services, and the unit
    runs with the previous files. If it does not, what interrupted runs of other sites have staged for this service is
    rolled back, too, so that the unit has the files that it last ran with. The task fails with the log of the unit.
  - Once the service runs, nothing of what was staged for it is rolled back any more, for any site.
  - The files of an application's O(release) are then recorded with it, so that it can run again as it did.
author: campus.flask_sso contributors (!UNKNOWN)
extends_documentation_fragment:
  - campus.flask_sso.staging
  - campus.flask_sso.staging.files
options:
  unit:
    description:
      - The systemd unit that is activated. Required unless O(files) are what is activated, or a release that has run
        before. An empty list of O(files) is for a service that was stopped and removed.
    type: str
  action:
    description:
      - How O(unit) loads its new files; V(restart) if not given. A V(reload) is always done, as it may be for the sake
        of another service, whose files the unit reads.
    type: str
    choices: [reload, restart]
  sockets:
    description: Socket units that belong to O(unit). They stay open while it restarts, unless their own files changed.
    type: list
    elements: str
  standby:
    description:
      - Unit that serves on the same O(sockets) while a running O(unit) is restarted. It starts first, with the new
        files, so that the old processes can finish their requests while others are served. If it cannot start, O(unit)
        is not restarted.
    type: str
  probe:
    description:
      - A page that the files serve. If it is answered before they are activated, and afterwards not, or with a server
        error (500 or above), the files are rolled back as if the unit could not run with them.
    type: dict
    suboptions:
      url:
        description:
          - Address of the page, with the site's name; the loopback address is used. If empty, no page is requested.
        type: str
        required: true
      socket:
        description:
          - Unix socket of the application's server, which is asked directly instead of the web server. Before
            it exists, or where this is empty, the web server is asked.
        type: path
      protocol:
        description: Protocol of the server at O(probe.socket).
        type: str
        choices: [uwsgi, http]
  release:
    description:
      - The application's release that the files are for. Its record can be read by root only.
      - Without O(release.path), it is one that has run before. Its recorded files are written and activated, with the
        O(unit), O(sockets), O(standby) and O(probe) of that time.
    type: dict
    suboptions:
      directory:
        description: Directory of the records.
        type: path
        required: true
      id:
        description: Name of the release.
        type: str
        required: true
      path:
        description: Directory of the release.
        type: path
      settings:
        description: Paths of the files and links that belong to the release. Required with O(release.path).
        type: list
        elements: path
      interface:
        description: What M(campus.flask_sso.release_info) compares before a rollback, by name.
        type: dict
        default: {}
      note:
        description: What the release says about its source.
        type: str
        default: ""
attributes:
  check_mode:
    description: Reports what would be activated.
    support: full
  diff_mode:
    description: Shows O(files) before and after.
    support: full
"""

EXAMPLES = r"""
- name: Reload httpd with everything that was staged
  campus.flask_sso.activation:
    name: httpd
    site: example
    unit: apache2.service
    action: reload

- name: Restart the application with its new release, or keep the previous one
  campus.flask_sso.activation:
    name: example
    site: example
    unit: example.service
    sockets: [example.socket]
    standby: example-standby.service
    probe:
      url: https://example.org/
      socket: /run/example.sock
      protocol: uwsgi

- name: Activate an earlier release, as it was
  campus.flask_sso.activation:
    name: example
    site: example
    release:
      directory: /etc/example/releases
      id: 0b5e41c1a9d2
"""

RETURN = r"""
changed_paths:
  description: Files that the service runs with now, of this run and of interrupted ones.
  returned: always
  type: list
  elements: str
"""

import os
from http.client import HTTPException
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.campus.flask_sso.plugins.module_utils.own_site import ask, ask_server
from ansible_collections.campus.flask_sso.plugins.module_utils.releases import Release, Releases
from ansible_collections.campus.flask_sso.plugins.module_utils.staging import FILES_OPTION, SITE_OPTIONS, Staging

PROBE_SECONDS = 600  # httpd, or the server of the application, gives up before
SERVICE = ("unit", "sockets", "standby", "probe")  # options that are recorded with a release
VERBS = {"reload": "reload-or-restart", "restart": "restart", "start": "start"}


def complaint(probe: dict[str, Any]) -> str:
    """Request a page from this host.

    :param probe: The module's option.
    :returns: A server error, or the reason why there is no response; empty for any other response.
    """
    try:
        if probe["socket"] and os.path.exists(probe["socket"]):
            answer = ask_server(probe["socket"], probe["protocol"], probe["url"], PROBE_SECONDS)
        else:
            answer = ask(probe["url"], PROBE_SECONDS)
        with answer:
            return f"{answer.status} {answer.reason}" if answer.status >= 500 else ""
    except (OSError, HTTPException, ValueError) as error:
        return str(error) or type(error).__name__


class Activation:
    """One call of the module.

    :param module: The module, with its parameters.
    """

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.staging = Staging(module)
        self.systemd = self.staging.systemd
        self.release: dict[str, Any] | None = module.params["release"]
        service = {option: module.params[option] for option in SERVICE}
        if self.release and not self.release["path"]:
            earlier = self._earlier(self.release)
            self.staging.kept, service = earlier.files, earlier.service
        self.service = service
        self.unit: str = service["unit"] or ""
        self.sockets: list[str] = service["sockets"] or []
        self.standby: str = service["standby"] or ""
        self.probe: dict[str, Any] = service["probe"] or {"url": ""}
        self.units = [unit for unit in (self.unit, self.standby) if unit]
        self.untouched = False  # whether the unit runs on, as its standby could not start

    def _earlier(self, release: dict[str, Any]) -> Release:
        """Return a release that has run before, or end the module."""
        known = Releases(release["directory"]).known
        if release["id"] not in known:
            self.module.fail_json(msg=f"{release['directory']} has no record of {release['id']}.", changed_paths=[])
        return known[release["id"]]

    def _record(self, release: dict[str, Any]) -> None:
        """Record that the unit runs with a release. Until that is done, the journal has the next run do it again."""
        releases = Releases(release["directory"])
        if release["path"]:
            fields = {name: release[name] for name in ("id", "path", "note", "interface")}
            releases.record_deployment(Release(**fields, service=self.service), release["settings"])
        else:
            releases.record_activation(releases.known[release["id"]])

    def _is_kept(self) -> bool:
        """Return whether the unit runs, or is started by its sockets, and will after the next boot."""
        return all(self.systemd.keeps(unit) for unit in self.sockets or [self.unit] if unit)

    def _apply(self, action: str, changed_paths: list[str], back: bool = False) -> bool:
        """Make the unit run with the files on disk; return whether it does. A rollback lets nothing new run."""
        does = self.systemd.does
        does("daemon-reload")
        if not self.unit:
            return True
        does("reset-failed", self.unit, *self.sockets)  # or earlier failures count against this start
        if {os.path.basename(path) for path in changed_paths}.intersection(self.sockets):
            does("stop", self.unit, *self.sockets)
        if not all(does("enable", "--now", socket) for socket in self.sockets):
            return False
        bridged = bool(self.standby) and action == "restart" and self.systemd.is_active(self.unit)
        if bridged and not does("restart", self.standby):
            does("stop", self.standby)
            if not back:
                self.untouched = True
                return False
            bridged = False
        runs = does("enable", self.unit) and does(VERBS[action], self.unit) and self.systemd.is_active(self.unit)
        if bridged:
            does("stop", "--no-block", self.standby)  # it finishes its requests in its own time
        return runs

    def run(self) -> dict[str, Any]:
        """Make the unit run with the staged files, or roll back and end the module.

        :returns: What the module returns.
        """
        answered = bool(self.probe["url"]) and not complaint(self.probe)
        changed_paths = sorted({*self.staging.stage(), *self.staging.journal.paths()})
        action = self.module.params["action"] or "restart"
        if action == "restart" and not changed_paths:
            action = "start"
        wanted = action != "start" or not self._is_kept()
        if self.module.check_mode or not wanted:
            return {"changed": wanted, "changed_paths": changed_paths}
        problem = ""
        if not self._apply(action, changed_paths):
            problem = f"Its log:\n{self.systemd.last_words(self.units)}"
        elif answered and (said := complaint(self.probe)):
            problem = f"The request of {self.probe['url']} failed:\n{said}\n" + (
                f"Its log:\n{self.systemd.last_words(self.units)}"
                if self.unit
                else "The web server's error log has the reason."
            )
        if problem:
            self._fall_back(changed_paths, problem)  # which ends the module
        if self.release:
            try:
                self._record(self.release)
            except OSError as error:
                message = f"Release {self.release['id']} runs, but it could not be recorded: {error}."
                self.module.fail_json(msg=f"{message} Run the playbook again.", changed_paths=[])
        self.staging.settle()
        return {"changed": True, "changed_paths": changed_paths}

    def _fall_back(self, changed_paths: list[str], problem: str) -> None:
        """Make the unit run with the previous files, those of the own site first, and end the module."""
        own = self.staging.journal.paths(self.staging.site)
        self.staging.roll_back()
        others = self.staging.journal.sites()
        replaced = "so they were rolled back to the previous ones"
        # If no file was rolled back, another start would only stop processes that may still run.
        runs = self.untouched or (bool(own) and self._apply("restart", changed_paths, back=True))
        if not runs and others:
            replaced += f", also those that were staged for {' and '.join(others)}"
            self.staging.journal.roll_back()
            runs = self._apply("restart", changed_paths, back=True)
        if runs and not self.untouched:
            self.staging.settle()  # what is left there of other sites runs now
        if runs:
            outcome = "it runs with those"
        elif self.systemd.does("cat", self.unit):
            outcome = "it does not run with those either"
        else:
            self.systemd.does("stop", *self.units, *self.sockets)
            outcome = "it was removed, as it did not exist before"
        service = self.unit or self.staging.name
        if changed_paths:
            message = f"{service} could not run with its new files, {replaced}, and {outcome}. {problem}"
        else:
            message = f"{service} could not run, and none of its files is new. {problem}"
        self.module.fail_json(msg=message, changed_paths=[])


def main() -> None:
    """Run the module."""
    probe_options = {
        "url": {"type": "str", "required": True},
        "socket": {"type": "path"},
        "protocol": {"type": "str", "choices": ["uwsgi", "http"]},
    }
    release_options = {
        "directory": {"type": "path", "required": True},
        "id": {"type": "str", "required": True},
        "path": {"type": "path"},
        "settings": {"type": "list", "elements": "path"},
        "interface": {"type": "dict", "default": {}},
        "note": {"type": "str", "default": ""},
    }
    module = AnsibleModule(
        argument_spec={
            **SITE_OPTIONS,
            "name": {"type": "str", "required": True},
            "files": FILES_OPTION,
            "unit": {"type": "str"},
            "action": {"type": "str", "choices": ["reload", "restart"]},
            "sockets": {"type": "list", "elements": "str"},
            "standby": {"type": "str"},
            "probe": {"type": "dict", "options": probe_options, "required_together": [["socket", "protocol"]]},
            "release": {"type": "dict", "options": release_options, "required_together": [["path", "settings"]]},
        },
        required_one_of=[["unit", "files", "release"]],
        required_by={"action": ["unit"], "sockets": ["unit"], "standby": ["unit", "sockets"]},
        supports_check_mode=True,
    )
    activation = Activation(module)
    result = activation.run()
    module.exit_json(diff=activation.staging.diff, **result)


if __name__ == "__main__":
    main()
