"""Skeletons: measured in torso lengths, varied, recognised; and a head of two levels."""

from __future__ import annotations

import json
import threading

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from hypothesis import given
from hypothesis import strategies as st

from piumar_lib.data.joints import LAYOUTS, mirror, parents
from piumar_lib.data.labels import ACTIONS, body_part
from piumar_lib.data.skeleton import JOINTS
from piumar_lib.ma52 import train
from piumar_lib.ma52.__main__ import main
from piumar_lib.ma52.clips import load_data
from piumar_lib.ma52.config import TrainConfig
from piumar_lib.ma52.evaluate import predict, read_predictions
from piumar_lib.ma52.hierarchical_head import HierarchicalHead
from piumar_lib.ma52.history import read_history
from piumar_lib.ma52.model import build_model, export, load_model, save_model
from piumar_lib.ma52.optimizer import count_layers, depth
from piumar_lib.ma52.pose_dataset import PoseDataset, fill_gaps, measure, moments, place_missing
from piumar_lib.ma52.pose_transforms import draw, vary, warp
from piumar_lib.ma52.prepare.index import read_index
from piumar_lib.ma52.prepare.poses import ClipPoses, join, read_joints, read_poses, write_poses
from piumar_lib.ma52.protocol import read_record
from piumar_lib.ma52.recognize import recognize
from piumar_lib.ma52.submit import submit

TREE = parents(JOINTS).tolist()
HIPS, SHOULDERS = [JOINTS.index(f"{s} hip") for s in ("left", "right")], [5, 6]


@pytest.fixture
def clips(posed):
    return read_index(posed.index)


@pytest.fixture
def known(clips):
    return [clip for clip in clips if clip.action >= 0]


def a_body(frames=9, joints=17, seed=0):
    """A clip in which everything moves, and its scores."""
    rng = np.random.default_rng(seed)
    xy = 300 + 40 * rng.standard_normal((joints, 2)) + rng.standard_normal((frames, joints, 2)).cumsum(0)
    return xy, rng.uniform(0.1, 1, (frames, joints))


# Measuring


@given(st.integers(1, 12), st.integers(0, 10_000))
def test_gaps_are_filled_as_numpy_interpolates(frames, seed):
    rng = np.random.default_rng(seed)
    xy, found = rng.normal(size=(frames, 5, 2)), rng.random((frames, 5)) < rng.random()
    xy[~found] = np.nan
    filled, time = fill_gaps(xy, found), np.arange(frames)
    for joint, k in np.ndindex(5, 2):
        seen = found[:, joint]
        expected = np.interp(time, time[seen], xy[seen, joint, k]) if seen.any() else np.nan
        np.testing.assert_allclose(filled[:, joint, k], np.broadcast_to(expected, frames), atol=1e-12)


@given(st.floats(0.2, 5), st.floats(-500, 500), st.floats(-500, 500))
def test_place_and_distance_vanish(size, x, y):
    xy, score = a_body()
    here = measure(xy, score, JOINTS, TREE)
    there = measure(size * xy + [x, y], score, JOINTS, TREE)
    np.testing.assert_allclose(here, there, atol=1e-3)


def test_a_torso_is_one_long_and_hips_are_at_the_origin():
    seen = measure(*a_body(), JOINTS, TREE)[..., :2]
    hips, neck = seen[:, HIPS].mean(1), seen[:, SHOULDERS].mean(1)
    assert np.median(np.linalg.norm(neck - hips, axis=1)) == pytest.approx(1, abs=1e-5)
    assert np.abs(np.median(hips, axis=0)).max() < 1e-5


