"""A pose estimator for tests: whoever is red, green or blue in a picture is a person.

    python fake_estimator.py SAID PROBLEM LOG

It serves as the real program does, but for what it finds: a person's joints are the corners and the
middle of all pixels of a colour. White pictures end it. SAID is what it says of itself. PROBLEM "slow"
takes a tenth of a second a frame, "anybody" or "nobody" is in pictures, "offline" lacks weights,
"no start" a library, and "ends at once" ends. Every clip that begins is a line of LOG.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "piumar_lib" / "ma52" / "prepare"))
import estimator_program

COLORS = ((1, 0, 0), (0, 1, 0), (0, 0, 1))


class Colors:
    def __init__(self, said, problem, log):
        (self.package, self.version), self.joints = said["version"].split(), said["joints"]
        self.problem, self.log = problem, log
        if problem == "no start":
            raise ImportError("libGL.so.1 is not there")
        if problem == "offline":
            raise OSError("name or service not known")
        if problem == "ends at once":
            sys.exit("out of memory")

    def begin(self):
        with open(self.log, "a") as file:
            file.write("clip\n")

    def __call__(self, frame):
        if self.problem == "slow":
            time.sleep(0.1)
        if self.problem in ("anybody", "nobody"):
            return np.ones((int(self.problem == "anybody"), self.joints, 3), np.float32)
        if (frame > 128).all():
            sys.exit("white pictures hurt")
        people = [self.person(frame, color) for color in COLORS]
        return np.array([p for p in people if p is not None], np.float32).reshape(-1, self.joints, 3)

    def person(self, frame, color):
        rows, columns = np.nonzero((frame > 128) @ (1, 2, 4) == np.dot(color, (1, 2, 4)))
        if not len(rows):
            return None
        x, y = columns + 0.5, rows + 0.5
        few = [(x.min(), y.min(), 1), (x.mean(), y.mean(), 0.5), (x.max(), y.max(), 1)]
        return [few[k % 3] for k in range(self.joints)]


if __name__ == "__main__":
    said, problem, log = json.loads(sys.argv[1]), *sys.argv[2:4]
    estimator_program.ENGINES["fake"] = lambda: Colors(said, problem, log)
    estimator_program.version = lambda package: said["version"].split()[1]
    sys.exit(estimator_program.main("fake"))
