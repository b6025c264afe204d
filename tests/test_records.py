"""The page of records: its numbers recomputed, what was not run, its place in the book, its command."""

from __future__ import annotations

import json
import re
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from scipy import stats
from test_course import MARKERS, put_executed, write_chapter

from piumar_lib.data.people.catalog import LABELS
from piumar_lib.evidence import (
    contrasts,
    development,
    experiments,
    folds,
    person_gain,
    person_probe,
    protocol,
    wording,
)
from tools import records
from tools.__main__ import main
from tools.book import build_book
from tools.chapters import to_slug
from tools.rendering import render_markdown

SEEDS = {"ERM": 3, "augmentation": 3, "TFAM + augmentation": 1}
MADE = {"seconds": 36.0, "device": "CPU", "commit": "abc1234", "selection": "best of 6"}


def write(folder, name, rows):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def trainings(data, seed=0, chosen=None):
    """Made-up records of a data set, one or two people a fold, of uneven numbers of clips."""
    rng, rows = np.random.default_rng(seed), []
    for method, seeds in SEEDS.items():
        for fold in folds.folds(data):
            for s in range(seeds):
                e = experiments.experiment(data, method, fold, s, chosen)
                people = {str(2 * fold + k): [int(rng.integers(20, 40)), 40 + k] for k in range(2)}
                rows.append(e.key() | MADE | {"people": people})
    return rows


@pytest.fixture
def root(tmp_path):
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "README.md").write_text(f"# Course\n\n{MARKERS}\n")
    folder = tmp_path / records.FOLDER
    wide = trainings("spar-own-tempo", 1, {"width": 64})
    spar = trainings("spar-own-tempo") + wide
    nothing = {person: [0, clips] for person, (_, clips) in spar[0]["people"].items()}
    spar[0] |= {"failed": "loss is nan", "people": nothing}
    write(folder, "spar.jsonl", spar)
    write(folder, "synthetic.jsonl", trainings("synthetic", 2))
    return tmp_path


def page_of(root):
    page = BeautifulSoup(render_markdown(records.records_page(root)), "html.parser")
    seen = Counter()
    for heading in page(["h2", "h3"]):
        slug = to_slug(heading.get_text())
        heading["id"] = f"{slug}-{seen[slug]}" if seen[slug] else slug
        seen[slug] += 1
    return page


def table_under(page, title, anchor, after=0):
    """The table behind a heading, as rows by name of the first column."""
    heading = next(h for h in page(["h2", "h3"]) if h["id"] == anchor)
    assert heading.get_text().startswith(title)
    table = heading.find_all_next("table")[after]
    header = [th.get_text() for th in table("th")]
    rows = [[td.get_text() for td in tr("td")] for tr in table("tr")[1:]]
    return {row[0]: dict(zip(header, row, strict=True)) for row in rows}


def frame(root, name, width=32):
    """Records as a long table, one row for each training and person."""
    lines = [json.loads(line) for line in (root / records.FOLDER / name).read_text().splitlines()]
    rows = [
        (r["method"], r["fold"], r["seed"], person, right / clips)
        for r in lines if r["hyperparameters"]["width"] == width
        for person, (right, clips) in r["people"].items()
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["method", "fold", "seed", "person", "share"])


def text(mean, ends, sign=""):
    return f"{100 * mean:{sign}.1f} [{100 * ends[0]:{sign}.1f}, {100 * ends[1]:{sign}.1f}]"


def interval(values):
    return stats.ttest_1samp(values, 0).confidence_interval(0.95)


@pytest.mark.parametrize("width", [32, 64])
def test_numbers_of_real_people_are_what_pandas_and_scipy_say(root, width):
    shown = table_under(page_of(root), "Backbone cnn", f"backbone-cnn-width-{width}")
    long = frame(root, "spar.jsonl", width)
    assert [*shown] == [*SEEDS]
    for method, row in shown.items():
        own = long[long.method == method]
        of_person = own.groupby("person").share.mean()
        assert row["accuracy"] == text(of_person.mean(), interval(of_person))
        assert row["worst person"] == f"{100 * of_person.min():.1f}"
        assert row["seeds"] == str(SEEDS[method]) and row["trainings"] == str(10 * SEEDS[method])
        spread = own.groupby("seed").share.mean().std()  # people of all seeds are the same
        assert row["standard deviation over seeds"] == (f"{100 * spread:.1f}" if spread > 0 else "")
        assert row["failed"] == str(int(method == "ERM" and width == 32))
        keys = ["fold", "seed", "person"]
        both = own.merge(long[long.method == "augmentation"], on=keys, suffixes=("", "_of"))
        gain = (both.share - both.share_of).groupby(both.person).mean()
        expected = "" if method == "augmentation" else text(gain.mean(), interval(gain), "+")
        assert row["over augmentation"] == expected


