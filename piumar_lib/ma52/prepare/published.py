"""What was published beside the clips: the names of the labels, and two test lists.

``label_name.txt`` has a line ``9<TAB>nodding`` for each label, ended by CRLF. There are two test lists,
and both begin with ``test0000.mp4``: MA-52's own of 5,586 clips, and that of the Micro-Action Analysis
Grand Challenge (MAC 2025, track 1) of 1,138, ``test0000.mp4`` to ``test1137.mp4``. Its organisers write
that these are a sample of MA-52's test clips. Whether a name means the same clip in both is not said.

Source: repositories VUT-HFUT/Micro-Action and kunli-cs/MAC20205_starter_kit, ``data/ma52``.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from piumar_lib.data.labels import ACTIONS, CHALLENGE, CLIPS
from piumar_lib.ma52.prepare.layout import STANDIN, list_path
from piumar_lib.ma52.prepare.lists import Fault, decode

LABEL_NAMES = "label_name.txt"
OTHER_LABELS = "Labels of the lists may mean other actions. Use the file as it was published."
FULL, SAMPLE = "MA-52's test list", "the challenge's test list"  # as `name_test_list` says


def name_test_list(names: Iterable[str]) -> str:
    """Which published test list has these clips, in any order: `FULL`, `SAMPLE`, or "" for neither."""
    names = set(names)
    sizes = {CLIPS["test"]: FULL, CHALLENGE: SAMPLE}
    return sizes.get(len(names), "") if names == set(numbered(len(names))) else ""


def numbered(count: int) -> list[str]:
    """The names of a published test list of ``count`` clips."""
    return [f"test{number:04d}.mp4" for number in range(count)]


def note_count(root: Path, split: str, listed: Iterable[str], usable: int) -> list[Fault]:
    """What there is to say about a split's number of clips; nothing if it is that of MA-52.

    ``listed`` are the names in its list, ``usable`` is the number of clips that nothing is wrong with.
    """
    sample = split == "test" and name_test_list(listed) == SAMPLE
    notes = []
    if sample:
        name = list_path(root, "test").name
        what = f"{SAMPLE} ({CHALLENGE} clips, a sample of MA-52's {CLIPS['test']})"
        remedy = "Scores on it are of another scale than those on the whole test list: keep them apart."
        notes.append(Fault("test list of the challenge", name, what, remedy, serious=False))
    published = CHALLENGE if sample else CLIPS[split]
    if usable != published:
        what = f"{usable} usable clips, {published} were published"
        notes.append(Fault("other count", f"{split}/", what, _what_lacks(root), serious=False))
    return notes


def note_two_test_sets(root: Path, listed: Iterable[str], there: Iterable[str]) -> list[Fault]:
    """Whether a folder of MA-52's test clips lies beside the challenge's list: names do not tell."""
    listed = set(listed)
    extra = [name for name in set(there) - listed if name in set(numbered(CLIPS["test"]))]
    if name_test_list(listed) != SAMPLE or not extra:
        return []
    what = f"the list is the challenge's, but {len(extra)} more test clips lie in the folder"
    remedy = "Use the clips that came with the list; nobody says that equal names are equal clips."
    return [Fault("two test sets", "test/", what, remedy, serious=False)]


def _what_lacks(root: Path) -> str:
    if (root / STANDIN).is_file():
        return "Right for a stand-in."
    return "Right for a part of MA-52; for the whole, download and unpack what is missing."


def check_label_names(root: Path) -> list[Fault]:
    """Lines of ``label_name.txt`` that this course does not know, and those that are not there."""
    try:
        text = decode((root / LABEL_NAMES).read_bytes())[0]
    except OSError as error:
        what = "not there" if isinstance(error, FileNotFoundError) else error.strerror or str(error)
        remedy = "Labels are taken as published; put the file beside the lists to have them compared."
        return [Fault("no label names", LABEL_NAMES, what, remedy, serious=False)]
    missing, faults = [f"{label}\t{name}" for label, name in enumerate(ACTIONS)], []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.rstrip() in missing:
            missing.remove(line.rstrip())
        elif line.strip():
            where = f"{LABEL_NAMES}, line {number}"
            faults.append(Fault("other label name", where, repr(line.rstrip()), OTHER_LABELS))
    for line in missing:
        faults.append(Fault("missing label name", LABEL_NAMES, repr(line), OTHER_LABELS))
    return faults
