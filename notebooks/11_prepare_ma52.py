# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown] slideshow={"slide_type": "slide"}
# # 11 · Prepare MA-52
#
# From a download to clips that a network can learn from: is it whole, who is in it, and who may be held out?

# %% [markdown] slideshow={"slide_type": "skip"}
# | | |
# |---|---|
# | time in `quick` | under a minute |
# | prerequisites | [01 person shift](01_person_shift.ipynb) |
# | you will build | a report on the download, an index, folds of people, a small cache of clips cropped to the person |
# | device | any laptop; the benchmark itself needs 50 GB of disk |

# %% [markdown] slideshow={"slide_type": "subslide"}
# After this chapter you can
#
# - tell a whole download from a damaged one, and name every fault,
# - show that the official validation lists leak people, and make folds that do not,
# - shrink clips to what moves, and say what the shrinking costs.

# %% slideshow={"slide_type": "skip"} tags=["parameters"]
profile = "quick"
root = ""  # absolute path of MA-52 (train/, val/, test/ and the lists); without it a stand-in is made
seed = 0

# %% slideshow={"slide_type": "skip"}
from pathlib import Path

from piumar_lib.evidence.records import ROOT
from piumar_lib.notebook import show, show_table, start

run = start(profile)
clips_wanted, people_wanted, width = run.pick(quick=(96, 12, 128), full=(480, 24, 216))
size = run.pick(quick=64, full=128, gpu=256)
build = ROOT / "build" / "ma52" / run.name

# %% [markdown] slideshow={"slide_type": "notes"}
# [MA-52](glossary.md#ma-52) is gated: sign its licence on the hub, then download it (about 23 GB, non-commercial research only):
#
# ```bash
# hf auth login
# python data_scripts/download_ma52.py --out data/ma52
# ```
#
# Without it, this chapter makes a **stand-in**: synthetic people (chapter 01) on video, in exactly the same
# layout. Everything below runs on either. What it says about the [stand-in](glossary.md#stand-in)'s people and actions is true of the
# stand-in only. With `root`, decoding takes hours of processor time; clips of the cache have 64 pixels in `quick`,
# 256 in `gpu`. (Commands are for the repository's root; `python` is that of the course, `.venv/bin/python`.)

# %% slideshow={"slide_type": "skip"}
from piumar_lib.ma52 import standin

plan = standin.plan(clips_wanted, people_wanted, width, seed)
folder = Path(root).expanduser() if root else build / f"standin-{seed}"
if not root:
    made = standin.write(folder, plan, progress=False)
    print(f"no MA-52 here: a stand-in of {len(plan)} clips, {plan.width} x {plan.height} pixels")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The idea in one figure

# %% [markdown] slideshow={"slide_type": "notes"}
# One clip each of six people. A seated person, a plain wall, a still camera. Below each: where the picture
# changed in the course of the clip. That is all there is to see, and it is small.

# %% slideshow={"slide_type": "skip"}
import numpy as np

from piumar_lib.ma52.prepare.lists import read_list
from piumar_lib.ma52.prepare.video import read_frames

train, faults = read_list(folder, "train")
if not train:
    raise ValueError(f"root: {folder}/{faults[0].where}: {faults[0].what}. {faults[0].remedy}")
first_of = {entry.person: entry for entry in reversed(train)}
six = [first_of[person] for person in sorted(first_of)[:6]]
films = [read_frames(folder / "train" / entry.name, size=120) for entry in six]


def change(film):
    """Largest departure of each pixel from its median over time, in grey levels."""
    return np.abs(film.astype(float) - np.median(film, 0)).max((0, 3))


# %% tags=["hide-input"]
import matplotlib.pyplot as plt

from piumar_lib.data.labels import ACTIONS

fig, axes = plt.subplots(2, len(six), figsize=(7, 2.9))
for column, entry, film in zip(axes.T, six, films, strict=True):
    column[0].imshow(film[0])
    column[0].set_title(ACTIONS[entry.action].replace(" ", "\n", 1), fontsize=7)
    column[1].imshow(change(film), cmap="Greys", vmin=0, vmax=80)
    for ax in column:
        ax.set(xticks=[], yticks=[])
moving = np.array([(change(film) > 20).mean() for film in films])
show(fig, alt="First frames of six people's clips, each above the pixels that change in it: "
     f"between {100 * moving.min():.1f} and {100 * moving.max():.1f} % of the frame.")