def test_proportions_and_movements_stay():
    xy, score = a_body()
    long = xy.copy()
    long[:, 9] += 1.5 * (xy[:, 9] - xy[:, 7])  # a longer left forearm
    one, two = (measure(v, score, JOINTS, TREE)[..., :2] for v in (xy, long))
    bones = [np.linalg.norm(v[:, 9] - v[:, 7], axis=1) for v in (one, two)]
    np.testing.assert_allclose(bones[1] / bones[0], 2.5, rtol=1e-4)
    unit = np.median(np.linalg.norm(xy[:, SHOULDERS].mean(1) - xy[:, HIPS].mean(1), axis=1))
    np.testing.assert_allclose(np.diff(one, axis=0), np.diff(xy, axis=0) / unit, atol=1e-5)


def test_without_hips_the_neck_and_the_shoulders_serve():
    xy, score = a_body()
    xy[:, HIPS] = np.nan
    seen = measure(xy, score, JOINTS, TREE)[..., :2]
    assert np.abs(np.median(seen[:, SHOULDERS].mean(1), axis=0)).max() < 1e-5
    width = np.median(np.linalg.norm(seen[:, 5] - seen[:, 6], axis=1))
    assert width == pytest.approx(0.76, abs=1e-5)
    xy[:, 5] = np.nan
    assert measure(xy, score, JOINTS, TREE) is None
    assert measure(np.full((4, 17, 2), np.nan), np.zeros((4, 17)), JOINTS, TREE) is None
    assert measure(np.zeros((4, 17, 2)), np.ones((4, 17)), JOINTS, TREE) is None


def test_a_joint_that_is_never_found_hangs_on_its_parent():
    xy, score = a_body()
    xy[:, [7, 9]] = np.nan  # elbow and wrist
    xy[2, 10] = np.nan
    seen = measure(xy, score, JOINTS, TREE)
    np.testing.assert_array_equal(seen[:, 9, :2], seen[:, 5, :2])
    assert (seen[:, [7, 9], 2] == 0).all() and seen[2, 10, 2] == 0 and np.isfinite(seen).all()
    np.testing.assert_allclose(seen[2, 10, :2], (seen[1, 10, :2] + seen[3, 10, :2]) / 2, atol=1e-5)
    np.testing.assert_allclose(seen[:, 0, 2], score[:, 0], rtol=1e-6)
    alone = np.full((3, 17, 2), np.nan)
    assert (place_missing(alone, TREE) == 0).all()


# Clips in memory


def test_a_clip_is_read_at_moments_as_numpy_interpolates(posed, known):
    data = PoseDataset(read_poses(posed.poses), known, frames=20)
    k = 7
    rows = data.rows[data.start[k] : data.start[k] + data.lengths[k]].numpy()
    at = np.sort(np.random.default_rng(0).random(30))
    seen = data.read(torch.tensor([3, k]), torch.from_numpy(np.stack([at, at])).float())[1].numpy()
    middle = (np.arange(len(rows)) + 0.5) / len(rows)
    expected = np.stack([np.interp(at, middle, column) for column in rows.T], 1)
    np.testing.assert_allclose(seen, expected, atol=1e-4)


def test_items_are_those_of_the_index_and_views_shift(posed, known):
    poses = read_poses(posed.poses)
    data = PoseDataset(poses, known, frames=10, views=3, scores=True)
    assert len(data) == 3 * len(known)
    item, clip = data[3 * 5 + 1], known[5]
    assert item["action"] == clip.action
    assert item["clip"] == 5 and [*data.people][item["person"]] == clip.person
    assert item["pose"].shape == (10, 51) and item["pose"].dtype == torch.float32
    parts = torch.stack([data[15 + view]["pose"] for view in range(3)])
    fine = data.read(torch.tensor([5]), moments(torch.full((1, 30), 0.5)))[0]
    assert torch.allclose(parts.transpose(0, 1).flatten(0, 1), fine, atol=1e-5)
    single = data.for_evaluation()
    assert torch.equal(single[5]["pose"], parts[1]) and len(single) == len(known)
    with pytest.raises(ValueError, match="views: 0. Choose 1"):
        PoseDataset(poses, known, views=0)


