"""Base of all commands: a user's mistake ends in one line and exit code 1, a bug in its traceback."""

from __future__ import annotations

import argparse
import dis
import functools
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from piumar_lib.support.files import as_path, explain
from piumar_lib.support.hyperparameter import nearest

_ROOT = Path(__file__).resolve().parents[2]
OURS = (_ROOT / "piumar_lib", _ROOT / "tools", _ROOT / "data_scripts", _ROOT / "tests" / "benchmarks")


class Parser(argparse.ArgumentParser):
    """Argument parser that suggests the nearest name for an unknown choice or option.

    Its description is shown line by line as it is written.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"formatter_class": argparse.RawDescriptionHelpFormatter} | kwargs)

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            known = [str(choice) for choice in action.choices]
            words = f"{value!r} is unknown.{nearest(str(value), known)} Choose from {', '.join(known)}."
            raise argparse.ArgumentError(action, words)

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As in argparse, with a hint if an option is unknown."""
        found, rest = self.parse_known_args(args, namespace)
        if rest:
            self.error(f"unrecognized arguments: {' '.join(rest)}.{nearest(rest[0], self.options())}")
        return found

    def options(self) -> list[str]:
        """The names of all options, including those of subcommands."""
        names: list[str] = []
        for action in self._actions:
            names += action.option_strings
            if isinstance(action, argparse._SubParsersAction):
                names += [name for command in action.choices.values() for name in command.options()]
        return names


def command_line(main: Callable[..., int | None]) -> Callable[..., int]:
    """Make ``main(argv)`` return an exit code: 1 after a mistake, 130 after Ctrl-C, else its own or 0.

    A mistake (see `is_mistake`) is reported in one line on the error stream. A bug is raised.
    """

    @functools.wraps(main)
    def run(argv: Sequence[str] | None = None) -> int:
        try:
            return int(main(argv) or 0)
        except KeyboardInterrupt as stop:
            print(f"\n{str(stop) or 'stopped'}", file=sys.stderr)
            return 130
        except Exception as error:
            if not is_mistake(error):
                raise
            print(f"error: {_say(error)}", file=sys.stderr)
            return 1

    return run


def is_mistake(error: BaseException) -> bool:
    """Whether an error is the user's to fix, in the input or on the machine, and not a bug.

    Errors of the operating system are. A ValueError or the like is one if the course itself raises it,
    with a message that was written for a user; if numpy, torch or json raises it, a check is missing.
    """
    told = vars(error).get("is_mistake")  # by `piumar_lib.support.cluster`: frames are not transferred
    if told is not None:
        return told
    if isinstance(error, (OSError, MemoryError, ModuleNotFoundError)):
        return True
    return isinstance(error, (ValueError, RuntimeError, ArithmeticError)) and _is_ours(error)


def _is_ours(error: BaseException) -> bool:
    """Whether a ``raise`` statement of the course raised it, rather than a failing call or operator."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    if trace is None:
        return False
    code = trace.tb_frame.f_code
    raised = dis.opname[code.co_code[trace.tb_lasti]] == "RAISE_VARARGS"
    return raised and any(folder in Path(code.co_filename).resolve().parents for folder in OURS)


def _say(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno is not None:
        return explain(error)
    if isinstance(error, ModuleNotFoundError):
        return f"{error}. Install what the course needs: pip install -r requirements.txt"
    if isinstance(error, MemoryError) and not _is_ours(error):
        return f"memory: {error or 'it does not suffice'}. Use fewer workers, or less data at a time."
    return str(error)


def called_as(package: str, processes: int = 1) -> str:
    """The command line if ``python -m package`` was called, as a record has it; else "notebook".

    With several ``processes``, ``torch.distributed.run`` has started them.
    """
    if Path(sys.argv[0]).parent.name != package.rpartition(".")[2]:
        return "notebook"
    shared = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(processes), "-m"]
    return shlex.join(["python", "-m", *(shared if processes > 1 else []), package, *sys.argv[1:]])


def path(text: str) -> Path:
    """A type for argparse: a path, with ``~`` as the home folder."""
    try:
        return as_path(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def at_least(low: int) -> Callable[[str], int]:
    """A type for argparse: a whole number from ``low``."""

    def number(text: str) -> int:
        if int(text) < low:
            raise argparse.ArgumentTypeError(f"{text} is too small. Choose {low} or more.")
        return int(text)

    number.__name__ = "int"  # argparse uses it in its error message
    return number
