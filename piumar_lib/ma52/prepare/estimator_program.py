"""The pose estimator: a program of its own, since it needs other versions of packages than the course.

    python estimator_program.py mediapipe

It runs in the environment that ``make poses-env`` makes, imports nothing of the course, and is started
by `piumar_lib.ma52.prepare.engines`. Frames arrive on standard input, joints leave on standard output:
first one line of JSON, ``{"version": "mediapipe 0.10.21", "joints": 33}``, or ``{"error": "..."}`` with
a ``"remedy"`` where a new environment is none. Then, little endian, for every frame:

- in: uint32 width and height, and height x width x 3 bytes of red, green, blue; width and height 0
  alone say that another clip begins, and have no answer;
- out: uint32 people, and people x joints x 3 float32: pixels to the right and down, score.
"""

from __future__ import annotations

import json
import os
import struct
import sys
from importlib.metadata import version
from typing import BinaryIO

import numpy as np

SIZE = struct.Struct("<II")
COUNT = struct.Struct("<I")
MOST_PEOPLE = 50  # in an answer, which then fits into a pipe, so that neither side waits


class MediaPipe:
    """BlazePose, 33 landmarks (Bazarevsky et al., 2020), with the full model of the package itself.

    It follows one person. Its smoothing over time is off: it delays and flattens small movements.
    """

    package, joints = "mediapipe", 33

    def __init__(self) -> None:
        from mediapipe.python.solutions.pose import Pose

        self.pose = Pose(model_complexity=1, smooth_landmarks=False)

    def begin(self) -> None:
        """Look for the person anew."""
        self.pose.reset()

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        """The person who is followed, if there is one; scores are visibilities."""
        found = self.pose.process(frame).pose_landmarks
        if found is None:
            return np.empty((0, self.joints, 3), np.float32)
        height, width = frame.shape[:2]
        person = [(mark.x * width, mark.y * height, mark.visibility) for mark in found.landmark]
        return np.array([person], np.float32)


class RTMPose:
    """RTMPose, 17 joints of COCO (Jiang et al., 2023), of everybody whom YOLOX finds.

    The package fetches the weights when it is first used.
    """

    package, joints = "rtmlib", 17

    def __init__(self) -> None:
        from rtmlib import Body

        self.body = Body(mode="balanced", backend="onnxruntime", device="cpu")

    def begin(self) -> None:
        """Nothing is kept from frame to frame."""

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        """Everybody in the picture; without a box the package would take all of it for a person."""
        picture = np.ascontiguousarray(frame[..., ::-1])  # blue first, as OpenCV has it
        boxes = self.body.det_model(picture)
        if len(boxes) == 0:
            return np.empty((0, self.joints, 3), np.float32)
        xy, score = self.body.pose_model(picture, bboxes=boxes)
        # A pixel's middle is at 0.5 in the course, at 0 in OpenCV.
        return np.concatenate([xy + 0.5, np.clip(score, 0, 1)[..., None]], axis=-1).astype(np.float32)


ENGINES: dict[str, type[MediaPipe | RTMPose]] = {"mediapipe": MediaPipe, "rtmlib": RTMPose}


def serve(engine: MediaPipe | RTMPose, frames: BinaryIO, answers: BinaryIO) -> None:
    """Answer frames until there are no more: with float32 ``(people, joints, 3)`` for each."""
    while len(head := frames.read(SIZE.size)) == SIZE.size:
        width, height = SIZE.unpack(head)
        if not width:
            engine.begin()
            continue
        picture = np.frombuffer(frames.read(height * width * 3), np.uint8)
        people = engine(picture.reshape(height, width, 3))
        people = people[np.argsort(-people[..., 2].sum(1), kind="stable")[:MOST_PEOPLE]]
        answers.write(COUNT.pack(len(people)) + people.astype("<f4").tobytes())
        answers.flush()


def main(name: str) -> int:
    """Load an engine, say which it is, and serve."""
    # What a package prints goes to the error stream: the answers have the output for themselves.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    said: dict[str, object]
    try:
        engine = ENGINES[name]()
        said = {"version": f"{engine.package} {version(engine.package)}", "joints": engine.joints}
    except OSError as error:  # of the network, for weights
        said = {"error": f"{error}", "remedy": "Connect to the internet once, or take mediapipe."}
    except Exception as error:
        said = {"error": f"{type(error).__name__}: {error}"}
    answers.write(json.dumps(said).encode() + b"\n")
    answers.flush()
    if "error" in said:
        return 1
    serve(engine, sys.stdin.buffer, answers)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