def test_what_varies_a_clip_follows_from_its_seed():
    many, alone = draw([5, 6, 7], 10, 17), draw([6], 10, 17)
    assert all(torch.equal(a[1:2], b) for a, b in zip(many, alone, strict=True))


def test_clips_without_a_body_are_left_out_and_too_many_missing_ones_refused(posed, known):
    poses = read_poses(posed.poses)
    poses.xy[poses.start[poses.rows[known[2].name]] : poses.start[poses.rows[known[2].name] + 1]] = (
        np.nan
    )
    data = PoseDataset(poses, known)
    assert data.left_out == [known[2].name] and len(data.clips) == len(known) - 1
    fewer = [clip for clip in read_index(posed.index) if clip.name in {c.name for c in known[:4]}]
    one = join([ClipPoses(clip.name, *poses.clip(clip.name)) for clip in fewer], JOINTS, "few")
    with pytest.raises(ValueError, match=r"poses: \d+ of \d+ clips are not in the file, .* the first"):
        PoseDataset(one, known)
    assert len(PoseDataset(one, [known[0]] * 20 + [known[9]]).clips) == 20
    with pytest.raises(ValueError, match="no torso was found in any of 1 clips"):
        PoseDataset(poses, [known[2]])


# Augmentation


def varied(x, draws, **strength):
    still = {"hflip": 0.0, "rotation": 0.0, "size_jitter": 0.0, "joint_jitter": 0.0}
    return vary(x, draws, torch.from_numpy(mirror(JOINTS)), **(still | strength))


def test_without_strength_nothing_changes_and_scores_never_do():
    x, draws = torch.randn(4, 6, 17, 3), draw(range(4), 6, 17)
    assert torch.allclose(varied(x, draws), x, atol=1e-6)
    turned = varied(x, draws, rotation=1.0, size_jitter=0.5, joint_jitter=0.2)
    assert torch.equal(turned[..., 2], x[..., 2]) and not torch.allclose(turned, x, atol=0.1)


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=len)
def test_a_mirror_swaps_left_and_right_by_name(layout):
    x, order = torch.randn(3, 4, len(layout), 2), torch.from_numpy(mirror(layout))
    draws = draw(range(3), 4, len(layout))
    flip = {"hflip": 1.0, "rotation": 0.0, "size_jitter": 0.0, "joint_jitter": 0.0}
    seen = vary(x, draws, order, **flip)
    for k, name in enumerate(layout):
        other = name.replace("left ", "X ").replace("right ", "left ").replace("X ", "right ")
        expected = x[:, :, layout.index(other)] * torch.tensor([-1, 1])
        assert torch.allclose(seen[:, :, k], expected, atol=1e-6)
    assert torch.allclose(vary(seen, draws, order, **flip), x, atol=1e-6)


def test_turns_and_sizes_are_similarities_about_the_hips():
    x, draws = torch.randn(200, 3, 17, 2), draw(range(200), 3, 17)
    seen = varied(x, draws, rotation=0.3, size_jitter=0.2)
    factor = seen.norm(dim=-1) / x.norm(dim=-1)
    assert torch.allclose(factor, factor[:, :1, :1].expand_as(factor), atol=1e-4)
    assert factor[:, 0, 0].log().std() == pytest.approx(0.2, rel=0.2)
    a, b = (torch.view_as_complex(v.contiguous()) for v in (x, seen))
    angle = (b / a).angle()
    assert torch.allclose(angle, angle[:, :1, :1].expand_as(angle), atol=1e-3)
    assert angle[:, 0, 0].std() == pytest.approx(0.3, rel=0.2)


def test_a_joints_shift_leaves_movements_as_they_are():
    x, draws = torch.randn(200, 5, 17, 2), draw(range(200), 5, 17)
    shift = varied(x, draws, joint_jitter=0.1) - x
    assert torch.allclose(shift, shift[:, :1].expand_as(shift), atol=1e-5)
    assert shift[:, 0].std() == pytest.approx(0.1, rel=0.05)


