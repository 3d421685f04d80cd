# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An administrator's configuration of httpd is distinguished from the distribution's and the collection's."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.campus.flask_sso.plugins.modules import httpd_inventory
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

STOCK = {
    "apache2.conf": "Include mods-enabled/*.load\nInclude mods-enabled/*.conf\nInclude ports.conf\n"
    "IncludeOptional conf-enabled/*.conf\nIncludeOptional sites-enabled/*.conf\n",
    "ports.conf": "Listen 80\n<IfModule ssl_module>\n\tListen 443\n</IfModule>\n"
    "<IfModule mod_gnutls.c>\n\tListen 444\n</IfModule>\n",
    "mods-available/alias.load": "LoadModule alias_module modules/mod_alias.so\n",
    "sites-available/000-default.conf": "<VirtualHost *:80>\n\tDocumentRoot /var/www/html\n</VirtualHost>\n",
}
LINKS = {
    "mods-enabled/alias.load": "../mods-available/alias.load",
    "sites-enabled/000-default.conf": "../sites-available/000-default.conf",
}


@pytest.fixture
def etc(tmp_path) -> Path:
    """The directory of a stock httpd."""
    for name, text in STOCK.items():
        write(tmp_path / "etc" / name, text)
    for name, target in LINKS.items():
        link(tmp_path / "etc" / name, target)
    (tmp_path / "etc" / "conf-enabled").mkdir()
    listing = "".join(
        f" {tmp_path}/etc/{name} {hashlib.new(algorithm, text.encode()).hexdigest()} 0\n"
        for algorithm, (name, text) in zip(["md5", "sha256"] * len(STOCK), STOCK.items(), strict=False)
    )
    (tmp_path / "listing").write_text(listing)
    write(tmp_path / "html" / "index.html", "It works!")
    write(tmp_path / "placeholder.html", "It works!")
    return tmp_path / "etc"


def write(path: Path, text: str) -> None:
    """Write a file, and its directory."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def link(path: Path, target: str) -> None:
    """Make a link, and its directory."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)


@pytest.fixture
def look(run_module, etc) -> Callable[..., dict]:
    """Take the inventory; paths in the answer are relative to the directory of httpd."""

    def run(**options) -> dict:
        usual = {
            "root": str(etc / "apache2.conf"),
            "server_root": str(etc),
            "modules": ["ssl"],
            "enabled": [
                str(etc / name) for name in ("mods-enabled/*", "conf-enabled/*", "sites-enabled/*", "ports.conf")
            ],
            "ours": ["*/flask_sso-*"],
            "unused": "# Not used: ",
            "stock": ["cat", str(etc.parent / "listing")],
            "document_root": str(etc.parent / "html"),
            "placeholder": str(etc.parent / "placeholder.html"),
            "files": [str(etc / "sites-enabled/flask_sso-app.conf")],
            "names": ["app.example.org", "alias.example.org"],
            "ports": [80, 443],
        }
        found = run_module(httpd_inventory, **usual | options)
        assert found["changed"] is False
        return found

    return run


@pytest.fixture
def unmanaged(look, etc) -> Callable[[], list[str]]:
    """Return what is not stock, relative to the directory of httpd."""
    return lambda: [str(Path(path).relative_to(etc)) for path in look()["unmanaged"]]


def test_default_httpd_has_no_unmanaged_files(look):
    found = look()
    assert [found[key] for key in ("unmanaged", "pages", "elsewhere", "conflicting_hosts")] == [[]] * 4
    assert (found["listens"], found["served"], found["loaded"]) == ([80, 443], [80], ["alias"])


ROOT_TEXT = "# Written by us.\nListen 80\n"


@pytest.mark.parametrize(
    ("text", "unmanaged", "replaced"),
    [
        (STOCK["apache2.conf"], [], False),
        (STOCK["apache2.conf"] + "Timeout 5\n", ["apache2.conf"], False),
        (ROOT_TEXT, [], True),
        ("# Written by us.\nof an earlier version\n", [], True),
    ],
    ids=["stock", "changed", "ours", "ours of an earlier version"],
)
def test_a_changed_root_file_is_unmanaged_where_it_would_be_replaced(look, etc, text, unmanaged, replaced):
    (etc / "apache2.conf").write_text(text)
    found = look(root_text=ROOT_TEXT)
    assert (found["unmanaged"], found["replaced"]) == ([str(etc / name) for name in unmanaged], replaced)
    assert str(etc / "apache2.conf") not in look()["unmanaged"]


