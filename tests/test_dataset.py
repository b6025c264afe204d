"""Reading the cache: which moments, what labels, and what happens to pictures on the device."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from piumar_lib.ma52 import standin
from piumar_lib.ma52.dataset import ClipDataset, frame_indices
from piumar_lib.ma52.prepare.cache import CacheSettings, cached_path, make_cache, read_raw, save_raw
from piumar_lib.ma52.prepare.index import make_index
from piumar_lib.ma52.prepare.verify import verify
from piumar_lib.ma52.prepare.video import read_frames
from piumar_lib.ma52.transforms import IMAGENET_MEAN, IMAGENET_SD, draw_augmentation, to_input


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Clips, and a cache of each form."""
    folder = tmp_path_factory.mktemp("data")
    standin.write(folder / "ma52", standin.plan(16, 4, 64, seed=5), progress=False)
    clips = make_index(folder / "ma52", verify(folder / "ma52").entries)
    for form in ("mp4", "raw"):
        make_cache(folder / "ma52", clips, folder / form, CacheSettings(size=32, form=form))
    return clips, folder


# Moments


@given(st.integers(1, 200), st.integers(1, 64), st.integers(1, 10), st.booleans())
def test_moments_rise_stay_inside_and_fall_into_their_stretches(total, frames, views, random):
    for view in range(1 if random else views):
        rng = np.random.default_rng(total) if random else None
        at = frame_indices(total, frames, view, views, rng)
        assert at.shape == (frames,) and (np.diff(at) >= 0).all()
        assert at.min() >= 0 and at.max() < total
        edges = np.arange(frames + 1) * total / frames
        assert (np.floor(edges[:-1]) <= at).all() and (at < edges[1:] + 1e-9).all()


def test_moments_by_hand():
    assert frame_indices(16, 4).tolist() == [2, 6, 10, 14]
    assert frame_indices(16, 4, 0, 2).tolist() == [1, 5, 9, 13]
    assert frame_indices(16, 4, 1, 2).tolist() == [3, 7, 11, 15]
    assert frame_indices(2, 4).tolist() == [0, 0, 1, 1]
    drawn = np.stack([frame_indices(16, 4, rng=np.random.default_rng(k)) for k in range(200)])
    assert {*drawn[:, 0]} == {0, 1, 2, 3} and {*drawn[:, 3]} == {12, 13, 14, 15}
    for wrong in ((0, 4), (16, 0), (16, 4, 2, 2), (16, 4, -1, 1)):
        with pytest.raises(ValueError, match="do not go together"):
            frame_indices(*wrong)


def draws(clips):
    """What varies so many clips."""
    rng = np.random.default_rng(int(torch.randint(2**62, ())))
    return torch.stack([draw_augmentation(rng) for _ in range(clips)])


# The data set


@pytest.mark.parametrize("form", ["mp4", "raw"])
def test_a_clip_is_read_at_its_moments_with_its_labels(made, form):
    clips, folder = made
    data = ClipDataset(folder / form, clips, frames=6)
    assert len(data) == 16 and not data.left_out
    for number in (0, 9, 15):
        item, clip = data[number], clips[number]
        path = cached_path(folder / form, clip.split, clip.name, data.settings)
        film = np.load(path) if form == "raw" else read_frames(path)
        assert (item["video"].numpy() == film[frame_indices(clip.frames, 6)]).all()
        assert item["action"] == clip.action and item["clip"] == number
    assert data.labels().tolist() == [clip.action for clip in clips]
    people = {(item["person"], clip.person) for item, clip in zip(data, clips, strict=False)}
    assert len(people) == len({clip.person for clip in clips}) == len(data.people)


def test_a_raw_clip_that_was_cut_off_is_named(made, tmp_path):
    whole = np.arange(4 * 2 * 2 * 3, dtype=np.uint8).reshape(4, 2, 2, 3)
    save_raw(tmp_path / "a.npy", whole)
    assert (read_raw(tmp_path / "a.npy", np.array([0, 3, 3])) == whole[[0, 3, 3]]).all()
    with (tmp_path / "a.npy").open("r+b") as file:
        file.truncate((tmp_path / "a.npy").stat().st_size - 1)
    assert (read_raw(tmp_path / "a.npy", np.array([2])) == whole[[2]]).all()
    with pytest.raises(ValueError, match="a.npy: frame 3 is not there"):
        read_raw(tmp_path / "a.npy", np.array([0, 3]))


