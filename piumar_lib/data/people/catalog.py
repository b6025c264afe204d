"""The eight data sets of real people: contents, licence and source of each.

Addresses are of public copies, pinned at a commit, because some official pages are gone or require a
form. In nearly all data sets each person was recorded in one session, so differences between people are
also differences between sessions.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from piumar_lib.data.people import joints
from piumar_lib.data.people.paths import MMG_GESTURES
from piumar_lib.data.people.skeletons import UTKINECT_ACTIONS

FOLDER = Path(__file__).resolve().parents[3] / "data" / "people"  # of the converted sets
UNSTATED = "none stated; public for research: cite, do not redistribute"


@dataclass(frozen=True)
class PeopleSet:
    """One data set, and the public copy from which it is downloaded.

    Attributes:
        name: Name of the data set in the course, and of its file ``NAME.npz``.
        title: Title that the authors give the data set.
        label: Short name that tables and figures show.
        modality: Sensor and its signals.
        people: Number of people.
        clips: Number of clips.
        class_names: One name for each class.
        rate: Frames per second, in Hz.
        clips_are: Whether a clip is a whole movement, and how it was cut.
        license: Licence of the data, as stated.
        citation: The publication to cite.
        page: Address of the official page.
        traps: Caveats for the interpretation of results.
        repository: Repository of the source files, ``OWNER/NAME`` on GitHub.
        commit: Commit of the repository, 40 hexadecimal digits.
        folder: Folder of the source files in the repository.
        megabytes: Approximate size of the download, in MB.
        at_least: Whether the archive has a further file of unknown size.
        files: Number of source files that are converted.
        manifest: SHA-256 of their sorted lines ``sha256  path``, see `piumar_lib.data.people.sources`.
        single_files: Whether files are downloaded one by one, rather than as one archive of the
            repository.
        parents: Parent of each joint of a skeleton, see `piumar_lib.data.people.joints`; else None.
    """

    name: str
    title: str
    label: str
    modality: str
    people: int
    clips: int
    class_names: tuple[str, ...]
    rate: float
    clips_are: str
    license: str
    citation: str
    page: str
    traps: str
    repository: str
    commit: str
    folder: str
    megabytes: int
    files: int
    manifest: str
    at_least: bool = False
    single_files: bool = False
    parents: tuple[int, ...] | None = None

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @property
    def size(self) -> str:
        """Size of the download, in words."""
        return f"{'at least' if self.at_least else 'about'} {self.megabytes} MB"


_ALL = (
    PeopleSet(
        name="msraction3d",
        title="MSR Action3D",
        label="MSR Action3D",
        modality="skeleton of a depth camera, 20 joints",
        people=10,
        clips=557,
        class_names=(
            "high arm wave", "horizontal arm wave", "hammer", "hand catch", "forward punch",
            "high throw", "draw x", "draw tick", "draw circle", "hand clap", "two hand wave",
            "side-boxing", "bend", "forward kick", "side kick", "jogging", "tennis swing",
            "tennis serve", "golf swing", "pick up & throw",
        ),
        rate=15.0,
        clips_are="whole movements, one a recording",
        license=UNSTATED,
        citation=(
            "W. Li, Z. Zhang, Z. Liu: Action Recognition Based on a Bag of 3D Points, CVPRW 2010; "
            "joints: J. Wang et al., CVPR 2012"
        ),
        page="https://sites.google.com/view/wanqingli/data-sets/msr-action3d",
        traps="person 4 makes 13 of the 20 classes; clips with broken skeletons are left out",
        repository="JeslieHCI/UTKinect_3",
        commit="590aede4d94d2f2f90b633bb4cefb5a50bb2996d",
        folder="data/MSRAction3D/real_world_coordinates",
        megabytes=7,
        at_least=True,
        files=557,
        manifest="601befd7b161a6d8900d1f991f6d62f6f1818d92ccc6d090f0af94d95bb449d0",
        parents=joints.MSR_ACTION3D,
    ),
    PeopleSet(
        name="utkinect",
        title="UTKinect-Action3D",
        label="UTKinect",
        modality="Kinect skeleton, 20 joints",
        people=10,
        clips=199,
        class_names=UTKINECT_ACTIONS,
        rate=15.0,
        clips_are="whole movements, cut from longer recordings by annotators",
        license=UNSTATED,
        citation=(
            "L. Xia, C.-C. Chen, J. K. Aggarwal: View Invariant Human Action Recognition Using "
            "Histograms of 3D Joints, CVPRW 2012"
        ),
        page="http://cvrc.ece.utexas.edu/KinectDatasets/HOJ3D.html",
        traps="two clips of each class a person; one carry of person 10 was never recorded",
        repository="JeslieHCI/UTKinect_3",
        commit="590aede4d94d2f2f90b633bb4cefb5a50bb2996d",
        folder="data/UTKinect/joints",
        megabytes=10,
        files=21,
        manifest="ae0ab2709da2bf8eddaa5b24c79265077669248c7cfb6f14a61e3baac9eb40d6",
        single_files=True,
        parents=joints.KINECT,
    ),
    PeopleSet(
        name="uiprmd",
        title="UI-PRMD",
        label="UI-PRMD",
        modality="Kinect v2 skeleton, 22 joints",
        people=10,
        clips=1000,
        class_names=(
            "deep squat", "hurdle step", "inline lunge", "side lunge", "sit to stand",
            "standing active straight leg raise", "standing shoulder abduction",
            "standing shoulder extension", "standing shoulder internal-external rotation",
            "standing shoulder scaption",
        ),
        rate=30.0,
        clips_are="whole movements, repetitions cut by the authors",
        license="Open Data Commons Public Domain Dedication and License (PDDL) 1.0",
        citation=(
            "A. Vakanski, H. Jun, D. Paul, R. Baker: A Data Set of Human Body Movements for Physical "
            "Rehabilitation Exercises, Data 3(1):2, 2018, doi 10.3390/data3010002"
        ),
        page="https://webpages.uidaho.edu/ui-prmd/",
        traps="two people (7 and 10) use the left arm or leg: in one-sided exercises most of their gap",
        repository="niemasd/UI-PRMD-Analysis",
        commit="2c5bf130697b4dd7c6aafc1e75f5cb4b60f651c3",
        folder="data/Segmented Movements/Kinect",
        megabytes=410,
        files=2000,
        manifest="3d4df6b1c9a3f360dbe1bba4f3391ed351dfb883eb71148e0c56efbdd616e37d",
        parents=joints.UI_PRMD,
    ),
    PeopleSet(
        name="utdmhad_skeleton",
        title="UTD-MHAD, skeletons",
        label="UTD-MHAD",
        modality="Kinect skeleton, 20 joints",
        people=8,
        clips=861,
        class_names=(
            "swipe left", "swipe right", "wave", "clap", "throw", "arm cross", "basketball shoot",
            "draw X", "draw circle clockwise", "draw circle counter-clockwise", "draw triangle",
            "bowling", "boxing", "baseball swing", "tennis swing", "arm curl", "tennis serve", "push",
            "knock", "catch", "pick up and throw", "jog", "walk", "sit to stand", "stand to sit",
            "lunge", "squat",
        ),
        rate=30.0,
        clips_are="whole movements, one a recording",
        license=UNSTATED,
        citation=(
            "C. Chen, R. Jafari, N. Kehtarnavaz: UTD-MHAD: A Multimodal Dataset for Human Action "
            "Recognition Utilizing a Depth Camera and a Wearable Inertial Sensor, ICIP 2015"
        ),
        page="https://personal.utdallas.edu/~kehtar/UTD-MHAD.html",
        traps="eight people only, so that intervals are wide",
        repository="woo-chia-wei/kinect-sequence-classification",
        commit="65e9b13950d7971c8d1e49e960f6796bd0dc9257",
        folder="data/Skeleton",
        megabytes=146,
        files=861,
        manifest="6f3604805780b73b8f2cf1b13ba4d55ca594a55addd231585cf0b7baa41bfe9f",
        parents=joints.UTD_MHAD,
    ),
    PeopleSet(
        name="shrec17",
        title="SHREC'17 Track: 3D Hand Gesture Recognition",
        label="SHREC'17",
        modality="hand skeleton of a depth camera, 22 joints",
        people=28,
        clips=2800,
        class_names=(
            "grab", "tap", "expand", "pinch", "rotation clockwise", "rotation counter-clockwise",
            "swipe right", "swipe left", "swipe up", "swipe down", "swipe X", "swipe +", "swipe V",
            "shake",
        ),
        rate=30.0,
        clips_are="whole movements, one a recording",
        license=UNSTATED,
        citation=(
            "Q. De Smedt, H. Wannous, J.-P. Vandeborre, J. Guerry, B. Le Saux, D. Filliat: SHREC'17 "
            "Track: 3D Hand Gesture Recognition Using a Depth and Skeletal Dataset, 3DOR 2017, "
            "doi 10.2312/3dor.20171049"
        ),
        page="http://www-rech.telecom-lille.fr/shrec2017-hand/",
        traps="each gesture is made with one finger or the whole hand; person 28 may be more than one",
        repository="giach68/gesturesCodes",
        commit="042154da7647e7d7103743faf75c4e4918748da6",
        folder="datasetShrec",
        megabytes=51,
        files=2802,
        manifest="85d701ee0d418ebebb7d9f547325047acd1d965eec36b31182b0b7095ab7fd52",
        parents=joints.SHREC_HAND,
    ),
    PeopleSet(
        name="gesturemidair",
        title="Gesture MidAir",
        label="Gesture MidAir",
        modality="path of the forefinger in 3-D (mm)",
        people=13,
        clips=338,
        class_names=(
            "arc3Dleft", "arc3Dright", "caret", "check", "circle", "curly-braket-left",
            "curly-braket-right", "delete", "left-swipe", "pigtail", "poly3Dxyz", "poly3Dxzy",
            "poly3Dyxz", "poly3Dyzx", "poly3Dzxy", "poly3Dzyx", "rectangle", "right-swipe", "spiral",
            "square-braket-left", "square-braket-right", "star", "triangle", "v", "x", "zig-zag",
        ),
        rate=60.0,
        clips_are="whole movements, one a recording",
        license="none stated; the authors' own repository: cite, do not redistribute",
        citation=(
            "F. M. Caputo, P. Prebianca, A. Carcangiu, L. D. Spano, A. Giachetti: Comparing 3D "
            "trajectories for simple mid-air gesture recognition, Computers & Graphics 73 (2018)"
        ),
        page="https://github.com/giach68/gesturesCodes",
        traps="one clip of each class a person: no person can be told from the classes made",
        repository="giach68/gesturesCodes",
        commit="042154da7647e7d7103743faf75c4e4918748da6",
        folder="datasetNew",
        megabytes=51,
        files=338,
        manifest="6dbd4d222fe098f25112a43d62cd7c7f3a76ae0f67fd1992a2e07b2ddacdc086",
    ),
    PeopleSet(
        name="pendigits",
        title="Pen-Based Recognition of Handwritten Digits",
        label="Pen digits",
        modality="pen on a tablet: x, y, start of a further stroke",
        people=44,
        clips=10992,
        class_names=tuple("0123456789"),
        rate=10.0,
        clips_are="whole movements, cut at the pen's first and last point",
        license="CC BY 4.0, as UCI lists for donated sets (read the line on its page)",
        citation=(
            "F. Alimoglu, E. Alpaydin: Methods of Combining Multiple Classifiers Based on Different "
            "Representations for Pen-based Handwriting Recognition, TAINN 1996; doi 10.24432/C5MG6K"
        ),
        page="https://archive.ics.uci.edu/dataset/81/pen+based+recognition+of+handwritten+digits",
        traps="the rate is nominal, and pauses between strokes are not recorded: time is an order only",
        repository="choucavalier/pendigits-hmm",
        commit="03382e1457941714439d40b67e53eaf117fe4d08",
        folder="data",
        megabytes=12,
        files=2,
        manifest="dd121d00d10032edbc65ff548d4dba79aa105bc556aeffb2a8447ed9c93f477d",
        single_files=True,
    ),
    PeopleSet(
        name="mmg",
        title="Mixed Multistroke Gestures",
        label="Multistroke (MMG)",
        modality="stylus or finger on a tablet: x, y (pixels), pen down",
        people=20,
        clips=9598,
        class_names=MMG_GESTURES,
        rate=50.0,
        clips_are="whole movements, one a recording; nine that last over five seconds lose their end",
        license="New BSD",
        citation=(
            "L. Anthony, J. O. Wobbrock: $N-Protractor: A Fast and Accurate Multistroke Recognizer, "
            "Graphics Interface 2012"
        ),
        page="https://depts.washington.edu/acelab/proj/dollar/ndollar.html",
        traps="half of the people write with a finger, half with a stylus; all at three speeds",
        repository="nikhithasudati/HCIRA",
        commit="798196756ca3fcf3daab3d8bdd835dee9fb2aba1",
        folder="mmg",
        megabytes=13,
        at_least=True,
        files=9598,
        manifest="316a1b8eda8f458b7718bebc74ba4c02c8f19fc035dd788bff956c38daab46b4",
    ),
)  # fmt: skip

CATALOG: dict[str, PeopleSet] = {people_set.name: people_set for people_set in _ALL}
NAMES: tuple[str, ...] = tuple(CATALOG)
# Names of all data sets in tables and figures, including those that come with the course.
LABELS = {"spar": "SPAR", "synthetic": "synthetic people"} | {s.name: s.label for s in _ALL}
PARENTS: dict[str, tuple[int, ...]] = {s.name: s.parents for s in _ALL if s.parents}


def find(names: Iterable[str]) -> list[PeopleSet]:
    """The data sets with these names, each once.

    Raises:
        ValueError: If a name is unknown; the message lists similar names, or all.
    """
    found = []
    for name in dict.fromkeys(names):
        if name not in CATALOG:
            near = difflib.get_close_matches(name.lower(), NAMES, cutoff=0.5)
            raise ValueError(
                f"{name}: no set of this name. "
                + (f"Did you mean {' or '.join(near)}?" if near else f"Choose from {', '.join(NAMES)}.")
            )
        found.append(CATALOG[name])
    return found