def test_host_without_httpd_has_nothing(look, etc):
    found = look(root=str(etc / "none"), enabled=[str(etc / "none/*")], stock=["false"], document_root="/none")
    assert {name: value for name, value in found.items() if value and name not in ("invocation", "key")} == {}
    assert found["key"]["public"] == ""


@pytest.mark.parametrize("key", [rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP256R1())])
def test_public_part_of_the_key_is_as_in_its_certificate(look, tmp_path, key):
    path = tmp_path / "key.pem"
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    found = look(key=str(path))["key"]["public"]
    assert found.encode() == key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize(("text", "reason"), [("no key", "Could not"), (None, "There is no file")])
def test_reason_is_told_why_there_is_no_key(look, tmp_path, text, reason):
    if text:
        (tmp_path / "key.pem").write_text(text)
    found = look(key=str(tmp_path / "key.pem"))["key"]
    assert found["public"] == ""
    assert reason in found["msg"]


def test_a_host_without_openssl_is_told_of(look, tmp_path, monkeypatch):
    (tmp_path / "key.pem").touch()
    monkeypatch.setattr(httpd_inventory.AnsibleModule, "get_bin_path", lambda *_words: None)
    assert look(key=str(tmp_path / "key.pem"))["key"] == {"public": "", "msg": "The command openssl is missing."}


@pytest.mark.parametrize(
    "change",
    [
        lambda etc: write(etc / "sites-enabled/hand.conf", "# by hand\n"),
        lambda etc: link(etc / "sites-enabled/hand.conf", "/nowhere"),
        lambda etc: (
            write(etc / "sites-available/w", ""),
            link(etc / "sites-enabled/hand.conf", "../sites-available/w"),
        ),
        lambda etc: write(etc / "mods-enabled/hand.conf", ""),
        lambda etc: write(etc / "conf-enabled/hand.conf", ""),
        lambda etc: write(etc / "conf-enabled/hand.conf", "Include flask_sso-x"),
    ],
    ids=["a file", "a link that leads nowhere", "a link", "of a module", "a setting", "what includes a file of ours"],
)
def test_what_was_added_is_unmanaged(unmanaged, etc, change):
    change(etc)
    assert [Path(path).name for path in unmanaged()] == ["hand.conf"]


@pytest.mark.parametrize("name", ["ports.conf", "mods-available/alias.load", "sites-available/000-default.conf"])
def test_default_file_that_was_edited_is_unmanaged(unmanaged, etc, name):
    with (etc / name).open("a") as stream:
        stream.write("# edited\n")
    assert unmanaged() == [name.replace("available", "enabled")]


def test_what_the_collection_wrote_is_not_unmanaged(unmanaged, etc):
    write(etc / "sites-enabled/flask_sso-other.conf", "<VirtualHost *:443>\n</VirtualHost>\n")
    write(etc / "ports.conf", "# Not used: whatever\n")
    assert unmanaged() == []


@pytest.mark.parametrize("name", ["index.html", "wiki.html", "wiki/index.html"])
def test_pages_of_the_default_site_are_unmanaged(look, etc, name):
    """Until the default site is removed."""
    write(etc.parent / "html" / name, "wiki")
    assert look()["pages"] == [str(etc.parent / "html" / name.split("/")[0])]
    (etc / "sites-enabled/000-default.conf").unlink()
    assert look()["pages"] == []


def test_pages_of_the_main_server_are_unmanaged_until_a_site_of_the_collection_is_there(look, etc):
    (etc / "sites-enabled/000-default.conf").unlink()
    write(etc.parent / "html/wiki.html", "wiki")
    write(etc / "conf-enabled/main.conf", f'DocumentRoot "{etc.parent}/html"\n')
    assert look()["pages"] == [str(etc.parent / "html/wiki.html")]
    write(etc / "sites-enabled/flask_sso-app.conf", "<VirtualHost *:443>\n</VirtualHost>\n")
    assert look()["pages"] == []


def test_virtual_host_in_a_file_that_cannot_be_removed_is_reported(look, etc):
    """One that an enabled file includes goes with that file."""
    write(etc / "apache2.conf", STOCK["apache2.conf"] + "Include more.conf\n")
    write(etc / "more.conf", "<VirtualHost *:80>\n</VirtualHost>\n")
    write(etc / "hosts/wiki.conf", "<VirtualHost *:80>\n</VirtualHost>\n")
    write(etc / "sites-enabled/wiki.conf", "Include hosts\n")
    assert look()["elsewhere"] == [str(etc / "more.conf")]


