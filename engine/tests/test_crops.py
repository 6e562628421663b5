import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from tiny_volumes import NAMES, STRUCTURES, make_volumes

from fiducial_engine.config import EngineVolumes, InputNormalization, Structure
from fiducial_engine.crops import Crops, empty_values
from fiducial_engine.errors import UserError
from fiducial_engine.loader import Loader
from fiducial_engine.open_data import open_volumes
from fiducial_engine.sampling import PartRows, Sampler
from fiducial_engine.stored_array import Triple, whole
from fiducial_engine.strict import parse
from fiducial_engine.volumes import VolumeSet

TWO = tuple(Structure(name=str(s["name"]), values=(3,) if s["name"] == "box" else (1,)) for s in STRUCTURES)


def opened(folder: Path, **changes: object) -> tuple[VolumeSet, EngineVolumes, NDArray[np.uint8]]:
    data: EngineVolumes = parse(EngineVolumes, make_volumes(folder, **changes), "data")  # type: ignore[arg-type]
    volumes, tables = open_volumes(data, NAMES)
    return volumes, data, tables.part_N


def crops(
    volumes: VolumeSet,
    data: EngineVolumes,
    patch: Triple = (6, 5, 4),
    margin: Triple = (0, 0, 0),
    fraction: float = 0.5,
    seed: int = 0,
) -> Crops:
    return Crops(
        *(volumes, TWO, data.normalization), patch=patch, margin=margin, foreground_fraction=fraction, seed=seed
    )


def read(
    source: Crops, rows: NDArray[np.int64], positions: NDArray[np.int64]
) -> tuple[NDArray[np.float16], NDArray[np.uint8]]:
    image = np.full((len(rows), *source.image_shape), 99, np.float16)
    mask = np.full((len(rows), *source.target_shape), 99, np.uint8)
    source.read(rows, positions, image, mask)
    return image, mask


def stored(volumes: VolumeSet, row: int) -> dict[str, NDArray[np.generic]]:
    return dict(load_file(volumes.folder / volumes.index.shards[row].file))


def test_a_crop_depends_on_seed_and_position_alone(tmp_path: Path) -> None:
    volumes, data, _ = opened(tmp_path / "set")
    rows, positions = np.array([0, 3, 3, 7]), np.array([5, 2, 900, 41])
    image, mask = read(crops(volumes, data), rows, positions)
    for i in range(4):
        alone = read(crops(volumes, data), rows[i : i + 1], positions[i : i + 1])
        assert np.array_equal(alone[0][0], image[i]) and np.array_equal(alone[1][0], mask[i])
    other, _ = read(crops(volumes, data, seed=1), rows, positions)
    assert not np.array_equal(other, image)
    assert not np.array_equal(image[1], image[2])


@pytest.mark.parametrize("brick", [(4, 3, 5), (64, 64, 64)])
def test_a_set_deflated_in_bricks_gives_the_same_crops(tmp_path: Path, brick: Triple) -> None:
    plain, data, _ = opened(tmp_path / "plain", channels=2)
    bricked, _, _ = opened(tmp_path / "bricked", channels=2, brick=brick)
    assert plain.largest() == bricked.largest()
    rows, positions = np.arange(20).repeat(4), np.arange(80)
    for patch in [(6, 5, 4), (30, 4, 16)]:
        expected = read(crops(plain, data, patch), rows, positions)
        found = read(crops(bricked, data, patch), rows, positions)
        assert np.array_equal(found[0], expected[0]) and np.array_equal(found[1], expected[1])
    for row in range(20):
        assert np.array_equal(whole(bricked[row].image), whole(plain[row].image))


def test_a_crop_of_a_larger_case_lies_within_it_and_reaches_every_place(tmp_path: Path) -> None:
    volumes, data, _ = opened(tmp_path / "set", num=5)
    sides = volumes[1].image.shape[1:]
    source = crops(volumes, data, fraction=0)
    u = np.random.default_rng(0).random((3000, 6))
    found = {source.patch_of(volumes[1], one) for one in u}
    room = [side - p for side, p in zip(sides, (6, 5, 4), strict=True)]
    for axis in range(3):
        assert {low[axis] for low in found} == set(range(room[axis] + 1))
    image, mask = read(source, np.array([1]), np.array([7]))
    whole = stored(volumes, 1)
    places = [
        (z, y, x)
        for z in range(room[0] + 1)
        for y in range(room[1] + 1)
        for x in range(room[2] + 1)
        if np.array_equal(whole["image"][:, z : z + 6, y : y + 5, x : x + 4], image[0])
    ]
    [(z, y, x)] = places
    assert np.array_equal(whole["mask"][z : z + 6, y : y + 5, x : x + 4], mask[0])


def test_around_a_smaller_case_lies_what_normalises_to_0_and_background(tmp_path: Path) -> None:
    volumes, data, _ = opened(tmp_path / "set", num=5, channels=2, dtype="uint8")
    patch = (24, 20, 16)
    source = crops(volumes, data, patch)
    image = np.empty((1, *source.image_shape), np.uint8)
    mask = np.empty((1, *source.target_shape), np.uint8)
    source.read(np.array([2]), np.array([11]), image, mask)
    whole = stored(volumes, 2)["image"]
    empty = round(0.4 * 255)
    assert (image == empty).sum() >= image.size - whole.size
    low = [int(np.flatnonzero((image[0] != empty).any(axes))[0]) for axes in ((0, 2, 3), (0, 1, 3), (0, 1, 2))]
    box = tuple(slice(a, a + n) for a, n in zip(low, whole.shape[1:], strict=True))
    assert np.array_equal(image[0][:, box[0], box[1], box[2]], whole)
    assert np.count_nonzero(mask) == np.count_nonzero(stored(volumes, 2)["mask"])


