"""Train on MA-52, evaluate, submit, and use the trained model.

    python -m piumar_lib.ma52 train --preset videomae-base --method "PIUmr + augmentation" \\
        --cache build/ma52/cache --index build/ma52/index.csv \\
        --split build/ma52/splits/person-disjoint/fold1.txt --out build/ma52/runs/piumr-1
    python -m piumar_lib.ma52 report build/ma52/runs/piumr-1
    python -m piumar_lib.ma52 submit build/ma52/runs/piumr-1 --out build/ma52/submission.zip
    python -m piumar_lib.ma52 recognize --checkpoint build/ma52/runs/piumr-1 me.mp4
    python -m piumar_lib.ma52 recognize poses-of-me.safetensors
    python -m piumar_lib.ma52 export build/ma52/runs/piumr-1 --out build/ma52/piumr.pt2
    python -m piumar_lib.ma52 table build/ma52/runs/*
    python -m piumar_lib.ma52 sweep --preset poses --poses build/ma52/poses.safetensors \\
        --index build/ma52/index.csv --splits build/ma52/splits/person-disjoint \\
        --out build/ma52/sweep.jsonl

The same command resumes an interrupted run. On several GPUs:
``python -m torch.distributed.run --standalone --nproc-per-node 4 -m piumar_lib.ma52 train ...``
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from piumar_lib.evidence.methods import METHODS
from piumar_lib.ma52.config import NORMALIZED_BY, PRESETS, SETTINGS, TrainConfig, own_hyperparameters
from piumar_lib.support.command import Parser, at_least, command_line, path
from piumar_lib.support.hyperparameter import Hyperparameter

if TYPE_CHECKING:
    from piumar_lib.ma52.model import MicroActionRecognizer

# The settings that all trainings of a sweep share. How many processes read clips, and how the learning
# rate falls, is the preset's: there, --workers and --scheduler are those of the evidence.
OF_SWEEP = {*SETTINGS} - {"method", "split", "seed", "out", "workers", "scheduler"}
MAY_MOVE = ("index", "cache", "poses")  # paths that `submit` reads, besides the run itself


@command_line
def main(argv: list[str] | None = None) -> None:
    """Run the command; return 0, 1 if something is wrong, 130 if it was stopped."""
    options = parser().parse_args(argv)
    options.run(options)


def run_train(options: argparse.Namespace) -> None:
    """Train, and print the report."""
    from piumar_lib.ma52.train import train
    from piumar_lib.ma52.wording import say

    given = vars(options).keys() & {*SETTINGS, *hyperparameters()}
    config = TrainConfig.make(options.preset, **{name: getattr(options, name) for name in given})
    if options.dry_run:
        print(config.to_json())
        return
    record = train(config)
    if os.environ.get("RANK", "0") == "0":  # of several processes, one
        print(say(record))


def run_report(options: argparse.Namespace) -> None:
    """Print a finished run's report."""
    from piumar_lib.ma52.protocol import find_other_runs, mark_chosen, read_record
    from piumar_lib.ma52.wording import say, say_other_runs

    print(say(mark_chosen(read_record(options.folder), options.chosen_on)))
    if said := say_other_runs(find_other_runs(options.folder)):
        print(said)


def run_submit(options: argparse.Namespace) -> None:
    """Recognise the test clips and write the file that Codabench takes."""
    from piumar_lib.ma52.codabench import read_submission
    from piumar_lib.ma52.submit import submit

    moved = {name: getattr(options, name) for name in MAY_MOVE}
    submit(options.folder, options.out, options.test_views, progress=True, root=options.root, **moved)
    print(f"{options.out}: checked; {read_submission(options.out)}")


def run_recognize(options: argparse.Namespace) -> None:
    """Print what happens in recordings, or in clips of pose files."""
    from piumar_lib.ma52.course_model import FOLDER, load_course_model
    from piumar_lib.ma52.model import fastest_device, load_model
    from piumar_lib.ma52.pose_tracks import is_pose_file
    from piumar_lib.ma52.protocol import RECORD, read_record
    from piumar_lib.ma52.recognize_wording import say_majority, say_trained_on

    folder = options.checkpoint or FOLDER
    # The course's model is too small to benefit from a GPU.
    model = load_model(folder, fastest_device()) if options.checkpoint else load_course_model()
    record = read_record(folder) if (folder / RECORD).is_file() else None
    print(say_trained_on(record))
    for clip in options.clips:
        if clip.is_dir():
            raise ValueError(f"{clip}: is a folder. Give a model's as --checkpoint, and clips as files.")
        say_seen = recognize_pose_file if is_pose_file(clip) else recognize_video
        say_seen(model, clip, options, say_majority(record))


