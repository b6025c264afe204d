"""Every number that stands in prose is what the committed records say; `tools.claims` has the syntax."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import jupytext
import matplotlib.pyplot as plt
import pytest

from piumar_lib.evidence import (
    contrasts,
    experiments,
    forest,
    person_gain,
    protocol,
    statistics,
)
from piumar_lib.evidence.records import read_records
from tools import claims
from tools.__main__ import main
from tools.claims import NUMBER, SENTENCES, update

ROOT = Path(__file__).parents[1]
CLAIM, CONCLUSION, _ = SENTENCES
CONCLUDING = ("09_evidence", "README")
MEASURED = re.compile(r"[+\-−]?\d[\d.,]*(?:\s*\[[^\]]*\])?\s*(?:%|percent\b|per cent\b|points?\b)")
STRICT = "09_evidence"  # holds no measured number but in this syntax
DOCUMENTS = [*sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.py")), ROOT / "README.md"]

read_once = cache(read_records)  # for committed records alone: those of a test may change


@pytest.fixture
def committed(monkeypatch):
    """Each claim reads the files of all data sets; here each file is parsed once."""
    for module in (protocol, person_gain):
        monkeypatch.setattr(module, "read_records", read_once)


@cache
def prose(path: Path) -> str:
    """A document's prose in one line, without links and the marks that begin a quotation's lines."""
    if path.suffix == ".py":
        cells = jupytext.read(path).cells
        text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    else:
        text = path.read_text(encoding="utf-8")
    text = re.sub(r"(?<!!)\[([^\]\[]+)\]\(glossary\.md#[^)]*\)", r"\1", text)
    return " ".join(re.sub(r"^\s*>\s?", "", text, flags=re.MULTILINE).split())


def problems(text: str, folder: Path = protocol.STUDY, strict: bool = False) -> list[str]:
    """What is wrong with the claims of a text, one sentence each."""
    _, found = update(text, folder)
    if strict:
        rest = CONCLUSION.sub("", CLAIM.sub("", text))
        found += [f"{other!r} is outside the syntax of claims" for other in MEASURED.findall(rest)]
    return found


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_no_name_is_broken_before_its_plus(path):
    """A line that begins with "+ augmentation" begins a list; lists here begin with "-"."""
    assert not re.findall(r"^(?:# )?[+*] .*", path.read_text(encoding="utf-8"), re.M)


@pytest.mark.usefixtures("committed")
@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_every_claim_is_what_the_records_say(path):
    assert not problems(prose(path), strict=path.stem == STRICT)


@pytest.mark.usefixtures("committed")
def test_the_figure_on_the_front_page_is_drawn_from_these_records():
    drawn = ElementTree.parse(ROOT / "notebooks" / "pictures" / "contrasts.svg").getroot()
    figure, words = forest.draw_contrasts(claims.planned(folder=protocol.STUDY))
    plt.close(figure)
    assert words in [element.text for element in drawn.iter() if element.text], (
        "contrasts.svg is outdated. Run: python -m tools pictures --only contrasts"
    )


@pytest.mark.usefixtures("committed")
@pytest.mark.parametrize("name", CONCLUDING)
def test_conclusions_are_what_the_planned_contrasts_say(name):
    """`problems` compares their numbers and verdicts; here, that all are there, and the baseline."""
    (path,) = (path for path in DOCUMENTS if path.stem == name)
    text = prose(path)
    told = [match["name"].lower().replace("normalis", "normaliz") for match in CONCLUSION.finditer(text)]
    assert told == [contrast.name.lower() for contrast in contrasts.CONTRASTS]
    results = claims.planned(folder=protocol.STUDY)
    best = [r.against for r in results if len(r.contrast.against) > 1]
    own, one = (baseline.removesuffix(" + augmentation") for baseline in best)
    assert f"{own} at own tempo, {one} at one length" in text
    own, one = map(contrasts.seeds_of_all, protocol.FORMS)
    assert f"{own} of {protocol.SEEDS} planned seeds at own tempo, {one} at one length" in text


# What chapter 09 says without a number, of methods over augmentation on real people at own tempo.
UNDECIDED = ("DAID + augmentation", "HDF + augmentation", "GroupDRO + augmentation", "MiniRocket")
EQUIVALENT = tuple(f"{name} + augmentation" for name in ("weight averaging", "reclock", "masked ReMA"))


@pytest.mark.usefixtures("committed")
def test_what_is_said_without_a_number_is_what_the_records_say():
    (path,) = (path for path in DOCUMENTS if path.stem == STRICT)
    text = re.sub(r" \[\[\d+\]\([^)]*\)\]", "", prose(path))
    assert "For DAID, HDF, GroupDRO and MiniRocket nothing is established." in text
    assert "It also separates augmentation from weight averaging, reclock, masked ReMA and ReMA" in text
    records = contrasts.read(protocol.REAL, "own tempo")
    found = {m: contrasts.compare(records, m, "augmentation") for m in (*UNDECIDED, *EQUIVALENT)}
    verdicts = {method: statistics.verdict(pooled) for method, pooled in found.items()}
    said = dict.fromkeys(UNDECIDED, "not decided") | dict.fromkeys(
        EQUIVALENT, "equivalent within 1 point"
    )
    assert verdicts == said


def test_the_strict_chapter_is_there():
    assert STRICT in {path.stem for path in DOCUMENTS}


# The checker itself, on records whose numbers are known


PEOPLE = {"ERM": (50, 60, 70, 80), "TFAM": (54, 62, 71, 85)}  # differences 4, 2, 1, 5
RIGHT = "`TFAM` over `ERM` on `spar-own-tempo`: +3.0 points [+0.1, +5.9]"


@pytest.fixture
def folder(tmp_path):
    """Two methods, two seeds: TFAM is 3 points better on average, with a deviation of root 10 / 3."""
    lines = []
    for method, scores in PEOPLE.items():
        for seed in (0, 1):
            e = experiments.experiment("spar-own-tempo", method, 1, seed)
            people = {str(k): [right + 2 * seed, 100] for k, right in enumerate(scores)}
            lines.append(json.dumps(e.key() | {"people": people}))
    (tmp_path / "spar.jsonl").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_a_right_claim_passes(folder):
    assert problems(f"We saw {RIGHT}, no more.", folder, strict=True) == []


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (RIGHT.replace("+3.0", "+3.1"), r"records say \+3\.0 points \[\+0\.1, \+5\.9\]"),
        (RIGHT.replace("+3.0", "-3.0"), "records say"),
        (RIGHT.replace("+0.1", "+0.2"), "records say"),
        (RIGHT.replace("+5.9", "+5.8"), "records say"),
        (
            "`ERM` over `TFAM` on `spar-own-tempo`: +3.0 points [+0.1, +5.9]",
            r"say -3\.0 points \[-5\.9, -0\.1\]",
        ),
        (RIGHT.replace("TFAM", "magic"), "magic and ERM have no training in common"),
        (RIGHT.replace("`ERM`", "`CVaR`"), "TFAM and CVaR have no training in common"),
        (RIGHT.replace("spar-own-tempo", "mnist"), "'mnist' is no data set, and no pool"),
        (RIGHT.replace("spar-own-tempo", "shrec17"), "no records of shrec17"),
        (
            RIGHT.replace("spar-own-tempo", "real people, own tempo"),
            "no records of msraction3d-own-tempo",
        ),
    ],
)
def test_a_wrong_claim_is_found(folder, wrong, reason):
    (found,) = problems(f"First {RIGHT}. Then {wrong}.", folder)
    assert wrong in found and re.search(reason, found)


def test_zero_has_no_sign(folder):
    zero = "`TFAM` over `ERM` on `spar-own-tempo`: {} points [+0.1, +5.9]"
    (found,) = problems(zero.format("-0.0"), folder)
    assert "the records say +3.0" in found


@pytest.mark.parametrize(
    "other",
    ["a gain of 2.6 points", "+2 points", "81 % of clips", "81.5% of clips", "3 percent", "just 1 point"]
    + ["`TFAM` over `ERM` on `spar-own-tempo`: 3.0 points [1.5, 4.5]", "+3.0 [+1.5, +4.5] points"],
)
def test_other_numbers_are_found_where_it_is_strict(folder, other):
    text = f"{RIGHT}, which is {other}."
    assert problems(text, folder) == []
    assert len(problems(text, folder, strict=True)) == 1


def test_a_claim_may_be_about_another_network(folder):
    path = folder / "spar.jsonl"
    records = [json.loads(line) for line in path.read_text().splitlines()]
    wide = [r | {"hyperparameters": r["hyperparameters"] | {"width": 64}} for r in records]
    for r in wide:  # the same gain, halved
        r["people"] = {p: [right, 2 * clips] for p, (right, clips) in r["people"].items()}
    path.write_text("".join(json.dumps(r) + "\n" for r in records + wide))
    said = RIGHT.replace("own-tempo`", "own-tempo, CNN, 64 channels`").replace("+3.0", "+1.5")
    (found,) = problems(said.replace("+0.1, +5.9", "-9.9, +9.9"), folder)
    assert "the records say +1.5 points [+0.0, +3.0]" in found and not problems(RIGHT, folder)
    (found,) = problems(RIGHT.replace("own-tempo`", "own-tempo, ResNet-1D`"), folder)
    assert "no records" in found


def test_numbers_of_other_things_may_stand(folder):
    assert not problems("10 people, 0.05, 52 actions, 2 of 1024, two points", folder, strict=True)


def test_claims_are_found_across_lines_and_quotations_but_not_in_code(tmp_path):
    broken = RIGHT.replace(" points ", " points\n# > ").replace("over ", "over\n# > ")
    path = tmp_path / "09_evidence.py"
    path.write_text(f"# %% [markdown]\n# > {broken}\n\n# %%\nx = 'a gain of 2.6 points'\n")
    assert prose(path) == RIGHT
    path = tmp_path / "README.md"
    path.write_text(f"> {RIGHT.replace(' on ', chr(10) + '> on ')}\n")
    assert prose(path) == RIGHT


# What is outdated is rewritten


def test_a_claim_is_rewritten_and_its_lines_stay(folder):
    broken = RIGHT.replace(" points ", " points\n# > ")
    outdated = broken.replace("+3.0", "-1.7").replace("+5.9", "+11.2")
    assert update(f"# {outdated}, no more.", folder)[0] == f"# {broken}, no more."
    assert update(broken, folder) == (broken, [])


SAID = (
    "**TFAM on\n# top of it**, here: +0.1 points [-9.0, +0.2] at own\n# tempo ({}), -0.5 points "
    "[-1.0, +1.0] at one length ({})."
)


def test_a_conclusion_is_rewritten_numbers_and_verdicts():
    results = claims.planned(folder=protocol.STUDY)
    said = SAID.format("a gain", "not\n# decided")
    text, found = update(said)
    own, one = (r for r in results if r.contrast.name == "TFAM on top of it")
    assert len(found) == 1 and update(text) == (text, [])
    assert f"tempo ({own.verdict}), {100 * one.pooled.difference:+.1f} points" in text
    assert re.sub(NUMBER, "", text.replace("\n# ", " ")) == re.sub(
        NUMBER, "", SAID.format(own.verdict, one.verdict).replace("\n# ", " ")
    )


def test_an_unknown_contrast_is_no_conclusion():
    (found,) = problems(SAID.format("a gain", "a loss").replace("top", "bottom"))
    assert "must be the name of a planned contrast" in found


def test_the_command_rewrites_or_only_reports(tmp_path, monkeypatch, capsys):
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "notebooks").mkdir()
    monkeypatch.setattr(contrasts, "seeds_of_all", lambda form, folder: {"own tempo": 3}.get(form, 2))
    chapter = tmp_path / "notebooks" / "01_first.py"
    chapter.write_text(
        "# %% [markdown]\n# # 01 · First\n#\n# Is it?\n#\n"
        "# So far 1\n# of 3 planned seeds at own tempo, 1 at one length.\n"
    )
    (tmp_path / "README.md").write_text("1 of 3 planned seeds at own tempo, 2 at one length\n")
    before = chapter.read_text()
    assert main(["--root", str(tmp_path), "claims", "--check"]) == 1
    assert chapter.read_text() == before
    said = "01_first.py: 1 of 3 planned seeds at own tempo, 1 at one length: the records say 3, 2"
    assert said in capsys.readouterr().out
    assert main(["--root", str(tmp_path), "claims"]) == 0
    after = before.replace("1\n# of 3", "3\n# of 3").replace("1 at one", "2 at one")
    assert chapter.read_text() == after
    assert (tmp_path / "README.md").read_text() == "3 of 3 planned seeds at own tempo, 2 at one length\n"
    assert main(["--root", str(tmp_path), "claims", "--check"]) == 0
