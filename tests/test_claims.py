"""Every number that stands in prose is what the committed records say.

One syntax for all: "`METHOD` over `REFERENCE` on `DATA`: +2.6 points [+0.7, +4.5]", the mean paired
difference over people and its 95 % interval. DATA is a data set's name, or a pool and a form, such as
"real people, own tempo". README and chapter 09 conclude with a sentence for each planned contrast:
"**NAME** ...: +2.6 points [+0.7, +4.5] at own tempo (a gain), +0.3 points [-0.2, +0.8] at one length
(not decided)", each with the contrast's verdict.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import jupytext
import pytest

from piumar_lib.evidence import contrasts, experiments, protocol, wording

ROOT = Path(__file__).parents[1]
NUMBER = r"[+-]\d+\.\d"
CLAIM = re.compile(
    r"`(?P<method>[^`]+)` over `(?P<reference>[^`]+)` on `(?P<data>[^`]+)`: "
    rf"(?P<difference>{NUMBER}) points \[(?P<low>{NUMBER}), (?P<high>{NUMBER})\]"
)
RESULT = r"(?P<{0}>[+-][^\]]+\]) at {1} \((?P<verdict_{0}>[^)]+)\)"
CONCLUSION = re.compile(
    r"\*\*(?P<name>[^*:]+)\*\*[^*:]*: "
    + RESULT.format("own", "own tempo") + ", " + RESULT.format("one", "one length")
)  # fmt: skip
CONCLUDING = ("09_evidence", "README")
MEASURED = re.compile(r"[+\-−]?\d[\d.,]*(?:\s*\[[^\]]*\])?\s*(?:%|percent\b|per cent\b|points?\b)")
STRICT = "09_evidence"  # holds no measured number but in this syntax
DOCUMENTS = [*sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.py")), ROOT / "README.md"]


def prose(path: Path) -> str:
    """A document's prose in one line, without links and the marks that begin a quotation's lines."""
    if path.suffix == ".py":
        cells = jupytext.read(path).cells
        text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    else:
        text = path.read_text(encoding="utf-8")
    text = re.sub(r"(?<!!)\[([^\]\[]+)\]\(glossary\.md#[^)]*\)", r"\1", text)
    return " ".join(re.sub(r"^\s*>\s?", "", text, flags=re.MULTILINE).split())


def expected(claim: dict[str, str], folder: Path) -> str:
    """What the records say, as ``+2.6 [+0.7, +4.5]``.

    Raises:
        ValueError: If there are no such records.
    """
    sets, form = contrasts.meant_by(claim["data"])
    try:
        records = contrasts.read(sets, form, folder)
    except FileNotFoundError:
        raise ValueError(f"no records of {claim['data']!r}") from None
    return wording.points(contrasts.compare(records, claim["method"], claim["reference"]))


def problems(text: str, folder: Path = protocol.STUDY, strict: bool = False) -> list[str]:
    """What is wrong with the claims of a text, one sentence each."""
    found = []
    for match in CLAIM.finditer(text):
        claim = match.groupdict()
        said = f"{claim['difference']} [{claim['low']}, {claim['high']}]"
        try:
            right = expected(claim, folder)
        except ValueError as error:
            found.append(f"{match[0]}: {error}")
            continue
        if said.replace("-0.0", "+0.0") != right:
            found.append(f"{match[0]}: the records say {right}")
    if strict:
        rest = CONCLUSION.sub("", CLAIM.sub("", text))
        found += [f"{other!r} is outside the syntax of claims" for other in MEASURED.findall(rest)]
    return found


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_every_claim_is_what_the_records_say(path):
    assert not problems(prose(path), strict=path.stem == STRICT)


def planned() -> dict[str, list[str]]:
    """What the records say of each planned contrast: numbers and verdict, for either form."""
    said: dict[str, list[str]] = {}
    for r in contrasts.compute():
        said.setdefault(r.contrast.name, []).extend([wording.points(r.pooled), r.verdict])
    return said


@pytest.mark.parametrize("name", CONCLUDING)
def test_conclusions_are_what_the_planned_contrasts_say(name):
    (path,) = (path for path in DOCUMENTS if path.stem == name)
    text = prose(path)
    told = {
        match["name"].lower().replace("normalis", "normaliz"): [
            match["own"].replace(" points", ""), match["verdict_own"],
            match["one"].replace(" points", ""), match["verdict_one"],
        ]
        for match in CONCLUSION.finditer(text)
    }  # fmt: skip
    assert told == {name.lower(): values for name, values in planned().items()}
    rivals = [r.against for r in contrasts.compute() if len(r.contrast.against) > 1]
    own, one = (rival.removesuffix(" + augmentation") for rival in rivals)
    assert f"{own} at own tempo, {one} at one length" in text


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
        (RIGHT.replace("+3.0", "+3.1"), r"records say \+3\.0 \[\+0\.1, \+5\.9\]"),
        (RIGHT.replace("+3.0", "-3.0"), "records say"),
        (RIGHT.replace("+0.1", "+0.2"), "records say"),
        (RIGHT.replace("+5.9", "+5.8"), "records say"),
        (
            "`ERM` over `TFAM` on `spar-own-tempo`: +3.0 points [+0.1, +5.9]",
            r"say -3\.0 \[-5\.9, -0\.1\]",
        ),
        (RIGHT.replace("TFAM", "magic"), "magic and ERM have no training in common"),
        (RIGHT.replace("`ERM`", "`CVaR`"), "TFAM and CVaR have no training in common"),
        (RIGHT.replace("spar-own-tempo", "mnist"), "'mnist' is no data set, and no pool"),
        (RIGHT.replace("spar-own-tempo", "shrec17"), "no records of 'shrec17'"),
        (RIGHT.replace("spar-own-tempo", "real people, own tempo"), "no records of 'real people"),
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
