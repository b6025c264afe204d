"""Labels of clips of every kind: actions, people and temporal views."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

import torch
from torch import Tensor
from torch.utils.data import Dataset

from piumar_lib.ma52.prepare.index import Clip


class LabelledClips(Dataset):
    """Clips that can be read, with their entries of the index.

    Attributes:
        clips: Clips of the index, in the order of their numbers.
        views: Number of temporal views of each in evaluation; they follow one another.
        people: Number of each person, from 0, by name.

    Raises:
        ValueError: If there is no view.
    """

    def __init__(self, clips: Iterable[Clip], views: int = 1) -> None:
        self.clips, self.views = list(clips), views
        if views < 1:
            raise ValueError(f"views: {views}. Choose 1 for training, 1 or more for evaluation.")
        names = sorted({clip.person for clip in self.clips})
        self.people = {name: number for number, name in enumerate(names)}

    def __len__(self) -> int:
        return len(self.clips) * self.views

    def known(self, place: int) -> dict[str, Any]:
        """Of a clip ``action`` 0 to 51 (-1 of a test clip), ``person``, and ``clip``, its number."""
        clip = self.clips[place]
        return {"action": clip.action, "person": self.people[clip.person], "clip": place}

    def for_evaluation(self, views: int = 1) -> Self:
        """The same clips for evaluation, with ``views`` temporal views each."""
        same = object.__new__(type(self))
        same.__dict__.update(self.__dict__, views=views, train=False)
        return same

    def labels(self) -> Tensor:
        """Actions of all clips, shape ``(clips,)``."""
        return torch.tensor([clip.action for clip in self.clips])

    def persons(self) -> Tensor:
        """Who made each clip, numbered from 0, shape ``(clips,)``."""
        return torch.tensor([self.people[clip.person] for clip in self.clips])
