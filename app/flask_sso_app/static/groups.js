// SPDX-FileCopyrightText: campus.flask_sso contributors
// SPDX-License-Identifier: GPL-3.0-or-later

// Filter the list of groups as the user types. Without JavaScript the list is simply whole.
const box = document.querySelector("#filter");
const groups = [...document.querySelectorAll(".groups li")];

function filter() {
  const wanted = box.value.trim().toLowerCase();
  for (const group of groups) {
    group.hidden = !group.textContent.toLowerCase().includes(wanted);
  }
  const shown = groups.filter((group) => !group.hidden).length;
  box.parentElement.querySelector("output").textContent = wanted ? `${shown} of ${groups.length}` : "";
}

box.addEventListener("input", filter);
box.parentElement.hidden = groups.length < 10;