@given(st.integers(0, 1000), st.floats(0, 2))
def test_a_warped_clip_runs_forward_from_end_to_end(seed, strength):
    at = moments(draw([seed], 48, 2).moment)
    assert (at.diff() > 0).all() and at.min() >= 0 and at.max() < 1
    speed = draw([seed], 48, 2).speed
    ends = torch.tensor([[0.0, 1.0]])
    assert torch.allclose(warp(ends, speed, strength), ends, atol=1e-5)
    seen = warp(at, speed, strength)
    assert (seen.diff() >= 0).all()
    assert torch.allclose(warp(at, speed, 0.0), at, atol=1e-5)


# Networks


def make(posed, tmp_path, **settings):
    return build_model(posed.config(tmp_path, **settings))


@pytest.mark.parametrize("backbone", ["poses-cnn", "poses-graph"])
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=len)
def test_networks_take_any_layout(backbone, layout):
    config = TrainConfig.make("poses", backbone=backbone, joint_scores=len(layout) == 28)
    model = build_model(config, joints=layout).eval()
    dims = 3 if config.joint_scores else 2
    assert model.shape == (model.frames, dims * len(layout)) and model.joints == layout
    prediction = model(torch.randn(2, *model.shape))
    assert prediction.logits.shape == (2, 52)
    assert prediction.frames[0].shape[:2] == (2, model.frames)


@pytest.mark.parametrize("backbone", ["poses-cnn", "poses-graph"])
@pytest.mark.parametrize(
    ("method", "level", "at"),
    [("TFAM", "method", 0), ("TFAM, feature level", "method", 1), ("TFAM", "features", 1),
     ("TFAM, feature level", "input", 0), ("MixStyle", "method", 1), ("HDF", "method", 2)],
)  # fmt: skip
def test_a_plug_in_sits_where_the_method_or_the_setting_says(backbone, method, level, at):
    config = TrainConfig.make("poses", backbone=backbone, method=method, level=level)
    model = build_model(config, joints=JOINTS).train()
    assert model.recognizer.at == at
    seen = []
    model.recognizer.plug_in.register_forward_pre_hook(lambda _, args: seen.append(args[0].shape))
    views, layers = model.recognizer.plug_in.views, model.recognizer.backbone
    model.recognizer.plug_in.views = lambda x, y=None: (seen.append(x.shape), views(x, y))[1]
    prediction = model(torch.randn(4, *model.shape), torch.tensor([0, 0, 1, 2]))
    width = layers[:at](torch.zeros(2, *model.shape)).shape[-1]
    assert seen[0] == (4, model.frames, width) and width == (34 if at == 0 else width)
    prediction.logits.sum().backward()
    assert all(p.grad is not None for p in layers.parameters())


def test_one_seed_gives_all_methods_one_network():
    made = [
        build_model(TrainConfig.make("poses", method=method), joints=JOINTS).state_dict()
        for method in ("ERM", "PIUmr + augmentation", "HDF")
    ]
    for name, value in made[0].items():
        assert all(torch.equal(value, other[name]) for other in made[1:]), name


def test_one_scale_keeps_the_shape_of_a_body(posed, tmp_path, known):
    model, data = make(posed, tmp_path), PoseDataset(read_poses(posed.poses), known)
    x = data.some_clips()
    assert x.shape == (len(known), 32, 34) and len(data.some_clips(5)) == 5
    model.standardize(x)
    inside = model.to_modality(x)
    seen = (inside - model.recognizer.mean) / model.recognizer.scale
    assert seen.mean((0, 1)).abs().max() < 1e-4 and seen.square().mean() == pytest.approx(1, abs=1e-3)
    assert len({*model.recognizer.scale.tolist()}) == 1 and model.recognizer.scale.shape == (34,)


