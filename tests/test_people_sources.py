"""Catalogue, skeletons and converters of the eight sets of real people."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

import numpy as np
import people_files
import pytest
from hypothesis import given
from hypothesis import strategies as st
from people_files import FRAMES, WRITERS, random_joints, small
from scipy.interpolate import interp1d
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial.transform import Rotation

from piumar_lib.data import load_npz
from piumar_lib.data.people import NAMES, PARENTS, joints
from piumar_lib.data.people.catalog import CATALOG, find
from piumar_lib.data.people.clips import onto_grid, root_of, root_relative
from piumar_lib.data.people.convert import CONVERTERS, convert
from piumar_lib.data.people.kinematics import forward_kinematics, rotations
from piumar_lib.data.people.paths import gesturemidair, mmg, pendigits
from piumar_lib.data.people.skeletons import msraction3d, shrec17, utdmhad, utkinect
from piumar_lib.data.people.sources import manifest, source_files, verify

# The real thing, where it is at hand: unpacked repositories NAME-COMMIT, and converted NAME.npz files.
SOURCES = os.environ.get("PIUMAR_PEOPLE_SOURCES")
CONVERTED = os.environ.get("PIUMAR_PEOPLE_CONVERTED")


# The catalogue


def test_the_catalogue_holds_what_the_design_says():
    table = {name: (s.people, s.classes, s.clips, s.rate) for name, s in CATALOG.items()}
    assert table == {
        "msraction3d": (10, 20, 557, 15),
        "utkinect": (10, 10, 199, 15),
        "uiprmd": (10, 10, 1000, 30),
        "utdmhad_skeleton": (8, 27, 861, 30),
        "shrec17": (28, 14, 2800, 30),
        "gesturemidair": (13, 26, 338, 60),
        "pendigits": (44, 10, 10992, 10),
        "mmg": (20, 16, 9598, 50),
    }
    assert tuple(table) == NAMES == tuple(CONVERTERS)


@pytest.mark.parametrize("name", NAMES)
def test_an_entry_is_complete_and_pinned(name):
    entry = CATALOG[name]
    assert re.fullmatch(r"[0-9a-f]{40}", entry.commit) and re.fullmatch(r"[0-9a-f]{64}", entry.manifest)
    assert entry.repository.count("/") == 1 and entry.page.startswith("http")
    assert len(set(entry.class_names)) == entry.classes
    assert entry.clips_are.startswith("whole movements")
    for text in (entry.title, entry.modality, entry.license, entry.citation, entry.traps):
        assert text and text == text.strip()


def test_names_are_found_once_each_and_near_ones_suggested():
    assert [s.name for s in find(["mmg", "shrec17", "mmg"])] == ["mmg", "shrec17"]
    with pytest.raises(ValueError, match="shrec: no set of this name. Did you mean shrec17"):
        find(["shrec"])
    with pytest.raises(ValueError, match="Choose from msraction3d, utkinect, .*, mmg"):
        find(["x"])


# Skeletons


@pytest.mark.parametrize("name", PARENTS)
def test_parents_make_one_tree(name):
    parents = PARENTS[name]
    assert parents.count(-1) == 1
    for joint in range(len(parents)):
        way = [joint]
        while parents[way[-1]] >= 0:
            way.append(parents[way[-1]])
            assert len(way) <= len(parents), "a circle"
        assert way[-1] == root_of(parents)


# Joints of the left, and their mirror images.
KINECT_SIDES = dict(zip((4, 5, 6, 7, 12, 13, 14, 15), (8, 9, 10, 11, 16, 17, 18, 19), strict=True))
SIDES = {
    "msraction3d": {0: 1, 4: 5, 7: 8, 9: 10, 11: 12, 13: 14, 15: 16, 17: 18},
    "utkinect": KINECT_SIDES,
    "uiprmd": {a: a + 4 for a in (6, 7, 8, 9, 14, 15, 16, 17)},
    "utdmhad_skeleton": KINECT_SIDES,
}


@pytest.mark.parametrize("name", SIDES)
def test_a_body_is_its_own_mirror_image(name):
    mirror = SIDES[name] | {right: left for left, right in SIDES[name].items()}
    parents = PARENTS[name]
    for joint, parent in enumerate(parents):
        assert parents[mirror.get(joint, joint)] == mirror.get(parent, parent)


def bone_changes(name: str, clips: int = 60) -> np.ndarray:
    """Standard deviation of the distance of each two joints over a clip's frames, mean over clips."""
    arrays, parents = np.load(Path(CONVERTED) / f"{name}.npz"), PARENTS[name]
    total = np.zeros((len(parents), len(parents)))
    for clip in np.linspace(0, len(arrays["y"]) - 1, clips).astype(int):
        x = arrays["X"][clip, : arrays["lengths"][clip]].astype(float).reshape(-1, len(parents), 3)
        x[:, root_of(parents)] = 0  # the others are measured from it
        total += np.linalg.norm(x[:, :, None] - x[:, None], axis=-1).std(0)  # (joints, joints)
    return total / clips


