"""Pose estimators behind one interface: frames in, the joints of one person out.

    with Estimator(engine := ENGINES["mediapipe"], find_command(engine)) as estimator:
        xy, score = estimator.estimate(frames)  # (frames, 33, 2) pixels and (frames, 33)

Each runs as a process in an environment of its own, since it needs other versions of packages than the
course; `piumar_lib.ma52.prepare.estimator_program` is its program. Videos are decoded here, so an
estimator sees what a player shows.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from piumar_lib.data.joints import MEDIAPIPE
from piumar_lib.data.skeleton import JOINTS
from piumar_lib.ma52.prepare.estimator_program import COUNT, SIZE
from piumar_lib.ma52.prepare.one_person import OnePerson

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = Path(__file__).with_name("estimator_program.py")
NEW_CLIP = SIZE.pack(0, 0)


@dataclass(frozen=True)
class Engine:
    """A pose estimator.

    Attributes:
        name: Name by which it is chosen.
        version: Package and version, as its environment has to have them.
        joints: Names of the joints, in the order of its output.
    """

    name: str
    version: str
    joints: tuple[str, ...]

    @property
    def folder(self) -> Path:
        """Its environment."""
        return ROOT / ".venv-poses" / self.name

    @property
    def remedy(self) -> str:
        """The command that makes its environment."""
        return f"make poses-env{'' if self.name == 'mediapipe' else f' ENGINE={self.name}'}"


ENGINES = {
    engine.name: engine
    for engine in (
        Engine("mediapipe", "mediapipe 0.10.21", MEDIAPIPE),
        Engine("rtmlib", "rtmlib 0.0.16", JOINTS),
    )
}


class EstimatorError(RuntimeError):
    """An estimator does not start, or ended before its work was done."""


def find_command(engine: Engine, python: Path | None = None) -> list[str]:
    """What starts an engine; ``python`` is the interpreter of another environment than the usual one.

    Raises:
        FileNotFoundError: If there is no such environment.
    """
    place = Path("Scripts/python.exe") if os.name == "nt" else Path("bin/python")
    python = python or engine.folder / place
    if not python.is_file():
        raise FileNotFoundError(
            f"{engine.name}: its environment is not there ({python}). Make it: {engine.remedy}"
        )
    return [str(python), str(PROGRAM), engine.name]


class Estimator:
    """A running pose estimator, of `ENGINES`, that a command from `find_command` starts.

    Raises:
        EstimatorError: If it does not start, or has another version or other joints.
    """

    def __init__(self, engine: Engine, command: Sequence[str]) -> None:
        self.engine = engine
        self.errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (`close` closes it)
        # Ctrl-C is for the main process alone. And the program's own folder, which holds files of
        # common names, must not be where its packages look for modules.
        ours = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        pipe: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        safe = {"PYTHONSAFEPATH": "1", "PYTHONNOUSERSITE": "1"}
        self.process = subprocess.Popen(
            [*command], **pipe, stderr=self.errors, env=ours | safe, start_new_session=True
        )
        try:
            self._greet()
        except BaseException:
            self.close()
            raise

    def _greet(self) -> None:
        assert self.process.stdout is not None
        try:
            said = json.loads(self.process.stdout.readline())
        except ValueError:
            said = {"error": self._last_words()}
        anew = f"Make its environment anew: {self.engine.remedy}"
        if "error" in said:
            remedy = said.get("remedy", anew)
            raise EstimatorError(f"{self.engine.name}: does not start: {said['error']}. {remedy}")
        wanted = {"version": self.engine.version, "joints": len(self.engine.joints)}
        for name, value in wanted.items():
            if said.get(name) != value:
                raise EstimatorError(
                    f"{self.engine.name}: {name} must be {value}, got {said.get(name)}. {anew}"
                )

    def estimate(self, frames: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """The joints of one person in a clip's frames: red, green, blue, uint8 ``(height, width, 3)``.

        Returns:
            Pixels to the right and down, float32 ``(frames, joints, 2)``, and scores from 0 to 1,
            ``(frames, joints)``; NaN and 0 where the person was not found.

        Raises:
            EstimatorError: If the estimator ends meanwhile.
        """
        joints, one = len(self.engine.joints), OnePerson()
        nobody = np.concatenate([np.full((joints, 2), np.nan), np.zeros((joints, 1))], axis=1)
        chosen = [one(people) for people in self._people(frames)]
        found = np.array([nobody if person is None else person for person in chosen], np.float32)
        found = found.reshape(-1, joints, 3)
        return found[..., :2], found[..., 2].clip(0, 1)

    def _people(self, frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Everybody in each frame, ``(people, joints, 3)``.

        The next frame is decoded while the estimator looks at one.
        """
        self._send(NEW_CLIP)
        waiting = False
        try:
            for frame in frames:
                height, width = frame.shape[:2]
                self._send(SIZE.pack(width, height), np.ascontiguousarray(frame).data)
                if waiting:
                    yield self._receive()
                waiting = True
        except EstimatorError:
            raise
        except Exception:  # a clip that breaks off: the answer that is due must not go to the next one
            if waiting:
                self._receive()
            raise
        if waiting:
            yield self._receive()

    def _send(self, *parts: bytes | memoryview) -> None:
        assert self.process.stdin is not None
        try:
            for part in parts:
                self.process.stdin.write(part)
            self.process.stdin.flush()
        except OSError as error:
            raise EstimatorError(self._ended()) from error

    def _receive(self) -> np.ndarray:
        people = COUNT.unpack(self._read(COUNT.size))[0]
        joints = len(self.engine.joints)
        return np.frombuffer(self._read(people * joints * 12), "<f4").reshape(people, joints, 3)

    def _read(self, size: int) -> bytes:
        assert self.process.stdout is not None
        content = self.process.stdout.read(size)
        if len(content) < size:
            raise EstimatorError(self._ended())
        return content

    def _ended(self) -> str:
        words = self._last_words()
        return f"{self.engine.name}: the estimator ended (exit code {self.process.returncode}): {words}"

    def _last_words(self) -> str:
        """The last line of the error stream, once the process has ended; it has a few seconds for it."""
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.errors.seek(0)
        lines = self.errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    def close(self) -> None:
        """End the process."""
        self.process.kill()
        for stream in (self.process.stdin, self.process.stdout, self.errors):
            if stream is not None:
                with suppress(OSError):  # what was not sent is not wanted any more
                    stream.close()
        self.process.wait()

    def __enter__(self) -> Estimator:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