@pytest.mark.parametrize(
    ("text", "ports"),
    [
        ("Listen 8080", [8080]),
        ("  listen\t192.0.2.1:8080 https", [8080]),
        ("Listen [::]:8080", [8080]),
        ("Define port 8080\nListen ${port}", [8080]),
        ("<IfModule alias_module>\nListen 8080\n</IfModule>", [8080]),
        ("<IfModule mod_alias.c>\nListen 8080\n</IfModule>", [8080]),
        ("<IfModule !mod_alias.c>\n<IfModule ssl_module>\nListen 8080\n</IfModule>\n</IfModule>", []),
        ("<IfDefine away>\nListen 8080\n</IfDefine>\nListen 8081", [8081]),
        ("<IfFile /nowhere>\nListen 8080\n</IfFile>", []),
        ("<IfVersion >= 2.4>\nListen 8080\n</IfVersion>", [8080]),
        ("Listen \\\n8080", [8080]),
        ("# Listen 8080", []),
        ("Include loop.conf", []),
    ],
)
def test_ports_are_those_of_the_effective_configuration(look, etc, text, ports):
    write(etc / "loop.conf", "Include loop.conf\n")
    write(etc / "conf-enabled/more.conf", text + "\n")
    assert look()["listens"] == sorted([80, 443, *ports])


@pytest.mark.parametrize(
    ("host", "names", "what"),
    [
        ("*:443", "ServerName app.example.org", ["app.example.org"]),
        ("*:80", "servername http://APP.example.org:80", ["app.example.org"]),
        ("*", "ServerAlias www.example.org alias.example.org", ["alias.example.org"]),
        ("_default_:443", "ServerAlias *.example.org", ["*.example.org"]),
        ("192.0.2.1:443", "ServerName wiki.example.org", ["192.0.2.1"]),
        ("[2001:db8::1]:443", "ServerName wiki.example.org", ["[2001:db8::1]"]),
        ("192.0.2.1:8443", "ServerName app.example.org", []),
        ("*:443", "ServerName wiki.example.org", []),
        ("*:443", "<IfModule none>\nServerName app.example.org\n</IfModule>", []),
    ],
)
def test_virtual_host_that_keeps_visitors_away_is_a_conflict(look, etc, host, names, what):
    path = etc / "sites-enabled/wiki.conf"
    write(path, f"<VirtualHost {host}>\n{names}\n</VirtualHost>\nServerName app.example.org\n")
    assert look()["conflicting_hosts"] == [{"path": str(path), "ours": False, "what": name} for name in what]


def test_former_name_of_a_site_is_a_conflict_and_the_site_itself_is_not(look, etc):
    text = "<VirtualHost *:443>\nServerName app.example.org\n</VirtualHost>\n"
    write(etc / "sites-enabled/flask_sso-app.conf", text)
    assert look()["conflicting_hosts"] == []
    write(etc / "sites-enabled/flask_sso-former.conf", text)
    former = str(etc / "sites-enabled/flask_sso-former.conf")
    assert look()["conflicting_hosts"] == [{"path": former, "ours": True, "what": "app.example.org"}]


def test_paths_with_rules_are_reported_with_the_files_that_have_them(look, etc):
    rules = etc / "flask_sso/app/20-rules.conf"
    write(
        rules,
        "<Location /notes/>\n</Location>\n<Location />\n</Location>\n<Location ~ ^/x>\n</Location>\n"
        "Alias /static /srv/static\nProxyPass /static !\n",
    )
    host = "<VirtualHost *:443>\nServerName {}\nInclude {}\n</VirtualHost>\n"
    write(etc / "sites-enabled/flask_sso-app.conf", host.format("app.example.org", rules))
    write(etc / "flask_sso/wiki/20-rules.conf", "<Location /wiki>\n</Location>\n")
    write(etc / "sites-enabled/wiki.conf", host.format("wiki.example.org", etc / "flask_sso/wiki/20-rules.conf"))
    found = [{"path": str(rules), "location": path} for path in ("/notes", "/", "/static", "/static")]
    assert look()["locations"] == found