def test_a_share_of_crops_is_centred_on_structures_all_present_ones_alike(tmp_path: Path) -> None:
    volumes, data, _ = opened(tmp_path / "set", num=5)
    u = np.random.default_rng(0).random((4000, 6))
    patch = (3, 3, 3)
    assert volumes[1].mask is not None
    mask = whole(volumes[1].mask)
    source = crops(volumes, data, patch, fraction=1.0)
    centres = [tuple(a + 1 for a in source.patch_of(volumes[1], one)) for one in u]
    sides = mask.shape
    inner = [c for c in centres if all(1 < a < s - 2 for a, s in zip(c, sides, strict=True))]
    values = np.array([mask[c] for c in inner])
    assert np.isin(values, [1, 3]).all()
    assert 0.4 < (values == 1).mean() < 0.6
    # Without the box, every crop is centred on the ball.
    assert volumes[4].mask is not None
    lacking = whole(volumes[4].mask)
    assert not (lacking == 3).any()
    values = np.array([lacking[tuple(a + 1 for a in source.patch_of(volumes[4], one))] for one in u[:200]])
    assert (values == 1).mean() > 0.9


def test_a_mask_without_any_structure_is_cropped_anywhere(tmp_path: Path) -> None:
    volumes, data, _ = opened(tmp_path / "set", num=5)
    tensors = load_file(file := volumes.folder / volumes.index.shards[1].file)
    empty = {"mask": np.zeros_like(tensors["mask"]), "foreground": np.empty((0, 4), np.int32)}
    save_file({**tensors, **empty}, file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    index = json.loads((volumes.folder / "index.json").read_text())
    index["shards"][1] |= {"bytes": file.stat().st_size, "sha256": digest}
    (volumes.folder / "index.json").write_text(json.dumps(index))
    again, _ = open_volumes(data, NAMES)
    source = crops(again, data, fraction=1.0)
    _, mask = read(source, np.full(20, 1), np.arange(20))
    assert not mask.any()


def test_the_margin_lies_about_the_patch_on_all_sides(tmp_path: Path) -> None:
    volumes, data, _ = opened(tmp_path / "set", num=5)
    rows, positions = np.array([1, 2]), np.array([3, 4])
    plain, plain_mask = read(crops(volumes, data), rows, positions)
    wide, wide_mask = read(crops(volumes, data, margin=(3, 2, 1)), rows, positions)
    assert wide.shape == (2, 1, 12, 9, 6)
    assert np.array_equal(wide[:, :, 3:-3, 2:-2, 1:-1], plain)
    assert np.array_equal(wide_mask[:, 3:-3, 2:-2, 1:-1], plain_mask)


def test_ranks_and_passes_read_the_crops_of_their_positions(tmp_path: Path) -> None:
    volumes, data, part_N = opened(tmp_path / "set")
    sampler = Sampler(PartRows(part_N, volumes.start, 1), seed=0, global_batch=6, streams=4, window=2)
    source = crops(volumes, data)
    for rank in range(2):
        with Loader(source, sampler, first_step=2, end_step=30, accumulate=2, rank=rank, world_size=2) as loader:
            for step, batches in enumerate(loader, 2):
                positions = np.concatenate([b.positions_B for b in batches])
                assert sorted(positions) == sampler.positions(step, rank, 2).tolist()
                for batch in batches:
                    image, mask = read(source, batch.rows_B, batch.positions_B)
                    assert np.array_equal(batch.image.numpy(), image)
                    assert np.array_equal(batch.target.numpy(), mask)


@pytest.mark.parametrize(
    ("dtype", "offset", "scale", "mean", "expected"),
    [("uint8", 0, 1 / 255, 0.5, 128), ("int16", 32768, 1 / 65535, 0.25, -16384), ("float32", 0, 1, -0.75, -0.75)],
)
def test_what_normalises_to_0_is_known_for_every_stored_type(
    dtype: str, offset: float, scale: float, mean: float, expected: float
) -> None:
    normalization = InputNormalization(offset=offset, scale=scale, mean=(mean,), std=(0.1,))
    assert empty_values(normalization, np.dtype(dtype)).tolist() == [expected]


def test_a_mask_that_does_not_fit_its_image_is_named(tmp_path: Path) -> None:
    volumes, data, _ = opened(tmp_path / "set", num=5)
    file = volumes.folder / "shards" / "00002.safetensors"
    tensors = load_file(file)
    tensors["mask"] = np.ascontiguousarray(tensors["mask"][1:])
    save_file(tensors, file)
    index = json.loads((volumes.folder / "index.json").read_text())
    content = file.read_bytes()
    index["shards"][2] |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (volumes.folder / "index.json").write_text(json.dumps(index))
    again, _ = open_volumes(data, NAMES)
    with pytest.raises(UserError, match=r"00002\.safetensors: the mask is"):
        again[2]


def test_a_damaged_case_is_named_when_it_is_read(tmp_path: Path) -> None:
    volumes, _, _ = opened(tmp_path / "set", num=5)
    file = volumes.folder / "shards" / "00003.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(UserError, match=r"00003\.safetensors is damaged: its sha256"):
        volumes[3]


def test_cases_without_masks_are_opened_for_classification(tmp_path: Path) -> None:
    volumes, _, _ = opened(tmp_path / "set", num=5, has_masks=False, size=(9, 10, 11))
    out = np.empty((2, *volumes.sample_shape), np.float16)
    volumes.gather(np.array([1, 3]), out)
    assert np.array_equal(out[1], stored(volumes, 3)["image"])