def test_the_unit_of_synthetic_people_is_their_population(root):
    page = page_of(root)
    shown = table_under(page, "Backbone cnn", "backbone-cnn-width-32-1")
    long = frame(root, "synthetic.jsonl")
    of_fold = long[long.method == "ERM"].groupby("fold").share.mean()
    assert shown["ERM"]["accuracy"] == text(of_fold.mean(), interval(of_fold))


def test_overview_counts_people_clips_and_hours_and_says_what_was_not_run(root):
    page = page_of(root)
    shown = table_under(page, "What was trained", "what-was-trained")
    assert [*shown] == ["SPAR, own tempo", "synthetic people, own tempo"]
    assert [*shown["SPAR, own tempo"].values()][1:] == ["20", "7", "810", "140", "1", "1.4"]
    assert shown["synthetic people, own tempo"]["classes"] == "12"
    words = page.get_text()
    assert 'Not run: "SPAR, one length", "MSR Action3D, own tempo"' in words
    missing = [f'"{m}"' if "," in m else m for m in records.METHODS if m not in SEEDS]
    said = [p.get_text() for p in page("p") if p.get_text() == f"Not run: {', '.join(missing)}."]
    assert len(said) == 2  # of the usual backbone and width alone
    for title in ("Search of hyperparameters", "Person normalisation", "Person probe"):
        heading = next(h for h in page("h2") if h.get_text().startswith(title))
        until = [p.get_text() for p in heading.find_next_siblings("p")[:2]]
        assert "Not run." in until, title


def test_a_study_without_records_has_a_page_that_says_so(tmp_path):
    words = records.records_page(tmp_path)
    assert "|" not in words and words.count("Not run.") == 4
    assert all(f'"{LABELS[name]}, own tempo"' in words for name in protocol.SETS)


def test_origin_and_most_frequent_hyperparameters_are_told(root):
    folder = root / records.FOLDER
    rows = [r for r in trainings("spar-own-tempo") if r["method"] == "ERM"]
    for k, row in enumerate(rows):
        row["hyperparameters"] |= {"learning_rate": 0.01 if k < 20 else 0.003, "weight_decay": 0.1}
        row |= {"content": "0123abcd"} if k else {}
    rows[-1]["commit"] = "def5678"
    write(folder, "spar.jsonl", rows)
    page = page_of(root)
    assert (
        "30 trainings; 0.3 hours of one core; digest of the data: 0123abcd; device: CPU; "
        "commits: abc1234 and def5678."
    ) in page.get_text()
    row = table_under(page, "Backbone", "backbone-cnn-width-32", after=1)["ERM"]
    assert row == {
        "method": "ERM", "how chosen": "best of 6", "trainings": "20 of 30",
        "chosen most often": "learning_rate 0.01, weight_decay 0.1",
    }  # fmt: skip


def test_a_training_that_is_there_twice_is_refused(root):
    path = root / records.FOLDER / "spar.jsonl"
    twice = json.loads(path.read_text().splitlines()[0])
    twice["hyperparameters"]["learning_rate"] = 0.5
    path.write_text(path.read_text() + json.dumps(twice) + "\n")
    with pytest.raises(ValueError, match="ERM, fold 0, seed 0 is there twice"):
        records.records_page(root)


