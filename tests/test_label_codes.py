"""Letter codes of MA-52 against names, ids and the published demo folders."""

from __future__ import annotations

import re

import pytest

from piumar_lib.data.label_codes import MANUAL, all_codes, code_of, find_code
from piumar_lib.data.labels import ACTIONS, BODY_PARTS, body_part

# As they are called in the benchmark's repository, with the ids of their names in its label_name.txt.
DEMO_FOLDERS = {
    "A1 shaking body": 0, "A2 turning around": 3, "A3 sitting straightly": 1,
    "B1 nodding": 9, "B2 shaking head": 10, "B3 turning head": 8,
}  # fmt: skip


@pytest.mark.parametrize(("folder", "action"), DEMO_FOLDERS.items())
def test_the_demo_folders_mean_the_labels_of_the_lists(folder, action):
    found = find_code(folder)
    assert found.action == action and f"{found.code} {found.name}" == folder
    assert find_code(found.code) == find_code(folder.upper()) == code_of(action) == found


def test_every_action_has_one_code_and_a_letter_is_a_body_part():
    codes = all_codes()
    assert sorted(one.action for one in codes) == list(range(52))
    assert len({one.code for one in codes}) == 52
    assert [one.counted for one in codes] == list(range(52))
    for one in codes:
        assert ACTIONS[one.action] == one.name
        assert one.part == BODY_PARTS["ABCDEFG".index(one.code[0])] == BODY_PARTS[body_part(one.action)]
        assert code_of(one.action) == one
    assert [len(names) for names in MANUAL.values()] == [5, 6, 13, 8, 6, 10, 4]


def test_codes_that_are_counted_through_are_other_actions():
    right = [one.code for one in all_codes() if one.counted == one.action]
    assert right == ["A1", "A5", "E3", "F9", "G3", "G4"], "none of the head"
    assert str(find_code("B1")) == "B1 = id 9, nodding" and ACTIONS[find_code("B1").counted] == (
        "bowing head"
    )


SPELLED = ["c13", "C13: rubbing hands", "C13_rubbing hands", " C13-Rubbing  Hands "]


@pytest.mark.parametrize("label", SPELLED)
def test_codes_may_be_written_otherwise(label):
    assert find_code(label).name == "rubbing hands"


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("B7", "label: must begin with a letter code, got 'B7'. .* B1 to B6"),
        ("H1", "got 'H1'"), ("B0", "got 'B0'"), ("B", "got 'B'"), ("", "got ''"), ("9", "got '9'"),
        ("nodding", "got 'nodding'"),
        ("B1 bowing head", "'B1 bowing head' names 'bowing head', but B1 = id 9, nodding. Correct"),
    ],
)  # fmt: skip
def test_what_is_no_code_is_refused(label, message):
    with pytest.raises(ValueError, match=message):
        find_code(label)


@pytest.mark.parametrize("action", [-1, 52])
def test_there_is_no_code_of_what_is_no_action(action):
    with pytest.raises(ValueError, match=re.escape(f"action: must be 0 to 51, got {action}")):
        code_of(action)
