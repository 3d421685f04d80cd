# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several sites share shibd: the first has its default application, each further one an application of its own."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import untrusted_roles
import yaml
from ansible_collections.campus.flask_sso.plugins.modules import sp_keys, sp_site
from lxml import etree
from staged_service import tree

#: What the role knows of a further site.
FURTHER = {
    "saml_sp_server_name": "wiki.example.org",
    "shibboleth_sp__place": {
        "home": "/etc/shibboleth/sites/wiki",
        "further": True,
        "first": "app",
        "prepared": True,
        "others": [],
        "services": {"app": ["/ADFS"]},
    },
    "saml_sp_extra_acs": ["/ADFS"],
    "shibboleth_sp_site": "wiki",
}
NAMESPACE = "{urn:mace:shibboleth:3.0:native:sp:config}"


class Host:
    """A host below a directory."""

    def __init__(self, root: Path, run_module) -> None:
        self.path, self.records, self.run_module = root / "shibboleth", root / "records", run_module
        self.configuration = self.path / "shibboleth2.xml"

    def deploy(self, first: str, *further: str, listener: str = "<UnixListener />") -> None:
        """Write what runs for these sites leave."""
        (self.path / "sites").mkdir(parents=True, exist_ok=True)
        self.configuration.write_text(f"<SPConfig>{listener}</SPConfig>")
        if first:
            (self.path / "sites/default").symlink_to(first)
        for site in further:
            (self.path / "sites" / site).mkdir()
            (self.path / f"sites/{site}-override.xml").touch()

    def record(self, kind: str, content: Any) -> None:
        """Write a record of shibd's files."""
        self.records.mkdir(exist_ok=True)
        (self.records / f"shibd.{kind}").write_text(json.dumps({str(self.configuration): content}))

    def look(self, site: str) -> dict:
        """Run the module."""
        return self.run_module(sp_site, site=site, path=str(self.path), journal_directory=str(self.records))

    def keys(self, site: str) -> dict:
        """Look at the site's keys, too."""
        place = {"path": str(self.path), "journal_directory": str(self.records)}
        return self.run_module(sp_keys, site=site, names=["key.pem"], metadata="idp-metadata.xml", **place)


@pytest.fixture
def host(tmp_path, run_module) -> Host:
    """A host without shibd."""
    return Host(tmp_path, run_module)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> untrusted_roles.Site:
    """The roles without a host."""
    return untrusted_roles.Site(tmp_path_factory.mktemp("site"))


def test_the_first_site_of_a_host_has_the_default_application(host):
    found = host.look("app")
    assert (found["home"], found["further"], found["first"], found["others"]) == (str(host.path), False, "", [])
    host.deploy("app")
    assert (host.look("app")["home"], host.look("app")["further"]) == (str(host.path), False)


def test_a_further_site_has_a_directory_of_its_own(host):
    host.deploy("app", "docs")
    found = host.look("wiki")
    assert (found["home"], found["further"], found["first"]) == (f"{host.path}/sites/wiki", True, "app")
    assert (found["prepared"], found["others"]) == (True, ["docs"])


def test_a_further_site_stays_one_and_the_first_site_knows_it(host):
    host.deploy("app", "wiki")
    assert (host.look("wiki")["further"], host.look("wiki")["others"]) == (True, [])
    assert (host.look("app")["further"], host.look("app")["others"]) == (False, ["wiki"])


@pytest.mark.parametrize(
    ("listener", "name"), [("<UnixListener />", "unix"), ('<TCPListener address="127.0.0.1"/>', "tcp")]
)
def test_the_listener_is_that_of_the_host(host, listener, name):
    assert host.look("wiki")["listener"] == ""
    host.deploy("app", listener=listener)
    assert host.look("wiki")["listener"] == name


def test_further_assertion_consumer_services_are_those_that_the_role_has_written(host, site):
    host.deploy("app", "wiki")
    for path, template, variables in (
        ("shibboleth2.xml", "shibboleth2.xml.j2", {"saml_sp_extra_acs": ["/ADFS", "/b"]}),
        ("sites/wiki-override.xml", "override.xml.j2", FURTHER),
    ):
        (host.path / path).write_text(site.made("shibboleth_sp", template, variables))
    assert host.look("docs")["services"] == {"app": ["/ADFS", "/b"], "wiki": ["/ADFS"]}