def normalized(rng, person_clips):
    """One made-up record's people, under every way."""
    people = {}
    for person, clips in person_clips.items():
        right = {way: [[None if n and n > c else int(rng.integers(0, c)) for n in person_gain.CLIPS]
                       for c in clips] for way in person_gain.WAYS}  # fmt: skip
        people[person] = right | {"clips": clips, "none": [c // 2 for c in clips]}
    return people


def test_gains_of_normalisation_are_over_people_with_enough_clips(root):
    rng, rows = np.random.default_rng(3), []
    for seed in range(2):
        people = normalized(rng, {"1": [40, 15], "2": [30, 9], "3": [12, 3]})
        key = {"data": "shrec17", "method": "augmentation", "fold": 0, "seed": seed}
        rows.append(key | {"people": people, "device": "CPU", "commit": "abc1234"})
    write(root / records.FOLDER, person_gain.FILE, rows)
    page = page_of(root)
    heading = next(h for h in page("h2") if h["id"] == "person-normalisation")
    default, every = heading.find_all_next("table")[:2]
    assert len(every("tr")) == 1 + len(person_gain.WAYS) * len(person_gain.SHOWN)
    assert every.find_parent("details") and not default.find_parent("details")
    gains = [  # of all classes, from 20 clips: the third person has fewer
        np.mean([(r["people"][p][person_gain.DEFAULT][0][4] - n // 2) / n for r in rows])
        for p, n in (("1", 40), ("2", 30))
    ]
    cells = [td.get_text() for td in default("tr")[1]("td")]
    assert cells[:3] == ["SHREC'17, one length", person_gain.DEFAULT, "all"]
    assert cells[7] == text(np.mean(gains), interval(gains), "+")
    few = [td.get_text() for td in default("tr")[2]("td")]
    assert few[2] == "3" and few[7] == "" and few[6][0] in "+-" and "[" not in few[6]  # nobody; one


def test_probe_has_mean_and_range_over_folds(root):
    rows = [
        {"data": "shrec17-own-tempo", "method": m, "fold": f, "seed": 0, "probe": 0.1 * f + 0.05,
         "device": "CPU", "commit": "abc1234", "people": 6}
        for m in person_probe.PROBED[:2] for f in range(3)
    ]  # fmt: skip
    write(root / records.FOLDER, person_probe.FILE, rows)
    shown = table_under(page_of(root), "Person probe", "person-probe")
    assert [*shown["SHREC'17, own tempo"].values()][1:] == ["15.0 (5.0 to 25.0)"] * 2 + [""] * 2


def test_book_holds_the_page_and_its_links_lead_somewhere(root):
    put_executed(root, write_chapter(root, "09_evidence", "\n1 + 1"))
    glossary = "# Glossary\n\nWords.\n\n## a\n\nThe first.\n\n[all tables](records.md#spar-own-tempo)\n"
    (root / "notebooks" / "glossary.md").write_text(glossary)
    (root / "notebooks" / "related_work.md").write_text("# Related work\n\nNone.\n")
    (root / "piumar_lib").mkdir()
    (root / "piumar_lib" / "__init__.py").touch()
    folder = build_book(root).parent / "notebooks"
    page = BeautifulSoup((folder / "records.html").read_text(), "html.parser")
    ids = {tag["id"] for tag in page(id=True)}
    for a in page.select("main a[href^='#']"):
        assert a["href"] == "#" or a["href"][1:] in ids
    assert 'href="records.html#spar-own-tempo"' in (folder / "glossary.html").read_text()
    assert len(page.select("main table")) == len(page_of(root)("table"))
    assert len(page.select("main details")) == len(page_of(root)("details"))


def test_planned_contrasts_have_a_table_where_every_method_was_trained(monkeypatch, tmp_path):
    assert [*records.planned_contrasts(tmp_path)] == [
        f"On {pool} people: not run in full." for pool in ("real", "new")
    ]
    results = contrasts.compute(["spar"], ["own tempo"])
    monkeypatch.setattr(contrasts, "compute", lambda sets, folder: results)
    for table in records.planned_contrasts(tmp_path):
        for r in results:
            assert re.search(rf"^\| {r.contrast} \|.*\| {r.verdict} \|$", table, re.M)


def test_published_figures_stand_beside_ours(tmp_path):
    rows = trainings("spar-repetitions")
    write(tmp_path, "spar.jsonl", rows + trainings("spar-own-tempo", 2))
    of_person = [
        (r["method"], person, right / clips)
        for r in rows
        for person, (right, clips) in r["people"].items()
    ]
    long = pd.DataFrame(of_person, columns=["method", "person", "share"])
    accuracy = long.groupby(["method", "person"]).share.mean().groupby("method").mean()
    ours = [f"{100 * accuracy[method]:.1f}" for method in ("augmentation", "TFAM + augmentation")]
    line, *others = records.literature(tmp_path).splitlines()[2:]
    assert line.startswith(f"| SPAR | random forest | 87.3 | {' | '.join(ours)} | five folds of people;")
    assert len(others) == 6 and all("| not run | not run |" in other for other in others)


def test_every_attempt_is_on_the_page_over_baseline_and_control():
    log = development.read_log()
    for over, table in zip(("against", "control"), records.attempt_tables(log), strict=True):
        for about, lines in log.items():
            found = wording.points(development.outcome(lines, "SPAR, own tempo", over))
            assert re.search(rf"^\| {re.escape(about)} \|.*{re.escape(found)}", table, re.M)


def test_benchmarks_have_a_table_for_each_device():
    of = {"at_most": True, "unit": "%", "verdict": "met", "note": "32 clips"}
    rows = [
        {"what": "overhead", "device": "CPU", "goal": 3, "ratio": 1.2345, **of},
        {"what": "reading", "device": "GPU", "goal": None, "ratio": None, **of, "verdict": None},
    ]
    cpu, gpu = records.benchmark_tables(rows)
    assert "CPU:\n" in cpu and "| overhead | at most 3 | 1.23 % | met | 32 clips |" in cpu
    assert "overhead" not in gpu and "| reading |  |  |  | 32 clips |" in gpu


def test_command_writes_the_page_alone(root, capsys):
    out = root / "build" / "records.md"
    assert main(["--root", str(root), "records", "--out", str(out)]) == 0
    assert out.read_text() == records.records_page(root) and str(out) in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["--root", str(root), "records"])