@pytest.mark.skipif(not CONVERTED, reason="PIUMAR_PEOPLE_CONVERTED names no folder of converted sets")
@pytest.mark.parametrize("name", PARENTS)
def test_bones_hardly_change_their_length(name):
    changes = bone_changes(name)
    bones = [(j, p) for j, p in enumerate(PARENTS[name]) if p >= 0]
    others = changes[~np.eye(len(changes), dtype=bool)]
    lengths = np.array([changes[bone] for bone in bones])
    assert lengths.max() < np.median(others) and np.median(lengths) < 0.4 * np.median(others)
    # The tree that changes least is ours, but for a few joints that move together.
    steadiest = np.transpose(minimum_spanning_tree(changes).nonzero())
    shared = {frozenset(edge) for edge in steadiest.tolist()} & {frozenset(bone) for bone in bones}
    assert len(shared) >= 0.7 * len(bones)


# Clips


def test_root_relative_loses_only_where_the_root_began():
    parents, given_joints = joints.UTD_MHAD, random_joints(0)
    x = root_relative(given_joints, parents).reshape(FRAMES, 20, 3)
    root = root_of(parents)
    np.testing.assert_allclose(x[0, root], 0)
    again = x + (given_joints[0, root] + x[:, root])[:, None]
    again[:, root] -= x[:, root]
    np.testing.assert_allclose(again, given_joints)
    moved = root_relative(given_joints + [3.0, -2.0, 1.0], parents)
    np.testing.assert_allclose(moved, x.reshape(FRAMES, -1), atol=1e-12)


@given(st.lists(st.integers(1, 200), min_size=1, max_size=20), st.sampled_from([15.0, 50.0, 60.0]))
def test_onto_grid_interpolates_as_scipy_does(steps, rate):
    times = 500.0 + np.concatenate([[0], np.cumsum(steps)])
    values = np.random.default_rng(0).normal(size=(len(times), 2))
    got = onto_grid(times, values, rate)
    grid = np.minimum(np.arange(len(got)) / rate, (times[-1] - times[0]) / 1000)
    expected = interp1d((times - times[0]) / 1000, values, axis=0)(grid)
    np.testing.assert_allclose(got, expected, atol=1e-9)
    assert abs((len(got) - 1) / rate - (times[-1] - times[0]) / 1000) <= 0.5 / rate + 1e-9


def test_of_equal_times_the_first_counts():
    got = onto_grid(np.array([0.0, 100, 100, 200]), np.array([[0.0], [1], [9], [2]]), 10)
    np.testing.assert_allclose(got[:, 0], [0, 1, 2])


# Forward kinematics


def test_rotations_are_those_of_scipy():
    angles = np.random.default_rng(0).uniform(-180, 180, (7, 3))
    expected = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()  # extrinsic: Rz Ry Rx
    np.testing.assert_allclose(rotations(angles), expected, atol=1e-12)