@pytest.mark.parametrize(
    ("kind", "content"),
    [("originals", {"sites": ["app"], "before": {"kind": "absent"}}), ("journal", [{"site": "app", "before": {}}])],
)
def test_a_configuration_of_an_earlier_version_belongs_to_the_site_that_wrote_it(host, kind, content):
    host.deploy("")
    host.record(kind, content)
    found = host.look("wiki")
    assert (found["further"], found["first"], found["prepared"]) == (True, "app", False)
    assert (host.look("app")["further"], host.look("app")["home"]) == (False, str(host.path))


def test_a_site_that_shared_the_default_application_has_its_keys_registered(host):
    host.deploy("")
    host.record("originals", {"sites": ["app", "wiki"], "before": {"kind": "absent"}})
    assert (host.look("wiki")["further"], host.look("wiki")["shared"]) == (False, False)
    (host.path / "sites/default").symlink_to("app")
    assert (host.look("wiki")["further"], host.look("wiki")["shared"]) == (True, True)
    assert (host.look("app")["further"], host.look("app")["shared"]) == (False, False)
    (host.path / "keys/active").mkdir(parents=True)
    (host.path / "keys/active/key.pem").touch()
    assert host.keys("wiki")["sources"] == [f"{host.path}/keys/active/key.pem"]


def test_one_look_returns_the_place_of_a_site_with_its_keys_and_metadata(host):
    host.deploy("app", "docs")
    for name in ("sites/wiki/keys/active", "keys/active"):
        (host.path / name).mkdir(parents=True)
    (host.path / "sites/wiki/idp-metadata.xml").write_text("<a/>")
    for name in ("wiki", "app"):
        found, place = host.keys(name), host.look(name)
        assert found["place"] == {option: place[option] for option in found["place"]}
        assert found["place"]["further"] is (name == "wiki")
        assert found["links"] == ["active"]
        assert (found["metadata_sha256"] == sha256(b"<a/>").hexdigest()) is (name == "wiki")
    assert host.keys("new")["new_set"] == f"{host.path}/sites/new/keys/1"


def test_a_configuration_of_the_owner_belongs_to_no_site(host):
    host.deploy("")
    assert (host.look("app")["first"], host.look("app")["further"]) == ("", False)


class Life:
    """Sites that come and go on a host, with the files that the role stages.

    :param site: The roles.
    :param service: Where the files are, and their records.
    """

    def __init__(self, site: untrusted_roles.Site, service) -> None:
        self.site, self.service = site, service
        self.shibboleth = service.etc / "etc/shibboleth"
        self.shibboleth.mkdir(parents=True)
        (self.shibboleth / "shibboleth2.xml").write_text("the package's")
        for directory in ("etc/tmpfiles.d", "etc/systemd/system"):
            (service.etc / directory).mkdir(parents=True)

    def place(self, name: str) -> dict:
        """Look where a site is configured, in paths of the host."""
        found = self.service.run_module(
            sp_site, site=name, path=str(self.shibboleth), journal_directory=str(self.service.journals)
        )
        return found | {"home": "/" + str(Path(found["home"]).relative_to(self.service.etc))}

    def deploy(self, name: str) -> None:
        """Create the keys, and stage and activate what the role does."""
        place = self.place(name)
        keys = f"{place['home']}/keys"
        (self.service.etc / keys[1:] / "1").mkdir(parents=True, exist_ok=True)
        links = [
            {"path": keys, "state": "directory"},
            {"path": f"{keys}/active", "state": "link", "target": "1"},
        ]
        task = yaml.safe_load((untrusted_roles.ROLES / "shibboleth_sp/tasks/configure.yml").read_text("utf-8"))[0]
        variables = untrusted_roles.trusted(task["vars"]) | {
            "saml_sp__metadata": {"content_base64": "eA==", "sha256": "1" * 64},
            "shibboleth_sp__keys": {"links": ["active"], "files": links},
            "shibboleth_sp__place": place,
            "shibboleth_sp_site": name,
        }
        expression = task["campus.flask_sso.staged_files"]["files"].strip("{} \n")
        files = self.site.made("shibboleth_sp", expression, variables)
        self.service.stage(*(file | {"path": file["path"][1:]} for file in files), site=name)
        self.service.activate(site=name)

    def remove(self, name: str) -> None:
        """Restore what was there before a site."""
        place = self.place(name)
        self.service.stage(
            site=name,
            restore=True,
            exclude=[f"{self.service.etc}{place['home']}/keys*"],
            shared_with=[] if place["further"] else place["others"],
        )
        self.service.activate(site=name)

    def retire(self, name: str) -> bool:
        """Do what the role does for a site that no longer uses shibd; return whether it stops shibd."""
        tasks = yaml.safe_load((untrusted_roles.ROLES / "shibboleth_sp/tasks/retire.yml").read_text("utf-8"))
        task = tasks[1]["block"][0]["campus.flask_sso.staged_files"]
        variables = {
            "shibboleth_sp__left": self.service.stage(site=name, restore=True, check_mode=True),
            "shibboleth_sp__service_file": f"{self.service.etc}/etc/systemd/system/shibd.service.d/flask_sso.conf",
        }
        if not self.site.made("shibboleth_sp", tasks[1]["when"], variables):
            return False
        exclude = self.site.made("shibboleth_sp", task["exclude"].strip("{} "), variables)
        said = self.service.stage(site=name, restore=task["restore"], exclude=exclude)
        if said["changed"]:
            self.service.activate(site=name)
        return said["changed"]

    def files(self, *sites: str) -> dict[str, tuple]:
        """Return the files in shibd's directory, without those of sites."""
        found = tree(self.shibboleth).items()
        return {path: what for path, what in found if not path.startswith(tuple(f"sites/{name}" for name in sites))}


