# SPDX-FileCopyrightText: campus.flask_sso contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults share a run of a playbook only where they want the same of every variable that both depend on."""

from refusal_runs import pack


def test_cases_without_a_variable_in_common_share_a_run():
    assert pack({"loud": {"volume": 12}, "nameless": {"band": ""}}) == [
        ({"volume": 12, "band": ""}, ["loud", "nameless"]),
    ]


def test_cases_that_want_the_same_share_a_run():
    assert pack({"loud": {"volume": 12}, "louder": {"volume": 12, "gain": 2}}) == [
        ({"volume": 12, "gain": 2}, ["loud", "louder"]),
    ]


def test_cases_that_want_different_values_have_runs_of_their_own():
    """Also those that agree with a case, but not with another one of its run; the first run that fits is taken."""
    cases = {
        "loud": {"volume": 12},
        "silent": {"volume": 0},
        "nameless": {"band": ""},
        "named after a band": {"band": "Toto", "volume": 0},
        "named after another": {"band": "Yes"},
    }
    assert pack(cases) == [
        ({"volume": 12, "band": ""}, ["loud", "nameless"]),
        ({"volume": 0, "band": "Toto"}, ["silent", "named after a band"]),
        ({"band": "Yes"}, ["named after another"]),
    ]


def test_cases_stay_as_they_are():
    cases = {"loud": {"volume": 12}, "nameless": {"band": ""}}
    pack(cases)
    assert cases == {"loud": {"volume": 12}, "nameless": {"band": ""}}
