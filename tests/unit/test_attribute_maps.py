# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each map of Shibboleth has a name once, and all attributes are in one."""

import pytest
from ansible_collections.campus.flask_sso.plugins.filter.attribute_maps import attribute_maps


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        ([], [[]]),
        (["b", "a"], [["a", "b"]]),
        (["a", "A"], [["A", "a"]]),
        (["b", "a", "b", "c", "b", "c"], [["a", "b", "c"], ["b", "c"], ["b"]]),
    ],
)
def test_a_repeated_name_is_in_a_further_map(names, wanted):
    maps = attribute_maps([{"id": str(number), "name": name} for number, name in enumerate(names)])
    assert [[attribute["name"] for attribute in each] for each in maps] == wanted
    assert sorted(int(attribute["id"]) for each in maps for attribute in each) == list(range(len(names)))


def test_ids_of_a_name_keep_their_order():
    assert attribute_maps([{"id": "2", "name": "n"}, {"id": "1", "name": "n"}]) == [
        [{"id": "2", "name": "n"}],
        [{"id": "1", "name": "n"}],
    ]