def test_forward_kinematics_is_a_chain_of_homogeneous_matrices():
    parents, count = joints.UI_PRMD, len(joints.UI_PRMD)
    offsets, angles = random_joints(1, count), 180 * random_joints(2, count)
    got = forward_kinematics(offsets, angles, parents)
    for frame in range(FRAMES):
        chain = []
        for joint, parent in enumerate(parents):
            step = np.eye(4)
            step[:3, :3] = Rotation.from_euler("xyz", angles[frame, joint], degrees=True).as_matrix()
            step[:3, 3] = offsets[frame, joint]
            chain.append(step if parent < 0 else chain[parent] @ step)
        np.testing.assert_allclose(got[frame], [matrix[:3, 3] for matrix in chain], atol=1e-12)
    bones = got[:, 1:] - got[:, list(parents[1:])]
    lengths = np.linalg.norm(offsets[:, 1:], axis=-1)
    np.testing.assert_allclose(np.linalg.norm(bones, axis=-1), lengths)  # turning keeps lengths


# Converters, on small files of the same formats


def labels(clips: list) -> list[tuple[int, int]]:
    return [(clip.y, clip.person) for clip in clips]


def test_msraction3d_drops_confidence_and_the_broken(tmp_path):
    people_files.msraction3d(tmp_path)
    clips = list(msraction3d(tmp_path))
    assert labels(clips) == [(1, 0), (19, 1)]
    np.testing.assert_allclose(clips[0].x, root_relative(random_joints(0), joints.MSR_ACTION3D))


def test_utkinect_cuts_intervals_at_15_hz(tmp_path):
    people_files.utkinect(tmp_path)
    clips = list(utkinect(tmp_path))
    assert labels(clips) == [(0, 0), (4, 0), (0, 1)]  # the carry without numbers is none
    assert [len(clip.x) for clip in clips] == [4, 3, 3]
    first = random_joints(1, frames=8)[1:5]  # frame numbers 10, 12, 14, 16
    np.testing.assert_allclose(clips[0].x, root_relative(first, joints.KINECT), atol=1e-9)


def test_uiprmd_places_joints_in_metres(tmp_path):
    people_files.uiprmd(tmp_path)
    clips = list(CONVERTERS["uiprmd"](tmp_path))
    assert labels(clips) == [(0, 0), (9, 1)]
    x = clips[0].x.reshape(FRAMES, -1, 3)
    offsets = 0.3 * random_joints(30, len(joints.UI_PRMD))
    chest = np.linalg.norm(x[:, 2] - x[:, 1], axis=-1)
    np.testing.assert_allclose(chest, np.linalg.norm(offsets[:, 2], axis=-1))
    np.testing.assert_allclose(x[:, 0], offsets[:, 0] - offsets[0, 0], atol=1e-12)


def test_utdmhad_reads_matlab(tmp_path):
    people_files.utdmhad(tmp_path)
    clips = list(utdmhad(tmp_path))
    assert labels(clips) == [(0, 0), (26, 1)]
    np.testing.assert_allclose(clips[1].x, root_relative(random_joints(1), joints.UTD_MHAD))


def test_shrec17_reads_both_lists(tmp_path):
    people_files.shrec17(tmp_path)
    clips = list(shrec17(tmp_path))
    assert labels(clips) == [(0, 0), (13, 27)]
    hand = random_joints(1, len(joints.SHREC_HAND))
    np.testing.assert_allclose(clips[1].x, root_relative(hand, joints.SHREC_HAND))


def test_gesturemidair_leaves_out_whoever_made_few(tmp_path):
    people_files.gesturemidair(tmp_path)
    clips = list(gesturemidair(tmp_path))
    assert labels(clips) == [(y, person) for person in (0, 1) for y in range(26)]
    assert clips[0].x.shape == (13, 3)  # 0.2 s at 60 Hz
    np.testing.assert_allclose(clips[0].x[3], [3, 1.5, -1.5])
    np.testing.assert_allclose(clips[0].x[-1], [6, 3, 0])