def test_training_draws_moments_and_evaluation_repeats_them(made):
    clips, folder = made
    train, test = (ClipDataset(folder / "raw", clips, 8, train=t) for t in (True, False))
    assert any((train[0]["video"] != train[0]["video"]).any() for _ in range(5))
    assert (test[0]["video"] == test[0]["video"]).all()
    torch.manual_seed(3)
    one = train[2]["video"]
    torch.manual_seed(3)
    assert (train[2]["video"] == one).all()


def test_a_seed_fixes_how_a_clip_is_varied_in_any_process(made):
    clips, folder = made
    data = ClipDataset(folder / "raw", clips, 8, train=True)
    keys = [[(2, 7), (5, 8)], [(2, 9), (2, 7)]]
    read = [
        list(DataLoader(data, batch_sampler=keys, num_workers=n, multiprocessing_context=context))
        for n, context in ((0, None), (2, "spawn"))
    ]
    for here, there in zip(*read, strict=True):
        assert all((here[name] == there[name]).all() for name in here)
    one, again, other = read[0][0], read[0][1], read[0][1]
    assert (one["augmentation"][0] == again["augmentation"][1]).all()
    assert (one["video"][0] == again["video"][1]).all()
    assert (one["augmentation"][0] != other["augmentation"][0]).any()


def test_chances_are_uniform_and_normal():
    drawn = draws(20_000).double()
    uniform, normal = drawn[:, :4], drawn[:, 4:]
    assert uniform.min() >= 0 and uniform.max() <= 1
    assert (uniform.mean(0) - 0.5).abs().max() < 4 / (12 * 20_000) ** 0.5
    assert normal.mean(0).abs().max() < 4 / 20_000**0.5
    assert (normal.std(0) - 1).abs().max() < 4 / (2 * 20_000) ** 0.5


def test_views_of_a_clip_follow_one_another(made):
    clips, folder = made
    data = ClipDataset(folder / "raw", clips[:3], frames=5, views=4)
    assert len(data) == 12
    assert [data[k]["clip"] for k in range(12)] == [0] * 4 + [1] * 4 + [2] * 4
    film = np.load(cached_path(folder / "raw", clips[1].split, clips[1].name, data.settings))
    for view in range(4):
        assert (
            data[4 + view]["video"].numpy() == film[frame_indices(clips[1].frames, 5, view, 4)]
        ).all()


def test_a_loader_with_processes_makes_batches(made):
    clips, folder = made
    data = ClipDataset(folder / "mp4", clips, frames=4)
    batches = list(DataLoader(data, batch_size=8, num_workers=2))  # forks, where the system has them
    assert [batch["video"].shape for batch in batches] == [(8, 4, 32, 32, 3)] * 2
    assert torch.cat([b["action"] for b in batches]).tolist() == data.labels().tolist()


def test_bad_and_missing_clips_are_named(made, tmp_path):
    clips, folder = made
    gone = replace(clips[0], name="0044_01_0001.mp4")
    make_cache(folder / "ma52", [*clips[:2], gone], tmp_path, CacheSettings(size=32))
    data = ClipDataset(tmp_path, [*clips[:2], gone])
    assert data.left_out == ["0044_01_0001.mp4"] and len(data) == 2
    with pytest.raises(ValueError, match="none of 1 can be read. Look into .*bad.csv"):
        ClipDataset(tmp_path, [gone])
    with pytest.raises(ValueError, match=f"14 clips are not in the cache, {clips[2].name} is the first"):
        ClipDataset(tmp_path, clips)
    with pytest.raises(FileNotFoundError, match="no cache"):
        ClipDataset(tmp_path / "elsewhere", clips)
    for views, train in ((0, False), (2, True)):
        with pytest.raises(ValueError, match=f"views: {views}. Choose 1 for training"):
            ClipDataset(tmp_path, clips[:2], views=views, train=train)


# On the device


def pictures(value):
    """Standardised pictures back to [0, 1]."""
    mean, deviation = (torch.tensor(v).view(3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_SD))
    return value * deviation + mean


