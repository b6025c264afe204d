"""From public pose files to one file of poses: read, checked, joined with the index by name.

    poses, report = gather(["data/ma52/MA-52_openpose_28kp"], read_index("build/ma52/index.csv"))

Nothing is normalised here: pixels stay pixels. MMN scales every clip to its own smallest and largest
coordinate, which removes the sizes of the person and of the movement.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from piumar_lib.data.joints import LAYOUTS, pick
from piumar_lib.ma52.prepare.index import Clip, make_clip
from piumar_lib.ma52.prepare.layout import SPLITS
from piumar_lib.ma52.prepare.lists import ANONYMOUS, NAMED, Fault, tell
from piumar_lib.ma52.prepare.pose_checks import PoseClip, check_clip
from piumar_lib.ma52.prepare.pose_sources import find_files, read_file
from piumar_lib.ma52.prepare.poses import Poses, join

# Players, decoders and estimators count a clip's frames differently, by a frame or two at its end.
FRAMES, SHARE = 3, 0.05

Kept = dict[str, tuple[Clip, PoseClip]]  # by name


@dataclass
class PoseReport:
    """What `gather` found.

    Attributes:
        files: Files that were read.
        clips: Clips that can be used.
        faults: Everything else.
        frames, lost_frames: Frames of the usable clips, and those without a person.
        joints, lost_joints: Joints in frames with a person, and those not found.
    """

    files: list[Path]
    clips: list[Clip] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    frames: int = 0
    lost_frames: int = 0
    joints: int = 0
    lost_joints: int = 0

    @property
    def usable(self) -> bool:
        """Whether nothing serious is wrong."""
        return not any(fault.serious for fault in self.faults)

    def count(self, kind: str) -> int:
        """How many faults of a kind there are."""
        return sum(fault.kind == kind for fault in self.faults)

    def to_json(self) -> str:
        """The report for programs."""
        numbers = {n: getattr(self, n) for n in ("frames", "lost_frames", "joints", "lost_joints")}
        by_split = Counter(clip.split for clip in self.clips)
        about = {
            "files": [str(path) for path in self.files],
            "usable": self.usable,
            "clips": {split: by_split[split] for split in SPLITS},
            **numbers,
            "clips with several people": self.count("several people"),
            "faults": [asdict(fault) for fault in self.faults],
        }
        return json.dumps(about, indent=1)

    def to_text(self, most: int = 5) -> str:
        """The report for people; of each kind of fault the first ``most``."""
        by_split = Counter(clip.split for clip in self.clips)
        clips = ", ".join(f"{by_split[split]} {split}" for split in SPLITS)
        people = len({clip.person for clip in self.clips} - {""})
        lines = [
            f"{_names(self.files)}: {'usable' if self.usable else 'NOT usable'}",
            f"clips that can be used: {clips}; of {people} people in train and val",
            f"frames: {self.frames}, without a person {_percent(self.lost_frames, self.frames)}; "
            f"joints not found in the others {_percent(self.lost_joints, self.joints)}; "
            f"clips with several people: {self.count('several people')}",
            *tell(self.faults, most),
        ]
        return "\n".join(lines)


def gather(
    sources: Iterable[str | Path],
    index: Sequence[Clip] | None = None,
    joints: int | None = None,
    progress: bool = False,
) -> tuple[Poses | None, PoseReport]:
    """Read pose files, check every clip, and join what can be used.

    With an index, poses are joined to its clips by name. A clip may have up to 3 frames, or 5 %, more or
    fewer poses than its video has frames: poses after the last frame are cut off, and frames without a
    pose stand at the end as not found. COCO's results may end earlier, as they have no entry for a frame
    without a person. What the file does not say of size and frame rate is taken from the index, and so
    are splits and actions. Without an index, person and session come from the names, and actions from
    the labels of the files.

    Args:
        sources: Files, or folders of them.
        index: Clips of the videos.
        joints: 17, 28, 33, 44 or 136, the layout to reduce to; by default that of the files.

    Returns:
        Poses of all clips that can be used, None if there is none, and the report.

    Raises:
        FileNotFoundError: If a source does not exist.
        ValueError: If a file is damaged or holds foreign classes, or clips have several layouts.
    """
    files = find_files(sources)
    report = PoseReport(files)
    wanted = {clip.name: clip for clip in index or ()}
    found: Kept = {}
    for path in files:
        for pose in _read_checked(path, report, joints, progress):
            _keep(pose, found, report, None if index is None else wanted)
    if index is not None:
        said = {fault.where.rpartition(", ")[2] for fault in report.faults if fault.serious}
        report.faults.extend(_without_pose(index, found, said))
    by_split = sorted(found, key=lambda name: (SPLITS.index(found[name][0].split), name))
    order = by_split if index is None else [clip.name for clip in index]
    kept = [found[name] for name in order if name in found]
    report.clips.extend(clip for clip, _ in kept)
    _count(report, [pose for _, pose in kept])
    return _join(kept, files) if kept else None, report


def _read_checked(
    path: Path, report: PoseReport, joints: int | None, progress: bool
) -> Iterable[PoseClip]:
    """Clips of a file that are good in themselves."""
    raw = read_file(path)
    if not raw:
        report.faults.append(Fault("empty file", str(path), "no clip", "Extract or download it again."))
    for found in tqdm(raw, desc=path.name, unit="clip", disable=not progress):
        pose, faults = check_clip(found)
        report.faults.extend(faults)
        if pose is not None:
            yield _reduce(pose, joints)


def _reduce(pose: PoseClip, joints: int | None) -> PoseClip:
    if joints is None or len(pose.joints) == joints:
        return pose
    wanted = LAYOUTS[joints]
    if missing := set(wanted) - set(pose.joints):
        raise ValueError(
            f"joints: {joints} were asked for, but {pose.where} has {len(pose.joints)} without "
            f"{min(missing, key=wanted.index)}. Ask for {len(pose.joints)}, or for 17."
        )
    kept = pick(pose.joints, wanted)
    return replace(pose, joints=wanted, xy=pose.xy[:, kept], score=pose.score[:, kept])


def _keep(pose: PoseClip, found: Kept, report: PoseReport, wanted: dict[str, Clip] | None) -> None:
    """Put a clip with what was found before, or tell why not."""
    if pose.name in found:
        what = f"stands in {found[pose.name][1].where}, too"
        report.faults.append(Fault("clip twice", pose.where, what, "The first one counts; keep one."))
        return
    if wanted is None:
        clip, fault = _describe(pose)
    else:
        clip, pose, fault = _match(pose, wanted.get(pose.name))
    if fault:
        report.faults.append(fault)
    if clip:
        found[pose.name] = clip, pose


def _match(pose: PoseClip, clip: Clip | None) -> tuple[Clip | None, PoseClip, Fault | None]:
    """A clip's line of the index, its poses at the video's length, and what is wrong."""
    if clip is None:
        what, remedy = "the index has no such clip", "It is not used."
        return None, pose, Fault("not in the index", pose.where, what, remedy, serious=False)
    if -1 not in (pose.action, clip.action) and pose.action != clip.action:
        what = f"label {pose.action}, the index says {clip.action}"
        remedy = "See which list the file was made with."
        return None, pose, Fault("other label", pose.where, what, remedy)
    have, frames = len(pose.xy), clip.frames
    too_short = frames - have > max(FRAMES, SHARE * frames) and not pose.open_end
    if too_short or have - frames > max(FRAMES, SHARE * frames):
        what, remedy = f"{have} frames, the video has {frames}", "Extract poses from every frame of it."
        return None, pose, Fault("other length", pose.where, what, remedy)
    fault = None
    if have != frames:
        done = "cut off" if have > frames else "not found"
        what = f"{have} frames, the video has {frames}: the last {abs(have - frames)} are {done}"
        fault = Fault("length mended", pose.where, what, "Nothing to do.", serious=False)
    return clip, _complete(pose, clip), fault


def _complete(pose: PoseClip, clip: Clip) -> PoseClip:
    """Poses with the length of the video, and with its size and rate where the file lacks them."""
    missing = max(0, clip.frames - len(pose.xy))
    xy = np.pad(pose.xy[: clip.frames], ((0, missing), (0, 0), (0, 0)), constant_values=np.nan)
    score = np.pad(pose.score[: clip.frames], ((0, missing), (0, 0)))
    size = pose.size if pose.size != (0, 0) else (clip.width, clip.height)
    rate = pose.rate if np.isfinite(pose.rate) else clip.fps
    return replace(pose, xy=xy, score=score, size=size, rate=rate)


def _describe(pose: PoseClip) -> tuple[Clip | None, Fault | None]:
    """A line of an index from a pose file alone."""
    split = pose.split or ("test" if ANONYMOUS.fullmatch(pose.name) else "train")
    if split != "test" and not NAMED.fullmatch(pose.name):
        remedy = "It should read PERSON_SESSION_CLIP; or give --index."
        return None, Fault("no person in the name", pose.where, pose.name, remedy)
    if split != "test" and pose.action < 0:
        return None, Fault("no label", pose.where, "no label", "Put the labels beside; or give --index.")
    return make_clip(pose.name, split, pose.action, len(pose.xy), pose.rate, pose.size), None


def _without_pose(index: Sequence[Clip], found: Kept, said: set[str]) -> Iterable[Fault]:
    """Clips of the index without a usable pose, but for those whose fault was told already."""
    for clip in index:
        if clip.name not in found and clip.name not in said:
            what, remedy = "no pose file has it", "Add the file that has; or leave such clips out."
            yield Fault("clip without poses", f"{clip.split}/{clip.name}", what, remedy)


def _count(report: PoseReport, poses: Iterable[PoseClip]) -> None:
    """Add up frames and joints."""
    for pose in poses:
        seen = pose.score.max(1) > 0
        report.frames += len(seen)
        report.lost_frames += int((~seen).sum())
        report.joints += int(seen.sum()) * len(pose.joints)
        report.lost_joints += int((pose.score[seen] == 0).sum())


def _join(kept: Sequence[tuple[Clip, PoseClip]], files: Sequence[Path]) -> Poses:
    layouts = {pose.joints for _, pose in kept}
    if len(layouts) > 1:
        numbers = " and ".join(str(number) for number in sorted(map(len, layouts)))
        raise ValueError(
            f"joints: clips have {numbers}, and one file holds one layout. Reduce them: --joints 17."
        )
    return join([pose for _, pose in kept], layouts.pop(), f"pose files: {_names(files)}")


def _names(files: Sequence[Path], most: int = 6) -> str:
    few = ", ".join(path.name for path in files[:most])
    return f"{few} and {len(files) - most} more" if len(files) > most else few


def _percent(some: int, all_of_them: int) -> str:
    return f"{100 * some / all_of_them:.1f} %" if all_of_them else "0 %"
