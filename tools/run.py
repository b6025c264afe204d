"""Execute chapters in kernels of their own, and report the outcomes."""

from __future__ import annotations

import ast
import hashlib
import json
import math
import os
import platform
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib import metadata
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell
from tqdm import tqdm

from piumar_lib.notebook.profile import PROFILES, VARIABLE
from piumar_lib.support.cluster import in_parallel
from piumar_lib.support.files import read_json, require_writable, write_text
from tools.chapters import (
    ALONE,
    CHAIN,
    Chapter,
    check_parameters,
    list_chapters,
    read_notebook,
    read_parameters,
    to_notebook,
    write_notebook,
)
from tools.steady import keep_looking

keep_looking()

RECORD = Path("notebooks/results/chapters.json")
WIDGETS = "application/vnd.jupyter.widget-state+json"
ANSI = re.compile(r"\x1b\[[0-9;]*m")

# Executed in the kernel. On Linux ru_maxrss survives exec, so a child starts at its parent's peak;
# VmHWM does not. macOS reports bytes, Windows has no `resource`.
PEAK_MB = """
def _peak_mb():
    import pathlib, re, sys
    status = pathlib.Path("/proc/self/status")
    if status.exists():
        return int(re.search(r"VmHWM:\\s+(\\d+)", status.read_text())[1]) / 1024
    if sys.platform == "win32":
        import psutil
        return psutil.Process().memory_info().peak_wset / 2**20
    import resource
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
print(_peak_mb())
"""