@pytest.fixture
def video():
    return torch.randint(0, 256, (3, 4, 32, 32, 3), dtype=torch.uint8)


def test_evaluation_shrinks_and_standardises(video):
    same = to_input(video, size=32)
    assert same.shape == (3, 4, 3, 32, 32) and same.dtype == torch.float32
    assert torch.allclose(pictures(same), video.permute(0, 1, 4, 2, 3) / 255, atol=1e-5)
    half = pictures(to_input(video, size=16))
    coarse = torch.nn.functional.avg_pool2d((video.permute(0, 1, 4, 2, 3) / 255).flatten(0, 1), 2)
    assert (half.flatten(0, 1) - coarse).abs().mean() < 0.06
    # An independent resizer.
    from PIL import Image

    expected = Image.fromarray(video[0, 0].numpy()).resize((16, 16), Image.Resampling.BILINEAR)
    assert np.abs(half[0, 0].permute(1, 2, 0).numpy() * 255 - np.array(expected)).max() < 1.1


def test_training_without_variety_is_evaluation(video):
    plain = to_input(video, 32, draws(3), min_scale=1.0, color_jitter=0.0, hflip=0.0)
    assert torch.allclose(plain, to_input(video, 32), atol=1e-4)


def test_a_mirrored_clip_is_mirrored(video):
    mirrored = to_input(video, 32, draws(3), min_scale=1.0, color_jitter=0.0, hflip=1.0)
    assert torch.allclose(mirrored, to_input(video, 32).flip(-1), atol=1e-4)


def test_all_frames_of_a_clip_are_varied_alike(video):
    still = video[:, :1].expand(-1, 4, -1, -1, -1)
    varied = to_input(still, 24, draws(3))
    assert torch.allclose(varied, varied[:, :1].expand_as(varied), atol=1e-6), "a still clip stays still"
    assert not torch.allclose(varied[0], to_input(still, 24, draws(3))[0], atol=0.1)
    one_clip = video[:1].expand(5, -1, -1, -1, -1)
    varied = to_input(one_clip, 24, draws(5))
    assert (varied[0] - varied[1]).abs().mean() > 0.05, "clips are varied each in its own way"


def test_a_cut_shows_a_part_of_the_picture():
    ramp = torch.arange(64, dtype=torch.uint8).view(1, 1, 1, 64, 1).expand(50, 2, 64, 64, 3)
    cut = pictures(to_input(ramp, 32, draws(50), min_scale=0.5, color_jitter=0.0, hflip=0.0))
    cut = 255 * cut[:, 0, 0, 16]
    left, right = cut[:, 0], cut[:, -1]
    width = (right - left) / 31 * 32  # grey levels across the cut are its width in pixels
    assert left.min() >= 0 and right.max() <= 63
    assert 31 < width.min() < 40 and 56 < width.max() < 65
    assert left.max() > 15 and left.min() < 2


def test_training_shows_no_more_motion_than_evaluation():
    spots = torch.nn.functional.interpolate(torch.rand(1, 3, 64, 64), (300, 300), mode="bicubic")[0]
    film = torch.stack([spots[:, :256, 3 * k : 3 * k + 256] for k in range(8)])  # they drift
    video = (255 * film.clamp(0, 1)).byte().permute(0, 2, 3, 1)[None]
    whole = torch.tensor([[1.0, 0.5, 0.5, 1.0, 0.0, 0.0]])
    shown, varied = to_input(video, 64), to_input(video, 64, whole, color_jitter=0.0, hflip=0.0)
    seen, expected = (value.diff(dim=1).square().mean().sqrt() for value in (varied, shown))
    assert seen.item() == pytest.approx(expected.item(), rel=0.05)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_scale": 0.0}, "min_scale, color_jitter, hflip: 0.0, 0.2, 0.5 are out of range"),
        ({"min_scale": 1.1}, "out of range"),
        ({"color_jitter": -1.0}, "out of range"),
        ({"hflip": 2.0}, "out of range"),
    ],
)
def test_what_cannot_be_is_refused(video, options, message):
    with pytest.raises(ValueError, match=message):
        to_input(video, 32, draws(3), **options)
    for wrong in (video.float(), video[0], video[..., :2]):
        with pytest.raises(ValueError, match=r"is not uint8 \(batch, time, height, width, 3\)"):
            to_input(wrong)
