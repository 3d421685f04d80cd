# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attributes that would not arrive unchanged are found before shibd, httpd or a server drops one."""

from pathlib import Path

import pytest
import yaml
from ansible_collections.campus.flask_sso.plugins.filter.attribute_faults import attribute_faults

PROFILES = sorted((Path(__file__).parents[2] / "roles/saml_sp/profiles").glob("*.yml"))


def entry(id_: object = "mail", name: object = "urn:oid:0.9.2342.19200300.100.1.3", **more: object) -> dict:
    """Return an entry, by default one without a fault."""
    return {"id": id_, "name": name, **more}


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_profiles_have_no_fault(path):
    profile = yaml.safe_load(path.read_text())
    assert attribute_faults(profile["attributes"], profile["remote_user"]) == []


@pytest.mark.parametrize(
    "attributes",
    [
        [entry()],
        [entry(), entry("email")],
        [entry(), entry("persistent-id", decoder="nameid"), entry("eptid", decoder="qualified_nameid")],
        [entry(), entry(format="basic"), entry(name="mail", format="basic", default="none")],
        [entry(default="a;b $1 \\ <é>")],
        [entry("a"), entry("serverName"), entry("documentNumber"), entry("X509-Subject_1")],
    ],
)
def test_attribute_that_arrives_unchanged_is_no_fault(attributes):
    assert attribute_faults(attributes) == []


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ([], "has no attributes. Add"),
        ([entry("e mail")], 'the id "e mail". Write letters'),
        ([entry("name.with.dots")], 'the id "name.with.dots". Write letters'),
        ([entry("urn:oid:2.5.4.4")], 'the id "urn:oid:2.5.4.4". Write letters'),
        ([entry("")], 'the id "". Write letters'),
        ([entry("mail\n")], "Write letters"),
        ([entry("prénom")], "Write letters"),
        ([entry(True)], 'the id "True". Write letters'),
        *(
            ([entry(name)], f'the id "{name}", which httpd or a server uses itself')
            for name in ("REMOTE_USER", "remote-user", "Shib-Session-ID", "HTTP_HOST", "ssl_client_verify", "PATH")
        ),
        ([entry("QUERY_STRING")], 'Choose another one, such as "my_QUERY_STRING"'),
        ([entry("Mail"), entry("mail")], 'the ids "Mail" and "mail", which some servers cannot distinguish'),
        ([entry("home_dir"), entry("home-dir")], 'the ids "home_dir" and "home-dir", which'),
        ([entry(), entry()], 'the id "mail" twice with the same name and format'),
        ([entry(), entry(format="uri", required=True)], 'the id "mail" twice with the same name and format'),
        ([entry(), entry(name="nameid", decoder="nameid")], 'the id "mail" with different decoders or scopes'),
        ([entry(scope="any"), entry(name="mail")], 'the id "mail" with different decoders or scopes'),
        ([entry(scope="any", decoder="nameid")], 'scope and the decoder "nameid" for "mail"'),
        ([entry(name=" mail")], "has ' mail' as the name of \"mail\". Write a text"),
        ([entry(name="")], "has '' as the name"),
        ([entry(default="")], "has '' as the default"),
        ([entry(default="a\nb")], "without line breaks"),
        ([entry(default=0)], 'has 0 as the default of "mail". Write a text, in quotes'),
        ([entry(default="a"), entry(name="mail", default="b")], 'the defaults "a" and "b" for "mail"'),
        ([entry(default="a", required=True)], 'a default for "mail", which is required'),
        ([entry(), entry("user", default="guest")], 'a default for "user", by which users log in'),
        ([entry(default="a", scope="any")], 'a default for "mail", whose values are not plain text'),
        ([entry(default="a", decoder="nameid")], 'a default for "mail", whose values are not plain text'),
    ],
)
def test_fault_is_named_with_the_entry_and_the_remedy(attributes, said):
    (fault,) = attribute_faults(attributes, ["user"])
    assert said in fault