def recognize_video(
    model: MicroActionRecognizer, clip: Path, options: argparse.Namespace, majority: str
) -> None:
    """Print what happens in a video."""
    from piumar_lib.ma52.recognize import recognize
    from piumar_lib.ma52.recognize_wording import say_answers, say_recording

    if options.rate is not None:
        raise ValueError(f"rate: {clip} is a video, which has its own times. Leave --rate out.")
    person = options.person or 0
    seen = recognize(model, clip, options.length, options.stride, progress=True, person=person)
    print(*say_recording(seen.recording), say_answers(seen, majority), sep="\n")


def recognize_pose_file(
    model: MicroActionRecognizer, clip: Path, options: argparse.Namespace, majority: str
) -> None:
    """Print what happens in each clip of a pose file; a failing clip does not stop the others."""
    from piumar_lib.ma52.pose_tracks import read_tracks
    from piumar_lib.ma52.recognize_poses import Unseen, recognize_poses
    from piumar_lib.ma52.recognize_wording import say_answers, say_track

    tracks, faults = read_tracks(clip, options.person, options.rate)
    for track in tracks:
        try:
            seen = recognize_poses(model, track, options.length, options.stride)
        except Unseen as error:
            print(error)
            continue
        print(*say_track(seen), say_answers(seen, majority), sep="\n")
    for fault in faults:
        print(f"left out: {fault.where}: {fault.what}. {fault.remedy}", file=sys.stderr)


def run_export(options: argparse.Namespace) -> None:
    """Write backbone, TFAM and head as one program."""
    from piumar_lib.ma52.model import export, load_model

    print(f"{export(load_model(options.folder), options.out)}: load it with torch.export.load")


def run_table(options: argparse.Namespace) -> None:
    """Compare finished runs by the statistics of chapter 09: over people, paired."""
    from piumar_lib.ma52.comparison import compare_runs, say_table

    for data, methods in compare_runs(options.folders, options.chosen_on).items():
        print(say_table(data, methods))


