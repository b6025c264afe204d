"""Video from skeletons: what is seen, where it changes, and that no device or chunk matters."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from piumar_lib.data.actions import all_actions
from piumar_lib.data.skeleton import JOINTS, MIRROR, POSES
from piumar_lib.data.synthetic import make_clips, make_people
from piumar_lib.ma52.standin.looks import PERSON, STOOL
from piumar_lib.ma52.standin.render import VIEW, make_looks, render

AVERAGE = make_looks(1, 0)
# One person in the middle of the frame, of usual size, lit from above.
PLAIN = replace(
    AVERAGE,
    shirt=np.array([[0.2, 0.3, 0.8]]), trousers=np.array([[0.1, 0.1, 0.15]]),
    skin=np.array([[0.9, 0.7, 0.55]]), hair=np.array([[0.1, 0.08, 0.08]]),
    wall=np.full((1, 3), 0.75), sleeve=np.ones(1), girth=np.ones(1), head=np.ones(1),
    size=np.ones(1), place=np.zeros((1, 2)), light=np.array([-np.pi / 2]),
)  # fmt: skip
SEATED = np.tile(POSES, (1, 1, 1, 1)).astype(np.float32)  # one clip of one frame
NOBODY = SEATED + 100  # far outside the frame


def picture(joints: np.ndarray = SEATED, looks=PLAIN, **options) -> np.ndarray:
    """The first frame of the first clip as integers, ``(height, width, 3)``."""
    return render(joints, looks, np.zeros(len(joints), int), **options)[0, 0].numpy().astype(int)


def pixel(point: tuple[float, float], width: int, height: int) -> tuple[int, int]:
    """Row and column of a point in torso lengths, for `PLAIN`."""
    scale = width / VIEW
    return int(height / 2 + (point[1] + 0.2) * scale), int(width / 2 + point[0] * scale)


@pytest.fixture(scope="module")
def film():
    clips = make_clips(make_people(3, 0), 1, 0, centered=False)
    return clips.x.reshape(3, 32, 17, 2)[:, ::8], make_looks(3, 0), clips.person


def test_shape_type_and_portrait_frame(film):
    assert render(*film, width=40).shape == (3, 4, 48, 40, 3)
    square = render(*film, width=40, height=40)
    assert square.shape == (3, 4, 40, 40, 3) and square.dtype == torch.uint8
    assert square.is_contiguous()


def test_same_seed_same_film_and_noise_follows_the_seed(film):
    one, two, other = (render(*film, width=40, seed=s) for s in (5, 5, 6))
    assert (one == two).all()
    difference = one.float() - other.float()
    assert 1 < difference.std() < 4, "another seed changes the noise alone"


def test_noise_differs_between_frames_but_nothing_else_does():
    still = render(NOBODY.repeat(2, 1), PLAIN, np.zeros(1, int), width=64)[0].float()
    difference = (still[1] - still[0])[:20]
    assert 1.5 < difference.std() < 3 and abs(difference.mean()) < 0.2


@pytest.mark.parametrize("chunk", [1, 5, 12])
def test_chunks_do_not_show(film, chunk):
    whole = render(*film, width=40, chunk=1000).int()
    assert (render(*film, width=40, chunk=chunk).int() - whole).abs().max() <= 1


def test_tensors_arrays_and_double_precision_give_the_same(film):
    joints, looks, person = film
    expected = render(*film, width=40)
    assert (render(torch.as_tensor(joints), looks, person, width=40) == expected).all()
    assert (render(joints.astype(np.float64), looks, person, width=40) == expected).all()


def test_nothing_is_made_on_the_default_device(film):
    # Whatever is created without naming a device lands on "meta" here and cannot meet the rest.
    expected = render(*film, width=40)
    with torch.device("meta"):
        assert (render(*film, width=40, device="cpu") == expected).all()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_gpu_films_what_the_cpu_films(film):
    there = render(*film, width=112, device="cuda")
    assert there.device.type == "cuda"
    difference = (there.cpu().int() - render(*film, width=112).int()).abs()
    assert difference.max() <= 2


def test_person_fills_about_a_quarter_of_the_width():
    person = np.abs(picture(width=224) - picture(NOBODY, width=224)).max(2) > 40
    columns, rows = np.flatnonzero(person.any(0)), np.flatnonzero(person.any(1))
    assert 0.2 < (columns[-1] - columns[0]) / 224 < 0.33
    assert 0.45 < (rows[-1] - rows[0]) / 269 < 0.65
    assert rows[0] > 0.1 * 269 and rows[-1] < 0.9 * 269


def test_parts_have_their_colours_where_the_joints_are():
    width, height = 224, 269
    image = picture(width=width)

    def color(x: float, y: float) -> np.ndarray:
        return image[pixel((x, y), width, height)] / 255

    np.testing.assert_allclose(color(0, -0.7), PLAIN.shirt[0], atol=0.1)
    np.testing.assert_allclose(color(0.3, -0.7), PLAIN.shirt[0], atol=0.1)
    np.testing.assert_allclose(color(0.1, -1.42), PLAIN.skin[0], atol=0.12)
    np.testing.assert_allclose(color(0, -1.6), PLAIN.skin[0], atol=0.12)  # the forehead
    np.testing.assert_allclose(color(0, -1.72), PLAIN.hair[0], atol=0.1)
    np.testing.assert_allclose(color(*POSES[13]), PLAIN.trousers[0], atol=0.1)
    np.testing.assert_allclose(color(*POSES[9]), PLAIN.skin[0], atol=0.15)
    np.testing.assert_allclose(color(1.8, -1), PLAIN.wall[0], atol=0.1)


def test_wall_is_brighter_than_floor_and_floor_than_shoes():
    width, height = 224, 269
    image = picture(width=width).mean(2)
    wall, floor, shoe = (image[pixel(p, width, height)] for p in ((1.5, 0), (1.5, 1.5), (0.34, 1.2)))
    assert wall > floor + 20 > shoe + 60


def test_brighter_clothes_make_a_brighter_picture():
    dark, gray, bright = (
        picture(looks=replace(PLAIN, shirt=np.full((1, 3), value))).mean() for value in (0.1, 0.5, 0.9)
    )
    assert dark < gray < bright


def test_arms_pass_before_the_chest():
    joints = SEATED.copy()
    joints[..., JOINTS.index("right wrist"), :] = (0.1, -0.6)
    row, column = pixel((0.1, -0.6), 224, 269)
    skin = picture(joints, width=224)[row, column] / 255
    np.testing.assert_allclose(skin, PLAIN.skin[0], atol=0.15)


def test_bare_forearms_are_skin():
    elbow, wrist = POSES[8], POSES[10]
    row, column = pixel(tuple((elbow + wrist) / 2), 224, 269)
    bare = picture(looks=replace(PLAIN, sleeve=np.zeros(1)), width=224)[row, column] / 255
    covered = picture(width=224)[row, column] / 255
    np.testing.assert_allclose(bare, PLAIN.skin[0], atol=0.15)
    np.testing.assert_allclose(covered, PLAIN.shirt[0], atol=0.1)


@pytest.mark.parametrize("side", ["left", "right"])
def test_moving_a_wrist_changes_pixels_near_that_arm_only(side):
    width, height = 224, 269
    joints, elbow = SEATED.copy(), POSES[JOINTS.index(f"{side} elbow")]
    wrist = JOINTS.index(f"{side} wrist")
    joints[..., wrist, :] += (0.03, -0.05)
    rows, columns = np.nonzero(np.abs(picture(joints, width=width) - picture(width=width)).max(2))
    assert len(rows) > 100
    x = (columns - width / 2) * VIEW / width
    y = (rows - height / 2) * VIEW / width - 0.2
    ends = np.stack([elbow, joints[0, 0, wrist]])
    low, high = ends.min(0) - 0.25, ends.max(0) + 0.25
    assert low[0] < x.min() and x.max() < high[0] and low[1] < y.min() and y.max() < high[1]


def test_a_tenth_of_a_pixel_is_seen():
    width = 48
    joints = SEATED.copy()
    joints[..., :5, 1] += 0.1 * VIEW / width
    change = np.abs(picture(joints, width=width) - picture(width=width))
    assert 3 < change.max() < 60


def test_micro_movements_stand_out_from_the_noise():
    joints = SEATED.repeat(2, axis=1)
    joints[0, 1, :5, 1] += 0.05  # a slight bow of the head
    film = render(joints, PLAIN, np.zeros(1, int), width=112)[0].float()
    change = (film[1] - film[0]).abs().mean(2)
    head, wall = change[25:60, 46:66], change[:20]
    assert head.max() > 4 * wall.max()


def test_mirrored_person_gives_the_mirrored_picture():
    joints = SEATED.copy()
    joints[..., 10, :] += (-0.4, -0.3)
    mirrored = joints[:, :, MIRROR] * np.array([-1, 1], np.float32)
    difference = picture(mirrored, width=112) - picture(joints, width=112)[:, ::-1]
    assert np.abs(difference).mean() < 3  # noise, and which of two arms lies above the other


@pytest.mark.parametrize(("right", "down"), [(110, 0), (-110, 0), (0, 120), (0, -120)])
def test_frame_cuts_off_whoever_sits_at_its_edge(right, down):
    place = np.array([[right, down]]) * VIEW / 224
    cut = picture(looks=replace(PLAIN, place=place), width=224)
    person = (np.abs(picture(width=224) - picture(NOBODY, width=224)) > 30).any(2)
    moved = np.roll(picture(width=224), (down, right), (0, 1))
    shown = np.zeros_like(person)
    rows, columns = np.nonzero(person)
    rows, columns = rows + down, columns + right
    inside = (rows >= 0) & (rows < 269) & (columns >= 0) & (columns < 224)
    shown[rows[inside], columns[inside]] = True
    assert 500 < shown.sum() < person.sum() - 500
    assert np.abs(cut - moved)[shown].mean() < 3


def test_nearer_view_shows_a_larger_person():
    def share(view: float) -> float:
        return (picture(view=view)[..., 2] - picture(view=view)[..., 0] > 60).mean()

    assert share(2.4) == pytest.approx(4 * share(4.8), rel=0.15)


def test_people_look_as_they_were_drawn(film):
    joints, looks, _ = film
    order = np.array([2, 0, 2])
    frames = render(np.stack([joints[0]] * 3), looks, order, width=40).float()
    assert (frames[0] - frames[2]).abs().mean() < 3 < (frames[0] - frames[1]).abs().mean()


def test_looks_are_drawn_by_seed_and_lie_in_range():
    one, two, other = make_looks(50, 1), make_looks(50, 1), make_looks(50, 2)
    assert len(one) == 50
    for field in fields(one):
        values = getattr(one, field.name)
        assert len(values) == 50 and (values == getattr(two, field.name)).all(), field.name
        assert (values != getattr(other, field.name)).any(), field.name
        if values.shape == (50, 3):
            assert values.min() >= 0 and values.max() <= 1, field.name
    with pytest.raises(ValueError, match="n: 0 .*at least 1"):
        make_looks(0, 0)


def test_painters_order():
    names = [part[1] for part in PERSON]
    assert names.index("* hip") < names.index("neck") < names.index("* elbow") < names.index("* wrist")
    assert {part[0] for part in PERSON + STOOL} == {"capsule", "ellipse", "slab"}


def test_overlapping_joints_do_no_harm():
    image = picture(np.zeros_like(SEATED))
    assert image.std() > 5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"joints": SEATED[0]}, r"joints: shape \(1, 17, 2\) .*Reshape"),
        ({"joints": SEATED[..., :1]}, r"joints: shape \(1, 1, 17, 1\) .*Reshape"),
        ({"joints": SEATED[:0]}, r"joints: shape \(0, 1, 17, 2\)"),
        ({"joints": SEATED * np.nan}, "joints: NaN .*Interpolate or drop"),
        ({"person": np.zeros(2, int)}, r"person: shape \(2,\) .*Give shape \(1,\)"),
        ({"person": np.zeros(1)}, "person: .*float64.*whole number"),
        ({"person": np.array([1])}, "person: 1..1 leave the 1 entries .*Draw more looks"),
        ({"person": np.array([-1])}, "person: -1..-1 .*number the people from 0"),
        ({"width": 8}, "width: 8 is too small. Give at least 16"),
        ({"height": 0}, "height: 0 is too small. Give at least 16"),
        ({"chunk": 0}, "chunk: 0 is too small. Give at least 1"),
        ({"view": 0.0}, "view: 0.0 .*positive"),
        ({"view": np.nan}, "view: nan .*positive"),
    ],
)
def test_bad_arguments_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        render(**({"joints": SEATED, "looks": PLAIN, "person": np.zeros(1, int)} | changes))


def test_clips_with_seeds_of_their_own_look_as_if_filmed_alone():
    clips = make_clips(make_people(2, 0, all_actions()), np.array([3, 0]), 0, 4, centered=False)
    joints, looks = clips.x.reshape(3, -1, 17, 2), make_looks(2, 0)
    together = render(joints, looks, np.zeros(3, int), 48, seed=[5, 6, 7], chunk=7)
    for k, film in enumerate(together):
        alone = render(joints[k : k + 1], looks, np.zeros(1, int), 48, seed=5 + k)
        assert torch.equal(film, alone[0])
