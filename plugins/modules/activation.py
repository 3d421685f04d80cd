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
  - The files of an application's O(release) are recorded with it, so that it can run again as it did. If there is no
    room for the record, the files are rolled back before the unit is touched.
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
        of another service, whose files the unit reads. A drop-in of O(unit) that is new, changed or gone needs a
        V(restart), which is then done.
    type: str
    choices: [reload, restart]
  restart_for:
    description:
      - Shell patterns of absolute paths. If one of the new files matches, O(unit) is restarted, even with
        O(action=reload). A file that is gone is none.
    type: list
    elements: str
    default: []
  address:
    description:
      - Address of a site that O(unit) serves. If it does so before the files are activated, and afterwards only listens
        there, it is reloaded once more. A module that httpd has not loaded since its start may take its first pass over
        the configuration for the test that httpd does when it starts, as mod_auth_openidc does, whose processes then
        crash. If that does not help, the files are rolled back as if the unit could not run with them.
      - If empty, nothing connects.
    type: str
  shibd:
    description:
      - For a O(unit) that is shibd. A V(reload) then waits until shibd has loaded its files, and keeps sessions and
        pending logins. If its log reports faults, the files are rolled back as if the unit could not run with them. If
        the log does not tell, or another listener, storage or session cache, for example, needs it, shibd is restarted;
        in the first case, the task warns.
    type: dict
    suboptions:
      directory:
        description: Its configuration directory.
        type: path
        default: /etc/shibboleth
      application:
        description: Name of the site's application.
        type: str
        default: default
      log:
        description: Its log, with messages of the level INFO.
        type: path
        default: /var/log/shibboleth/shibd.log
      runtime_directory:
        description: Directory of its socket.
        type: path
        default: /run/shibboleth
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
  companions:
    description:
      - Further units of the same release, such as workers and timers. What enables them, a link in a directory
        C(*.wants), is among the staged files. Once O(unit) runs, they are restarted, and those whose files are gone are
        stopped. If one of them does not stay up, the files are rolled back as if O(unit) could not run with them.
    type: list
    elements: str
  before:
    description:
      - Commands that run before anything is activated, in this order. If one fails, everything that O(site) has staged
        is rolled back, and O(unit) is not touched. They do not run if nothing was staged.
    type: list
    elements: dict
    suboptions: &command
      argv:
        description: The command and its arguments.
        type: list
        elements: str
        required: true
      title:
        description: Name of the command in messages.
        type: str
        required: true
  after:
    description:
      - Commands that run when the service runs with the new files. If one fails, the task fails, too, but the service
        goes on running with them.
    type: list
    elements: dict
    suboptions: *command
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
        O(unit), O(sockets), O(standby), O(companions) and O(probe) of that time. Files that only the current release
        has are removed.
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
      link:
        description:
          - Link that leads to O(release.path) once the files are staged. If it leads to another place, another run has
            staged or activated that meanwhile, and the task fails.
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

- name: Have shibd load everything that was staged, without an end of its sessions
  campus.flask_sso.activation:
    name: shibd
    site: example
    unit: shibd.service
    action: reload
    shibd: {}

- name: Restart the application with its new release, or keep the previous one
  campus.flask_sso.activation:
    name: example
    site: example
    unit: example.service
    sockets: [example.socket]
    standby: example-standby.service
    companions: [example-worker-mail.service, example-timer-cleanup.timer]
    before:
      - argv: [/usr/local/sbin/example-run, flask, db, upgrade]
        title: flask db upgrade
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
import time
from fnmatch import fnmatch
from http.client import HTTPException
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.campus.flask_sso.plugins.module_utils.only_run import only_run
from ansible_collections.campus.flask_sso.plugins.module_utils.own_site import ask, ask_server, connection_state
from ansible_collections.campus.flask_sso.plugins.module_utils.releases import Release, Releases
from ansible_collections.campus.flask_sso.plugins.module_utils.shibd import Shibd, UnknownError
from ansible_collections.campus.flask_sso.plugins.module_utils.snapshot import snapshot
from ansible_collections.campus.flask_sso.plugins.module_utils.staging import FILES_OPTION, SITE_OPTIONS, Staging