# %% tags=["hide-input"]
print(f"{100 * moving.mean():.1f} % of the frame, on average, changes by more than 20 grey levels")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Is the download whole?

# %% [markdown] slideshow={"slide_type": "notes"}
# Every clip stands in a list, `PERSON_SESSION_CLIP.mp4 LABEL`. Whoever reads thousands of such lines wants to
# know *all* that is wrong, not the first. A line by hand:

# %%
import re

from piumar_lib.data.labels import decode


def read_by_hand(line):
    found = re.fullmatch(r"(\d+)_(\d+)_(\d+)\.mp4 (\d+)", line)
    return (found[1], found[2], int(found[4])) if found and int(found[4]) < 52 else None


lines = decode((folder / "train_list_videos.txt").read_bytes())[0].splitlines()
good = [lines[entry.line - 1] for entry in train]
assert [read_by_hand(line) for line in good] == [(e.person, e.session, e.action) for e in train]
print(good[0], "->", read_by_hand(good[0]), "; equal for all", len(good), "lines")

# %% [markdown] slideshow={"slide_type": "subslide"}
# > **Predict.** We damage a copy: a clip cut off half way, an empty one, a web page that was saved as a clip, a
# > label 52, a label *nine*, a line that stands twice, a clip in two lists. How many of these seven would a
# > loader notice that just opens what it needs, when it needs it?

# %% slideshow={"slide_type": "skip"}
import shutil

copy = build / "damaged"
shutil.rmtree(copy, ignore_errors=True)
copy.mkdir(parents=True)
for split in ("train", "val", "test"):  # a few clips of each split will do
    entries, _ = read_list(folder, split)
    (copy / split).mkdir()
    for entry in entries[:8]:
        shutil.copy(folder / split / entry.name, copy / split)
    text = "\n".join(f"{e.name} {max(e.action, 0)}" for e in entries[:8])
    (copy / f"{split}_list_videos.txt").write_text(text)