def test_to_differences_a_posture_is_nothing(posed, tmp_path):
    x, posture = torch.randn(3, 32, 34), torch.randn(3, 1, 34)
    for modality, same in (("difference", True), ("rgb", False)):
        model = make(posed, tmp_path, modality=modality).eval()
        assert torch.allclose(model(x + posture).logits, model(x).logits, atol=1e-4) == same


def test_layers_are_counted_from_the_input(posed, tmp_path):
    model = make(posed, tmp_path, method="TFAM")
    layers = count_layers(model)
    assert layers == len(model.backbone)
    depths = {name: depth(name, layers) for name, _ in model.named_parameters()}
    assert {depths[n] for n in depths if ".block0." in n} == {1}
    assert {depths[n] for n in depths if f".block{layers - 1}." in n} == {layers}
    assert all(depths[n] == layers + 1 for n in depths if ".block" not in n)


# Settings


def test_either_a_cache_or_poses_are_asked_for(posed, tmp_path):
    paths = {"index": posed.index, "split": posed.splits / "fold1.txt", "out": tmp_path}
    with pytest.raises(ValueError, match=r"poses: no path is given. It is the \.safetensors of poses"):
        TrainConfig.make("poses", **paths).require_paths()
    message = "cache: no path is given.* resnet-tiny-tsm takes no poses: for that choose .* poses-cnn"
    with pytest.raises(ValueError, match=message):
        TrainConfig.make("tiny", poses=posed.poses, **paths).require_paths()
    with pytest.raises(
        ValueError, match="poses: no path.* poses-cnn takes no cache: for that choose .* v"
    ):
        TrainConfig.make("poses", cache=tmp_path, **paths).require_paths()
    with pytest.raises(FileNotFoundError, match="poses: .*nowhere is not there"):
        TrainConfig.make("poses", poses=tmp_path / "nowhere", **paths).require_paths()
    posed.config(tmp_path).require_paths()


def test_settings_of_pictures_do_not_go_with_poses():
    with pytest.raises(ValueError, match="pixels: 64, but poses-cnn sees poses. Leave it at 0"):
        TrainConfig.make("poses", pixels=64)
    with pytest.raises(ValueError, match="level: 'input', but a plug-in cannot sit in front of"):
        TrainConfig.make("tiny", level="input")
    with pytest.raises(ValueError, match="weights: poses-graph has no trained weights. Choose 'random'"):
        build_model(TrainConfig(backbone="poses-graph"), joints=JOINTS)
    with pytest.raises(FileNotFoundError, match="no poses. Make it again"):
        build_model(TrainConfig.make("poses"))