PROBE_SECONDS = 600  # httpd, or the server of the application, gives up before
SERVICE = ("unit", "sockets", "standby", "companions", "probe")  # options that are recorded with a release
SETTLING_SECONDS = 3  # a companion that fails at its start has done so by then
HANDOVER_SECONDS = 0.5  # after a reload, the earlier processes take no connection any more
CONNECTION_SECONDS = 3
LONG_CONNECTION_SECONDS = 30
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
            self.staging.kept, service = self._earlier(self.release)
        self.service = service
        self.unit: str = service["unit"] or ""
        self.sockets: list[str] = service["sockets"] or []
        self.standby: str = service["standby"] or ""
        self.companions: list[str] = service.get("companions") or []
        self.probe: dict[str, Any] = service["probe"] or {"url": ""}
        self.address: str = module.params["address"] or ""
        self.shibd = Shibd(**module.params["shibd"]) if module.params["shibd"] else None
        self.refused = ""  # what shibd said about files that it did not load
        self.units = [unit for unit in (self.unit, self.standby) if unit]
        self.untouched = False  # whether the unit runs on, as its standby could not start

    def _earlier(self, release: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the files and the service of a release that has run before, or end the module."""
        releases = Releases(release["directory"])
        if release["id"] not in releases.known:
            self.module.fail_json(msg=f"{release['directory']} has no record of {release['id']}.", changed_paths=[])
        earlier = releases.known[release["id"]]
        newer = releases.current.files if releases.current else {}
        return {path: {"kind": "absent"} for path in newer} | earlier.files, earlier.service

    def _problem(self, action: str, changed_paths: list[str], answered: bool) -> str:
        """Activate the files; return what is wrong then, or nothing. The probe may have been answered before."""
        served = bool(self.address) and connection_state(self.address, CONNECTION_SECONDS) == "served"
        if not self._apply(action, changed_paths):
            return f"Its log:\n{self._words()}"
        if served and self._is_silent(action):
            return f"It takes no connections at {self.address}. Its log:\n{self.systemd.last_words(self.units)}"
        if answered and (said := complaint(self.probe)):
            return f"The request of {self.probe['url']} failed:\n{said}\n" + (
                f"Its log:\n{self._words()}" if self.unit else "The web server's error log has the reason."
            )
        return ""

    def _is_silent(self, action: str) -> bool:
        """Return whether the unit listens, but serves no client after an action, not even after a second reload."""
        time.sleep(HANDOVER_SECONDS)
        if connection_state(self.address, CONNECTION_SECONDS) != "silent":
            return False  # where nothing listens, the site was removed, or has another port
        if action == "reload":
            self.systemd.does("reload", self.unit)
        return connection_state(self.address, LONG_CONNECTION_SECONDS) == "silent"

    def _prepare_record(self, wanted: dict[str, Any]) -> tuple[Releases, Release]:
        """Write the record that the unit runs with a release, which counts when it does, or roll back and end."""
        releases = Releases(wanted["directory"])
        fields = {name: wanted[name] for name in ("id", "path", "note", "interface")}
        release = Release(**fields, service=self.service) if wanted["path"] else releases.known[wanted["id"]]
        try:
            if wanted["path"]:
                releases.prepare_deployment(release, wanted["settings"])
            else:
                releases.prepare_activation(release)
        except OSError as error:
            self._leave(f"Release {wanted['id']} could not be recorded: {error}.")
        return releases, release

    def _leave(self, reason: str) -> None:
        """Roll back the files and end the module before the unit is touched."""
        self.staging.roll_back()
        message = f"{self.staging.name} was not touched, and its files were rolled back to the previous ones."
        self.module.fail_json(msg=f"{message} {reason}", changed_paths=[])

    def _require_release(self) -> None:
        """End the module if the link to the release leads to another one, so that other files would be activated."""
        release = self.release or {}
        found = os.path.realpath(release["link"]) if release.get("link") else ""
        if found and found != os.path.realpath(release["path"]):
            self.module.fail_json(
                msg=(
                    f"Another run has deployed {self.staging.name}, or rolled it back, since this one wrote its files:"
                    f" {release['link']} leads to {found}, not to {release['path']}. {self.staging.name} was not"
                    " touched. Run the playbook again, one run at a time."
                ),
                changed_paths=[],
            )

    def _is_kept(self) -> bool:
        """Return whether the unit runs, or is started by its sockets, and will after the next boot."""
        return all(self.systemd.keeps(unit) for unit in [*(self.sockets or [self.unit]), *self.companions] if unit)

    def _failed_command(self, commands: list[dict[str, Any]] | None) -> str:
        """Run commands until one fails; return its name and what it printed, or nothing."""
        for command in commands or []:
            code, out, err = self.module.run_command(command["argv"])
            if code:
                said = "\n".join((out + err).strip().splitlines()[-50:])
                return f"{command['title']} failed ({code}):\n{said or 'It has printed nothing.'}"
        return ""

    def _apply_companions(self, action: str, changed_paths: list[str]) -> bool:
        """Restart the companions and stop those whose files are gone; return whether the others run."""
        does = self.systemd.does
        links = {os.path.basename(path): path for path in changed_paths if os.path.dirname(path).endswith(".wants")}
        gone = sorted(unit for unit, link in links.items() if not os.path.lexists(link))
        present = sorted({*links, *self.companions}.difference(gone))
        if gone:
            does("stop", *gone)
        if not present:
            return True
        does("reset-failed", *present)
        if not does(VERBS[action], *present):
            return False
        if any(unit.endswith(".service") for unit in present):
            time.sleep(SETTLING_SECONDS)
        return all(self.systemd.is_active(unit) for unit in present)

    def _apply(self, action: str, changed_paths: list[str], back: bool = False) -> bool:
        """Make the unit run with the files on disk; return whether it does. A rollback lets nothing new run."""
        does = self.systemd.does
        does("daemon-reload")
        if not self.unit:
            return self._apply_companions(action, changed_paths)
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
        runs = does("enable", self.unit) and self._loads(action, back) and self.systemd.is_active(self.unit)
        if bridged:
            does("stop", "--no-block", self.standby)  # it finishes its requests in its own time
        return runs and self._apply_companions(action, changed_paths)

    def _loads(self, action: str, back: bool) -> bool:
        """Have the unit load its files; return whether it did. After a rollback, shibd loads them in any case."""
        if self.shibd and action == "reload" and self.systemd.is_active(self.unit):
            action = "restart"
            try:
                faults = self.shibd.reload(back)
                if not faults:
                    return True
                self.refused = self.refused or faults
                if not back:
                    return False
            except UnknownError as error:
                self.module.warn(f"{self.unit} was restarted, which ends its sessions: {error}.")
        return self.systemd.does(VERBS[action], self.unit)

    def _words(self) -> str:
        """Return what the log says about the failure of the service."""
        return self.refused or self.systemd.last_words(self.units + self.companions)

    def _before(self, path: str) -> dict[str, Any]:
        """Return what was at a path when the service last loaded it."""
        changes = self.staging.journal.changes.get(path)
        return changes[0]["before"] if changes else snapshot(path)

    def _action(self, changed_paths: list[str]) -> str:
        """Return how the unit loads its new files; drop-ins take effect when it starts, and so does their removal."""
        drop_ins = f"{self.unit}.d"
        if any(os.path.basename(os.path.dirname(path)) == drop_ins for path in changed_paths):
            return "restart"
        for pattern in self.module.params["restart_for"]:
            if any(fnmatch(path, pattern) and os.path.exists(path) for path in changed_paths):
                return "restart"
        if self.shibd and any(
            self.shibd.needs_start(path, self._before(path), snapshot(path)) for path in changed_paths
        ):
            return "restart"
        return self.module.params["action"] or "restart"

    def run(self) -> dict[str, Any]:
        """Make the unit run with the staged files, or roll back and end the module.

        :returns: What the module returns.
        """
        if not self.module.check_mode:
            self._require_release()
        answered = bool(self.probe["url"]) and not complaint(self.probe)
        staged = self.staging.journal.paths()
        if staged and not self.module.check_mode and (failed := self._failed_command(self.module.params["before"])):
            self._leave(failed)
        changed_paths = sorted({*self.staging.stage(), *staged})
        action = self._action(changed_paths)
        if not changed_paths and (action == "restart" or self.shibd):
            action = "start"
        wanted = action != "start" or not self._is_kept()
        if self.module.check_mode or not wanted:
            return {"changed": wanted, "changed_paths": changed_paths}
        record = self._prepare_record(self.release) if self.release else None
        if problem := self._problem(action, changed_paths, answered):
            if record:
                record[0].discard(record[1])
            self._fall_back(action, changed_paths, problem)  # which ends the module
        # Without a unit, nothing has loaded what other sites have staged.
        self.staging.settle(None if self.unit else self.staging.site)
        if record:
            try:
                record[0].record(record[1])
            except OSError as error:
                message = f"Release {record[1].id} runs, but it could not be recorded: {error}."
                self.module.fail_json(msg=message, changed_paths=changed_paths)
        if staged and (failed := self._failed_command(self.module.params["after"])):
            message = f"{self.staging.name} runs with its new files, but what has to follow did not succeed."
            self.module.fail_json(msg=f"{message} {failed}", changed_paths=changed_paths)
        return {"changed": True, "changed_paths": changed_paths}

    def _fall_back(self, action: str, changed_paths: list[str], problem: str) -> None:
        """Make the unit run with the previous files, those of the own site first, and end the module."""
        own = self.staging.journal.paths(self.staging.site)
        self.staging.roll_back()
        others = self.staging.journal.sites()
        replaced = "so they were rolled back to the previous ones"
        way_back = action if self.shibd else "restart"
        # If no file was rolled back, another start would only stop processes that may still run.
        runs = self.untouched or (bool(own) and self._apply(way_back, changed_paths, back=True))
        if not runs and others:
            replaced += f", also those that were staged for {' and '.join(others)}"
            self.staging.journal.roll_back()
            runs = self._apply("restart", changed_paths, back=True)
        if runs and not self.untouched:
            self.staging.settle()  # what is left there of other sites runs now
        if runs:
            outcome = "it runs with those"
        elif not self.unit or self.systemd.does("cat", self.unit):
            outcome = "it does not run with those either"
        else:
            self.systemd.does("stop", *self.units, *self.sockets)
            self._apply_companions("restart", changed_paths)
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
    command_options = {
        "argv": {"type": "list", "elements": "str", "required": True},
        "title": {"type": "str", "required": True},
    }
    release_options = {
        "directory": {"type": "path", "required": True},
        "id": {"type": "str", "required": True},
        "path": {"type": "path"},
        "link": {"type": "path"},
        "settings": {"type": "list", "elements": "path"},
        "interface": {"type": "dict", "default": {}},
        "note": {"type": "str", "default": ""},
    }
    shibd_options = {
        "directory": {"type": "path", "default": "/etc/shibboleth"},
        "application": {"type": "str", "default": "default"},
        "log": {"type": "path", "default": "/var/log/shibboleth/shibd.log"},
        "runtime_directory": {"type": "path", "default": "/run/shibboleth"},
    }
    module = AnsibleModule(
        argument_spec={
            **SITE_OPTIONS,
            "name": {"type": "str", "required": True},
            "files": FILES_OPTION,
            "unit": {"type": "str"},
            "action": {"type": "str", "choices": ["reload", "restart"]},
            "restart_for": {"type": "list", "elements": "str", "default": []},
            "address": {"type": "str"},
            "shibd": {"type": "dict", "options": shibd_options},
            "sockets": {"type": "list", "elements": "str"},
            "standby": {"type": "str"},
            "companions": {"type": "list", "elements": "str"},
            "before": {"type": "list", "elements": "dict", "options": command_options},
            "after": {"type": "list", "elements": "dict", "options": command_options},
            "probe": {"type": "dict", "options": probe_options, "required_together": [["socket", "protocol"]]},
            "release": {"type": "dict", "options": release_options, "required_together": [["path", "settings"]]},
        },
        required_one_of=[["unit", "files", "release"]],
        required_by={option: ["unit"] for option in ("action", "address", "shibd", "sockets")}
        | {"standby": ["unit", "sockets"]},
        supports_check_mode=True,
    )
    with only_run(module):
        activation = Activation(module)
        result = activation.run()
    module.exit_json(diff=activation.staging.diff, **result)


if __name__ == "__main__":
    main()
