"""Video backbones: time remains, neighbours are seen, and weights are never replaced in silence."""

from __future__ import annotations

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from piumar_lib.ma52 import backbones
from piumar_lib.ma52.backbones import (
    BACKBONES,
    ShiftedResNet,
    Source,
    TemporalShift,
    VideoMAE,
    load_backbone,
)
from piumar_lib.recognizer import Recognizer
from piumar_lib.temporal_frequency import TemporalFrequencyModule

TINY = {"videomae-tiny": (4, 48), "resnet-tiny-tsm": (8, 32)}


@pytest.fixture(scope="module", params=TINY)
def tiny(request):
    torch.manual_seed(0)
    return request.param, load_backbone(request.param, "random").eval()


def clip(model, batch=2):
    return torch.randn(batch, model.frames, 3, model.size, model.size)


def test_a_clip_becomes_a_sequence_and_gradients_reach_the_pixels(tiny):
    name, model = tiny
    video = clip(model).requires_grad_()
    frames = model(video)
    assert frames.shape == (2, *TINY[name]) == (2, TINY[name][0], model.channels)
    frames.square().sum().backward()
    assert (video.grad.abs().amax((2, 3, 4)) > 0).all(), "every frame counts"


def test_clips_of_a_batch_do_not_mix(tiny):
    _, model = tiny
    video = clip(model, 3)
    apart = torch.cat([model(video[k : k + 1]) for k in range(3)])
    assert torch.allclose(model(video), apart, atol=1e-5)


def test_order_in_time_is_seen(tiny):
    _, model = tiny
    video = clip(model, 1)
    forward, backward = model(video), model(video.flip(1)).flip(1)
    assert not torch.allclose(forward, backward, atol=1e-3)


def test_patches_are_averaged_over_space_and_keep_their_time():
    torch.manual_seed(0)
    model = load_backbone("videomae-tiny", "random").eval()
    video = clip(model, 1)
    tokens, steps = model.model(pixel_values=video).last_hidden_state[0], model(video)[0]
    assert tokens.shape == (4 * 16, 48)  # 4 times of 4 x 4 patches
    for step in range(4):
        assert torch.allclose(steps[step], tokens[16 * step : 16 * step + 16].mean(0), atol=1e-6)


def test_the_shift_by_hand():
    x = torch.arange(2 * 3 * 8, dtype=torch.float32).view(6, 8, 1, 1)  # two clips of three frames
    shifted = TemporalShift(frames=3)(x)[:, :, 0, 0]
    plain = x[:, :, 0, 0]
    assert shifted[:, 0].tolist() == [plain[1, 0], plain[2, 0], 0, plain[4, 0], plain[5, 0], 0]
    assert shifted[:, 1].tolist() == [0, plain[0, 1], plain[1, 1], 0, plain[3, 1], plain[4, 1]]
    assert torch.equal(shifted[:, 2:], plain[:, 2:])


def test_shifts_sit_inside_every_residual_branch_and_see_as_far_as_there_are_blocks():
    torch.manual_seed(0)
    model = load_backbone("resnet-tiny-tsm", "random").eval()
    shifts = [m for m in model.modules() if isinstance(m, TemporalShift)]
    assert len(shifts) == 2 == sum(model.model.config.depths)
    video = clip(model, 1)
    other = video.clone()
    other[:, 4] += 1
    changed = (model(video) - model(other))[0].abs().amax(1) > 1e-6
    assert changed.tolist() == [False, False, True, True, True, True, True, False]
    with pytest.raises(ValueError, match="video: 5 frames, but the model shifts 8"):
        model(video[:, :5])


def test_the_full_models_have_the_sizes_that_are_known():
    with torch.device("meta"):
        models = {n: load_backbone(n, "random") for n in ("videomae-base", "resnet50-tsm")}
    sizes = {name: sum(p.numel() for p in m.parameters()) / 1e6 for name, m in models.items()}
    assert 85 < sizes["videomae-base"] < 88, "a ViT-B"
    assert 23 < sizes["resnet50-tsm"] < 24, "a ResNet-50 without its classifier"
    assert isinstance(models["videomae-base"], VideoMAE) and models["videomae-base"].channels == 768
    assert isinstance(models["resnet50-tsm"], ShiftedResNet) and models["resnet50-tsm"].channels == 2048
    for name, model in models.items():
        assert (model.frames, model.size) == (BACKBONES[name].frames, BACKBONES[name].size)


@pytest.mark.parametrize(("name", "size"), [("videomae-tiny", 96), ("resnet-tiny-tsm", 72)])
def test_a_backbone_takes_pictures_of_the_size_that_is_asked_for(name, size):
    model = load_backbone(name, "random", size).eval()
    assert model.size == size and model(clip(model)).shape == (2, *TINY[name])


def test_videomae_takes_whole_patches_only():
    with pytest.raises(ValueError, match="size: 72 pixels. VideoMAE takes patches of 16"):
        load_backbone("videomae-tiny", "random", 72)


def test_trained_weights_go_with_pictures_of_another_size(tmp_path):
    torch.manual_seed(0)
    small = load_backbone("videomae-tiny", "random")
    small.model.save_pretrained(tmp_path)
    large = backbones._videomae(str(tmp_path), small.frames, 96)
    assert large.size == 96 and large(clip(large)).isfinite().all()
    ours, theirs = large.state_dict(), small.state_dict()
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[k], theirs[k]) for k in ours)