class OwnKernel(AsyncKernelManager):
    """Starts kernels with the Python that runs this command.

    A kernel ``python3`` that is installed on a machine may start another Python, or one that is gone.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(kernel_spec_manager=KernelSpecManager(kernel_dirs=[]), **settings)


class Outcome(NamedTuple):
    """Outcome of one chapter."""

    name: str
    seconds: float
    peak_mb: float
    error: str  # empty if it ran without errors
    notebook: Path
    kept: bool = False  # whether it was left as it had run before


def widget_errors(notebook: NotebookNode) -> list[str]:
    """Return the tracebacks that ``interact`` and ``Output`` widgets swallowed."""
    state = notebook.metadata.get("widgets", {}).get(WIDGETS, {}).get("state", {})
    outputs = [o for model in state.values() for o in model.get("state", {}).get("outputs") or []]
    return [last_lines(o["traceback"]) for o in outputs if o.get("output_type") == "error"]


def last_lines(traceback: list[str] | str, count: int = 6) -> str:
    """Return the end of a traceback without colour codes."""
    text = traceback if isinstance(traceback, str) else "\n".join(traceback)
    return "\n".join(ANSI.sub("", text).strip().splitlines()[-count:])


@contextmanager
def _kernel(
    notebook: NotebookNode, folder: Path, timeout: int | None, environment: dict[str, str]
) -> Iterator[NotebookClient]:
    """Start a kernel, again if it dies at once: another program may take its ports before it does."""
    with ExitStack() as until_done:
        for tries_left in (2, 1, 0):
            client = NotebookClient(
                notebook,
                timeout=timeout,
                kernel_manager_class=OwnKernel,
                coalesce_streams=True,
                record_timing=False,
                extra_arguments=["--IPKernelApp.log_level=40"],  # no warning about local sockets
                resources={"metadata": {"path": str(folder)}},
            )
            try:
                until_done.enter_context(client.setup_kernel(env=environment))
                break
            except RuntimeError:
                if not tries_left:
                    raise
        yield client


def execute(
    notebook: NotebookNode, folder: Path, profile: str | None = None, timeout: int | None = None
) -> tuple[float, str]:
    """Execute a notebook in place, in a fresh kernel.

    Args:
        notebook: The notebook; its outputs are filled in, up to the failing cell if there is one.
        folder: Working folder of the kernel.
        profile: Profile to force upon the notebook.
        timeout: Limit for one cell, in seconds; none by default.

    Returns:
        The kernel's peak memory in MB (nan if it hangs or died), and an error message or "".
    """
    environment = {k: v for k, v in os.environ.items() if k != "MPLBACKEND"}  # it hides figures
    environment.setdefault("OMP_NUM_THREADS", "1")  # small tensors: two threads wait for each other
    if profile is not None:
        environment[VARIABLE] = profile
    with _kernel(notebook, folder, timeout, environment) as client:
        try:
            for index, cell in enumerate(notebook.cells):
                client.execute_cell(cell, index)
            error = ""
        except CellExecutionError as problem:
            error = _describe(cell, index, problem)
        except (CellTimeoutError, DeadKernelError) as problem:  # this kernel answers no more
            return math.nan, _describe(cell, index, problem)
        client.set_widgets_metadata()
        # The client writes an executed cell back to its place, so the probe needs one.
        notebook.cells.append(new_code_cell(PEAK_MB))
        client.execute_cell(notebook.cells[-1], len(notebook.cells) - 1, store_history=False)
        probe = notebook.cells.pop()
    swallowed = widget_errors(notebook)
    if not error and swallowed:
        error = f"inside a widget, where Jupyter hides it:\n{swallowed[0]}"
    return float(probe.outputs[0].text), error


def _describe(cell: NotebookNode, index: int, problem: Exception) -> str:
    first_line = cell.source.strip().splitlines()[0]
    errors = [o for o in cell.outputs if o.output_type == "error"]
    reason = last_lines(errors[-1].traceback) if errors else last_lines(str(problem))
    return f"cell {index} ({first_line}):\n{reason}"


def run_chapters(
    root: Path,
    profile: str = "quick",
    only: list[str] | None = None,
    record: bool = False,
    timeout: int | None = None,
    again: bool = False,
    workers: int = 1,
) -> list[Outcome]:
    """Execute chapters into ``build/notebooks/``; a failing one does not stop the others.

    A chapter that ran there already is left as it is, unless anything has changed that it may depend
    on, see `fingerprint`.

    Args:
        root: Repository root.
        profile: Profile to run in.
        only: Numbers or stems of the chapters to run; all by default.
        record: Whether to write seconds and memory to `RECORD`. Only a chapter that runs is measured,
            so all run, one after the other.
        timeout: Limit for one cell, in seconds.
        again: Whether to run chapters of which nothing has changed, too.
        workers: How many chapters run at a time.

    Raises:
        ValueError: If the profile is unknown.
        RuntimeError: If processes are killed again and again.
    """
    if profile not in PROFILES:
        raise ValueError(f"profile: {profile!r} is unknown. Use one of {', '.join(PROFILES)}.")
    chapters = list_chapters(root, only)
    require_writable(root / "build" / "notebooks")
    found = () if again or record else (_as_it_ran(root, chapter, profile) for chapter in chapters)
    kept = {outcome.name: outcome for outcome in found if outcome}
    left = [chapter for chapter in chapters if chapter.stem not in kept]
    ended = _run(root, profile, timeout, left, workers=1 if record else workers)
    outcomes = []
    for outcome in tqdm(chain(kept.values(), ended), total=len(chapters), desc="chapters", disable=None):
        outcomes.append(outcome)
        tqdm.write(_line(outcome))
    outcomes.sort()
    _summarize(outcomes)
    if record:
        _record([o for o in outcomes if not o.error], root, profile)
    return outcomes


def _run(
    root: Path, profile: str, timeout: int | None, chapters: list[Chapter], workers: int
) -> Iterator[Outcome]:
    """Outcomes as chapters end. Of several at a time, `CHAIN` stays in order, and `ALONE` comes last."""
    run = partial(_run_in_order, root, profile, timeout)
    linked, alone = ([c for c in chapters if c.number in numbers] for numbers in (CHAIN, ALONE))
    others = [[c] for c in chapters if c.number not in (*CHAIN, *ALONE)]
    jobs = [(part,) for part in (linked, *others) if part]
    if workers == 1:
        jobs, alone = [], chapters
    for ended in in_parallel(run, jobs, max(1, min(workers, len(jobs)))):
        yield from ended
    for chapter in alone:
        yield from run([chapter])


def _run_in_order(
    root: Path, profile: str, timeout: int | None, chapters: list[Chapter]
) -> list[Outcome]:
    outcomes = []
    for chapter in chapters:
        state, target = fingerprint(root, chapter, profile), build_path(root, chapter)
        notebook, begin = to_notebook(chapter.path), time.perf_counter()
        peak, error = execute(notebook, chapter.path.parent, profile, timeout)
        if not error:
            notebook.metadata["run"] = {"state": state, "peak_mb": peak, "profile": profile}
        write_notebook(notebook, target)
        outcomes.append(Outcome(chapter.stem, time.perf_counter() - begin, peak, error, target))
    return outcomes


def fingerprint(root: Path, chapter: Chapter, profile: str) -> str:
    """Sixteen digits of a digest of a chapter, its profile, the library, its records, and versions."""
    versions = sorted(f"{one.name} {one.version}" for one in metadata.distributions())
    digest = hashlib.sha256(f"{profile} {platform.python_version()} {versions}".encode())
    library = (p for p in (root / "piumar_lib").rglob("*") if p.suffix != ".pyc")
    files = [*library, *(root / "notebooks" / "results").rglob("*.*")]
    for path in (chapter.path, *sorted(files)):
        if path.is_file() and path.name != RECORD.name:  # which says how long chapters took
            digest.update(f"{path.relative_to(root).as_posix()}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _as_it_ran(root: Path, chapter: Chapter, profile: str) -> Outcome | None:
    """The outcome of an earlier run without errors in the same state; None if there is none."""
    target = build_path(root, chapter)
    try:
        ran = read_notebook(target).metadata.get("run", {})
    except (OSError, ValueError):
        return None
    if ran.get("state") != fingerprint(root, chapter, profile):
        return None
    return Outcome(chapter.stem, 0.0, ran["peak_mb"], "", target, True)


def build_path(root: Path, chapter: Chapter) -> Path:
    """Return where the chapter's notebook goes under ``build/``, making the folder."""
    folder = root / "build" / "notebooks"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{chapter.stem}.ipynb"


