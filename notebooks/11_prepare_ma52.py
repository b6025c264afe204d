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
# From a download to clips that a network can learn from: is it complete, who is in it, and how do we split it by person?

# %% [markdown] slideshow={"slide_type": "skip"}
# | | |
# |---|---|
# | time in `quick` | under a minute |
# | prerequisites | [01 person shift](01_person_shift.ipynb) |
# | you will build | a report on the download, an index, person-disjoint folds, one file of poses, a small cache of video clips |
# | device | any laptop; MA-52's poses fit on one, its videos take 50 GB of disk |

# %% [markdown] slideshow={"slide_type": "subslide"}
# After this chapter you can
#
# - tell a complete download from a damaged one, and name every fault,
# - say who is in a list of clips, and make folds that share no person,
# - read pose files of five layouts, avoid two traps in public code, and extract poses from video.

# %% slideshow={"slide_type": "skip"} tags=["parameters"]
profile = "quick"
root = ""  # absolute path of MA-52's videos and lists; without it a stand-in is made
poses = ""  # absolute path of a folder of pose files; without it those of a stand-in are made
seed = 0

# %% [markdown] slideshow={"slide_type": "notes"}
# [MA-52](glossary.md#ma-52) [[1](#references)] is gated: accept its licence (non-commercial research) on the hub, log in with
# `hf auth login`, then let `data_scripts/download_ma52.py` fetch poses (`--poses openpose`) or videos (23 GB). Chapter 12 trains
# on poses first, on a laptop, and then on video. Without MA-52 this chapter makes a [stand-in](glossary.md#stand-in) in the same
# file formats: poses of synthetic people (chapter 01) with a pose estimator's errors, and a few rendered videos. Counts of
# people and actions then hold for the stand-in only.

# %% slideshow={"slide_type": "skip"}
import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from piumar_lib.evidence.records import ROOT, read_records
from piumar_lib.ma52 import standin
from piumar_lib.ma52.standin.poses import make_poses, write_pose_files
from piumar_lib.notebook import show, show_table, start

run = start(profile)
clips_wanted, people_wanted, width = run.pick(quick=(2000, 40, 128), full=(6000, 100, 216))
build = ROOT / "build" / "ma52" / run.name
few = standin.plan(96, 12, width, seed)  # on video, and the same clips as poses
videos, pose_files = build / f"standin-{seed}", Path(poses or build / f"poses-{seed}").expanduser()
standin.write(videos, few, progress=False)
whose = "MA-52" if root or poses else "stand-in, synthetic people"
if not poses:
    many = standin.plan(clips_wanted, people_wanted, seed=seed)
    write_pose_files(pose_files, many, "openpose", progress=False)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## The idea in one figure

# %% [markdown] slideshow={"slide_type": "notes"}
# One clip each of six people, as video and as 17 joints in every frame; below, the joints' trajectories. A network for video has
# to find small movements among clothes and walls. A network for poses gets the joints and nothing else.

# %% slideshow={"slide_type": "skip"}
from piumar_lib.data.joints import LAYOUTS, OPENPOSE, mirror, parents, pick
from piumar_lib.data.labels import ACTIONS
from piumar_lib.ma52.prepare.video import read_frames

small = make_poses(few)
moved = np.array([np.nanmax(np.nanstd(small.clip(str(name))[0], 0)) for name in few.name])
six = [int(np.argmax(np.where(few.person == person, moved, 0))) for person in range(6)]

def draw(ax, xy, joints, **style):  # xy is (joints, 2)
    for joint, above in enumerate(parents(joints)):
        if above >= 0:
            ax.plot(*xy[[joint, above]].T, solid_capstyle="round", **{"color": "C0", "lw": 1.2} | style)
    ax.set(aspect="equal")
    ax.axis("off")

# %% tags=["hide-input"]
fig, axes = plt.subplots(2, len(six), figsize=(7, 3.4))
fig.suptitle("stand-in, synthetic people")
for (above, below), row in zip(axes.T, six, strict=True):
    xy, _ = small.clip(str(few.name[row]))
    above.imshow(read_frames(videos / few.split[row] / few.name[row])[0])
    draw(above, xy[0], small.joints, color="C1")
    draw(below, xy[0], small.joints, color="0.8")
    above.set_title(ACTIONS[few.action[row]].replace(" ", "\n", 1), fontsize=8)
    below.plot(xy[..., 0], xy[..., 1], color="C0", lw=1)
    margin = 0.07 * few.width
    (left, top), (right, bottom) = np.nanmin(xy, (0, 1)) - margin, np.nanmax(xy, (0, 1)) + margin
    for ax in (above, below):
        ax.set(xlim=(left, right), ylim=(bottom, top), aspect="equal")