@pytest.fixture
def life(site, service, systemctl) -> Life:
    """A host with the package's configuration."""
    return Life(site, service)


def test_a_further_site_comes_and_goes_without_a_trace_in_the_files_of_others(life):
    life.deploy("app")
    before = life.files()
    life.deploy("wiki")
    assert life.place("wiki")["home"] == "/etc/shibboleth/sites/wiki"
    assert life.files("wiki") == before
    life.deploy("docs")
    life.remove("wiki")
    assert life.files("docs", "wiki") == before
    left = {path for path in life.files() if path.startswith("sites/wiki")}
    assert left == {"sites/wiki", "sites/wiki/keys", "sites/wiki/keys/1", "sites/wiki/keys/active"}


def test_the_default_application_stays_until_the_last_site_goes(life):
    life.deploy("app")
    life.deploy("wiki")
    before = life.files()
    life.remove("app")
    assert life.files() == before
    assert life.place("wiki")["further"]
    life.deploy("app")
    assert life.files() == before
    assert life.place("app")["home"] == "/etc/shibboleth"
    life.remove("app")
    life.remove("wiki")
    assert (life.shibboleth / "shibboleth2.xml").read_text() == "the package's"
    left = [path for path in life.files() if "keys" not in path]
    assert sorted(left) == ["shibboleth2.xml", "sites", "sites/wiki"]  # the directories of kept keys
    assert (life.place("wiki")["further"], life.place("app")["further"]) == (True, False)


def test_shibd_stops_when_the_last_site_has_another_authentication(life):
    """Whichever that is, and also if one of them comes back. Their settings stay."""
    life.deploy("app")
    life.deploy("wiki")
    before = life.files()
    assert (life.retire("app"), life.retire("app")) == (False, False)
    assert life.retire("wiki")
    assert not life.retire("wiki")
    life.deploy("app")
    assert life.retire("app")
    assert life.files() == before
    life.remove("app")
    life.remove("wiki")
    assert (life.shibboleth / "shibboleth2.xml").read_text() == "the package's"


def application(text: str) -> dict[str, Any]:
    """Return the settings of the one application in a file: its attributes, and its elements in order."""
    root = etree.fromstring(text)
    element = root if root.tag == f"{NAMESPACE}ApplicationOverride" else root.find(f"{NAMESPACE}ApplicationDefaults")
    own = [child for child in element.iterchildren("*") if child.tag != f"{NAMESPACE}ExternalApplicationOverrides"]
    children = [etree.canonicalize(etree.tostring(child).decode(), strip_text=True) for child in own]
    return {"attributes": dict(element.attrib), "children": children}


def test_what_is_checked_for_a_further_site_is_what_shibd_loads(site):
    checked = application(site.made("shibboleth_sp", "shibboleth2.xml.j2", FURTHER))
    loaded = application(site.made("shibboleth_sp", "override.xml.j2", FURTHER))
    assert checked["children"] == loaded["children"]
    assert loaded["attributes"] == checked["attributes"] | {"id": "wiki"}
    assert loaded["attributes"]["entityID"] == "https://wiki.example.org/Shibboleth.sso"


def named(text: str, *attributes: str) -> list[str]:
    """Return the values of attributes, of all elements in a file."""
    return [
        value for element in etree.fromstring(text).iter("*") for name in attributes if (value := element.get(name))
    ]


