"""A run's folder: its owner, and which runs may resume in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from piumar_lib.ma52.config import TrainConfig
from piumar_lib.ma52.prepare.splits import read_split
from piumar_lib.ma52.protocol import FREE
from piumar_lib.support.files import as_path, write_text, writing
from piumar_lib.support.locks import only_run

if TYPE_CHECKING:
    from accelerate import Accelerator


@contextmanager
def claim(out: Path, config: TrainConfig, accelerator: Accelerator) -> Iterator[None]:
    """Context that locks the folder against other runs, and records its split and settings.

    The main process does this; its error is raised in all processes, so that none of them waits.
    """
    from accelerate.utils import broadcast_object_list

    problem: list[Exception | None] = [None]
    with ExitStack() as held:
        if accelerator.is_main_process:
            try:
                with writing(out):
                    out.mkdir(parents=True, exist_ok=True)
                held.enter_context(only_run(out))
                require_same(out, config)
                _write_down(out, config)
            except (ValueError, RuntimeError, OSError) as error:
                problem = [error]
        broadcast_object_list(problem)
        if problem[0] is not None:
            raise problem[0]
        yield


def require_same(out: Path, config: TrainConfig) -> None:
    """Refuse a folder that holds a run of other settings or clips."""
    mine, split = asdict(config), read_split(config.split)
    if not _has_begun(out):
        return
    theirs = asdict(TrainConfig.read(out / "config.json"))
    other = [name for name in mine if name not in FREE and mine[name] != theirs[name]]
    if other:
        said = ", ".join(f"{name}={theirs[name]!r}, not {mine[name]!r}" for name in other)
        raise ValueError(f"out: {out} holds a run with {said}. Name another folder.")
    held = read_split(out / "split.txt")
    if held != split:
        raise ValueError(
            f"out: {out} holds a run of other clips ({held.title}) than those of {config.split} "
            f"({split.title}). Name another folder."
        )


def _has_begun(out: Path) -> bool:
    """Whether a folder has steps of a run; settings alone, of a run that was refused, do not count."""
    made = ("checkpoint.safetensors", "first-stage/checkpoint.safetensors", "record.json")
    return any((out / name).is_file() for name in made)


def _write_down(out: Path, config: TrainConfig) -> None:
    """Write the split, and the settings with their current paths; all others are unchanged."""
    if not _has_begun(out):
        write_text(out / "split.txt", as_path(config.split).read_text(encoding="utf-8"))
    write_text(out / "config.json", config.to_json() + "\n")
