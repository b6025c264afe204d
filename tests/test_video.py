"""Frames and their times as a player shows them: turned, stretched, trimmed, at any rate, by any codec.

The videos are made here, so what is right is known; OpenCV and, where it is installed, ffmpeg read them
independently.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import asdict, replace
from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from piumar_lib.ma52.prepare import cache
from piumar_lib.ma52.prepare.cache import CacheSettings, cache_clip, cached_path
from piumar_lib.ma52.prepare.index import describe
from piumar_lib.ma52.prepare.lists import Entry
from piumar_lib.ma52.prepare.upright import TURNS
from piumar_lib.ma52.prepare.verify import check_clip
from piumar_lib.ma52.prepare.video import (
    VideoError,
    decode,
    evenly,
    open_video,
    read_frames,
    shown_at,
    shrink,
    survey,
)

ONE = 1 << 16  # of a display matrix
BLOCK = 12  # pixels of a block's side
TICK = Fraction(1, 90_000)
# Seconds between frames; each gap is drawn from these.
RATES = {"25": [0.04], "29.97": [1001 / 30_000], "phone": [1 / 30, 1 / 30, 1 / 15], "wild": [0.02, 0.1]}


def coarse(frames, seed=0):
    """Every frame is another pattern of 8 x 10 blocks."""
    return np.random.default_rng(seed).integers(0, 256, (frames, 8, 10, 3), dtype=np.uint8)


def large(blocks, across=BLOCK):
    return blocks.repeat(BLOCK, 1).repeat(across, 2)


def times_of(rate, frames, seed=0):
    gaps = np.random.default_rng(seed).choice(RATES[rate], frames)
    return np.round(np.cumsum(gaps) - gaps[0], 4)


def make_video(path, pictures, times, codec="libx264", axes=(1, 0, 0, 1), pixel=1, hidden=0):
    """Write a video, the first ``hidden`` frames of which an edit list hides."""
    a, b, c, d = (ONE * value for value in axes)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=30)
        stream.height, stream.width = pictures.shape[1:3]
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.time_base = stream.codec_context.time_base = TICK
        if "264" in codec:
            stream.options = {"crf": "4", "preset": "veryfast", "bf": "2"}
        else:
            stream.codec_context.bit_rate = 20_000_000
        stream.codec_context.sample_aspect_ratio = Fraction(pixel)
        if axes != (1, 0, 0, 1):
            stream.set_display_matrix((a, b, 0, c, d, 0, 0, 0, 1 << 30))
        for picture, time in zip(pictures, times - times[hidden], strict=True):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = round(time / float(TICK)), TICK
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def turned(pictures, axes):
    """What a display matrix makes of pictures: every pixel is sent where it says."""
    a, b, c, d = axes
    y, x = np.indices(pictures.shape[1:3])
    right, down = a * x + c * y, b * x + d * y
    right, down = right - right.min(), down - down.min()
    out = np.empty((len(pictures), down.max() + 1, right.max() + 1, 3), np.uint8)
    out[:, down, right] = pictures[:, y, x]
    return out


def differ(mine, theirs):
    return np.abs(mine.astype(int) - theirs).mean((1, 2, 3))


def assert_the_same_film(mine, theirs, most=12):
    """The same frames in the same order, but for what coding costs; neighbours are far apart."""
    assert mine.shape == theirs.shape
    assert differ(mine, theirs).max() < most
    if len(mine) > 1:
        assert differ(mine[1:], theirs[:-1]).min() > 30


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("videos")


KINDS = {"clip.mp4": "libx264", "clip.mov": "mjpeg", "clip.mkv": "libx264", "clip.webm": "libvpx"}


@given(
    name=st.sampled_from(sorted(KINDS)),
    axes=st.sampled_from(sorted(TURNS)),
    pixel=st.sampled_from([1, 2, Fraction(1, 2), Fraction(4, 3)]),
    rate=st.sampled_from(sorted(RATES)),
    hidden=st.sampled_from([0, 1, 5]),
    frames=st.sampled_from([6, 13]),
)
def test_a_video_is_read_as_a_player_shows_it(folder, name, axes, pixel, rate, hidden, frames):
    codec, path = KINDS[name], folder / name
    if not name.endswith(("mp4", "mov")):  # the others keep neither a matrix nor an edit list,
        axes, hidden = (1, 0, 0, 1), 0
    if name.endswith("webm"):  # and this one no shape of pixels
        pixel = 1
    blocks, times = coarse(frames), times_of(rate, frames)
    make_video(path, large(blocks), times, codec, axes, pixel, hidden)
    seen = survey(path)
    right = times[hidden:] - times[hidden]
    assert len(seen) == frames - hidden and seen.assumed is None
    assert seen.times == pytest.approx(right, abs=2e-3)  # Matroska keeps milliseconds
    gap = max(RATES[rate])
    assert right[-1] < seen.seconds <= right[-1] + gap + 5e-3
    assert seen.fps == pytest.approx(len(seen) / seen.seconds)
    expected = turned(large(blocks[hidden:], round(BLOCK * pixel)), axes)
    assert (seen.height, seen.width) == expected.shape[1:3]
    film = read_frames(path)
    assert_the_same_film(film, expected, most=25)
    some = sorted({0, 3, frames - hidden - 1} & set(range(frames - hidden)))
    assert (read_frames(path, which=some) == film[some]).all()
    # What packets tell of an mp4 is what decoding tells.
    with open_video(path) as video:
        told = video.survey_packets()
    assert (told is None) == (hidden > 0 or codec != "libx264" or name.endswith("mkv"))
    with open_video(path) as video:
        list(video.frames())
        decoded = video.survey()
    for one in (told or seen, seen):
        assert (one.times == decoded.times).all()
        assert replace(one, times=decoded.times) == replace(decoded, times=decoded.times)


CODECS = {
    "mp4": ("libx265", "mpeg4", "libsvtav1"), "mov": ("prores_ks", "mpeg4"), "avi": ("mpeg4", "mjpeg"),
    "mkv": ("ffv1", "libx265"), "webm": ("libvpx-vp9",), "ts": ("mpeg2video", "libx264"),
}  # fmt: skip


@pytest.mark.parametrize("kind, codec", [(kind, codec) for kind in CODECS for codec in CODECS[kind]])
def test_any_codec_is_read_to_its_last_frame(tmp_path, kind, codec):
    if codec not in av.codecs_available:
        pytest.skip(f"this build of PyAV cannot write {codec}")
    path, rate = tmp_path / f"clip.{kind}", 25
    blocks = np.sort(coarse(11).reshape(11, -1), axis=0).reshape(11, 8, 10, 3)  # from dark to light
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width = 192, 240
        formats = stream.codec_context.codec.video_formats
        stream.pix_fmt = next(f.name for f in formats if f.name.startswith("yuv"))
        stream.codec_context.bit_rate = 20_000_000
        for picture in large(blocks).repeat(2, 1).repeat(2, 2):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    seen = survey(path)
    assert len(seen) == 11 and (seen.width, seen.height) == (240, 192)
    assert seen.times == pytest.approx(np.arange(11) / rate, abs=2e-3)
    assert seen.seconds == pytest.approx(11 / rate, abs=5e-3)
    film = read_frames(path)
    assert (np.diff(film.mean((1, 2, 3))) > 5).all(), "frames in another order"
    assert (shrink(decode(path, threads=0)) == film).all()


def read_with_opencv(path):
    import cv2

    capture, pictures, times = cv2.VideoCapture(str(path)), [], []
    while True:
        ok, picture = capture.read()
        if not ok:
            return np.stack(pictures), np.array(times) / 1000
        pictures.append(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))
        times.append(capture.get(cv2.CAP_PROP_POS_MSEC))


@pytest.mark.parametrize("axes", [(1, 0, 0, 1), (0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0)])
@pytest.mark.parametrize("hidden", [0, 4])
def test_opencv_sees_the_same(tmp_path, axes, hidden):
    path, times = tmp_path / "clip.mp4", times_of("wild", 12)
    make_video(path, large(coarse(12)), times, axes=axes, hidden=hidden)
    pictures, when = read_with_opencv(path)
    assert_the_same_film(read_frames(path), pictures, most=3)
    assert survey(path).times == pytest.approx(when, abs=1e-3)


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg's command line is not installed")
@pytest.mark.parametrize("axes", sorted(TURNS))
@pytest.mark.parametrize("hidden", [0, 5])
def test_ffmpeg_shows_the_same(tmp_path, axes, hidden):
    path = tmp_path / "clip.mp4"
    make_video(path, large(coarse(12)), times_of("phone", 12), axes=axes, hidden=hidden)
    command = ["ffmpeg", "-v", "error", "-i", path, "-vsync", "passthrough", "-f", "rawvideo"]
    raw = subprocess.run([*command, "-pix_fmt", "rgb24", "-"], capture_output=True, check=True).stdout
    seen = survey(path)
    pictures = np.frombuffer(raw, np.uint8).reshape(-1, seen.height, seen.width, 3)
    assert_the_same_film(read_frames(path), pictures, most=3)


def test_an_angle_between_quarters_is_taken_for_the_nearest(tmp_path):
    import math

    for degrees, axes in ((20, (1, 0, 0, 1)), (70, (0, -1, 1, 0)), (100, (0, -1, 1, 0))):
        sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
        make_video(tmp_path / "clip.mp4", large(coarse(6)), times_of("25", 6),
                   axes=tuple(round(v, 4) for v in (cosine, -sine, sine, cosine)))  # fmt: skip
        assert_the_same_film(read_frames(tmp_path / "clip.mp4"), turned(large(coarse(6)), axes))


def test_a_size_that_changes_on_the_way_becomes_that_of_the_first_frame(tmp_path):
    times = times_of("25", 6)
    for name, blocks in (("a.ts", coarse(6)), ("b.ts", coarse(6, seed=1)[:, :, :6])):
        make_video(tmp_path / name, large(blocks), times)
    both = b"".join((tmp_path / name).read_bytes() for name in ("a.ts", "b.ts"))
    (tmp_path / "both.ts").write_bytes(both)
    film = read_frames(tmp_path / "both.ts")
    assert film.shape == (12, 96, 120, 3) and len(survey(tmp_path / "both.ts")) == 12
    assert_the_same_film(film[:6], large(coarse(6)))


def remux(source, target, **options):
    with av.open(str(source)) as old, av.open(str(target), "w", options=options) as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        for packet in old.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                new.mux(packet)


def test_a_raw_stream_holds_no_times_and_that_is_said(tmp_path):
    make_video(tmp_path / "clip.mp4", large(coarse(10)), times_of("25", 10))
    remux(tmp_path / "clip.mp4", tmp_path / "clip.h264")
    seen = survey(tmp_path / "clip.h264")
    assert seen.assumed > 0 and len(seen) == 10
    assert seen.times == pytest.approx(np.arange(10) / seen.assumed, abs=1e-4)
    assert seen.seconds == pytest.approx(10 / seen.assumed, abs=1e-3)


def test_a_player_begins_with_the_sound(tmp_path):
    path = tmp_path / "late.mp4"
    with av.open(str(path), "w") as container:
        sound, video = container.add_stream("aac", rate=8000), container.add_stream("libx264", rate=30)
        sound.layout, video.width, video.height, video.pix_fmt = "mono", 120, 96, "yuv420p"
        for k, picture in enumerate(large(coarse(10))):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = 15 + k  # half a second behind the sound
            container.mux(video.encode(frame))
        container.mux(video.encode())
        silence(container, sound, 12)
    seen = survey(path)
    assert seen.times == pytest.approx(0.5 + np.arange(10) / 30, abs=2e-3)
    assert seen.fps == pytest.approx(30, rel=1e-3)


# What is no video is named, with its cause and a remedy


def make_broken(folder, kind):
    """A file of a kind that cannot be read, and the words that say so."""
    path = folder / "clip.mp4"
    make_video(path, large(coarse(40)), times_of("25", 40))
    whole = path.read_bytes()
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "page":
        path.write_text("\n<!DOCTYPE html><title>Sign in</title>")
    elif kind == "cut off":
        path.write_bytes(whole[: len(whole) // 2])
    elif kind == "noise":
        path.write_bytes(np.random.default_rng(0).bytes(5000))
    elif kind == "breaks off":
        remux(path, folder / "fast.mp4", movflags="faststart")
        fast = (folder / "fast.mp4").read_bytes()
        path.write_bytes(fast[: len(fast) * 2 // 3])
    elif kind == "folder":
        path.unlink()
        path.mkdir()
    elif kind == "picture":
        from PIL import Image

        Image.fromarray(large(coarse(1))[0]).save(folder / "still.png")
        shutil.move(folder / "still.png", path)
    else:
        write_sound(path, cover=kind == "cover")
    return path


def silence(container, sound, frames):
    """Encode silence into an AAC stream of 8,000 samples a second."""
    for k in range(frames):
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate, frame.pts = 8000, 1024 * k
        container.mux(sound.encode(frame))
    container.mux(sound.encode())


def write_sound(path, cover):
    with av.open(str(path), "w") as container:
        sound = container.add_stream("aac", rate=8000)
        sound.layout = "mono"
        if cover:
            picture = container.add_stream("mjpeg", rate=1)
            picture.width, picture.height, picture.pix_fmt = 120, 96, "yuvj420p"
            picture.disposition = av.stream.Disposition.attached_pic
            frame = av.VideoFrame.from_ndarray(large(coarse(1))[0], format="rgb24")
            container.mux([*picture.encode(frame), *picture.encode()])
        silence(container, sound, 8)


BROKEN = {
    "empty": ("empty clip", "it is empty (0 bytes)"),
    "page": ("no video", "it is a web page (<!DOCTYPE html>"),
    "cut off": ("damaged clip", "its end is missing (no moov box)"),
    "noise": ("damaged clip", "it is damaged, or no video"),
    "breaks off": ("damaged clip", "it is damaged or breaks off after"),
    "folder": ("unreadable clip", "it is a folder"),
    "picture": ("no video", "it is a single picture"),
    "sound": ("no video", "it holds no video stream"),
    "cover": ("no video", "it holds a cover picture, but no video stream"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_what_is_no_video_is_named(tmp_path, kind):
    (tmp_path / "train").mkdir()
    path = make_broken(tmp_path / "train", kind)
    of_kind, words = BROKEN[kind]
    with pytest.raises(VideoError) as caught:
        list(decode(path))
    said = str(caught.value)
    assert caught.value.kind == of_kind
    assert said.startswith(f"{path}: cannot be read as a video: {words}")
    assert said[-1] in ".?" and "rrno" not in said and "tuple" not in said
    fault = check_clip(tmp_path, Entry("train", path.name, 0, 1))
    assert fault.kind in (of_kind, "truncated clip") and "rrno" not in fault.what
    assert ("signed in" in fault.remedy) == ("signed in" in said) == (kind == "page")


def test_an_error_survives_its_way_between_processes(tmp_path):
    import pickle

    error = VideoError("a.mp4", "no video", "it holds no video stream", "Give another.")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


# A data set of such clips: verify, index, cache


def in_data_set(folder, **how):
    """A clip of a data set, as `make_video` writes it."""
    (folder / "train").mkdir(parents=True)
    frames = how.pop("frames", 12)
    blocks = how.pop("blocks", coarse(frames))
    make_video(folder / "train" / "1_1_1.mp4", large(blocks), how.pop("times"), **how)
    return Entry("train", "1_1_1.mp4", 0, 1)


def test_a_trimmed_clip_is_whole(tmp_path):
    entry = in_data_set(tmp_path, times=times_of("25", 12), hidden=5)
    assert check_clip(tmp_path, entry) is None and check_clip(tmp_path, entry, decode=True) is None
    clip = describe(tmp_path, entry)
    assert (clip.frames, clip.fps) == (7, 25)
    kept = cache_clip(tmp_path, clip, tmp_path, CacheSettings(32, "middle", "raw"))
    assert (kept.frames, kept.fault) == (7, "")


def test_a_clip_whose_frames_do_not_all_decode_is_found(tmp_path):
    entry = in_data_set(tmp_path, times=times_of("25", 12))
    path = tmp_path / "train" / entry.name
    with open_video(path) as video:
        last = max(video.packets(), key=lambda packet: packet.pos)
    content = bytearray(path.read_bytes())
    content[last.pos + 4 : last.pos + last.size] = bytes(last.size - 4)
    path.write_bytes(content)
    assert check_clip(tmp_path, entry) is None
    fault = check_clip(tmp_path, entry, decode=True)
    assert fault is not None and fault.kind in ("truncated clip", "damaged clip")


@pytest.mark.parametrize("form", ["raw", "mp4"])
def test_a_clip_stored_lying_is_cached_upright(tmp_path, form):
    chosen, found = CacheSettings(48, "person", form), []
    person = np.full((1, 8, 10, 3), 200, np.uint8).repeat(12, 0)
    person[:, 3:8, 2:5] = 30
    upright = turned(person, (0, 1, -1, 0))  # as the phone's owner sees it
    for name, blocks, axes in (("lying", person, (0, 1, -1, 0)), ("upright", upright, (1, 0, 0, 1))):
        entry = in_data_set(tmp_path / name, times=times_of("25", 12), blocks=blocks, axes=axes)
        clip = describe(tmp_path / name, entry)
        assert (clip.width, clip.height) == (96, 120)
        (tmp_path / name / "cache" / "train").mkdir(parents=True)
        kept = cache_clip(tmp_path / name, clip, tmp_path / name / "cache", chosen)
        assert kept.found
        path = cached_path(tmp_path / name / "cache", "train", clip.name, chosen)
        film = np.load(path) if form == "raw" else read_frames(path)
        found.append((np.array([kept.left, kept.top, kept.right, kept.bottom]), film))
    (one, film), (two, other) = found
    assert one == pytest.approx(two, abs=0.02) and differ(film, other).max() < 5


def test_a_cached_clip_of_varying_frame_rate_is_even_in_time(tmp_path):
    times = np.r_[np.arange(8) * 0.1, 0.8 + np.arange(24) / 60]  # ten frames a second, then sixty
    entry = in_data_set(tmp_path, times=times, frames=32)
    clip = describe(tmp_path, entry)
    assert clip.fps == pytest.approx(32 / 1.2, rel=0.02)
    frames, folder = read_frames(tmp_path / "train" / entry.name, size=32), tmp_path / "cache"
    (folder / "train").mkdir(parents=True)
    for count in (5, 0):
        chosen = CacheSettings(32, "middle", "raw", frames=count)
        kept = cache_clip(tmp_path, clip, folder, chosen)
        assert kept.frames == (count or 32)
        film = np.load(cached_path(folder, "train", clip.name, chosen))
        wanted = np.linspace(0, times[-1], kept.frames)
        near = np.abs(wanted[:, None] - times).argmin(1)
        middle = frames[:, :, (frames.shape[2] - 32) // 2 :][:, :, :32]
        closest = [differ(middle, picture[None]).argmin() for picture in film]
        assert np.abs(times[closest] - wanted).max() <= np.abs(times[near] - wanted).max() + 0.05


def test_even_frames_of_a_steady_clip_are_those_of_old():
    for rate in (30, 25, 30_000 / 1001):
        for frames in (1, 2, 7, 55, 120):
            for count in range(1, frames + 1):
                old = np.linspace(0, frames - 1, count).round().astype(int)
                assert (evenly(np.arange(frames) / rate, count) == old).all()


@given(st.lists(st.floats(0.005, 2), min_size=1, max_size=30), st.integers(1, 40))
def test_even_frames_are_near_their_time(gaps, count):
    times = np.cumsum(gaps) - gaps[0]
    at = evenly(times, count)
    wanted = np.linspace(0, times[-1], count)
    assert (np.diff(at) >= 0).all() and at[0] == 0 and (count == 1 or at[-1] == len(times) - 1)
    for k, when in zip(at, wanted, strict=True):
        low, high = times[max(k - 1, 0)], times[min(k + 1, len(times) - 1)]
        assert low - 1e-5 <= when <= high + 1e-5


def test_what_is_seen_at_a_moment():
    times = np.array([0.2, 0.3, 1.0])
    assert shown_at(times, np.array([0, 0.2, 0.29, 0.3, 0.99, 1, 9])).tolist() == [0, 0, 0, 1, 1, 2, 2]


# A cache says how its videos were read


def test_a_cache_of_another_version_is_refused(tmp_path):
    folder, chosen = tmp_path / "cache", CacheSettings(32)
    cache.open_cache(folder, chosen)
    assert cache.read_settings(folder) == chosen and chosen.version == 2
    with pytest.raises(ValueError, match="was made with"):
        cache.open_cache(folder, replace(chosen, size=48))
    old = asdict(chosen)
    del old["version"]
    (folder / "settings.json").write_text(json.dumps(old))
    with pytest.raises(ValueError, match="version: must be 2, got 1. Use another folder"):
        cache.read_settings(folder)
    (folder / "settings.json").write_text(json.dumps(old | {"version": 3}))
    with pytest.raises(ValueError, match="version: must be 2, got 3. Use another folder"):
        cache.open_cache(folder, chosen)