def run_sweep(options: argparse.Namespace) -> None:
    """Run all missing trainings, and print their table."""
    from piumar_lib.ma52 import sweep
    from piumar_lib.ma52.normalize_people import normalize_people
    from piumar_lib.ma52.sweep_table import to_markdown
    from piumar_lib.ma52.train import train

    runs = options.runs or options.out.with_suffix("")
    given = {name: getattr(options, name) for name in vars(options).keys() & OF_SWEEP}
    which = options.methods, options.folds, options.seeds
    plans = [
        sweep.plan(options.preset, options.splits, runs, *which, by, **given)
        for by in dict.fromkeys(["", options.normalize])  # first the trainings, then what they yield
    ]
    if options.dry_run:
        print("\n".join(str(training) for plan in plans for training in plan))
        return
    records = []
    for plan in plans:
        records += sweep.run(
            plan, options.out, train, options.workers, options.scheduler, normalize=normalize_people
        )
    print(f"{options.out}: {len(records)} records\n\n{to_markdown(records)}")


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    top = Parser(prog="python -m piumar_lib.ma52", description=__doc__)
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    about = "train and evaluate; resumes where it stopped"
    # No abbreviations: a setting of another version must not match one with the same prefix.
    command = commands.add_parser("train", help=about, allow_abbrev=False)
    command.add_argument("--preset", choices=PRESETS, default="", help="a recipe; settings change it")
    command.add_argument("--dry-run", action="store_true", help="only print all settings")
    add_settings(command, SETTINGS)
    own = command.add_argument_group("hyperparameters of the method")
    for name, (one, words) in hyperparameters().items():
        add_option(own, name, one, words)
    command.set_defaults(run=run_train)

    chosen = "split on whose held-out people settings were chosen: scores on them are marked"
    command = commands.add_parser("report", help="print the scores of a finished run")
    command.add_argument("folder", type=path, help="of the run")
    command.add_argument("--chosen-on", type=path, help=chosen)
    command.set_defaults(run=run_report)

    command = commands.add_parser("submit", help="write the file that Codabench takes")
    command.add_argument("folder", type=path, help="of the run")
    command.add_argument("--out", type=path, required=True, help="the .zip to write")
    command.add_argument(
        "--test-views", type=at_least(1), default=1, help="temporal views (%(default)s)"
    )
    about = "of the download: a line for each clip of its test list, instead of those of the index"
    command.add_argument("--root", type=path, help=about)
    for name in MAY_MOVE:
        about = f"{SETTINGS[name].about}, if it was moved since the training"
        command.add_argument(f"--{name}", type=path, help=about)
    command.set_defaults(run=run_submit)

    command = commands.add_parser("recognize", help="say what happens in videos or pose files")
    about = "any video; or poses by data_scripts/extract_poses.py, or COCO's results (.json)"
    command.add_argument("clips", type=path, nargs="+", metavar="CLIP", help=about)
    about = "folder of a run; by default a model of the course, for poses"
    command.add_argument("--checkpoint", type=path, help=about)
    about = "which one of several people; by default the largest"
    command.add_argument("--person", type=at_least(0), help=about)
    about = "frames a second of poses, if the file does not say"
    command.add_argument("--rate", type=float, help=about)
    command.add_argument("--length", type=float, default=2.0, help="of a window, s (%(default)s)")
    command.add_argument("--stride", type=float, default=0.5, help="between windows, s (%(default)s)")
    command.set_defaults(run=run_recognize)

    command = commands.add_parser("export", help="write the trained model as one program")
    command.add_argument("folder", type=path, help="of the run")
    command.add_argument("--out", type=path, required=True, help="the .pt2 to write")
    command.set_defaults(run=run_export)

    command = commands.add_parser("table", help="compare finished runs, over people")
    command.add_argument("folders", type=path, nargs="+", help="of the runs")
    command.add_argument("--chosen-on", type=path, help=chosen)
    command.set_defaults(run=run_table)

    about = "make many trainings: methods x folds x seeds"
    command = commands.add_parser("sweep", help=about, allow_abbrev=False)
    command.add_argument("--preset", choices=PRESETS, default="", help="a recipe; settings change it")
    command.add_argument("--splits", type=path, required=True, help="folder of fold1.txt and so on")
    command.add_argument("--methods", nargs="+", default=(), metavar="METHOD", help="(the planned ones)")
    command.add_argument("--folds", nargs="+", type=int, default=(), metavar="FOLD", help="(all)")
    command.add_argument("--seeds", type=at_least(1), default=1, help="of each fold (%(default)s)")
    command.add_argument("--workers", type=at_least(1), default=1, help="processes (%(default)s)")
    command.add_argument("--scheduler", default="", help="tcp://HOST:PORT, a Dask scheduler")
    command.add_argument("--out", type=path, required=True, help="the .jsonl of the records")
    command.add_argument("--runs", type=path, help="folder of the trainings' folders (beside --out)")
    about = "also evaluate with each held-out person's features normalised; poses only"
    command.add_argument("--normalize", choices=NORMALIZED_BY, default="", help=about)
    command.add_argument("--dry-run", action="store_true", help="only list the trainings")
    add_settings(command, OF_SWEEP)
    command.set_defaults(run=run_sweep)
    return top


def add_settings(command: argparse.ArgumentParser, names: Collection[str]) -> None:
    """Add an option for each of these settings."""
    for name, one in SETTINGS.items():
        if name in names:
            add_option(command, name, one, f"{one.about} ({one.default})")


def hyperparameters() -> dict[str, tuple[Hyperparameter, str]]:
    """All hyperparameters of methods, with their descriptions in each method."""
    found: dict[str, tuple[Hyperparameter, dict[str, list[str]]]] = {}
    for method, row in METHODS.items():
        if row.classify is None and row.kind != "control" and " + " not in method:
            for name, one in own_hyperparameters(method).items():
                meanings = found.setdefault(name, (one, {}))[1]
                meanings.setdefault(f"{one.about} ({one.default})", []).append(method)
    return {
        name: (one, "; ".join(f"{', '.join(of)}: {words}" for words, of in meanings.items()))
        for name, (one, meanings) in found.items()
    }


def add_option(command: argparse._ActionsContainer, name: str, one: Hyperparameter, words: str) -> None:
    """Add an option without a default, so that a preset's value is kept unless it is given."""
    kind: dict[str, Any] = {"type": float if one.range and not one.range.whole else int}
    if isinstance(one.default, bool):
        kind = {"action": argparse.BooleanOptionalAction}
    elif isinstance(one.default, str):
        kind = {"choices": one.choices or None}
    elif isinstance(one.default, tuple):
        kind |= {"nargs": "*"}
    words = words.replace("%", "%%")
    command.add_argument(f"--{name.replace('_', '-')}", default=argparse.SUPPRESS, help=words, **kind)


if __name__ == "__main__":
    sys.exit(main())
