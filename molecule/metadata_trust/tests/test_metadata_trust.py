# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Metadata that fails verification is refused, by a run and by shibd; the site keeps using the accepted copy.

The tests go from refusals, which change nothing, to changes, in this order.
"""

from __future__ import annotations

import codecs
import io
import os
import re
import resource
import subprocess
import tarfile
import time
from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256
from importlib import import_module

import bench_client
import federation
import metadata_corpus
import pytest
from lxml import etree

CERN = "https://auth.cern.ch/auth/realms/cern"
DESCRIPTOR = f"{CERN}/protocol/saml/descriptor"
PINNED_KEY = (bench_client.ARTIFACTS / "bench" / "idp-key").read_text()
OTHER_KEY = "ab:" * 31 + "ab"
SIGNED = {
    "saml_sp_idp_keys": [],
    "saml_sp_metadata_certificate_file": str(federation.CERTIFICATE),
    "saml_sp_metadata_max_validity_days": 28,
}
UNSIGNED = {"saml_sp_idp_keys": [], "saml_sp_idp_metadata_url": DESCRIPTOR}
BOMB = b'<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><x>&b;</x>'


@pytest.fixture(scope="module", autouse=True)
def documents() -> Iterator[None]:
    """Publish every kind of metadata with which an attacker could replace the right one."""
    cern, university = federation.entities()
    genuine = federation.sign(federation.aggregate(cern, university))
    members = [etree.tostring(member) for member in etree.fromstring(genuine)[1:]]

    def fresh() -> etree._Element:
        return federation.aggregate(*map(etree.fromstring, members))

    published = {
        "tampered.xml": genuine.replace(b"https://auth.cern.ch/simplesamlphp/", b"https://evil.example.org/"),
        "unsigned.xml": etree.tostring(fresh()),
        "other-key.xml": federation.sign(fresh(), key=bench_client.UNIVERSITY_HOST),
        "expired.xml": federation.sign(fresh(), valid=timedelta(seconds=-5)),
        "endless.xml": federation.sign(fresh(), valid=timedelta(days=400)),
        "bomb.xml": BOMB,
    }
    for name, document in published.items():
        federation.publish(name, document)
    yield
    federation.main()


def accepted(web) -> str:
    """Return checksums of all metadata that shibd has."""
    return web.check_output("sha256sum /etc/shibboleth/*.xml /etc/shibboleth/*.pem /var/cache/shibboleth/*.xml")


def log_in() -> str:
    """Log in as a new visitor; return the user that the site shows."""
    with bench_client.client() as session:
        bench_client.saml_login(session, "/login", "cpayne")
        return session.get("/api/me").json().get("identifier")


# One for each kind of trust and limit. tests/unit has all that the module refuses, the scenario refusals more runs.
REFUSALS = {
    "tampered with": (SIGNED, "tampered.xml", ["was changed after that", "Do not use it"]),
    "valid for too long": (SIGNED, "endless.xml", ["longer than 28 days"]),
    "too large": (
        SIGNED | {"saml_sp_metadata_max_bytes": 1000},
        "endless.xml",
        ["more than the 1000 bytes that are read"],
    ),
    "tied to nothing": (
        UNSIGNED,
        None,
        [
            "is not verified against anything that you trust",
            PINNED_KEY.replace(":", ""),
            "write it into saml_sp_idp_keys",
        ],
    ),
    "of an unknown key": (
        UNSIGNED | {"saml_sp_idp_keys": [OTHER_KEY]},
        None,
        [f"carries the signing key {PINNED_KEY.replace(':', '')}", "add it to saml_sp_idp_keys"],
    ),
    "of another checksum": (
        UNSIGNED | {"saml_sp_metadata_sha256": "0" * 64},
        None,
        ["not saml_sp_metadata_sha256 0000", "Look at what has changed"],
    ),
}


@pytest.mark.parametrize(("variables", "document", "phrases"), REFUSALS.values(), ids=REFUSALS)
def test_metadata_is_refused_and_the_accepted_one_stays(web, run_site, variables, document, phrases):
    before = accepted(web)
    address = {"saml_sp_idp_metadata_url": federation.URL + document} if document else {}
    code, said = run_site(variables | address)
    assert code == 2, said
    assert "changed=0 unreachable=0 failed=1" in said
    assert "Nothing was changed" in said
    assert not [phrase for phrase in phrases if phrase not in said], said
    assert accepted(web) == before
    assert log_in() == "cpayne"


@pytest.mark.parametrize("document", ["tampered.xml", "unsigned.xml", "other-key.xml", "expired.xml", "bomb.xml"])
def test_shibd_itself_refuses_what_the_address_gives_later(web, document):
    """After the run, an attacker takes over the federation's web server; shibd restarts and keeps the accepted copy."""
    directory = f"{federation.DIRECTORY}/federation"
    before = accepted(web)
    federation.on_host("cp", f"{directory}/{document}", f"{directory}/metadata.xml")
    web.check_output("systemctl restart shibd")
    assert accepted(web) == before
    assert log_in() == "cpayne"
    federation.main()