show(fig, alt="Six synthetic people in a frame of video with the pose drawn on it; below, trajectories "
     "of their joints. Most joints stay where they are; in some a hand or a foot moves a short way.")

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Is the download complete?
#
# > **Predict.** Each clip has a line in a list, `PERSON_SESSION_CLIP.mp4 LABEL`. We damage a copy: a truncated clip, an empty
# > one, a web page saved as a clip, a label 52, a label *nine*, a duplicate line, and a clip in two lists. How many of these
# > seven faults does a loader notice that simply opens each clip when it needs it?

# %% [markdown] slideshow={"slide_type": "subslide"}
# **Compare.** Four, one crash at a time: *nine* when it parses the list, and the three broken clips.

# %% tags=["hide-input"]
import shutil

from piumar_lib.ma52.prepare.verify import verify

copy = build / "damaged"
shutil.rmtree(copy, ignore_errors=True)
shutil.copytree(videos, copy)
lines = (copy / "train_list_videos.txt").read_text().splitlines()
a, b, c = (copy / "train" / line.split()[0] for line in lines[:3])
a.write_bytes(a.read_bytes()[: a.stat().st_size // 2])
b.write_bytes(b"")
c.write_text("<!DOCTYPE html><title>Please sign in</title>")
wrong = ["0099_01_0001.mp4 52", "0099_01_0002.mp4 nine", lines[3]]
for name, more in (("train_list_videos.txt", wrong), ("val_list_videos.txt", lines[4:5])):
    (copy / name).write_text("\n".join([(copy / name).read_text(), *more]))
for fault in (fault for fault in verify(copy).faults if fault.serious):
    print(f"{fault.kind}: {fault.where}")

# %% [markdown] slideshow={"slide_type": "notes"}
# Label 52 crashes in the loss. The duplicate line and the clip in two lists are never noticed: one clip counts double, another is
# trained on and evaluated. `verify` names all seven and changes nothing. `gather` checks pose files in the same way:

# %% slideshow={"slide_type": "skip"}
from piumar_lib.ma52.prepare.pose_files import gather
from piumar_lib.ma52.prepare.poses import write_poses

found, pose_report = gather([pose_files], joints=17)
print(pose_report.to_text(most=1))
assert pose_report.usable, "mend the pose files first"
write_poses(build / "poses.safetensors", found)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Who is in it?
#
# People and actions have long tails: an accuracy over clips is dominated by few of them.

# %% slideshow={"slide_type": "skip"}
from piumar_lib.ma52.prepare.index import make_index, write_index

report = verify(Path(root).expanduser() if root else videos)
assert report.usable, report.to_text()
on_video = make_index(report.root, report.entries)
clips = on_video if root else pose_report.clips
write_index(build / "index.csv", clips)
known = [clip for clip in clips if clip.split != "test"]

# %% tags=["hide-input"]
counts = np.sort(np.unique([c.person for c in known], return_counts=True)[1])[::-1]
per_action = np.sort(np.bincount([c.action for c in known], minlength=52))[::-1]
fig, axes = plt.subplots(1, 2, figsize=(7, 2.6), width_ratios=(1, 1.4))
for ax, values, what in zip(axes, (counts, per_action), ("person", "action"), strict=True):
    ax.bar(range(len(values)), values, color="C0")
    ax.set(xlabel=f"{what}, most clips first", xticks=[])
axes[0].set(ylabel="clips in train and val", title=whose)
axes[1].set_yscale("symlog", linthresh=1)
show(fig, alt=f"Left: clips of each of {len(counts)} people, from {counts[0]} to {counts[-1]}. Right, "
     f"on a logarithmic axis: clips of each action, from {per_action[0]} to {per_action[-1]}.")

# %% [markdown] slideshow={"slide_type": "notes"}
# The index is a table of what is known about each clip, from the videos (`root`), or from names and labels in the pose files. A
# person of the stand-in has 9 to 215 clips; in MA-52 one has 11 to 303 training clips, and the rarest action six. So we also
# report macro F1, the mean over actions, in which a rare action counts as much as a frequent one, and scores by person.

# %% [markdown] slideshow={"slide_type": "subslide"}
# ### Letter codes are not label ids
#
# > **Predict.** The manual and the demo folders call actions A1 to G4: A1 to A5 for the body, then B1 to B6 for the head, and so
# > on. The lists have labels 0 to 51. Is B1 then label 5?

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
from piumar_lib.data.label_codes import all_codes

show_table(["code", "action", "label", "counted", "which is"],
           [[c.code, c.name, c.action, c.counted, ACTIONS[c.counted]] for c in all_codes()[5:11]])
mixed_up = sum(c.action != c.counted for c in all_codes())
print(f"counting gives the wrong label for {mixed_up} of {len(all_codes())} actions")

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** No. B1 is nodding, label 9; label 5 is bowing head. Counting gives the wrong label for 46 of 52 actions, among them
# all of the head. Body parts come out right, so their confusion matrix does not show the error.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Who may be held out?
#
# > **Predict.** All people of MA-52's val list are in its train list, too (chapter 01), and so it is in the stand-in. By how many
# > points may validation overstate the accuracy on unseen people? And can five person-disjoint folds be made?

# %% [markdown] slideshow={"slide_type": "subslide"}
# ### Person-disjoint folds
#
# Five [person-disjoint](glossary.md#person-disjoint) folds: no person is on both sides of one, and everyone is held out once.

# %%
from piumar_lib.ma52.prepare import splits

train, val = ({clip.person for clip in known if clip.split == split} for split in ("train", "val"))
print(f"{whose}: {len(train & val)} of {len(val)} val people are in train")
folds = splits.person_disjoint(clips, seed, folds=5)
person, action = ({c.name: getattr(c, field) for c in known} for field in ("person", "action"))
assert not any({person[n] for n in f.train} & {person[n] for n in f.held_out} for f in folds)
assert sorted(n for fold in folds for n in fold.held_out) == sorted(person)
splits.write_splits(build / "splits", folds, seed)
lost = [len({action[n] for n in f.held_out} - {action[n] for n in f.train}) for f in folds]
print(f"people held out in each fold: {[len({person[n] for n in f.held_out}) for f in folds]}")
print(f"actions that only held-out people show: {lost}")

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** For MA-52 nobody knows; on SPAR's ten people it was about eleven points (chapter 01). The stand-in copies the leak:
# 91 of 91 val people are in train, in MA-52 186 of 186. This is *leakage*: official validation measures recognition of training
# people on new clips. Names of test clips do not say who is in them, so only the organisers know whether test people are new. The
# folds are for cross-validation, with classes as evenly distributed as people allow (`StratifiedGroupKFold`). Five can be made,
# but an action that only the first fold's held-out people show cannot be learned there; in MA-52 four actions are performed by 6
# to 11 people each. No person-disjoint protocol for recognition on MA-52 has been published; our files carry a hash, by which
# others can check theirs.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Poses: five layouts, one set of names
#
# Pose estimators find between 17 and 136 joints, and each numbers them differently. The course gives every joint a name, the
# same in all layouts; what two files share, which joints a bone joins, what is left and right, all follow from names.

# %% tags=["hide-input"]
fig, axes = plt.subplots(1, 5, figsize=(7, 2.7))
titles = ("COCO", "OpenPose", "MediaPipe", "MMN", "Halpe")
for ax, title, (count, joints) in zip(axes, titles, LAYOUTS.items(), strict=True):
    xy = make_poses(standin.plan(12, 3, seed=seed), joints=count).xy[0].numpy()
    draw(ax, xy, joints, lw=0.8)
    ax.plot(*xy.T, ".", color="C1", ms=3)
    ax.set_title(f"{title}\n{count}")
    ax.invert_yaxis()
show(fig, alt="One person in five layouts: 17 joints of COCO, 28 of OpenPose with fingertips, 33 of "
     "MediaPipe with hands and feet, 44 that MMN uses, 136 of Halpe with face and all fingers.")

# %% [markdown] slideshow={"slide_type": "notes"}
# Two sets of poses are public under MA-52's licence, both as pickles: kunli-cs/MA-52_openpose_28kp (28 joints, scores and labels)
# and Geo2425/MMN (136 or 44 joints, no scores, labels in a second file). A pose model that you run yourself writes COCO's JSON.
# All are read here, and joined to clips by name alone. (A pickle can run code; the reader admits arrays and containers only.)

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Traps in public code
#
# > **Predict.** A clip's mirror image is a free training example: negate $x$, then exchange left and right joints. PCAN's code
# > lists pairs by number, and names 16 of its 28 joints, those of the body [[5](#references)]. What happens to the hands?

# %% slideshow={"slide_type": "skip"}
def mirror_by_hand(joints):
    swap = {"left": "right", "right": "left"}
    names = [" ".join(swap.get(word, word) for word in joint.split()) for joint in joints]
    return np.array([joints.index(name) for name in names])  # (joints,)

assert all((mirror_by_hand(joints) == mirror(joints)).all() for joints in LAYOUTS.values())

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
every = make_poses(few, joints=28).xy.numpy()
wrist, other, tip = pick(OPENPOSE, ["left wrist", "right wrist", "left index finger tip"])
xy = every[np.nanargmax(np.linalg.norm(every[:, wrist] - every[:, other], axis=1))]  # hands far apart
body = np.r_[mirror_by_hand(OPENPOSE)[:18], 18:28]
looks = {"original": xy, "body exchanged": (xy * [-1, 1])[body],
         "all exchanged": (xy * [-1, 1])[mirror_by_hand(OPENPOSE)]}
fig, axes = plt.subplots(1, 3, figsize=(7, 2.8))
for ax, (title, pose) in zip(axes, looks.items(), strict=True):
    draw(ax, pose, OPENPOSE)
    ax.set_title(title)
    ax.invert_yaxis()
before, after, _ = (np.linalg.norm(pose[wrist] - pose[tip]) for pose in looks.values())
show(fig, alt="A person, and two mirror images. Where only body joints are exchanged, long lines run "
     f"from each wrist to the tips of the other hand: {after / before:.1f} times the length of a hand.")

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** The fingertips stay on the wrong hand, 4.2 hand lengths away here; half of all clips are flipped
# (kunli-cs/PCAN@91bee6d).

# %% [markdown] slideshow={"slide_type": "subslide"}
# ### Another trap: min-max scaling
#
# > **Predict.** MMN scales each clip so that its smallest and largest coordinates become -1 and 1 [[4](#references)]. In one clip
# > somebody nods with clasped hands, in the next with hands on the hips. What does this do to the width of the shoulders?

# %% slideshow={"slide_type": "subslide"}
def min_max(xy):
    low, high = np.nanmin(xy, (0, 1)), np.nanmax(xy, (0, 1))  # of x and of y
    return 2 * (xy - low) / (high - low) - 1

shoulders = pick(found.joints, ["left shoulder", "right shoulder"])
for name, scale in (("pixels", np.array), ("min-max", min_max)):
    widths = {clip.person: [] for clip in known}
    for clip in known:
        xy = scale(found.clip(clip.name)[0])[:, shoulders]  # (frames, 2, 2)
        widths[clip.person].append(np.nanmedian(np.linalg.norm(xy[:, 0] - xy[:, 1], axis=1)))
    variation = 100 * np.mean([np.std(own) / np.mean(own) for own in widths.values()])
    print(f"{name}: a person's shoulders vary from clip to clip by {variation:.1f} %")

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** In pixels it varies by 1.1 % from clip to clip, an estimator's error; after min-max by 6.3 %, as the reach of the
# hands decides the scale. So chapter 12 measures each clip in its own torso lengths, from the middle of the hips
# (`pose_dataset.measure`). Two more traps: MMN's rotation, jitter and time reversal change a variable that is not used afterwards
# (momiji-bit/MMN@80fd4fc, `feeders/feeder_ma52.py`), and its `test.py` names test clips by their order, which fails if one is missing.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Poses from video
#
# > **Predict.** MediaPipe finds 33 joints in any video. The stand-in's joints are known exactly, so its videos come with ground
# > truth: 80 clips of 20 people. These joints move by 0.008 torso lengths (median). Is the estimator's error smaller than that?

# %% slideshow={"slide_type": "subslide"} tags=["hide-input"]
rows = [r for r in read_records(ROOT / "notebooks/results/pose-extraction.jsonl") if r["width"] == 216]
*by_joint, overall = sorted(rows, key=lambda r: (r["joint"] == "all joints", r["median"]))
names = [*dict.fromkeys(r["joint"].split()[-1] for r in by_joint)]
fig, ax = plt.subplots(figsize=(7, 3.4))
for key, words, mark in (("median", "error", "sC1"), ("centered", "error, clip's offset removed", "oC0"),
                         ("moved", "movement itself", "xk")):
    both = [np.mean([r[key] for r in by_joint if r["joint"].endswith(name)]) for name in names]
    ax.plot(both, names, mark, label=words)
ax.set(xlabel="median distance, mean of left and right [torso lengths]", xscale="log")
ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, fontsize=9)
error, centered, moved = (f"{overall[key]:.3f}" for key in ("median", "centered", "moved"))
show(fig, alt=f"Error of MediaPipe by joint on a logarithmic axis. All joints: median error {error}"
     f", offset removed {centered}, movement {moved} torso lengths. Knees, wrists and ankles are worst.")

# %% [markdown] slideshow={"slide_type": "notes"}
# **Compare.** No. The error is 0.041 torso lengths, five times the movement; without the constant offset of each clip it is 0.009,
# about as large. For head, shoulders and elbows the movement exceeds that error, for wrists, hips, knees and ankles the error
# exceeds the movement: the estimator is imprecise about where a joint is, and sees only larger movements. So chapter 12's network
# sees each clip minus its mean pose. `data_scripts/extract_poses.py` processes 28 frames a second on one core.

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Video: a cache of cropped clips
#
# <picture><source media="(prefers-reduced-motion: reduce), print" srcset="pictures/motion_energy.png"><img src="pictures/motion_energy.gif" alt="A rendered person crosses the arms; beside her the curve of motion energy is drawn, which has a single peak while she moves."></picture>

# %% [markdown] slideshow={"slide_type": "notes"}
# A person fills a quarter of MA-52's width. Resized to 224 pixels, a [micro-action](glossary.md#micro-action) of a few pixels is a
# fraction of a pixel, so we crop first. In front of a plain wall no detector is needed: the person is what differs from the wall,
# whose colour both ends of each row show. Keep a square around the person, the same in all frames, and store it as a small h264
# file. Its rate factor *crf* trades bytes for detail. A micro-action is in the *differences* between frames: how much survives?

# %% slideshow={"slide_type": "skip"}
from piumar_lib.ma52.prepare.cache import CacheSettings, make_cache
from piumar_lib.ma52.prepare.video import write_mp4

size, workers = run.pick(quick=64, full=128, gpu=256), os.cpu_count() if root else 1
make_cache(report.root, on_video, build / f"cache-{size}-{seed}", CacheSettings(size=size), workers)
raw = read_frames(videos / few.split[six[0]] / few.name[six[0]])
for crf in (14, 23):  # the cache's, and x264's default
    write_mp4(build / "probe.mp4", raw, keyframe_every=8, crf=crf, between=0)
    pair = [np.diff(v.astype(float), axis=0).ravel() for v in (raw, read_frames(build / "probe.mp4"))]
    print(f"crf {crf}: correlation of frame differences {np.corrcoef(*pair)[0, 1]:.2f}")

# %% [markdown]
# With x264's default, which looks perfect, frame differences correlate with the original's at 0.79; with crf 14 at 0.95.

# %% [markdown] slideshow={"slide_type": "notes"}
# In training a network sees one random frame of each of 8 or 16 equal segments, and the middle ones in evaluation (TSN-style
# sampling [[3](#references)]). Frames are transferred as `uint8`; on the device a clip is cropped, flipped and colour-jittered at
# random, **all of its frames alike**, as flicker would look like movement.
# Poses, index, splits and cache are in `build/ma52/PROFILE/`. `data_scripts/prepare_ma52.py` makes them from the shell (README).

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Related work
#
# - **Poses or video?** The best published top-1 on MA-52's 5,586 test clips is 63.52 % with poses alone [[9](#references)], 67.02 %
#   with video and poses [[6](#references)]; on the challenge's 1,138 clips, which are not comparable, 74.52 % [[7](#references)].
# - **Unseen people.** All use the official lists. PIUmr's paper asks for person independence [[2](#references)], without a split.
# - **Other domains.** MMA-82 has 82 classes, 454 people and four domains (laboratory, psychiatric, street, television), with
#   protocols across domains, none across people [[8](#references)].

# %% [markdown] slideshow={"slide_type": "slide"}
# ## Exercise: find the leak
#
# *10 minutes, easy.*
#
# Write `shared_people(train, val)`, which takes two lists of file names like `0003_01_0001.mp4` and returns the *share of val
# clips* (not of people: an accuracy averages over clips) whose person is in train, too.

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
# </details>

# %% [markdown] slideshow={"slide_type": "slide"}
# ## What we saw
#
# - **MA-52's official lists leak people**: all 186 people of val are in train. In person-disjoint folds no person is on both sides.
# - **Names prevent silent errors**: counted letter codes are wrong for 46 of 52 actions, a flip by numbers leaves fingertips behind.
# - **Scale matters**: in the stand-in min-max scaling makes shoulders vary by 6.3 %, and joints move by only 0.008 torso lengths.

# %% [markdown] slideshow={"slide_type": "skip"}
# ## Paper ledger
#
# | the abstract says | here | library | test | our choice |
# |---|---|---|---|---|
# | people never seen | person-disjoint folds | `splits.person_disjoint`, `splits.leave_people_out` | `test_ma52.py` | five folds over train and val; the official val leaks |
# | MA-52 | verify, index, label codes | `verify.verify`, `index.make_index`, `data.label_codes.all_codes` | `test_ma52.py`, `test_label_codes.py` | every fault is named, nothing is changed |
# | (silent) poses | layouts, files, extraction | `data.joints.mirror`, `pose_files.gather`, `pose_dataset.measure`, `pose_error.pose_errors` | `test_joints.py`, `test_pose_files.py`, `test_ma52_poses.py`, `test_extract_poses.py` | joints by name; torso lengths |
# | (silent) video | cache, sampling | `crop.find_person`, `cache.make_cache`, `dataset.frame_indices` | `test_cache.py`, `test_dataset.py` | a square around the person; crf 14; one frame per segment |
#
# ## References
#
# 1. D. Guo, K. Li, B. Hu, Y. Zhang, M. Wang. *Benchmarking Micro-action Recognition: Dataset, Methods, and Applications.* IEEE Transactions on Circuits and Systems for Video Technology 34(7), 2024. [arXiv 2403.05234](https://arxiv.org/abs/2403.05234).
# 2. F.-Q. Cui et al. *Every Subtlety Counts: Fine-grained Person Independence Micro-Action Recognition via Distributionally Robust Optimization.* [arXiv 2509.21261](https://arxiv.org/abs/2509.21261), 2025.
# 3. L. Wang et al. *Temporal Segment Networks: Towards Good Practices for Deep Action Recognition.* ECCV 2016. [arXiv 1608.00859](https://arxiv.org/abs/1608.00859).
# 4. J. Gu et al. *Motion Matters: Motion-guided Modulation Network for Skeleton-based Micro-Action Recognition.* ACM Multimedia 2025. [arXiv 2507.21977](https://arxiv.org/abs/2507.21977). (MMN)
# 5. K. Li et al. *Prototypical Calibrating Ambiguous Samples for Micro-Action Recognition.* AAAI 2025. [arXiv 2412.14719](https://arxiv.org/abs/2412.14719). (PCAN)
# 6. J. Wan. *Enhancing Visual Paralinguistics: Motion-Guided Spatial Denoising for Non-Verbal Interaction Analysis.* Interspeech 2026. (MG-SRM)
# 7. Y. Zhang et al. *SoftRerank: Hierarchical Soft Fusion with Candidate-Label Reranking for Long-Tailed Micro-Action Recognition.* [arXiv 2609.08221](https://arxiv.org/abs/2609.08221), 2026.
# 8. Y. Hao et al. *A New Multi-Domain Benchmark for Micro-Action Recognition and Detection.* [arXiv 2606.14096](https://arxiv.org/abs/2606.14096), 2026. (MMA-82)
# 9. H. Duan, Y. Zhao, K. Chen, D. Lin, B. Dai. *Revisiting Skeleton-based Action Recognition.* CVPR 2022. [arXiv 2104.13586](https://arxiv.org/abs/2104.13586). (PoseConv3D)
