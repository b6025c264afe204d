"""The log of a training: rows in a file, shown in TensorBoard and in figures."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from piumar_lib.support.files import as_path, read_json_lines, write_text, writing

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

Watch = Callable[[list[dict]], None]


class History:
    """Rows of a training's log, written as they arise.

    A row is about the steps since the row before (``loss``, ``learning rate``, ``clips/s``, ``memory
    GB``, and ``waiting``, the fraction of time spent waiting for clips), or an evaluation on held-out
    people (``held out``). Each has ``step`` and ``epoch``. For steps, TFAM adds its ``floor``; GIRL adds
    the number of ``groups``, the ``risk of the worst group`` relative to that of guessing, and the
    ``weight of its clips`` relative to the mean over all clips.

    Rows after the step ``upto`` are dropped, as a resumed run writes them again. Of several processes
    only one ``writes``; there ``watch`` is called with all ``rows`` so far whenever there are more.
    """

    def __init__(self, out: Path, upto: int, writes: bool = True, watch: Watch | None = None) -> None:
        self.path, self.watch = out / "history.jsonl", watch
        self.board: SummaryWriter | None = None
        self.rows = [row for row in read_history(out) if row["step"] <= upto]
        if writes:
            from torch.utils.tensorboard import SummaryWriter

            write_text(self.path, "".join(json.dumps(row) + "\n" for row in self.rows))
            self.board = SummaryWriter(out / "tensorboard", purge_step=upto + 1)

    def add(self, row: dict) -> None:
        """Add a row."""
        self.rows.append(row)
        if self.board is None:
            return
        with writing(self.path):
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            for name, value in (row | row.get("held out", {})).items():
                if isinstance(value, float):
                    self.board.add_scalar(name, value, row["step"])
            self.board.flush()
        if self.watch is not None:
            self.watch(self.rows)

    def close(self) -> None:
        """Close TensorBoard's file."""
        if self.board is not None:
            self.board.close()


def say_progress(rows: Sequence[dict]) -> str:
    """The last loss, and the last top-1 on held-out people beside that of the most frequent action."""
    losses, looks = ([row for row in rows if name in row] for name in ("loss", "held out"))
    said = [f"loss {losses[-1]['loss']:.3f}"] if losses else []
    if looks:
        seen = looks[-1]["held out"]
        said.append(
            f"held-out top-1 {100 * seen['action top-1']:.1f} % (most frequent action "
            f"{100 * seen['majority top-1']:.1f} %)"
        )
    return ", ".join(said)


def read_history(out: str | Path) -> list[dict]:
    """Rows of a run so far; an unfinished last one, left by a killed run, is ignored.

    Raises:
        ValueError: If another one is damaged.
    """
    return read_json_lines(as_path(out) / "history.jsonl", keys=["step"])
