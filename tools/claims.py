"""Sentences with numbers of the study's records, and updates of outdated ones."""

import re
from functools import lru_cache
from pathlib import Path

from piumar_lib.evidence import contrasts, protocol, wording
from piumar_lib.evidence.records import STUDY
from piumar_lib.evidence.statistics import Pooled
from piumar_lib.support.files import write_text
from tools.chapters import list_chapters

GAP = r"[\s#>]+"  # what stands for a space where a chapter or a quotation breaks a line
NUMBER = r"[+-]\d+\.\d"
VALUE = rf"{NUMBER} points \[{NUMBER}, {NUMBER}\]"
CLAIM = rf"`(?P<method>[^`]+)` over `(?P<reference>[^`]+)` on `(?P<data>[^`]+)`: (?P<value>{VALUE})"
OWN, ONE = (rf"(?P<{f[:3]}>{VALUE}) at {f} \((?P<verdict_{f[:3]}>[^)]+)\)" for f in protocol.FORMS)
CONCLUSION = rf"\*\*(?P<name>[^*:]+)\*\*[^*:]*: {OWN}, {ONE}"
SEEDS = rf"(?P<own>\d) of {protocol.SEEDS} planned seeds at own tempo, (?P<one>\d) at one length"
SENTENCES = [re.compile(words.replace(" ", GAP)) for words in (CLAIM, CONCLUSION, SEEDS)]
planned = lru_cache(contrasts.compute)


def expected(said: dict[str, str], folder: Path = STUDY) -> dict[str, str]:
    """The values in the records for ``said``, groups of `SENTENCES`; raises if there are none."""
    if "method" not in said and "name" not in said:
        return {form[:3]: str(contrasts.seeds_of_all(form, folder)) for form in protocol.FORMS}
    if "name" in said:
        name = said["name"].lower().replace("normalis", "normaliz")
        found = [r for r in planned(folder=folder) if r.contrast.name.lower() == name]
        if not found:
            raise ValueError(f"{said['name']!r} must be the name of a planned contrast")
        values = {r.form[:3]: _points(r.pooled) for r in found}
        return values | {f"verdict_{r.form[:3]}": r.verdict for r in found}
    data = said["data"]
    network = next((name for name in protocol.NETWORKS if data.endswith(f", {name}")), "")
    where = contrasts.meant_by(data.removesuffix(f", {network}"))
    own = contrasts.read(*where, folder, protocol.NETWORKS.get(network))
    return {"value": _points(contrasts.compare(own, said["method"], said["reference"]))}


def _points(pooled: Pooled) -> str:
    return wording.points(pooled).replace(" ", " points ", 1)


def update(text: str, folder: Path = STUDY) -> tuple[str, list[str]]:
    """Return a text with the records' numbers and verdicts, and what was outdated, a line each."""
    spans, found = [], []
    for match in (match for pattern in SENTENCES for match in pattern.finditer(text)):
        said = {group: re.sub(GAP, " ", words) for group, words in match.groupdict().items()}
        try:
            right = expected(said, folder)
        except (FileNotFoundError, ValueError) as error:
            right = {}
            found.append(f"{match[0]}: {error}")
        wrong = {group: v for group, v in right.items() if v != said[group].replace("-0.0", "+0.0")}
        spans += [(match.start(group), match.end(group), v) for group, v in wrong.items()]
        if wrong:
            found.append(f"{match[0]}: the records say {', '.join(wrong.values())}")
    for start, end, v in sorted(spans, reverse=True):
        if numbers := re.findall(NUMBER, v):  # one by one, so that lines break where they did
            parts = zip(re.split(NUMBER, text[start:end]), [*numbers, ""], strict=True)
            v = "".join(part + number for part, number in parts)
        text = text[:start] + v + text[end:]
    return text, [re.sub(GAP, " ", line) for line in found]


def update_all(root: Path, check: bool) -> int:
    """Print what is outdated in README and chapters; update it or, with ``check``, return 1."""
    outdated = False
    for file in [root / "README.md", *(chapter.path for chapter in list_chapters(root))]:
        text = file.read_text(encoding="utf-8")
        fresh, found = update(text)
        for line in found:
            print(f"{file.name}: {line}")
        outdated |= bool(found)
        if fresh != text and not check:
            write_text(file, fresh)
    return int(check and outdated)
