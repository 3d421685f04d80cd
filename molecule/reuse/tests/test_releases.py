# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""After every release or change, the site answers: with the new one, or with the previous one.

The tests follow each other in the life of one site.
"""

import subprocess
import sys

from conftest import visitors

MODULES = "/usr/lib/apache2/modules"


def main_pid(host, unit: str) -> str:
    """Return the process that a unit runs as."""
    return host.check_output(f"systemctl show --property=MainPID --value {unit}")


def settings(host) -> str:
    """Return checksums of all files of the application's service."""
    return host.check_output("find /etc/guestbook /etc/systemd/system/guestbook.* -type f -exec sha256sum {} +")


def proxy_modules(host) -> list[str]:
    """Return the files that the running httpd has mapped for the uwsgi protocol."""
    maps = host.check_output(f"grep -o '{MODULES}/mod_proxy_uwsgi.*' /proc/{main_pid(host, 'apache2')}/maps")
    return sorted(set(maps.splitlines()))


def test_new_release_replaces_the_old_one_without_a_failed_request(host, deploy, page):
    served = page().text
    with visitors("/", "/", "/slow", "/slow") as answers:
        run = deploy("second")
    assert run.code == 0, run.said
    assert set(answers) == {f"200 {served}", "200 second"}


def test_release_that_cannot_be_imported_is_refused_and_the_old_one_keeps_serving(host, deploy, page):
    served = page().text
    before = settings(host), main_pid(host, "guestbook")
    run = deploy("unimportable", "import no_such_module\n", flask_app_keep_releases=1)
    assert run.code == 2, run.said
    assert "No module named 'no_such_module'" in run.said
    assert 'cannot be imported as flask_app_wsgi ("app:app"). The previous release keeps running.' in run.said
    assert (settings(host), main_pid(host, "guestbook")) == before
    host.check_output("systemctl restart guestbook")
    assert page().text == served


def test_release_that_cannot_start_is_rolled_back_without_a_failed_request(host, deploy, page):
    before, served = settings(host), page().text
    with visitors("/", "/", "/slow") as answers:
        run = deploy(
            "unstartable",
            "try:\n    import uwsgi\nexcept ImportError:\n    pass\nelse:\n    raise SystemExit('not today')\n",
            uwsgi_proxy_timeout=30,
        )
    assert run.code == 2, run.said
    assert "guestbook.service could not run with its new files" in run.said
    assert "it runs with those" in run.said
    assert "not today" in run.said
    assert settings(host) == before
    assert host.run("ls /var/lib/flask_sso/*.journal").failed  # nothing waits for a later reload
    assert "timeout=30" not in host.file("/etc/apache2/by-hand.d/guestbook.conf").content_string
    assert set(answers) == {f"200 {served}"}
    assert page().text == served


def test_interrupted_run_is_completed_by_the_next_one(host, deploy, page):
    served = page().text
    interrupted = deploy("third", stop_at="Stage the module and the proxy rules")
    assert interrupted.code == -9
    assert page().text == served

    healing = deploy("third")
    assert healing.code == 0, healing.said
    assert healing.changed > 0
    assert page().text == "third"
    assert deploy("third").changed == 0


def test_only_the_configured_number_of_releases_is_kept(host, deploy, page):
    recorded = [name for name in host.file("/etc/guestbook/releases").listdir() if name.endswith(".json")]
    assert len(recorded) == 3
    (shared,) = host.file("/srv/guestbook/venvs").listdir()  # as the requirements are the same
    # One that has never run might be another run's for an hour.
    host.check_output("touch --date='2 hours ago' /srv/guestbook/releases/*")
    run = deploy("third", flask_app_keep_releases=1, flask_app_processes=1)
    assert run.code == 0, run.said
    (running,) = host.file("/srv/guestbook/releases").listdir()
    assert f"/releases/{running}/" in host.file("/etc/guestbook/uwsgi.ini").content_string
    assert host.file("/srv/guestbook/venvs").listdir() == [shared]
    assert page().text == "third"


def test_module_is_the_configured_one_and_compiled_once(host, deploy, page):
    (compiled,) = proxy_modules(host)
    made = host.file(compiled).mtime
    assert compiled != f"{MODULES}/mod_proxy_uwsgi.so"

    assert deploy("third", uwsgi_proxy_module="packaged").changed > 0
    assert proxy_modules(host) == [f"{MODULES}/mod_proxy_uwsgi.so"]
    assert page().text == "third"

    assert deploy("third").changed > 0
    assert proxy_modules(host) == [compiled]
    assert page().text == "third"
    assert host.file(compiled).mtime == made


def test_module_is_compiled_from_an_archive_of_the_controller_where_there_is_no_index(host, deploy, page, tmp_path):
    (compiled,) = proxy_modules(host)
    options = ["--quiet", "--no-deps", "--no-binary=:all:", "--dest", str(tmp_path)]
    subprocess.run([sys.executable, "-m", "pip", "download", *options, "uwsgi==2.0.31"], check=True)
    archive = tmp_path / "uwsgi-2.0.31.tar.gz"
    assert deploy("third", uwsgi_proxy_module="packaged").code == 0
    host.check_output(f"rm {compiled}; touch /etc/pip.conf; cp --archive /etc/pip.conf /root/pip.conf")
    host.check_output("printf '[global]\\nno-index = true\\n' >/etc/pip.conf")
    try:
        (tmp_path / "another.tar.gz").write_bytes(archive.read_bytes()[:-1])
        refused = deploy("third", uwsgi_proxy_source=str(tmp_path / "another.tar.gz"))
        assert refused.code == 2, refused.said
        assert "is not the archive whose SHA-256 uwsgi_proxy_uwsgi_sha256 names" in refused.said
        run = deploy("third", uwsgi_proxy_source=str(archive))
    finally:
        host.check_output("mv /root/pip.conf /etc/pip.conf")
    assert run.code == 0, run.said
    assert proxy_modules(host) == [compiled]
    assert host.run("ls /var/lib/flask_sso/build-*").rc != 0
    assert page().text == "third"


def test_configuration_that_httpd_does_not_understand_leaves_everything_as_it_was(host, deploy, page):
    """Also if the fault is in a file of the administrator, who has not loaded it yet."""
    fragment = host.file("/etc/apache2/by-hand.d/guestbook.conf")
    before = fragment.content_string, main_pid(host, "apache2")
    host.check_output("echo Nonsense > /etc/apache2/by-hand.d/nonsense.conf")
    run = deploy("third", uwsgi_proxy_timeout=61)
    host.check_output("rm /etc/apache2/by-hand.d/nonsense.conf")
    assert run.code == 2, run.said
    assert "/etc/apache2/by-hand.d/nonsense.conf" in run.said
    assert "every file is as it was and the service was not touched" in run.said
    assert (fragment.content_string, main_pid(host, "apache2")) == before
    assert page().text == "third"
