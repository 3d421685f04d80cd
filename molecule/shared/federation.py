# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The federation of the bench: the metadata of its identity providers, signed by xmlsec1 and served by httpd.

`python federation.py` publishes them as an aggregate and as a metadata query service would answer.
"""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import bench_client
from lxml import etree

NAME = "federation.example.org"
URL = f"https://{NAME}/federation/"
MEMBERS = (bench_client.IDP_HOST, bench_client.UNIVERSITY_HOST)
METADATA = "urn:oasis:names:tc:SAML:2.0:metadata"
DIRECTORY = "/etc/identity-provider"
CERTIFICATE = bench_client.ARTIFACTS / "bench" / "federation.pem"
SIGNATURE = """\
<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"><SignedInfo>
<CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/>
<SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"/>
<Reference URI="#signed"><Transforms>
<Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"/>
<Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/>
</Transforms><DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/><DigestValue/></Reference>
</SignedInfo><SignatureValue/></Signature>"""


def on_host(*command: str, data: bytes = b"") -> bytes:
    """Run a command on the federation's host with `data` as its input; return what it prints."""
    container = bench_client.containers()[NAME].name
    enter = ["docker", "exec", "--interactive", container]
    return subprocess.run([*enter, *command], input=data, capture_output=True, check=True).stdout


def entities() -> list[etree._Element]:
    """Return the metadata of each identity provider."""
    with bench_client.client() as session:
        addresses = [f"https://{host}/simplesamlphp/saml2/idp/metadata.php" for host in MEMBERS]
        return [etree.fromstring(session.get(address).content) for address in addresses]


def aggregate(*members: etree._Element) -> etree._Element:
    """Return one document with these entities."""
    root = etree.Element(f"{{{METADATA}}}EntitiesDescriptor", nsmap={"md": METADATA})
    root.extend(members)
    return root


def sign(root: etree._Element, valid: timedelta = timedelta(days=14), key: str = NAME) -> bytes:
    """Return the document signed with the key of that host, and valid for so long."""
    root.set("ID", "signed")
    root.set("validUntil", f"{datetime.now(UTC) + valid:%Y-%m-%dT%H:%M:%SZ}")
    root.insert(0, etree.fromstring(SIGNATURE))
    return on_host(
        *f"xmlsec1 --sign --privkey-pem {DIRECTORY}/{key}.key --id-attr:ID {root.tag[1:].replace('}', ':')}".split(),
        "/dev/stdin",
        data=etree.tostring(root),
    )


def publish(name: str, document: bytes) -> str:
    """Serve a document under that name; return its address."""
    path = f"{DIRECTORY}/federation/{name}"
    on_host("install", "-D", "--mode=0644", "/dev/stdin", path, data=document)
    return URL + quote(name)


def main() -> None:
    """Publish the federation."""
    members = entities()
    federation = etree.tostring(aggregate(*map(etree.fromstring, map(etree.tostring, members))))
    publish("discovery.xml", federation)  # for the discovery service; tests replace the other one by wrong ones
    publish("metadata.xml", sign(etree.fromstring(federation)))
    for member in members:
        publish(f"entities/{quote(member.get('entityID'), safe=':')}", sign(member))
    CERTIFICATE.write_bytes(on_host("cat", f"{DIRECTORY}/{NAME}.pem"))


if __name__ == "__main__":
    main()
