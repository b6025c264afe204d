"""What was published beside the clips: the names of the labels, and two test lists.

``label_name.txt`` has a line ``9<TAB>nodding`` for each label, ended by CRLF. There are two test lists,
and both begin with ``test0000.mp4``: MA-52's own of 5,586 clips, and that of the Micro-Action Analysis
Grand Challenge (MAC 2025, track 1) of 1,138, ``test0000.mp4`` to ``test1137.mp4``. Its organisers write
that these are a sample of MA-52's test clips. Whether a name means the same clip in both is not said.

Source: repositories VUT-HFUT/Micro-Action and kunli-cs/MAC20205_starter_kit, ``data/ma52``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from piumar_lib.data.labels import ACTIONS, CHALLENGE, CLIPS
from piumar_lib.ma52.prepare.layout import STANDIN, list_path
from piumar_lib.ma52.prepare.lists import Fault, decode

LABEL_NAMES = "label_name.txt"
OTHER_LABELS = "The ids of the lists would mean other actions. Use the file as it was published."
FULL, SAMPLE = "MA-52's test list", "the challenge's test list"  # as `name_test_list` says


def name_test_list(names: Iterable[str]) -> str:
    """Which of the two published test lists has these clips: `FULL`, `SAMPLE`, or "" for neither.

    Args:
        names: Of the clips, in any order.
    """
    names = set(names)
    sizes = {CLIPS["test"]: FULL, CHALLENGE: SAMPLE}
    return sizes.get(len(names), "") if names == set(numbered(len(names))) else ""


def numbered(count: int) -> list[str]:
    """The names of a published test list of so many clips."""
    return [f"test{number:04d}.mp4" for number in range(count)]


def note_count(root: Path, split: str, listed: Iterable[str], usable: int) -> list[Fault]:
    """What there is to say about a split's number of clips; nothing if it is that of MA-52.

    Args:
        root: Of the download.
        split: ``"train"``, ``"val"`` or ``"test"``.
        listed: Names in its list.
        usable: Clips that nothing is wrong with.
    """
    sample = split == "test" and name_test_list(listed) == SAMPLE
    notes = [_say_sample()] if sample else []
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


def _say_sample() -> Fault:
    what = f"{SAMPLE} ({CHALLENGE} clips, a sample of MA-52's {CLIPS['test']})"
    remedy = "Scores on it are of another scale than those on the whole test list: keep them apart."
    return Fault("test list of the challenge", list_path(Path(), "test").name, what, remedy, False)


def _what_lacks(root: Path) -> str:
    if (root / STANDIN).is_file():
        return "Right for a stand-in."
    return "Right for a part of MA-52; for the whole, download and unpack what is missing."


def check_label_names(root: Path) -> list[Fault]:
    """Compare ``label_name.txt`` with the names that this course gives to labels, line by line."""
    try:
        text = decode((root / LABEL_NAMES).read_bytes())[0]
    except OSError as error:
        what = "not there" if isinstance(error, FileNotFoundError) else error.strerror or str(error)
        remedy = "Labels are taken as published; put the file beside the lists to have them compared."
        return [Fault("no label names", LABEL_NAMES, what, remedy, serious=False)]
    lines = [(n, line) for n, line in enumerate(text.splitlines(), start=1) if line.strip()]
    return [*_compare_lines(lines), *_count_labels(line for _, line in lines)]


def _compare_lines(lines: Iterable[tuple[int, str]]) -> Iterator[Fault]:
    for number, line in lines:
        where, (label, tab, name) = f"{LABEL_NAMES}, line {number}", line.partition("\t")
        known = dict(enumerate(ACTIONS))
        if not tab or not label.isdecimal():
            remedy = "It should read: LABEL, a tab, NAME. Use the file as it was published."
            yield Fault("malformed label name", where, repr(line), remedy)
        elif known.get(int(label)) != name.rstrip():
            ours = repr(known.get(int(label), "no label"))
            what = f"label {label} is {name.rstrip()!r}, here {ours}"
            yield Fault("other label name", where, what, OTHER_LABELS)


def _count_labels(lines: Iterable[str]) -> Iterator[Fault]:
    labels = (line.partition("\t")[0] for line in lines)
    counts = Counter(int(label) for label in labels if label.isdecimal())
    missing = [label for label in range(len(ACTIONS)) if label not in counts]
    twice = sorted(label for label, count in counts.items() if count > 1)
    for found, words in ((missing, "not named"), (twice, "named more than once")):
        if found:
            what = f"labels {words}: {', '.join(map(str, found))}"
            yield Fault("label names", LABEL_NAMES, what, "Use the file as it was published.")
