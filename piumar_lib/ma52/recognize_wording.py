"""Output of `recognize`: each answer beside the majority baseline, and the model's training data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from piumar_lib.ma52.recognize_poses import RecognizedPoses
from piumar_lib.ma52.windows import Answers

if TYPE_CHECKING:
    from piumar_lib.ma52.pose_tracks import Track
    from piumar_lib.ma52.recognize import Recording

SELDOM = 0.5  # a joint that was found in a smaller fraction of frames is listed
STANDIN = "stand-in"  # in a record's data, if people are synthetic


def say_trained_on(record: Mapping[str, Any] | None) -> str:
    """A model's training data, and its accuracy on unseen people, from the record of its training."""
    if record is None:
        return "this model was trained on data that are not recorded: no record.json lies beside it"
    split, found = record["split"], record["held out"]
    judged = ", some of whom it was trained on," if split["shared people"] else " it never saw"
    lines = [
        f"this model was trained on {record['data']}: {split['people trained on']} people, method "
        f"{record['method']}, {record['config']['epochs']} epochs",
        f"of {found['clips']} clips of {len(found['people'])} people{judged} it recognises "
        f"{100 * found['scores']['action top-1']:.1f} %",
    ]
    if STANDIN in record["data"]:
        lines.append("its people are synthetic: what it says about real people was never validated")
    return "\n".join(lines)


def say_majority(record: Mapping[str, Any] | None) -> str:
    """Accuracy of always answering the training clips' most frequent action; "" without a record."""
    if record is None:
        return ""
    constant = record["held out"]["majority"]
    return f"always {constant['action']!r}: {100 * constant['scores']['action top-1']:.1f} % right"


def say_answers(answers: Answers, majority: str = "") -> str:
    """The five most probable actions of a short clip, or the most probable one of each window."""
    beside = f"   ({majority})" if majority else ""
    if len(answers.start) == 1:
        first, *others = (f"{100 * p:5.1f} %  {action}" for action, p in answers.best())
        return "\n".join([first + beside, *others])
    return "\n".join(
        f"{start:6.1f} to {end:6.1f} s  {100 * p:5.1f} %  {action}{beside}"
        for start, end, action, p in answers.timeline()
    )


def say_recording(recording: Recording) -> list[str]:
    """Description of a video: duration and people."""
    said = [f"{recording.path.name}: {recording.shown.seconds:.1f} s"]
    if assumed := recording.shown.assumed:
        said.append(f"the file holds no times: {assumed:g} frames a second are assumed")
    if not recording.people:
        said.append("no person was found before a plain wall: the middle of the picture is used")
    if len(recording.people) > 1:
        where = (100 * (box.left + box.right) / 2 for box in recording.people)
        listed = "; ".join(f"person {k} at {x:.0f} % of the width" for k, x in enumerate(where))
        said.append(f"{listed}: person {recording.person} is taken; --person chooses another")
    return said


def say_track(seen: RecognizedPoses) -> list[str]:
    """Description of poses: joints, people and times."""
    track = seen.track
    said = [f"{track.name}: {track.seconds:.1f} s, {_say_joints(track)}"]
    if track.assumed:
        said.append(f"the file holds no times: {track.rate:g} frames a second are assumed (--rate)")
    if len(track.people) > 1:
        listed = "; ".join(map(str, track.people))
        said.append(f"{listed}: person {track.person} is taken; --person chooses another")
    if seen.empty:
        spans = ", ".join(f"{start:.1f} to {end:.1f}" for start, end in seen.empty[:3])
        more = f" and {len(seen.empty) - 3} more" if len(seen.empty) > 3 else ""
        said.append(f"no answer for {spans} s{more}: the person was hardly ever seen")
    return said


def _say_joints(track: Track) -> str:
    seen = track.seen
    seldom = [f"{name} ({100 * share:.0f} %)" for name, share in seen.items() if share < SELDOM]
    frames = 100 * float((track.score > 0).any(1).mean())
    said = (
        f"the person in {frames:.0f} % of frames, {len(seen) - len(seldom)} of {len(seen)} joints seen"
    )
    return said + (f"; in less than half of the frames: {', '.join(seldom)}" if seldom else "")
