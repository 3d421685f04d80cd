// SPDX-FileCopyrightText: campus.flask_sso contributors
// SPDX-License-Identifier: GPL-3.0-or-later

// Filter the list of groups as the user types. Without JavaScript all groups are shown.
const box = document.querySelector("#filter");
const groups = [...document.querySelectorAll(".groups li")];

function filter() {
  const pattern = box.value.trim().toLowerCase();
  for (const group of groups) {
    group.hidden = !group.textContent.toLowerCase().includes(pattern);
  }
  const shown = groups.filter((group) => !group.hidden).length;
  box.parentElement.querySelector("output").textContent = pattern ? `${shown} of ${groups.length}` : "";
}

box.addEventListener("input", filter);
box.parentElement.hidden = groups.length < 10;
