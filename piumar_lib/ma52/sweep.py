"""Sweeps on MA-52: every method on every fold, with every seed; one record each.

    python -m piumar_lib.ma52 sweep --preset poses --poses build/ma52/poses.safetensors \\
        --index build/ma52/index.csv --splits build/ma52/splits/person-disjoint \\
        --out build/ma52/sweep.jsonl

A record is that of one training (`piumar_lib.ma52.train`), with its fold, its seed and digests of its
data. Recorded trainings are not repeated; an interrupted training resumes from its checkpoint. The order
is fold by fold, so that methods can be compared at any time.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from tqdm import tqdm

from piumar_lib.evidence.records import append_record, provenance, read_records
from piumar_lib.ma52.config import TrainConfig
from piumar_lib.ma52.prepare.splits import read_split
from piumar_lib.ma52.protocol import FREE, mark_chosen
from piumar_lib.support.cluster import in_parallel
from piumar_lib.support.command import called_as, is_mistake
from piumar_lib.support.files import as_path, sha256_of, writing
from piumar_lib.support.hyperparameter import unknown
from piumar_lib.support.locks import only_run

# Methods that are compared on the benchmark, all with augmentation: ERM, common methods for shifts
# between people or domains, and the course's method with and without its loss.
PLANNED = (
    "ERM", "augmentation", "MixStyle + augmentation", "CORAL + augmentation", "GroupDRO + augmentation",
    "HDF as published + augmentation", "TFAM + augmentation", "PIUmr + augmentation",
)  # fmt: skip
# 'HDF as published' weighs places of feature maps, which poses do not have. The nearest row that trains
# on poses is 'HDF': a gate, spectral noise and the same sharpness-aware steps.
ON_POSES = {"HDF as published + augmentation": "HDF + augmentation"}

Work = Callable[[TrainConfig, bool], dict]
Normalize = Callable[[str, str], dict]


@dataclass(frozen=True)
class Training:
    """One training of a sweep.

    Attributes:
        config: Its settings.
        fold: Number of the split's file.
        content: Digests (SHA-256) of the input files: index, split, and poses or the cache's settings.
        normalized: Whose features are normalised in the evaluation, see
            `piumar_lib.ma52.normalize_people.normalize_people`; "" for none.
    """

    config: TrainConfig
    fold: int
    content: Mapping[str, str]
    normalized: str = ""

    def __str__(self) -> str:
        head = "" if self.config.body == "derived" else f", {self.config.body} head"
        by = self.normalized and f", normalized by {self.normalized}"
        return f"fold {self.fold}, {self.config.method}{head}{by}, seed {self.config.seed}"

    def is_recorded_in(self, record: Mapping[str, Any]) -> bool:
        """Whether a record is of this training; settings that came later are not compared."""
        mine, theirs = json.loads(self.config.to_json()), record["config"]
        names = (mine.keys() & theirs.keys()) - {*FREE}
        same = record.get("normalized by", "") == self.normalized
        return same and record["content"] == self.content and all(mine[n] == theirs[n] for n in names)


def plan(
    preset: str,
    splits: str | Path,
    runs: str | Path,
    methods: Sequence[str] = (),
    folds: Sequence[int] = (),
    seeds: int = 1,
    normalized: str = "",
    **settings: Any,
) -> list[Training]:
    """The trainings of a sweep, fold by fold; nothing is trained yet.

    Args:
        preset, settings: See `TrainConfig.make`; the same for all.
        splits: Folder of ``fold1.txt`` and so on.
        runs: Folder in which each training gets a folder of its own.
        methods: Names of methods; by default those of `PLANNED`, see `ON_POSES`.
        folds: Numbers of the folds; by default all.
        seeds: Number of seeds; the first is 0.
        normalized: See `Training`.

    Raises:
        ValueError: If a method, fold or setting is unknown, or does not go with the others.
        FileNotFoundError: If something that is read is not there.
    """
    if seeds < 1:
        raise ValueError(f"seeds: must be at least 1, got {seeds}.")
    there = find_folds(splits)
    for fold in folds:
        if fold not in there:
            raise unknown(str(fold), map(str, there), "fold", str(splits))
    usual = TrainConfig.make(preset, **settings)
    if normalized and not usual.sees_poses:
        raise ValueError(f"normalize: only runs on poses are normalised, not {usual.backbone}.")
    wanted = methods or [ON_POSES.get(m, m) if usual.sees_poses else m for m in PLANNED]
    digests = {name: sha256_of(path) for name, path in _files(usual).items()}
    trainings = []
    for seed, fold, method in product(range(seeds), folds or there, dict.fromkeys(wanted)):
        own = {"method": method, "split": there[fold], "seed": seed, "out": runs}
        config = TrainConfig.make(preset, **settings | own)
        config.require_paths()
        read_split(there[fold])  # raises if it is invalid
        content = digests | {"split": sha256_of(there[fold])}
        trainings.append(Training(_put_into(config, content, fold), fold, content, normalized))
    return trainings


def run(
    trainings: Iterable[Training],
    path: str | Path,
    work: Work,
    workers: int = 1,
    scheduler: str = "",
    progress: bool = True,
    normalize: Normalize | None = None,
) -> list[dict]:
    """Make the trainings that are missing in ``path``; return the records of all.

    Each record is written as soon as it is computed. An error ends only its own training.

    Args:
        trainings: Trainings to run, from `plan`.
        path: A JSON-lines file; created if necessary.
        work: Trains with given settings and returns the record, as `piumar_lib.ma52.train.train` does.
        workers: Processes of this machine; with 1 all is done in this one.
        scheduler: Address of a Dask scheduler whose workers compute instead. They need the same code,
            and the same files under the same paths; each keeps checkpoints on its own disk.
        progress: Show a progress bar, and a line for each training.
        normalize: Evaluates a finished run, if trainings are planned as ``normalized``; such a function
            as `piumar_lib.ma52.normalize_people.normalize_people`.

    Raises:
        ValueError: If trainings are planned as ``normalized``, but ``normalize`` is None.
        InUse: If another sweep writes to ``path``.
        RuntimeError: If trainings failed; the others were recorded.
    """
    trainings, path = list(trainings), as_path(path)
    if normalize is None and any(training.normalized for training in trainings):
        raise ValueError("normalize: None, but normalised trainings are planned. Give normalize_people.")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    failed = []
    with only_run(path):
        missing = [t for t, record in _look_up(trainings, path) if record is None]
        origin = {"command": called_as("piumar_lib.ma52"), "commit": provenance()["commit"]}
        jobs = [(k, work, normalize, training) for k, training in enumerate(missing)]
        check = partial(_contents, tuple(missing))
        with tqdm(total=len(missing), desc="trainings", disable=not progress) as bar:
            for k, record, fault in in_parallel(attempt, jobs, workers, scheduler, check):
                if fault:
                    failed.append(missing[k])
                    tqdm.write(f"failed: {missing[k]}: {fault}", file=sys.stderr)
                else:
                    append_record(path, _complete(record, missing[k]) | origin)
                    if progress:
                        tqdm.write(_say(record, missing[k]))
                bar.update()
    if failed:
        raise RuntimeError(
            f"{path}: {len(failed)} of {len(missing)} trainings failed: {'; '.join(map(str, failed))}. "
            "The others are recorded; the same command tries these again."
        )
    found = _look_up(trainings, path)
    return [mark_chosen(record, t.config.chosen_on) for t, record in found if record is not None]


def attempt(
    number: int, work: Work, normalize: Normalize | None, training: Training
) -> tuple[int, dict, str]:
    """Run one training; return its number, its record, and its error, if any."""
    try:
        record = work(training.config, False)
        if training.normalized:
            assert normalize is not None  # `run` refuses such trainings otherwise
            record = normalize(training.config.out, training.normalized)
        return number, record, ""
    except Exception as error:
        return number, {}, str(error) if is_mistake(error) else traceback.format_exc()


def find_folds(splits: str | Path) -> dict[int, Path]:
    """Files of a folder's folds by their numbers.

    Raises:
        FileNotFoundError: If there are none.
    """
    folder = as_path(splits)
    found = {int(p.stem.removeprefix("fold")): p for p in folder.glob("fold*.txt")
             if p.stem.removeprefix("fold").isdecimal()}  # fmt: skip
    if not found:
        raise FileNotFoundError(
            f"splits: {folder} holds no fold1.txt. Make them: prepare_ma52.py split INDEX --out FOLDER"
        )
    return dict(sorted(found.items()))


def _put_into(config: TrainConfig, content: Mapping[str, str], fold: int) -> TrainConfig:
    """The same settings with a folder of their own, whose name changes with settings and content."""
    settings = {name: value for name, value in asdict(config).items() if name not in FREE}
    known = hashlib.sha256(json.dumps([settings, content], sort_keys=True).encode()).hexdigest()
    method = re.sub("[^a-z0-9]+", "-", config.method.lower()).strip("-")
    return replace(config, out=str(Path(config.out) / f"{method}-fold{fold}-{known[:8]}"))


def _files(config: TrainConfig) -> dict[str, Path]:
    """Existing input files of all trainings; `TrainConfig.require_paths` reports missing ones."""
    source = ("poses", config.poses) if config.sees_poses else ("cache", config.cache)
    named = {name: as_path(path) for name, path in (source, ("index", config.index)) if path}
    files = {name: path / "settings.json" if path.is_dir() else path for name, path in named.items()}
    return {name: path for name, path in files.items() if path.is_file()}


def _contents(trainings: Sequence[Training]) -> dict[str, str]:
    """Digests of the input files, which must be equal on a scheduler's workers."""
    paths: dict[str, Path] = {}
    for training in trainings:
        paths |= {str(path): path for path in _files(training.config).values()}
        paths[training.config.split] = as_path(training.config.split)
    return {name: sha256_of(path) for name, path in paths.items()}


def _look_up(trainings: Iterable[Training], path: Path) -> list[tuple[Training, dict | None]]:
    """Each training with its record, or None."""
    records = read_records(path)
    return [(t, next((r for r in records if t.is_recorded_in(r)), None)) for t in trainings]


def _complete(record: Mapping[str, Any], training: Training) -> dict[str, Any]:
    """A training's record with what makes it one of a sweep."""
    own = {"fold": training.fold, "seed": training.config.seed, "content": dict(training.content)}
    nearest = {instead: name for name, instead in ON_POSES.items()}
    if training.config.sees_poses and record["method"] in nearest:
        own["in place of"] = nearest[record["method"]]
    return {"method": record["method"]} | own | {k: v for k, v in record.items() if k != "method"}


def _say(record: Mapping[str, Any], training: Training) -> str:
    found = record["held out"]
    top, beside = (own["scores"]["action top-1"] for own in (found, found["majority"]))
    return f"{training}: {100 * top:.1f} % ({100 * beside:.1f}), {record['seconds']:.0f} s"
