# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two roles serve an unknown application behind an Apache that was set up by hand, and change nothing else of it."""

from conftest import SCENARIO


def test_application_answers_through_apache(page):
    assert page().text == "first"
    assert page("/slow").text == "first"


def test_other_names_still_get_the_default_site(page):
    assert "Apache2 Debian Default Page" in page(headers={"Host": "elsewhere.example.org"}).text


def test_nothing_of_the_hand_made_apache_was_changed(host):
    assert host.check_output("dpkg --verify apache2 apache2-bin apache2-data") == ""
    assert host.file("/etc/apache2/sites-enabled/000-default.conf").linked_to == (
        "/etc/apache2/sites-available/000-default.conf"
    )
    by_hand = host.file("/etc/apache2/sites-enabled/by-hand.conf")
    written = (SCENARIO.parent / "shared" / "templates" / "by-hand.conf.j2").read_text()
    assert by_hand.content_string == written.replace("{{ by_hand_name }}", "reuse.example.org")


def test_modules_of_the_hand_made_apache_are_still_loaded(host):
    loaded = host.check_output("apache2ctl -M")
    stock = host.check_output("ls /etc/apache2/mods-enabled | grep -v flask_sso | sed -n 's/.load$//p'").split()
    assert len(stock) > 15
    assert [name for name in stock if f" {name}_module " not in loaded] == []


def test_roles_that_were_not_asked_for_did_nothing(host):
    assert not host.package("libapache2-mod-shib").is_installed
    assert not host.file("/etc/ssl/flask_sso").exists
    assert not host.socket("tcp://443").is_listening