@pytest.mark.parametrize("url", ["", "https://federation.example.org/"])
def test_a_further_site_reads_and_writes_no_file_of_the_first(site, url):
    text = site.made("shibboleth_sp", "override.xml.j2", FURTHER | {"saml_sp_mdq_url": url})
    paths = named(text, "path", "key", "certificate", "template")
    assert len(paths) >= 7  # a page, a map, a policy and a set of keys
    assert [path for path in paths if not path.startswith("sites/wiki/")] == []
    assert named(text, "cacheDirectory") == (["mdq-wiki"] if url else [])


def test_metadata_that_shibd_fetches_is_kept_apart(site):
    """Two sites with the same settings do not write one file."""
    first, further = (site.made("shibboleth_sp", "shibboleth_sp__backing", given) for given in ({}, FURTHER))
    assert first != further


@pytest.mark.parametrize("required", [True, False])
def test_a_further_site_does_not_inherit_what_the_first_asks_of_users(site, required):
    attributes = [{"id": "upn", "name": "upn", "required": required}]
    root = etree.fromstring(site.made("shibboleth_sp", "override.xml.j2", FURTHER | {"saml_sp_attributes": attributes}))
    (checker,) = root.iterfind(f".//{NAMESPACE}Handler[@type='AttributeChecker']")
    assert root.get("sessionHook") == f"/Shibboleth.sso{checker.get('Location')}"
    rules = [(rule.tag, rule.get("require")) for rule in checker]
    assert (checker.get("attributes"), rules) == (
        ("upn", []) if required else (None, [(f"{NAMESPACE}Rule", "valid-user")])
    )


def test_only_the_virtual_host_of_a_further_site_names_its_application(site):
    assert "applicationId" not in site.made("shibboleth_sp", "fragment.conf.j2", {})
    assert "    ShibRequestSetting applicationId wiki\n" in site.made("shibboleth_sp", "fragment.conf.j2", FURTHER)


@pytest.mark.parametrize("unsolicited", [True, False])
def test_each_site_chooses_its_policy_and_all_share_the_file_of_policies(site, unsolicited):
    variables = {"saml_sp_unsolicited_login": unsolicited}
    policies = site.made("shibboleth_sp", "security-policy.xml.j2", variables)
    assert policies == site.made("shibboleth_sp", "security-policy.xml.j2", {})
    chosen = application(site.made("shibboleth_sp", "shibboleth2.xml.j2", variables))["attributes"]["policyId"]
    namespace = {"sp": NAMESPACE[1:-1]}
    rules = etree.fromstring(policies).iterfind(
        f"./sp:Policy[@id='{chosen}']/sp:PolicyRule[@blockUnsolicited]", namespace
    )
    assert [rule.get("blockUnsolicited") for rule in rules] == [str(not unsolicited).lower()] * 2


def with_place(**found) -> dict[str, Any]:
    """Return the variables of a further site, with what is different on the host."""
    return FURTHER | {"shibboleth_sp__place": FURTHER["shibboleth_sp__place"] | {"listener": "unix"} | found}


@pytest.mark.parametrize(
    ("variables", "place", "remedy"),
    [
        ({}, {"prepared": False}, "Run the playbook for app once, then again for wiki."),
        ({}, {"first": "", "prepared": False, "listener": ""}, "Move that directory to /etc/shibboleth/keys"),
        ({"shibboleth_sp_listener": "tcp"}, {}, "Write shibboleth_sp_listener: unix, or change it for app first."),
        ({"shibboleth_sp_site": "default"}, {}, "Write another one."),
        ({"saml_sp_extra_acs": ["/b"]}, {}, 'Write saml_sp_extra_acs: ["/b", "/ADFS"], or remove them from app first.'),
        (
            {"shibboleth_sp_site": "app"},
            {"further": False, "others": ["docs", "wiki"], "services": {"app": [], "docs": ["/b"], "wiki": ["/ADFS"]}},
            "Write the same list for docs, and run the playbook there first.",
        ),
    ],
)
def test_what_a_host_cannot_have_is_refused(site, monkeypatch, variables, place, remedy):
    for name, value in (with_place(**place) | variables).items():
        monkeypatch.setitem(site.given, name, value)
    (fault,) = site.faults("shibboleth_sp", {})
    assert remedy in fault


@pytest.mark.parametrize("acs", [["/ADFS"], ["/b", "/ADFS"]])
def test_what_goes_together_is_not_refused(site, monkeypatch, acs):
    for name, value in (with_place() | {"saml_sp_extra_acs": acs}).items():
        monkeypatch.setitem(site.given, name, value)
    assert site.faults("shibboleth_sp", {}) == []
