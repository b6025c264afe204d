"""How commands end: in one line after a mistake, in a traceback after a bug."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from piumar_lib.data import load_npz
from piumar_lib.ma52.prepare.index import read_index
from piumar_lib.metrics import bootstrap_interval
from piumar_lib.support.command import Parser, at_least, called_as, command_line


def of_ours():
    read_index("nowhere.csv")


def of_the_system():
    Path("/nowhere/at/all").write_text("")


def of_json():
    json.loads("")


def of_numpy():
    np.zeros(3) + np.zeros(4)


def of_a_call_in_our_code():
    bootstrap_interval(["a"])  # numpy refuses, inside a function of ours


def of_torch():
    torch.zeros(3) @ torch.zeros(4)


def of_a_bug():
    {}["key"]


def of_arithmetic():
    return 1 / 0


@command_line
def main(argv):
    argv()


@pytest.mark.parametrize("work", [of_ours, of_the_system])
def test_a_mistake_is_one_line_and_code_1(work, capsys):
    assert main(work) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1
    assert "nowhere" in said and "Errno" not in said


@pytest.mark.parametrize(
    "work", [of_json, of_numpy, of_a_call_in_our_code, of_torch, of_a_bug, of_arithmetic]
)
def test_a_bug_is_raised(work):
    with pytest.raises((ValueError, RuntimeError, TypeError, LookupError, ArithmeticError)):
        main(work)


def test_a_chain_ends_with_the_last_to_speak(tmp_path, capsys):
    (tmp_path / "own.npz").write_bytes(b"no zip")
    assert main(lambda: load_npz(tmp_path / "own.npz")) == 1
    assert "cannot be read as a plain .npz" in capsys.readouterr().err


def test_memory_that_does_not_suffice_is_no_bug(capsys):
    assert main(lambda: np.empty(2**60, np.uint8)) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: memory: Unable to allocate") and "fewer workers" in said


def test_a_package_that_is_missing_is_named(capsys):
    assert main(lambda: __import__("no_such_package")) == 1
    assert "No module named 'no_such_package'. Install what the course needs" in capsys.readouterr().err


@pytest.mark.parametrize("words", ["", "all is saved"])
def test_ctrl_c_is_130(words, capsys):
    def stop():
        raise KeyboardInterrupt(words)

    assert main(stop) == 130
    assert capsys.readouterr().err == f"\n{words or 'stopped'}\n"


def test_a_code_is_passed_on():
    assert command_line(lambda argv: 3)([]) == 3 and command_line(lambda argv: None)([]) == 0


@pytest.mark.parametrize(("text", "low"), [("0", 1), ("-1", 0)])
def test_numbers_have_a_least(text, low):
    assert at_least(low)(str(low)) == low
    with pytest.raises(Exception, match=f"{text} is too small. Choose {low} or more"):
        at_least(low)(text)


@pytest.mark.parametrize(
    ("called", "said"),
    [
        ("/x/piumar_lib/ma52/__main__.py", "python -m piumar_lib.ma52 train --method 'a b'"),
        ("/x/ipykernel_launcher.py", "notebook"),
    ],
)
def test_a_record_says_how_the_course_was_called(monkeypatch, called, said):
    monkeypatch.setattr("sys.argv", [called, "train", "--method", "a b"])
    assert called_as("piumar_lib.ma52") == said


@pytest.fixture
def parser():
    top = Parser(prog="course")
    top.add_argument("--method", choices=["ERM", "TFAM, uniform clock"])
    commands = top.add_subparsers(required=True)
    train = commands.add_parser("train")
    train.add_argument("--epochs", type=int)
    train.add_argument("--learning-rate", type=float)
    commands.add_parser("recognize")
    return top


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--method", "ERN", "train"], "'ERN' is unknown. Did you mean 'ERM'? Choose from ERM, TFAM"),
        (["recognise"], "'recognise' is unknown. Did you mean 'recognize'? Choose from train, rec"),
        (["train", "--epochz", "3"], "unrecognized arguments: --epochz 3. Did you mean '--epochs'?"),
        (["train", "--rate", "3"], "unrecognized arguments: --rate 3. Did you mean '--learning-rate'?"),
        (["train", "--xyz"], "unrecognized arguments: --xyz.\n"),
    ],
)
def test_what_is_unknown_is_told_with_its_nearest_name(parser, capsys, words, message):
    with pytest.raises(SystemExit):
        parser.parse_args(words)
    assert message in capsys.readouterr().err
    assert parser.parse_args(["train", "--epochs", "3"]).epochs == 3