# %% slideshow={"slide_type": "skip"}
a, b, c, *_ = [copy / "train" / entry.name for entry in train[:8]]
a.write_bytes(a.read_bytes()[: a.stat().st_size // 2])
b.write_bytes(b"")
c.write_text("<!DOCTYPE html><title>Please sign in</title>")
listing = copy / "train_list_videos.txt"
extra = ["0099_01_0001.mp4 52", "0099_01_0002.mp4 nine", f"{train[4].name} {train[4].action}"]
listing.write_text("\n".join([listing.read_text(), *extra]))
val = copy / "val_list_videos.txt"
val.write_text(f"{val.read_text()}\n{train[5].name} {train[5].action}");

# %% slideshow={"slide_type": "skip"}
from piumar_lib.ma52.prepare.verify import verify

damaged = verify(copy)
kinds = [fault.kind for fault in damaged.faults if fault.serious]
print(damaged.to_text().replace(f"{ROOT}/", ""))

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** A loader would notice four: *nine* when it reads the list, and the three broken clips one crash at a
# time, hours apart. Label 52 would crash a loss. A line that stands twice and a clip in two lists would never be
# noticed: the first counts a clip double, the second trains on a clip that is judged.
#
# Now the real folder. The same from the shell, with an exit code for scripts:
#
# ```bash
# python data_scripts/prepare_ma52.py verify data/ma52 --json build/report.json
# ```

# %% slideshow={"slide_type": "subslide"}
report = verify(folder)
print(report.to_text().replace(f"{ROOT}/", ""))
assert report.usable, "mend the download first"

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Who is in it? The index

# %% [markdown] slideshow={"slide_type": "notes"}
# One table holds what is known of every clip. People differ widely in how many clips they have, and actions
# differ more.

# %%
from piumar_lib.ma52.prepare.index import make_index, write_index

clips = make_index(folder, report.entries)
write_index(build / "index.csv", clips)
known = [clip for clip in clips if clip.split != "test"]
one = known[0]
print(f"{one.name}: person {one.person}, session {one.session}, {one.part}, {ACTIONS[one.action]}, "
      f"{one.frames} frames at {one.fps:g} per second, {one.bytes // 1024} KB")

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
counts = np.array(sorted(np.unique([c.person for c in known], return_counts=True)[1])[::-1])
per_action = np.bincount([c.action for c in known], minlength=52)
order = np.argsort(-per_action, kind="stable")
fig, (left, right) = plt.subplots(1, 2, figsize=(7, 2.8), width_ratios=(1, 1.6))
left.bar(range(len(counts)), counts, color="C0")
left.set(xlabel="person, most clips first", ylabel="clips in train and val", xticks=[])
right.bar(range(52), per_action[order], color="C0")
right.set(xlabel="action, most frequent first", xticks=[])
right.set_yscale("symlog", linthresh=1)
ticks = [t for t in (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if t <= per_action.max()]
right.set_yticks(ticks, ticks)
right.minorticks_off()
show(fig, alt=f"Left: clips of each of {len(counts)} people, from {counts[0]} to {counts[-1]}. Right: "
     f"clips of each action, from {per_action.max()} ({ACTIONS[order[0]]}) to {per_action.min()}.")

# %% tags=["hide-input"]
from piumar_lib.ma52.prepare import splits

makers = splits.people_per_action(clips)
print(f"clips of a person: {counts.max()} to {counts.min()}, median {np.median(counts):.0f}")
print(f"actions that nobody makes here: {sum(makers == 0)}; that one person makes: {sum(makers == 1)}")

# %% [markdown] slideshow={"slide_type": "notes"}
# In MA-52 a person has 11 to 303 training clips, and the rarest action six. A mean over clips is then a mean
# over few people and fewer actions: hence macro F1 (the mean over actions, a rare one as heavy as a frequent one),
# and hence scores by person.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Who may be held out?

# %% [markdown] slideshow={"slide_type": "notes"}
# The benchmark comes with a train and a val list.

# %% [markdown]
# > **Predict.** What share of the people in val also stand in train: none, a third, all?

# %% slideshow={"slide_type": "subslide"}
people = {s: {c.person for c in known if c.split == s} for s in ("train", "val")}
by_hand = people["train"] & people["val"]
print(f"{len(by_hand)} of {len(people['val'])} val people are in train")
print(splits.leak(clips))

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** All of them, in the stand-in as in MA-52 itself (186 of 186). Its official validation measures
# recognition of *known* people, on other clips. Test clips carry no names, so nobody outside can tell whose they are.
#
# So we deal anew: *person-disjoint* folds, classes as even as possible (*StratifiedGroupKFold*). What has to hold is
# easily said, and checked for every fold: nobody is on both sides, and everybody is held out once.

# %% slideshow={"slide_type": "subslide"}
folds = splits.person_disjoint(clips, seed, folds=5)
person = {clip.name: clip.person for clip in clips}
for fold in folds:
    assert not {person[n] for n in fold.train} & {person[n] for n in fold.held_out}
out = [name for fold in folds for name in fold.held_out]
assert sorted(out) == sorted(clip.name for clip in known)
print(f"{len(folds)} folds, {len(out)} clips held out once each, nobody on both sides")

# %% slideshow={"slide_type": "subslide"}
action = {clip.name: clip.action for clip in clips}
held = np.array([np.bincount([action[n] for n in fold.held_out], minlength=52) for fold in folds])
missing = ((held == per_action) & (makers > 0)).sum(1)
show_table(
    ["fold", "people held out", "clips held out", "actions without any training clip"],
    [[f.title, len({person[n] for n in f.held_out}), len(f.held_out), lost]
     for f, lost in zip(folds, missing, strict=True)],
)
splits.write_splits(build / "splits", folds, seed);

# %% [markdown] slideshow={"slide_type": "notes"}
# The last column is the price: if one person alone makes an action, whoever holds that person out cannot
# teach it. On a small stand-in it is high; in MA-52 four actions are made by 6 to 11 people.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Keep what moves

# %% [markdown]
# <picture><source media="(prefers-reduced-motion: reduce), print" srcset="pictures/motion_energy.png"><img src="pictures/motion_energy.gif" alt="A rendered person crosses the arms; beside her the curve of motion energy is drawn, which has a single peak while she moves."></picture>

# %% [markdown] slideshow={"slide_type": "notes"}
# The person fills a quarter of the width. Shrunk to 224 pixels, a [micro-action](glossary.md#micro-action) of a few original pixels is a
# fraction of one. So cut first. Before a plain wall no detector is needed: **whatever differs from the wall is
# the person**, and the wall is what the left and the right side of a row show. What we keep is a square about the
# person.

# %% [markdown]
# > **Predict.** The square covers what share of the frame, and what share of all that changes?

# %% slideshow={"slide_type": "subslide"}
def foreground_by_hand(frame):
    strip = frame.shape[1] // 20
    sides = [np.median(frame[:, part], 1) for part in (slice(None, strip), slice(-strip, None))]
    along = np.linspace(0, 1, frame.shape[1])[None, :, None]
    wall = sides[0][:, None] * (1 - along) + sides[1][:, None] * along
    return np.abs(frame - wall).max(2) > 24

# %%
from piumar_lib.ma52.prepare.crop import find_person, foreground, square_about

film = films[0]
moments = film[[0, len(film) // 2, -1]]
print("one frame by hand equals the library:",
      np.mean(foreground_by_hand(film[0].astype(float)) == foreground(film[:1])).round(4))
height, across = film.shape[1:3]
box = find_person(moments)
square = square_about(box, across, height)

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
def outline(ax, box, **style):
    x, y = box.left * across, box.top * height
    size = box.right * across - x, box.bottom * height - y
    ax.add_patch(plt.Rectangle((x, y), *size, fill=False, **style))


part = film[:, round(square.top * height): round(square.bottom * height),
            round(square.left * across): round(square.right * across)]
fig, axes = plt.subplots(1, 4, figsize=(7, 2.3))
axes[0].imshow(film[0])
outline(axes[0], box, ec="C1", lw=1.5, ls="--")
outline(axes[0], square, ec="C0", lw=1.8)
for ax, picture, title in zip(axes, (None, foreground(moments), part[0], change(part)),
                              ("frame", "not wall", "crop", "changes in it"), strict=True):
    if picture is not None:
        ax.imshow(picture, cmap="Greys")
    ax.set(xticks=[], yticks=[], title=title)
kept = (change(part) > 20).sum() / max(1, (change(film) > 20).sum())
show(fig, alt="A frame with a dashed box about the person and a square about the box; the pixels that "
     f"are not wall; the square; what changes in it. It holds {100 * kept:.0f} % of all that changes.")

# %% [markdown] slideshow={"slide_type": "notes"}
# Now every clip, into a cache:

# %% slideshow={"slide_type": "subslide"}
import os

from piumar_lib.ma52.prepare.cache import CacheSettings, make_cache

settings = CacheSettings(size=size)
workers = os.cpu_count() if root else 1
cached = make_cache(folder, clips, build / f"cache-{size}-{seed}", settings, workers, bool(root))
found = [k for k in cached if k.found]
area = np.mean([(k.right - k.left) * (k.bottom - k.top) for k in found])
print(f"{len(found)} of {len(cached)} people found; the square covers {100 * area:.0f} % of the frame")

# %% slideshow={"slide_type": "skip"}
inside = []
for entry, film in zip(six, films, strict=True):
    k = next(k for k in cached if k.name == entry.name)
    rows, columns = film.shape[1:3]
    window = change(film)[round(k.top * rows): round(k.bottom * rows),
                          round(k.left * columns): round(k.right * columns)]
    inside.append((window > 20).sum() / max(1, (change(film) > 20).sum()))
print("share of changing pixels inside the square, six clips:", np.round(inside, 2))

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** All that moves, on part of the area. At the same number of pixels a movement is larger than in a square
# as wide as the frame, by the frame's width over the square's side. With `find_person` failing (a crowd, a busy room), the middle square is kept, and
# `cache.csv` says so.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ### What compression costs

# %% [markdown] slideshow={"slide_type": "notes"}
# Clips are kept as small h264 files. The rate factor *crf* trades bytes for detail; the eye forgives much.
# A micro-action lives in the *differences* between frames, so these are what we compare: the correlation of
# frame differences before and after.

# %% [markdown]
# > **Predict.** x264's default is crf 23, which looks perfect. How much of the differences survives?

# %% slideshow={"slide_type": "skip"}
from piumar_lib.ma52.prepare.video import write_mp4

raw = read_frames(folder / "train" / six[0].name, square, size)[:, :size, :size]


def compress(crf):
    """Kilobytes, and correlation of frame differences with the original's."""
    path = build / "probe.mp4"
    write_mp4(path, raw, keyframe_every=8, crf=crf, between=0)
    before, after = (np.diff(film.astype(float), axis=0).ravel() for film in (raw, read_frames(path)))
    return path.stat().st_size / 1024, np.corrcoef(before, after)[0, 1]


factors = (8, 14, 18, 23, 28, 34)
kilobytes, survives = np.array([compress(crf) for crf in factors]).T

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
fig, ax = plt.subplots(figsize=(6, 2.8))
ax.plot(kilobytes, survives, "o-", color="C0")
for crf, x, y in zip(factors, kilobytes, survives, strict=True):
    ax.annotate(f"crf {crf}", (x, y), textcoords="offset points", xytext=(8, -4), fontsize=8)
ax.set(xlabel="kilobytes of a clip", ylabel="correlation of\nframe differences")
at14, at23 = (survives[factors.index(crf)] for crf in (14, 23))
show(fig, alt=f"Correlation of frame differences over the size of a clip: {at14:.2f} at crf 14, "
     f"{at23:.2f} at crf 23, {survives[-1]:.2f} at crf {factors[-1]}.")

# %% tags=["hide-input"]
print(f"crf 14 keeps {at14:.2f} of the correlation, crf 23 {at23:.2f}, "
      f"for {kilobytes[1]:.0f} and {kilobytes[3]:.0f} KB")

# %% [markdown] slideshow={"slide_type": "notes"}
# Much of what is lost here is the camera's noise, which nobody needs; but what is left of a small movement is
# coded with the same few bits. The cache takes crf 14. Turn the knob and look at the differences themselves:

# %% slideshow={"slide_type": "skip"} tags=["hide-input"]
def draw(crf=23):
    kb, correlation = compress(crf)
    after = read_frames(build / "probe.mp4")
    pair = [np.abs(np.diff(film.astype(float), axis=0)).mean((0, 3)) for film in (raw, after)]
    fig, axes = plt.subplots(1, 2, figsize=(5, 2.6))
    for ax, picture, title in zip(axes, pair, ("original", f"crf {crf}, {kb:.0f} KB"), strict=True):
        ax.imshow(picture, cmap="Greys", vmin=0, vmax=np.quantile(pair[0], 0.995))
        ax.set(xticks=[], yticks=[], title=title)
    show(fig, alt=f"Mean change from frame to frame, original and at crf {crf}: correlation "
         f"{correlation:.2f}.")


draw()

# %% slideshow={"slide_type": "skip"} tags=["hide-input"]
from ipywidgets import interact

interact(draw, crf=(8, 40));

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
draw(crf=34)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## From the cache to the network

# %% [markdown] slideshow={"slide_type": "notes"}
# Of a clip's 45 to 75 frames a network sees 8 or 16: one of each of as many equal stretches. In training a
# random one, in evaluation the middle:

# %%
from piumar_lib.ma52.dataset import ClipDataset
from piumar_lib.ma52.dataset import frame_indices as library_frame_indices


def moments_by_hand(total, frames):
    return [int((k + 0.5) * total / frames) for k in range(frames)]


assert all(moments_by_hand(n, 8) == library_frame_indices(n, 8).tolist() for n in range(8, 80))
print("60 frames, 8 of them:", moments_by_hand(60, 8))

# %% [markdown] slideshow={"slide_type": "notes"}
# Pictures travel as bytes and become numbers on the device. There each training clip is cut, mirrored and lit
# at random, **all of its frames alike**: a frame that is lit otherwise than the one before would look like
# movement. Three clips, three moments each:

# %% slideshow={"slide_type": "subslide"}
import torch

from piumar_lib.ma52.transforms import IMAGENET_MEAN, IMAGENET_SD, draw_augmentation, to_input

names = set(folds[0].train)
chosen = [clip for clip in clips if clip.name in names]
data = ClipDataset(build / f"cache-{size}-{seed}", chosen, frames=8, train=True)
torch.manual_seed(seed)
batch = torch.stack([data[k]["video"] for k in (0, len(data) // 2, len(data) - 1)])
augmentation = draw_augmentation(len(batch), np.random.default_rng(seed)).to(run.device)
varied = to_input(batch.to(run.device), size, augmentation).cpu()
still = to_input(batch[:, :1].expand(-1, 8, -1, -1, -1), size, augmentation.cpu())
assert torch.allclose(still, still[:, :1].expand_as(still), atol=1e-5)
print(batch.dtype, tuple(batch.shape), "->", varied.dtype, tuple(varied.shape))

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
fig, axes = plt.subplots(3, 6, figsize=(7, 3.6))
mean, deviation = (torch.tensor(v).view(3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_SD))
for row, before, after in zip(axes, batch, varied, strict=True):
    for column, moment in enumerate((0, 3, 7)):
        row[column].imshow(before[moment])
        row[column + 3].imshow((after[moment] * deviation + mean).permute(1, 2, 0).clamp(0, 1))
for ax in axes.flat:
    ax.set(xticks=[], yticks=[])
axes[0, 1].set_title("as cached")
axes[0, 4].set_title("as trained on")
show(fig, alt="Three clips at three moments, as cached and as trained on: each clip is cut, mirrored "
     "and lit in a way of its own, which is the same at all of its moments.")

# %% [markdown] slideshow={"slide_type": "notes"}
# This chapter's files lie in `build/ma52/PROFILE/`: `index.csv`, `splits/fold1.txt` to `fold5.txt`, and the cache. For a
# training on MA-52 make them once from the shell, on all cores; whatever is interrupted goes on with the same command:
#
# ```bash
# python data_scripts/prepare_ma52.py index data/ma52 --out build/ma52/index.csv
# python data_scripts/prepare_ma52.py split build/ma52/index.csv --out build/ma52/splits
# python data_scripts/prepare_ma52.py cache data/ma52 build/ma52/index.csv --out build/ma52/cache
# ```

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Exercise: find the leak
#
# *10 minutes, easy.*
#
# Write `shared_people(train, val)`: from two lists of file names like `0003_01_0001.mp4` to the *share of val
# clips* whose person also stands in train. (Clips, not people: that is what an accuracy averages over.)

# %% tags=["exercise"]
def shared_people(train, val):
    ...


# %% slideshow={"slide_type": "skip"} tags=["check"]
from piumar_lib import check

check.shared_people(shared_people)

# %% [markdown] slideshow={"slide_type": "notes"} tags=["solution"]
# <details><summary>Solution</summary>
#
# ```python
# def shared_people(train, val):
#     known = {name.split("_")[0] for name in train}
#     return np.mean([name.split("_")[0] in known for name in val])
# ```
#
# Ask it about the official lists, and about a fold of people, where it must be 0:
#
# ```python
# official = {side: [c.name for c in known if c.split == side] for side in ("train", "val")}
# print(shared_people(official["train"], official["val"]))
# print(shared_people(folds[0].train, folds[0].held_out))
# ```
# </details>

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What we saw

# %% tags=["hide-input"]
print(f"- {len(kinds)} planted faults, all named: {', '.join(sorted(set(kinds)))}.")
print(f"- Official lists: {len(by_hand)} of {len(people['val'])} val people are in train; in folds of "
      "people nobody is.")
print(f"- The square about the person covers {100 * area:.0f} % of the frame and holds "
      f"{100 * np.mean(inside):.0f} % of what changes; of the correlation of frame differences crf 14 "
      f"keeps {at14:.2f}, crf 23 {at23:.2f}.")

# %% [markdown] slideshow={"slide_type": "skip"}
# ## Paper ledger
#
# | the abstract says | here | library | test | our choice |
# |---|---|---|---|---|
# | people never seen | folds of people | `splits.person_disjoint`, `splits.leave_people_out` | `test_ma52.py` | five folds over train and val; the official val leaks |
# | MA-52 | verify, index | `verify.verify`, `index.make_index` | `test_ma52.py` | every fault is named, nothing is changed |
# | (silent) | crop, cache | `crop.find_person`, `cache.make_cache` | `test_cache.py` | a square about the person; crf 14 |
# | (silent) | moments, variety | `dataset.frame_indices`, `transforms.to_input` | `test_dataset.py` | one frame of each stretch; clips varied as a whole |
#
# ## References
#
# 1. D. Guo, K. Li, B. Hu, Y. Zhang, M. Wang. *Benchmarking Micro-action Recognition: Dataset, Methods, and
#    Applications.* IEEE Transactions on Circuits and Systems for Video Technology 34(7), 2024. (MA-52)
# 2. F.-Q. Cui et al. *Every Subtlety Counts: Fine-grained Person Independence Micro-Action Recognition
#    via Distributionally Robust Optimization.* [arXiv 2509.21261](https://arxiv.org/abs/2509.21261), 2025.
# 3. L. Wang et al. *Temporal Segment Networks: Towards Good Practices for Deep Action Recognition.*
#    [arXiv 1608.00859](https://arxiv.org/abs/1608.00859), 2016. One moment of each stretch.