def test_expired_metadata_allows_no_login(web, run_site):
    """Accepted metadata is no longer used after its expiry, without a run."""
    cern, _ = federation.entities()
    term = timedelta(seconds=90)
    end = time.monotonic() + term.total_seconds() + 1
    address = federation.publish("short.xml", federation.sign(federation.aggregate(cern), valid=term))
    code, said = run_site(SIGNED | {"saml_sp_idp_metadata_url": address})
    assert code == 0, said
    assert log_in() == "cpayne"
    time.sleep(max(0, end - time.monotonic()))
    web.check_output("systemctl restart shibd")
    with bench_client.client() as session:
        assert session.get("/login").url.host == bench_client.HOST


def refused_by_shibd(web, documents: dict[str, bytes]) -> set[str]:
    """Have shibd load documents as it loads a copy, in one run of its check; return the names of those that it refuses.

    Many of its messages name none. So something that is not XML follows each document, as a mark in its output.
    """
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for number, document in enumerate([*documents.values(), b"<end"]):
            entry = tarfile.TarInfo(f"corpus/{number}.xml")
            entry.size = len(document)
            archive.addfile(entry, io.BytesIO(document))
    unpack = ["docker", "exec", "--interactive", web.backend.name, "tar", "--extract", "--directory=/run"]
    subprocess.run(unpack, input=packed.getvalue(), check=True)
    config = etree.fromstring(web.file("/etc/shibboleth/shibboleth2.xml").content)
    chain = config.find(".//{*}MetadataProvider")
    namespace = chain.tag.rpartition("}")[0][1:]
    providers = "".join(
        f'<MetadataProvider type="XML" path="/run/corpus/{number}.xml"/>'
        f'<MetadataProvider type="XML" path="/run/corpus/{len(documents)}.xml" id="end"/>'
        for number in range(len(documents))
    )
    text = f'<MetadataProvider xmlns="{namespace}" type="Chaining">{providers}</MetadataProvider>'
    chain.getparent().replace(chain, etree.fromstring(text))
    command = f"cat > /run/corpus/config.xml; cd /run; runuser --user {web.file('/run/shibboleth').user} -- "
    command += "/usr/sbin/shibd -t -c /run/corpus/config.xml 2> /dev/null; rm -r /run/corpus"
    check = ["docker", "exec", "--interactive", web.backend.name, "sh", "-c", command]
    said = subprocess.run(check, input=etree.tostring(config), capture_output=True, check=True).stdout.decode()
    parts = re.split(r"(?ms)^[^\n]* \[end\]: .*? failure initializing MetadataProvider[^\n]*", said)
    assert len(parts) == len(documents) + 1, said[-2000:]
    return {name for name, part in zip(documents, parts, strict=False) if re.search(" (ERROR|CRIT) ", part)}


def test_shibd_agrees_about_every_document_that_the_module_judges(web):
    """tests/unit has the module's results."""
    judged = {**metadata_corpus.REFUSED, **metadata_corpus.USELESS}
    odd = {name: text if isinstance(text, bytes) else text.encode() for name, (text, _words) in judged.items()}
    refused = refused_by_shibd(web, metadata_corpus.ACCEPTED | odd)
    assert refused == set(metadata_corpus.REFUSED)


