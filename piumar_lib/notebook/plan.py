"""The map of the course, including the chapters that are still to be written."""

from __future__ import annotations

from typing import NamedTuple


class Step(NamedTuple):
    """One chapter on the map: its number, file stem without number, and what it builds on."""

    number: str
    name: str
    needs: tuple[str, ...]

    @property
    def stem(self) -> str:
        """File name of the chapter without its ending."""
        return f"{self.number}_{self.name}"

    @property
    def title(self) -> str:
        """The name in words, for chapters that have no title of their own yet."""
        words = self.name.replace("_", " ").capitalize()
        return words.replace("Piumr", "PIUmr").replace("ma52", "MA-52")


PLAN: tuple[Step, ...] = (
    Step("00", "start_here", ()),
    Step("01", "person_shift", ("00",)),
    Step("02", "optimal_transport", ("00",)),
    Step("03", "temporal_alignment", ("01", "02")),
    Step("04", "spectral_perturbation", ("01",)),
    Step("05", "consistency_fusion", ("03", "04")),
    Step("06", "robust_optimisation", ("01",)),
    Step("07", "pseudo_groups", ("06",)),
    Step("08", "piumr_from_scratch", ("05", "07")),
    Step("09", "evidence", ("08",)),
    Step("10", "costs", ("08",)),
    Step("11", "prepare_ma52", ("08",)),
    Step("12", "train_ma52", ("11",)),
)