def write_notebooks(root: Path) -> list[Path]:
    """Write every chapter, unexecuted, to ``build/notebooks/`` and remove what was there before."""
    chapters = list_chapters(root)
    targets = [build_path(root, chapter) for chapter in chapters]
    for old in targets[0].parent.glob("*.ipynb"):
        old.unlink()
    for chapter, target in zip(chapters, targets, strict=True):
        notebook = to_notebook(chapter.path)
        read_parameters(notebook, chapter.stem)
        write_notebook(notebook, target)
    return targets


def _line(outcome: Outcome) -> str:
    status = "FAILED" if outcome.error else "unchanged" if outcome.kept else "ok"
    return f"{outcome.name:<26} {outcome.seconds:7.1f} s {outcome.peak_mb:7.0f} MB  {status}"


def _summarize(outcomes: list[Outcome]) -> None:
    total = sum(outcome.seconds for outcome in outcomes)
    peak = max(outcome.peak_mb for outcome in outcomes)
    print(f"{'total, and highest peak':<26} {total:7.1f} s {peak:7.0f} MB")
    for outcome in outcomes:
        if outcome.error:
            print(f"\n{outcome.name} failed: {outcome.error}\nas far as it came: {outcome.notebook}")


def _record(outcomes: list[Outcome], root: Path, profile: str) -> None:
    from piumar_lib.evidence.records import provenance

    path = root / RECORD
    old = read_json(path, "Delete it.") if path.exists() else {}
    chapters: dict[str, Any] = old.get("chapters", {}) if old.get("profile") == profile else {}
    for o in outcomes:
        chapters[o.name] = {"seconds": round(o.seconds, 1), "peak_mb": round(o.peak_mb)}
    machine = f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}"
    made = {name: provenance()[name] for name in ("commit", "versions")}
    record = {"profile": profile, "machine": machine, **made, "chapters": dict(sorted(chapters.items()))}
    write_text(path, json.dumps(record, indent=1) + "\n")


def run_papermill(root: Path, chapter: str, output: Path, parameters: Iterable[tuple[str, str]]) -> None:
    """Execute one chapter with parameters of one's own; a name it does not know is refused.

    papermill itself only warns about unknown parameters and goes on.

    Args:
        root: Repository root.
        chapter: Its number or stem.
        output: Where the executed notebook goes.
        parameters: Names in its parameters cell and their values, see `read_value`. Paths count from
            the chapter's folder or, if nothing is there, from the current one.

    Raises:
        ValueError: If a parameter is unknown or has a value of another kind.
        RuntimeError: If the chapter fails.
        OSError: If the output cannot be written.
    """
    import papermill

    (found,) = list_chapters(root, [chapter])
    path, stem, notebook = found.path, found.stem, to_notebook(found.path)
    given = {name: read_value(text) for name, text in parameters}
    check_parameters(given, read_parameters(notebook, stem), stem)
    given = {name: _from_here(value, path.parent) for name, value in given.items()}
    write_notebook(notebook, output)  # whether it can be written shows before the kernel starts
    try:
        papermill.execute_notebook(
            notebook, str(output), given, cwd=str(path.parent), kernel_manager_class=OwnKernel
        )
    except papermill.PapermillExecutionError as error:
        raise RuntimeError(
            f"{stem} failed:\n{last_lines(str(error))}\nas far as it came: {output}"
        ) from None


def read_value(text: str) -> Any:
    """Read a literal as Python does; anything else is a string, as a shell user expects."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _from_here(value: Any, folder: Path) -> Any:
    """A path that leads somewhere from the current folder only, made absolute; all else as it is."""
    path = Path(value) if isinstance(value, str) else Path()
    named = path.suffix or len(path.parts) > 1  # a single word may be the name of a method
    return str(path.absolute()) if named and path.exists() and not (folder / path).exists() else value
