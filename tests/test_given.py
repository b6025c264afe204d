"""What a chapter's parameter ``data`` may name."""

from __future__ import annotations

import numpy as np
import pytest

from piumar_lib.data import Sequences, save_npz
from piumar_lib.data.people.recordings import VARIABLE
from piumar_lib.notebook import given


@pytest.fixture
def fetched(tmp_path, monkeypatch):
    """A folder of sets, with a small one in it."""
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    rng, n = np.random.default_rng(0), 24
    clips = Sequences(
        x=rng.normal(size=(n, 40, 3)), y=np.arange(n) % 3, person=np.arange(n) // 6,
        lengths=rng.integers(10, 41, n),
    )  # fmt: skip
    save_npz(tmp_path / "mmg.npz", clips)
    return tmp_path


def test_nothing_asked_for():
    assert given("") == ("", None)


def test_a_readers_file_and_a_set_in_both_forms(own, fetched):
    data, clips = given(own, people=2)
    assert data == own and len(clips.people) >= 2
    for name, held in (("mmg", False), ("mmg-own-tempo", True)):
        data, clips = given(name, people=2)
        assert data == name and clips.x.shape == (24, 32, 3)
        assert (clips.lengths < 32).any() == held


def test_a_set_that_was_not_fetched_is_said_and_left_out(fetched, capsys):
    assert given("shrec17-own-tempo", people=2) == ("", None)
    said = capsys.readouterr().out
    assert "python data_scripts/download_people.py shrec17" in said and "Going on without it" in said


@pytest.mark.parametrize("data", ["mnist", "spar-windows", "shrec17-one-length"])
def test_other_names_are_refused(data):
    with pytest.raises(ValueError, match=f"{data}.*no set. Choose from msraction3d"):
        given(data)


def test_too_little_is_refused(fetched):
    with pytest.raises(ValueError, match="people"):
        given("mmg", people=9)
