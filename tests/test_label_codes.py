"""Letter codes of MA-52 against names, ids and the published demo folders."""

from __future__ import annotations

import pytest

from piumar_lib.data.label_codes import MANUAL, all_codes
from piumar_lib.data.labels import ACTIONS, BODY_PARTS, body_part

# As they are called in the benchmark's repository, with the ids of their names in its label_name.txt.
DEMO_FOLDERS = {
    "A1 shaking body": 0, "A2 turning around": 3, "A3 sitting straightly": 1,
    "B1 nodding": 9, "B2 shaking head": 10, "B3 turning head": 8,
}  # fmt: skip


@pytest.mark.parametrize(("folder", "action"), DEMO_FOLDERS.items())
def test_the_demo_folders_mean_the_labels_of_the_lists(folder, action):
    (found,) = (one for one in all_codes() if one.action == action)
    assert f"{found.code} {found.name}" == folder


def test_every_action_has_one_code_and_a_letter_is_a_body_part():
    codes = all_codes()
    assert sorted(one.action for one in codes) == list(range(52))
    assert len({one.code for one in codes}) == 52
    assert [one.counted for one in codes] == list(range(52))
    for one in codes:
        assert ACTIONS[one.action] == one.name
        assert one.part == BODY_PARTS["ABCDEFG".index(one.code[0])] == BODY_PARTS[body_part(one.action)]
    assert [len(names) for names in MANUAL.values()] == [5, 6, 13, 8, 6, 10, 4]


def test_codes_that_are_counted_through_are_other_actions():
    right = [one.code for one in all_codes() if one.counted == one.action]
    assert right == ["A1", "A5", "E3", "F9", "G3", "G4"], "none of the head"
    (nodding,) = (one for one in all_codes() if one.code == "B1")
    assert str(nodding) == "B1 = id 9, nodding" and ACTIONS[nodding.counted] == "bowing head"