def test_joints_are_read_without_the_poses(posed, tmp_path):
    assert read_joints(posed.poses) == JOINTS
    with pytest.raises(FileNotFoundError, match=r"none\.safetensors: no poses"):
        read_joints(tmp_path / "none.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"bad")
    with pytest.raises(ValueError, match=r"bad\.safetensors: no poses, or damaged"):
        read_joints(tmp_path / "bad.safetensors")


# A run


@pytest.fixture(scope="module")
def finished(posed, tmp_path_factory):
    out = tmp_path_factory.mktemp("poses-run")
    settings = {"method": "PIUmr + augmentation", "body": "hierarchical", "test_views": 2}
    options = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
    paths = [f"--poses={posed.poses}", f"--index={posed.index}", f"--split={posed.splits}/fold1.txt"]
    quick = ["--epochs=2", "--batch-size=8", "--warmup=1", f"--out={out}"]
    assert main(["train", "--preset", "poses", *options, *paths, *quick]) == 0
    return out


def test_a_run_is_trained_judged_and_reported(finished, capsys):
    record, found = read_record(finished), read_predictions(finished / "predictions.safetensors")
    assert record["data"] == "MA-52 layout, poses (stand-in, seed 1), person-disjoint, fold 1 of 2"
    assert record["config"]["backbone"] == "poses-cnn" and found.parts.shape == (len(found), 7)
    sums = np.stack([found.actions[:, body_part(np.arange(52)) == part].sum(1) for part in range(7)], 1)
    np.testing.assert_allclose(found.parts, sums, atol=1e-6)
    assert all(np.isfinite(row["loss"]) for row in read_history(finished) if "loss" in row)
    assert main(["report", str(finished)]) == 0
    assert "PIUmr + augmentation on MA-52 layout, poses (stand-in, seed 1)" in capsys.readouterr().out


def test_a_trained_model_says_the_same_wherever_it_is(finished, posed, tmp_path, monkeypatch):
    run = json.loads((finished / "config.json").read_text())
    clips = load_data(TrainConfig.make(**run), 32)[1]
    monkeypatch.setattr("piumar_lib.ma52.model.read_joints", None)  # the file is not needed any more
    model = load_model(finished)
    assert model.joints == JOINTS and model.recognizer.mean.shape == (34,)
    found = read_predictions(finished / "predictions.safetensors")
    np.testing.assert_allclose(predict(model, clips.for_evaluation(2)).actions, found.actions, atol=1e-6)
    program = torch.export.load(export(model, tmp_path / "model.pt2")).module()
    x = torch.stack([clips[k]["pose"] for k in range(3)])
    assert torch.allclose(program(x), model(x).logits.softmax(-1), atol=1e-6)
    with pytest.raises(ValueError, match="model: it was trained on poses, and cannot look at video"):
        recognize(model, "any.mp4")


def test_a_submission_is_made_from_poses(finished, clips, tmp_path):
    tests = sum(clip.split == "test" for clip in clips)
    assert submit(finished, tmp_path / "submission.zip") == tests > 0


def test_a_submission_needs_every_test_clip(finished, posed, clips, tmp_path):
    poses = read_poses(posed.poses)
    name = next(clip.name for clip in clips if clip.split == "test")
    poses.xy[poses.start[poses.rows[name]] : poses.start[poses.rows[name] + 1]] = np.nan
    write_poses(tmp_path / "poses.safetensors", poses)
    for file in ("model.json", "model.safetensors"):
        (tmp_path / file).write_bytes((finished / file).read_bytes())
    settings = json.loads((finished / "config.json").read_text())
    settings["poses"] = str(tmp_path / "poses.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(settings))
    with pytest.raises(ValueError, match=f"poses: 1 test clips have no pose, {name} is the first"):
        submit(tmp_path, tmp_path / "submission.zip")


def test_an_interrupted_run_ends_as_if_it_had_not_been(posed, tmp_path, train_in_parts):
    settings = {"method": "PIUmr + augmentation", "body": "hierarchical"}
    whole, parts = (posed.config(tmp_path / name, **settings) for name in "ab")
    train.train(whole, progress=False)
    assert train_in_parts(parts, every=3) > 4
    one, two = ((tmp_path / n / "model.safetensors").read_bytes() for n in "ab")
    assert one == two


def test_another_number_of_joints_is_named(finished, tmp_path):
    whole = load_model(finished)
    other = build_model(whole.config, joints=LAYOUTS[28])
    save_model(other, tmp_path)
    about = json.loads((tmp_path / "model.json").read_text()) | {"joints": JOINTS}
    (tmp_path / "model.json").write_text(json.dumps(about))
    with pytest.raises(ValueError, match=r"norm\.weight has shape \(168,\), \(102,\) here"):
        load_model(tmp_path)


def test_poses_and_pictures_are_told_apart_in_a_folder(posed, tmp_path):
    first = posed.config(tmp_path, method="ERM")
    train.train(first, progress=False)
    with pytest.raises(ValueError, match="out: .* holds a run with backbone='poses-cnn'"):
        train.train(posed.config(tmp_path, method="ERM", backbone="poses-graph"), progress=False)


# The head of two levels


def by_hand(head, x):
    """P(part) P(action | part), action by action."""
    part = torch.nn.functional.linear(x, head.parts.weight, head.parts.bias).softmax(-1)
    scores = torch.nn.functional.linear(x, head.weight, head.bias)
    of = [int(body_part(action)) for action in range(len(ACTIONS))]
    given = []
    for action in range(len(ACTIONS)):
        rivals = [other for other in range(len(ACTIONS)) if of[other] == of[action]]
        given.append(part[:, of[action]] * scores[:, action].exp() / scores[:, rivals].exp().sum(1))
    return torch.stack(given, 1), part


@pytest.fixture
def head():
    return HierarchicalHead(6, torch.tensor(body_part(np.arange(52)), dtype=torch.long))


def test_probabilities_are_the_product_of_two_levels(head):
    x = torch.randn(5, 6)
    product, part = by_hand(head, 3 * x)
    said = head(3 * x).softmax(-1)
    assert torch.allclose(said, product, atol=1e-6)
    assert torch.allclose(torch.zeros(5, 7).index_add(1, head.part_of, said), part, atol=1e-6)
    assert torch.equal(head(x[None]), head(x)[None])


def test_the_loss_is_the_sum_of_both_levels_losses(head):
    x, y = torch.randn(5, 6, requires_grad=True), torch.tensor([0, 12, 51, 30, 6])
    product, _ = by_hand(head, x)
    expected = -product[torch.arange(5), y].log()
    loss = torch.nn.functional.cross_entropy(head(x), y, reduction="none")
    assert torch.allclose(loss, expected, atol=1e-5)
    theirs = torch.autograd.grad(expected.sum(), [x, *head.parameters()])
    ours = torch.autograd.grad(loss.sum(), [x, *head.parameters()])
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(ours, theirs, strict=True))


def test_large_scores_stay_finite(head):
    loss = torch.nn.functional.cross_entropy(head(1e4 * torch.randn(5, 6)), torch.arange(5))
    loss.backward()
    assert loss.isfinite() and all(p.grad.isfinite().all() for p in head.parameters())


def test_views_are_decided_for_on_two_levels_too(posed, tmp_path):
    model = make(posed, tmp_path, method="TFAM", body="hierarchical").train()
    prediction = model(torch.randn(4, *model.shape), torch.tensor([0, 0, 1, 2]))
    assert prediction.coarse is None and len(prediction.view_logits) == 2
    for frames, logits in zip(prediction.frames, prediction.view_logits, strict=True):
        product, _ = by_hand(model.recognizer.head, frames.mean(1))
        assert torch.allclose(logits.softmax(-1), product, atol=1e-5)
    actions, parts = model.probabilities(prediction)
    assert torch.allclose(actions, by_hand(model.recognizer.head, prediction.features)[0], atol=1e-5)
    assert torch.allclose(parts, by_hand(model.recognizer.head, prediction.features)[1], atol=1e-5)


@pytest.mark.parametrize("method", ["ERM", "PIUmr + augmentation", "DAID"])
def test_two_levels_make_steps_on_video_too(prepared, tmp_path, method):
    settings = {"batch_size": 20, "epochs": 2, "warmup": 0, "body": "hierarchical"}
    config = prepared.config(tmp_path, method=method, **settings)
    run = train.Run(config, tmp_path, Accelerator(cpu=True), threading.Event())
    before = {n: p.clone() for n, p in run.plain.recognizer.head.named_parameters()}
    run.go_on(progress=False)
    record = run.finish(progress=False)
    after = dict(run.plain.recognizer.head.named_parameters())
    assert {*before} == {"weight", "bias", "parts.weight", "parts.bias"}
    assert all(not torch.equal(value, after[name]) for name, value in before.items())
    assert 0 <= record["held out"]["scores"]["body top-1"] <= 1
