# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Show the site to two people with certificates and to one without: by curl, and in a browser."""

import shlex
import subprocess
import sys

import bench_client

PEOPLE = bench_client.ARTIFACTS / "private_ca" / "people"
PICTURE = bench_client.ARTIFACTS / "bench" / "client-certificate.png"


def curl(person: str = "") -> str:
    """Ask for a greeting, and show how; return the answer."""
    address = bench_client.addresses()[bench_client.HOST]
    command = ["curl", "--silent", "--show-error", "--cacert", str(bench_client.CA)]
    command += ["--resolve", f"{bench_client.HOST}:443:{address}"]
    if person:
        command += ["--cert", str(PEOPLE / person / "certificate.pem"), "--key", str(PEOPLE / person / "key.pem")]
    command.append(f"{bench_client.SITE}/hello")
    print(f"\n$ {shlex.join(command)}", flush=True)
    answer = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout
    print(answer, flush=True)
    return answer


def main() -> None:
    """Show it."""
    answers = [curl(person) for person in ("ghopper", "cpayne", "")]
    if answers[:2] != ["Hello Grace Hopper!", "Hello Cecilia Payne!"] or not answers[2].startswith("curl: "):
        sys.exit("\nThis is not what two people with certificates and one without should see.")
    with bench_client.browser(PEOPLE / "ghopper") as page:
        page.goto(bench_client.SITE)
        page.screenshot(path=PICTURE)
        print(f"\nChromium, with Grace Hopper's certificate, shows: {page.text_content('h1')}")
    print(f"""
  Picture              {PICTURE}
  In your own browser  import {PEOPLE / "ghopper" / "ghopper.p12"}
                       (its passphrase is in the file passphrase beside it) and {bench_client.CA}
  Take it down         make down""")


if __name__ == "__main__":
    main()
