"""5. A training step end to end, 8 frames at 224 x 224, ResNet-50 with temporal shift (MANet's shape).

The other pipeline is written as such code mostly is, and as MANet's is described: clips are decoded from
the original films in each epoch, varied frame by frame on the CPU, and travel as floats; arithmetic is
single precision, the optimiser SGD. On a CPU the network takes nearly all of the time on both sides, so
there only the batches are made, up to what the network takes.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch
from films import originals
from row import Row
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from piumar_lib.ma52.config import TrainConfig
from piumar_lib.ma52.dataset import ClipDataset, frame_indices
from piumar_lib.ma52.model import MicroActionRecognizer, build_model
from piumar_lib.ma52.prepare.cache import CacheSettings, make_cache
from piumar_lib.ma52.prepare.index import Clip
from piumar_lib.ma52.transforms import IMAGENET_MEAN, IMAGENET_SD, to_input


class Originals(Dataset):
    """Clips read with decord (PyAV where it is missing), varied and standardised on the CPU."""

    def __init__(self, root: Path, clips: list[Clip], frames: int, size: int) -> None:
        self.root, self.clips, self.frames, self.size = root, clips, frames, size

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, number: int) -> tuple[torch.Tensor, int]:
        from PIL import Image

        clip, rng = self.clips[number], np.random.default_rng()
        film = read(self.root / clip.split / clip.name, frame_indices(clip.frames, self.frames, rng=rng))
        height, width = film.shape[1:3]
        side = round(min(height, width) * rng.choice([1, 0.875, 0.75, 0.66]))
        left, top = rng.integers(0, width - side + 1), rng.integers(0, height - side + 1)
        mirror, pictures = rng.random() < 0.5, []
        for frame in film:
            picture = Image.fromarray(frame).crop((left, top, left + side, top + side))
            picture = picture.resize((self.size, self.size), Image.Resampling.BILINEAR)
            if mirror:
                picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            pictures.append((np.asarray(picture, np.float32) / 255 - IMAGENET_MEAN) / IMAGENET_SD)
        video = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float()
        return video, max(clip.action, 0)


def read(path: Path, at: np.ndarray) -> np.ndarray:
    """The frames ``at`` of an original film, as large as they are."""
    try:
        import decord

        return decord.VideoReader(str(path), num_threads=1).get_batch(at.tolist()).asnumpy()
    except ImportError:
        from piumar_lib.ma52.prepare.video import read_frames

        different, back = np.unique(at, return_inverse=True)
        return read_frames(path, which=different.tolist())[back]


def run(
    model: MicroActionRecognizer, batches: Iterable, device: str, ours: bool, train: bool
) -> tuple[float, float]:
    """Make batches, and train; returns clips a second and the share of time that it waited for them."""
    if device != "cpu":  # as in `piumar_lib.ma52.train`; the other one as models are by default
        model.to(memory_format=torch.channels_last if ours else torch.contiguous_format)
        torch.backends.cudnn.benchmark = True
    optimizer = torch.optim.SGD(model.parameters(), 0.005, momentum=0.9)
    half = torch.autocast(device, torch.bfloat16) if ours and device != "cpu" else nullcontext()
    waited = done = 0.0
    start = before = time.perf_counter()
    for number, batch in enumerate(batches):
        if ours:
            film, y, augmentation = (batch[k].to(device, non_blocking=True) for k in
                                ("video", "action", "augmentation"))  # fmt: skip
            waited += time.perf_counter() - before
            video = to_input(film, model.size, augmentation)
        else:
            video, y = (part.to(device) for part in batch)
            waited += time.perf_counter() - before
        if train:
            with half:
                loss = F.cross_entropy(model(video).logits.float(), y.clamp_min(0))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if device != "cpu":
            torch.cuda.synchronize()
        before = time.perf_counter()
        if number:  # the first one starts the processes that read
            done += len(y)
        else:
            start, waited = before, 0.0
    return done / (before - start), waited / (before - start)


def measure(quick: bool, device: str, build: Path, workers: int) -> Iterator[Row]:
    """Clips a second with as many reading processes."""
    root, clips = originals(build, quick, workers)
    backbone = "resnet-tiny-tsm" if quick else "resnet50-tsm"
    config = TrainConfig(backbone=backbone, weights="random", method="ERM")
    model = build_model(config).to(device)
    settings = CacheSettings(64 if quick else 256, form="mp4")
    make_cache(root, clips, build / f"cache-step-{root.name}", settings, workers)
    cached = ClipDataset(build / f"cache-step-{root.name}", clips, model.frames, train=True)
    gpu = device != "cpu"
    size, steps = (2, 2) if quick else (32, 40) if gpu else (8, 8)
    chosen = (np.arange(size * (steps + 1)) % len(clips)).tolist()
    others = Originals(root, clips, model.frames, model.size)
    more = {"num_workers": 0 if quick else workers, "pin_memory": gpu}
    speed, wait = {}, {}
    for name, data in (("ours", cached), ("theirs", others)):
        loader = DataLoader(data, size, sampler=chosen, **more)
        speed[name], wait[name] = run(model, loader, device, name == "ours", train=gpu or quick)
    note = f"{speed['ours']:.1f} clips/s, {workers} reading processes"
    if not gpu:
        yield Row(f"batches for {backbone}", speed["ours"] / speed["theirs"], note=note)
        return
    note += f"; they wait for clips {100 * wait['theirs']:.0f} % of the time"
    yield Row(f"training step, {backbone}", speed["ours"] / speed["theirs"], 5, note=note)
    yield Row("time that training waits for clips", 100 * wait["ours"], 2, True, "%")