SHAPES = {
    "videomae": {"hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 3, "num_frames": 8,
                 "intermediate_size": 96, "image_size": 64, "use_mean_pooling": True},
    "resnet": {"embedding_size": 16, "hidden_sizes": [16, 32], "depths": [1, 1], "layer_type": "basic"},
}  # fmt: skip


def published(kind, folder):
    """Weights as they are published: with the head of their own task."""
    torch.manual_seed(1)
    if kind == "videomae":
        model = transformers.VideoMAEForVideoClassification(transformers.VideoMAEConfig(**SHAPES[kind]))
    else:
        model = transformers.ResNetForImageClassification(transformers.ResNetConfig(**SHAPES[kind]))
    model.save_pretrained(folder)
    return folder / "model.safetensors"


@pytest.fixture(params=SHAPES)
def trained(request, tmp_path, monkeypatch):
    """A backbone's name, its file of weights, and that of a tensor in it."""
    path = published(request.param, tmp_path)
    build = {"videomae": backbones._videomae, "resnet": backbones._resnet}[request.param]
    monkeypatch.setitem(BACKBONES, "mine", Source(str(tmp_path), 8, 64, build))
    tensor = {
        "videomae": "videomae.encoder.layer.1.intermediate.dense.weight",
        "resnet": "resnet.encoder.stages.1.layers.0.layer.0.convolution.weight",
    }[request.param]
    return path, tensor


def change(path, change):
    state = load_file(path)
    change(state)
    save_file(state, path, {"format": "pt"})


def test_trained_weights_may_bring_the_head_of_their_own_task(trained):
    path, tensor = trained
    assert any(name.startswith("classifier.") for name in load_file(path))
    change(path, lambda state: [state.pop(n) for n in [*state] if "num_batches_tracked" in n])
    ours, theirs = load_backbone("mine").state_dict(), load_file(path)
    same = [
        name
        for name in ours
        if any(
            ours[name].shape == value.shape and torch.equal(ours[name], value)
            for value in theirs.values()
        )
    ]
    untold = [name for name in ours if name not in same]
    assert all(name.endswith("num_batches_tracked") for name in untold), "nothing else was drawn"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda state, name: state.update({name: torch.zeros(7, 5)}),
         r"NAME has shape \(7, 5\), \(\d+, \d+.*\) here"),
        (lambda state, name: state.pop(name), "NAME is missing"),
        (lambda state, name: state.update({f"{name}_copy": state[name].clone()}),
         "_copy is none of its tensors"),
    ],
)  # fmt: skip
def test_trained_weights_that_lack_a_tensor_are_never_drawn_instead(trained, damage, message):
    path, tensor = trained
    change(path, lambda state: damage(state, tensor))
    short = tensor.partition(".")[2].replace(".", r"\.")
    with pytest.raises(ValueError, match=f"weights of mine .*{message.replace('NAME', short)}.*HF_HOME"):
        load_backbone("mine")


def test_trained_weights_that_are_cut_off_are_named(trained):
    path, _ = trained
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match="weights of mine .* of another model, or damaged: .*Delete"):
        load_backbone("mine")


@pytest.mark.parametrize("name", TINY)
def test_compiled_layers_say_the_same_and_keep_their_names(name):
    torch.manual_seed(0)
    model = load_backbone(name, "random").eval()
    video, names = clip(model), list(model.state_dict())
    before = model(video)
    backbones.compile_layers(model, backend="aot_eager")
    assert torch.allclose(model(video), before, atol=1e-5) and list(model.state_dict()) == names


@pytest.mark.parametrize("name", TINY)
def test_tfam_plugs_in_behind_a_video_backbone(name):
    torch.manual_seed(0)
    backbone = load_backbone(name, "random")
    tfam = TemporalFrequencyModule.make(backbone.channels, backbone.channels)
    layers = torch.nn.Sequential(backbone, torch.nn.Identity())
    model = Recognizer(layers, backbone.channels, 52, plug_in=tfam, at=1)
    prediction = model(clip(backbone, 4), torch.tensor([0, 0, 1, 1]))
    assert prediction.logits.shape == (4, 52) and len(prediction.view_logits) == 2
    prediction.logits.sum().backward()
    assert tfam.temporal.clock.floor_logit.grad.isfinite()
    assert all(p.grad is None or p.grad.isfinite().all() for p in backbone.parameters())


def test_missing_weights_are_said_and_not_replaced(monkeypatch):
    def refuse(*_, **__):
        raise OSError("We couldn't connect to the hub.\nCheck your connection.")

    source = BACKBONES["videomae-base"]
    broken = backbones.Source(source.checkpoint, 16, 224, refuse)
    monkeypatch.setitem(BACKBONES, "videomae-base", broken)
    with pytest.raises(OSError, match="MCG-NJU.*not on this machine.*connect.*weights='random'"):
        load_backbone("videomae-base")


@pytest.mark.parametrize(
    ("name", "weights", "message"),
    [
        ("resnet18", "random", "'resnet18', 'random' are unknown. Choose name from videomae-base"),
        ("videomae-base", "lucky", "weights from pretrained, random"),
        ("videomae-tiny", "pretrained", "videomae-tiny has no trained weights"),
    ],
)
def test_unknown_backbones_are_refused(name, weights, message):
    with pytest.raises(ValueError, match=message):
        load_backbone(name, weights)
