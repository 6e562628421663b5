import dataclasses

import numpy as np
import pytest
import torch

from fiducial_engine.augment import augment_batch
from fiducial_engine.config import ImageAugment, InputNormalization

OFF = ImageAugment(
    kind="image",     flip_x=0, flip_y=0, rotate90=0, rotate_degrees=0, scale=0, translate=0, crop=1,
    brightness=0, contrast=0, saturation=0, hue=0,
)  # fmt: skip
ALL = ImageAugment(
    kind="image",     flip_x=0.5, flip_y=0.5, rotate90=0.5, rotate_degrees=20, scale=0.2, translate=0.1, crop=0.5,
    brightness=0.2, contrast=0.2, saturation=0.3, hue=0.1,
)  # fmt: skip
UINT8 = InputNormalization(offset=0.0, scale=1 / 255, mean=(0.5,), std=(0.2,))
INT16 = InputNormalization(offset=32768.0, scale=1 / 65535, mean=(0.5,), std=(0.2,))


def image(*shape: int, dtype: torch.dtype = torch.uint8) -> torch.Tensor:
    low, high = (0, 256) if dtype == torch.uint8 else (-32768, 32768)
    return torch.randint(low, high, shape, generator=torch.Generator().manual_seed(0)).to(dtype)


def augmented(
    x: torch.Tensor, config: ImageAugment, first: int = 0, normalization: InputNormalization = UINT8
) -> torch.Tensor:
    return augment_batch(x, np.arange(first, first + len(x)), config, normalization, seed=0)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_sample_is_augmented_alike_in_any_batch(channels: int) -> None:
    x = image(6, channels, 16, 16)
    whole = augmented(x, ALL)
    for i in range(6):
        assert torch.equal(whole[i : i + 1], augment_batch(x[i : i + 1], np.array([i]), ALL, UINT8, seed=0))
    assert not torch.equal(whole, augment_batch(x, np.arange(6), ALL, UINT8, seed=1))


@pytest.mark.parametrize(("dtype", "normalization"), [(torch.uint8, UINT8), (torch.int16, INT16)])
def test_nothing_on_changes_nothing(dtype: torch.dtype, normalization: InputNormalization) -> None:
    x = image(3, 1, 8, 6, dtype=dtype)
    assert torch.allclose(augmented(x, OFF, normalization=normalization), x.float(), atol=0.01)


@pytest.mark.parametrize(("key", "axis"), [("flip_x", 3), ("flip_y", 2)])
def test_a_certain_flip_is_exact(key: str, axis: int) -> None:
    x = image(3, 1, 8, 6)
    found = augmented(x, dataclasses.replace(OFF, **{key: 1.0}))  # type: ignore[arg-type]
    assert torch.allclose(found, x.float().flip(axis), atol=1e-3)


def test_a_flip_is_the_same_alone_and_within_the_affine_map() -> None:
    x = image(20, 1, 8, 6)
    alone = augmented(x, dataclasses.replace(OFF, flip_x=0.5, flip_y=0.5))
    mapped = augmented(x, dataclasses.replace(OFF, flip_x=0.5, flip_y=0.5, translate=1e-9))
    assert torch.allclose(alone, mapped, atol=0.01)


def test_turns_by_90_degrees_are_exact_and_all_four_occur() -> None:
    x = image(1, 1, 7, 7).expand(40, -1, -1, -1).contiguous()
    found = augmented(x, dataclasses.replace(OFF, rotate90=1.0))
    turned = [torch.rot90(x[0].float(), k, (1, 2)) for k in range(4)]
    matches = [[k for k in range(4) if torch.allclose(f, turned[k], atol=0.05)] for f in found]
    assert all(len(m) == 1 for m in matches)
    assert {m[0] for m in matches} == {0, 1, 2, 3}


def test_an_oblong_image_is_only_turned_upside_down() -> None:
    x = image(1, 1, 9, 6).expand(30, -1, -1, -1).contiguous()
    found = augmented(x, dataclasses.replace(OFF, rotate90=1.0))
    for f in found:
        assert torch.allclose(f, x[0].float(), atol=0.05) or torch.allclose(f, x[0].float().flip((1, 2)), atol=0.05)


def test_a_rotation_keeps_distances_in_an_oblong_image() -> None:
    x = torch.zeros(50, 1, 21, 41, dtype=torch.uint8)
    x[:, :, 8:13, 18:23] = 255
    found = augmented(x, dataclasses.replace(OFF, rotate_degrees=180.0)).sum((1, 2, 3)) / (25 * 255)
    assert torch.allclose(found, torch.ones(50), atol=0.03)


def test_outside_the_image_is_black_whatever_the_stored_type() -> None:
    x = torch.full((30, 1, 10, 10), 32767, dtype=torch.int16)
    found = augmented(x, dataclasses.replace(OFF, translate=0.5), normalization=INT16)
    assert torch.isclose(found.min(), torch.tensor(-32768.0), atol=1)
    assert torch.isclose(found.max(), torch.tensor(32767.0), atol=1)


def test_a_crop_zooms_in_and_stays_inside() -> None:
    x = torch.full((40, 1, 12, 12), 200, dtype=torch.uint8)
    found = augmented(x, dataclasses.replace(OFF, crop=0.3))[:, :, 1:-1, 1:-1]
    assert torch.allclose(found, torch.tensor(200.0), atol=0.1)


def test_brightness_contrast_and_colour_stay_in_the_stored_range() -> None:
    found = augmented(
        image(20, 3, 8, 8), dataclasses.replace(OFF, brightness=0.9, contrast=0.9, saturation=0.9, hue=0.5)
    )
    assert found.min() >= 0
    assert found.max() <= 255.001


def test_hue_leaves_grey_as_it_is_and_changes_colour() -> None:
    grey = image(5, 1, 6, 6).expand(-1, 3, -1, -1).contiguous()
    config = dataclasses.replace(OFF, hue=0.3)
    assert torch.allclose(augmented(grey, config), grey.float(), atol=0.2)
    assert not torch.allclose(augmented(image(5, 3, 6, 6), config), image(5, 3, 6, 6).float(), atol=5)


def test_colour_keys_leave_one_channel_alone() -> None:
    x = image(4, 1, 6, 6)
    assert torch.allclose(augmented(x, dataclasses.replace(OFF, saturation=0.5, hue=0.5)), x.float(), atol=0.01)


def test_colours_change_alike_whichever_way_the_channels_are_stored() -> None:
    x = image(4, 3, 8, 6)
    tint = dataclasses.replace(OFF, saturation=0.9, hue=0.2)
    rgb = augmented(x, tint)
    bgr = augment_batch(x.flip(1), np.arange(4), tint, UINT8, seed=0, channel_order="bgr")
    assert torch.allclose(bgr.flip(1), rgb, atol=1e-3)
    assert not torch.allclose(rgb, x.float(), atol=5)