def test_shibd_agrees_about_damage_to_any_element(web, monkeypatch):
    """A part of all damages, which takes some seconds; every element has some."""
    monkeypatch.syspath_prepend(f"{os.environ['MOLECULE_PROJECT_DIRECTORY']}/.collections")
    form = import_module("ansible_collections.campus.flask_sso.plugins.module_utils.metadata_form")
    documents = dict(list(metadata_corpus.damaged())[::7])
    faults = {name: form.fault(etree.fromstring(document)) for name, document in documents.items()}
    refused = refused_by_shibd(web, documents)
    assert 50 < len(refused) < len(documents) - 50
    assert {name: fault for name, fault in faults.items() if bool(fault) != (name in refused)} == {}


@pytest.mark.parametrize(
    ("product", "encoding", "mark", "source"),
    [
        ("AD FS", "utf-16-le", codecs.BOM_UTF16_LE, "saml_sp_idp_metadata_file"),
        ("Entra ID", "utf-8", codecs.BOM_UTF8, "saml_sp_idp_metadata_url"),
    ],
    ids=["file", "address"],
)
def test_bytes_of_what_microsofts_products_write_reach_shibd(web, run_site, tmp_path, product, encoding, mark, source):
    document = mark + metadata_corpus.PRODUCTS[product].encode(encoding) + "\r\n\r\n".encode(encoding)
    copy = tmp_path / "idp.xml"
    copy.write_bytes(document)
    variables = {
        source: str(copy) if source.endswith("file") else federation.publish("microsoft.xml", document),
        "saml_sp_idp_entity_id": metadata_corpus.IDP,
        "saml_sp_idp_keys": [],
        "saml_sp_metadata_sha256": sha256(document).hexdigest(),
    }
    code, said = run_site(variables)
    assert code == 0, said
    assert web.file("/etc/shibboleth/idp-metadata.xml").content == document
    with bench_client.client(follow_redirects=False) as session:
        assert session.get("/login").headers["location"].startswith("https://idp.example.org/SingleSignOnService")


@pytest.mark.parametrize(
    "pin",
    [{"saml_sp_metadata_tls_only": True}, {"saml_sp_idp_keys": [PINNED_KEY]}],
    ids=["TLS", "key"],
)
def test_unsigned_metadata_is_accepted_by(web, run_site, pin):
    """CERN's descriptor is unsigned; each of the other ties will do, as a checksum did above."""
    with bench_client.client() as session:
        document = session.get(DESCRIPTOR).content
    code, said = run_site(UNSIGNED | pin)
    assert code == 0, said
    assert web.file("/etc/shibboleth/idp-metadata.xml").content == document
    assert log_in() == "cpayne"


def processor_seconds() -> float:
    """Return the processor time of all runs up to now, which what else this machine does hardly changes."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def seconds_of_unchanged_run(run_site, variables) -> float:
    """Run the site as it was run last; return the processor time of a run, which has to change nothing."""
    start = processor_seconds()
    code, said = run_site(variables)
    assert (code, "changed=0" in said) == (0, True), said
    return processor_seconds() - start


def test_large_metadata_does_not_slow_a_run_that_changes_nothing(run_site, tmp_path_factory):
    """10 MB, from shibd's own source and as a copy from the controller, cost as good as nothing the second time.

    They are compared with the small document that was accepted last.
    """
    cern, university = federation.entities()
    text = etree.tostring(university).decode()
    count = 11_000_000 // len(text)  # namespaces that all share are written only once
    crowd = [
        etree.fromstring(text.replace("idp.university.example/metadata", f"idp-{n}.example")) for n in range(count)
    ]
    document = federation.sign(federation.aggregate(cern, *crowd))
    assert len(document) > 10_000_000
    copy = tmp_path_factory.mktemp("metadata") / "large.xml"
    copy.write_bytes(document)
    seconds = {"small": seconds_of_unchanged_run(run_site, UNSIGNED | {"saml_sp_idp_keys": [PINNED_KEY]})}
    for name, variables in {
        "copied": {"saml_sp_idp_keys": [], "saml_sp_idp_metadata_file": str(copy)},
        "followed": SIGNED | {"saml_sp_idp_metadata_url": federation.publish("large.xml", document)},
    }.items():
        code, said = run_site(variables)
        assert code == 0, said
        seconds[name] = seconds_of_unchanged_run(run_site, variables)
    assert seconds["copied"] < seconds["small"] + 7, seconds
    assert seconds["followed"] < seconds["small"] + 3, seconds