def test_pendigits_marks_a_further_stroke_and_keeps_writers_apart(tmp_path):
    people_files.pendigits(tmp_path)
    three, seven = pendigits(tmp_path)
    assert labels([three, seven]) == [(3, 14), (7, 0)]
    assert three.x.tolist() == [[10, 20, 0], [11, 22, 0], [12, 24, 0]]
    assert seven.x[:, 2].tolist() == [0, 0, 0, 1, 0] and seven.x[3, :2].tolist() == [5, 5]


def test_mmg_shortens_a_pause_and_lifts_the_pen(tmp_path):
    people_files.mmg(tmp_path)
    clips = list(mmg(tmp_path))
    assert labels(clips) == [(6, 0), (6, 19)]
    x = clips[0].x  # strokes in frames 0 to 2 and 27 to 29, at 50 Hz
    assert x[:, 2].tolist() == [1] * 3 + [0] * 24 + [1] * 3
    assert x[1].tolist() == [2, 1, 1] and x[27, :2].tolist() == [10, 10]


@pytest.mark.parametrize("name", NAMES)
def test_a_converted_set_loads(name, tmp_path):
    people_set = small(name, tmp_path / "sources")
    verify(people_set, tmp_path / "sources")
    arrays = convert(people_set, tmp_path / "sources")
    np.savez(tmp_path / f"{name}.npz", **arrays)
    clips = load_npz(tmp_path / f"{name}.npz")
    assert len(clips) == people_set.clips and clips.rate == people_set.rate
    assert clips.class_names == people_set.class_names
    assert arrays["X"].dtype == (np.float16 if name in PARENTS else np.float32)
    assert ("parents" in arrays) == (name in PARENTS)


# The manifest


def test_the_manifest_is_that_of_sha256sum(tmp_path):
    people_files.pendigits(tmp_path)
    rows = [
        f"{hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()}  data/{name}\n"
        for name in ("pendigits-test", "pendigits-train")
    ]
    expected = hashlib.sha256("".join(rows).encode()).hexdigest()
    assert manifest(CATALOG["pendigits"], tmp_path) == expected


def test_people_are_numbered_in_the_manifest(tmp_path):
    people_files.gesturemidair(tmp_path)
    names = source_files(CATALOG["gesturemidair"], tmp_path)
    assert {name.split("/")[0] for name in names} == {"p01", "p02"}


@pytest.mark.parametrize("name", WRITERS)
def test_missing_extra_and_changed_files_are_told(name, tmp_path):
    people_set = small(name, tmp_path)
    victim = next(iter(source_files(people_set, tmp_path).values()))
    content = victim.read_bytes()
    victim.write_bytes(content + b" ")
    with pytest.raises(ValueError, match="not as they were"):
        verify(people_set, tmp_path)
    victim.unlink()
    with pytest.raises(ValueError, match=r"\d+ missing\. Give an unchanged copy"):
        verify(people_set, tmp_path)


def test_an_extra_file_is_told(tmp_path):
    people_set = small("utdmhad_skeleton", tmp_path)
    (tmp_path / "a2_s1_t1_skeleton.mat").write_bytes(b"")
    with pytest.raises(ValueError, match="utdmhad_skeleton: 3 source files instead of 2, 1 extra"):
        verify(people_set, tmp_path)


@pytest.mark.skipif(not (SOURCES and CONVERTED), reason="PIUMAR_PEOPLE_SOURCES, _CONVERTED not given")
@pytest.mark.parametrize("name", NAMES)
def test_real_sources_give_the_known_arrays_bit_for_bit(name):
    people_set = CATALOG[name]
    copy = f"{people_set.repository.split('/')[1]}-{people_set.commit}"
    folder = Path(SOURCES) / copy / people_set.folder
    verify(people_set, folder)
    known = np.load(Path(CONVERTED) / f"{name}.npz")
    for key, array in convert(people_set, folder).items():
        if key != "parents":  # younger than the known arrays
            assert array.dtype == known[key].dtype and array.shape == known[key].shape
            assert array.tobytes() == known[key].tobytes(), key
