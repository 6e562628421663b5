import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from tiny_volumes import NO_AUGMENT

from fiducial_engine.augment_volumes import augment_volumes, margin
from fiducial_engine.config import InputNormalization, VolumeAugment
from fiducial_engine.strict import parse

OFF: VolumeAugment = parse(VolumeAugment, NO_AUGMENT, "augment")
ALL = dataclasses.replace(
    OFF,
    flip=("z", "x"),
    **dict.fromkeys(
        ("rotate", "scale", "elastic", "noise", "blur", "brightness", "shift", "contrast", "low_resolution", "gamma"),
        0.5,
    ),  # type: ignore[arg-type]
)
FLOAT = InputNormalization(offset=0.0, scale=1.0, mean=(0.5, -1.0), std=(2.0, 0.5))
UINT8 = InputNormalization(offset=0.0, scale=1 / 255, mean=(0.5, 0.4), std=(0.2, 0.3))
SPACING = (1.5, 1.0, 1.25)
PATCH = (10, 12, 14)


def example(num: int, sides: tuple[int, ...] = PATCH, channels: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    """Values that tell the mask's apart: 0, 1 and 2, times ten."""
    rng = torch.Generator().manual_seed(0)
    coarse = torch.randint(0, 3, (num, 1, 3, 3, 3), generator=rng).float()
    mask = torch.nn.functional.interpolate(coarse, list(sides))[:, 0].to(torch.uint8)
    image = 10 * mask[:, None].float() + torch.zeros(num, channels, *sides)
    return image, mask


def augmented(
    x: torch.Tensor,
    mask: torch.Tensor | None,
    config: VolumeAugment,
    first: int = 0,
    *,
    seed: int = 0,
    patch: tuple[int, int, int] = PATCH,
    normalization: InputNormalization = FLOAT,
    spacing: tuple[float, float, float] = SPACING,
) -> tuple[torch.Tensor, torch.Tensor]:
    positions = np.arange(first, first + len(x))
    image, moved = augment_volumes(x, mask, positions, config, normalization, seed, patch=patch, spacing_mm=spacing)
    return image, image if moved is None else moved


def test_nothing_on_cuts_the_patch_out_of_its_margin() -> None:
    x, mask = example(3, (14, 16, 16))
    image, moved = augmented(x, mask, OFF)
    assert torch.allclose(image, x[:, :, 2:-2, 2:-2, 1:-1], atol=1e-5)
    assert torch.equal(moved, mask[:, 2:-2, 2:-2, 1:-1])


def test_nothing_on_gives_stored_values_back() -> None:
    x = torch.randint(0, 256, (2, 2, *PATCH)).to(torch.uint8)
    image, _ = augmented(x, None, OFF, normalization=UINT8)
    assert torch.allclose(image, x.float(), atol=1e-3)


def test_a_sample_is_augmented_alike_in_any_batch() -> None:
    x, mask = example(12, (20, 22, 24))
    x += torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    image, moved = augmented(x, mask, ALL)
    for i in range(12):
        alone, alone_mask = augmented(x[i : i + 1], mask[i : i + 1], ALL, first=i)
        assert torch.allclose(alone[0], image[i], atol=1e-5)
        assert torch.equal(alone_mask[0], moved[i])
    assert not torch.allclose(augmented(x, mask, ALL, seed=1)[0], image)


def test_image_and_mask_move_together() -> None:
    x, mask = example(24, (26, 24, 24))
    config = dataclasses.replace(OFF, flip=("z", "y", "x"), rotate=1, scale=1, elastic=1, elastic_mm=1.5)
    image, moved = augmented(x, mask, config, normalization=dataclasses.replace(FLOAT, mean=(0.0, 0.0)))
    # Between two values the image is a mixture of them; the mask takes the nearer.
    assert not torch.equal(moved, mask[:, 8:-8, 6:-6, 5:-5])
    assert ((image[:, 0] - 10 * moved).abs() < 10).float().mean() > 0.97
    assert ((image[:, 0] / 10 - moved).abs() < 0.55).float().mean() > 0.93


@pytest.mark.parametrize(("axis", "name"), list(enumerate("zyx")))
def test_a_flip_mirrors_half_of_the_samples_along_its_axis(axis: int, name: Any) -> None:
    x, mask = example(60)
    image, moved = augmented(x, mask, dataclasses.replace(OFF, flip=(name,)))
    flipped = 0
    for a, b, m, n in zip(x, image, mask, moved, strict=True):
        is_flipped = torch.allclose(a.flip(axis + 1), b, atol=1e-4)
        assert is_flipped or torch.allclose(a, b, atol=1e-4)
        assert torch.equal(n, m.flip(axis) if is_flipped else m)
        flipped += is_flipped
    assert 15 < flipped < 45


def test_zoom_magnifies_about_the_centre() -> None:
    x = torch.zeros(40, 2, 24, 24, 24)
    x[:, :, 8:16, 8:16, 8:16] = 1
    config = dataclasses.replace(OFF, scale=1, scale_range=(0.5, 2.0))
    normalization = dataclasses.replace(FLOAT, mean=(0.0, 0.0))
    image, _ = augmented(x, None, config, patch=(24, 24, 24), normalization=normalization)
    volumes = image[:, 0].sum((1, 2, 3)) / 8**3
    assert 0.1 < volumes.min() < 0.5 and 2 < volumes.max() < 8.5
    place = torch.arange(24) - 11.5
    assert (image[:, 0].sum((2, 3)) @ place).abs().max() < 1


def test_a_turn_keeps_volumes_and_lengths_in_millimetres() -> None:
    spacing = (3.0, 1.0, 1.0)
    x = torch.zeros(30, 2, 12, 36, 36)
    x[:, :, 5:7, 15:21, 15:21] = 1  # A cube of 6 mm.
    normalization = dataclasses.replace(FLOAT, mean=(0.0, 0.0))
    config = dataclasses.replace(OFF, rotate=1, rotate_degrees=90)
    image, _ = augmented(x, None, config, patch=(12, 36, 36), normalization=normalization, spacing=spacing)
    assert torch.allclose(image[:, 0].sum((1, 2, 3)), torch.tensor(72.0), rtol=0.15)
    second = [(torch.arange(n) - (n - 1) / 2).square() * mm**2 for n, mm in zip((12, 36, 36), spacing, strict=True)]
    for axis, others in ((0, (2, 3)), (1, (1, 3)), (2, (1, 2))):
        spread = (image[:, 0].sum(others) @ second[axis]) / image[:, 0].sum((1, 2, 3))
        assert ((spread / 3) < 3).all()  # 36 / 12 about each axis; 3 mm slices blur it.


def test_a_flat_patch_is_turned_and_zoomed_within_its_slices_only() -> None:
    patch = (3, 20, 20)
    x = torch.zeros(20, 2, *patch)
    x[:, :, 1] = torch.rand(20, 20)
    config = dataclasses.replace(OFF, rotate=1, rotate_degrees=180, scale=1, elastic=1)
    normalization = dataclasses.replace(FLOAT, mean=(0.0, 0.0))
    image, _ = augmented(x, None, config, patch=patch, normalization=normalization)
    assert image[:, :, [0, 2]].abs().max() < 1e-5
    assert not torch.allclose(image, x)


def test_the_margin_holds_what_turns_and_zooms_reach() -> None:
    assert margin(PATCH, OFF, SPACING) == (0, 0, 0)
    assert margin((10, 10, 10), dataclasses.replace(OFF, scale=1, scale_range=(0.5, 1.0)), (1, 1, 1)) == (5, 5, 5)
    assert margin((10, 10, 10), dataclasses.replace(OFF, rotate=1, rotate_degrees=180), (1, 1, 1)) == (3, 3, 3)
    assert margin((4, 20, 20), dataclasses.replace(OFF, rotate=1), (1, 1, 1))[0] == 0
    assert margin((1, 20, 24), dataclasses.replace(OFF, elastic=1, elastic_mm=2), (1, 1, 1)) == (0, 4, 4)
    # Nothing of a constant case is lost: a turn within the margin finds the constant everywhere.
    config = dataclasses.replace(OFF, rotate=1, rotate_degrees=30)
    sides = [p + 2 * m for p, m in zip(PATCH, margin(PATCH, config, SPACING), strict=True)]
    one_axis = dataclasses.replace(config, scale=1, scale_range=(0.8, 0.8))
    sides = [p + 2 * m for p, m in zip(PATCH, margin(PATCH, one_axis, SPACING), strict=True)]
    image, _ = augmented(torch.ones(20, 2, *sides), None, dataclasses.replace(one_axis, rotate=0))
    assert torch.allclose(image, torch.tensor(1.0), atol=1e-4)


@pytest.mark.parametrize("key", ["noise", "blur", "brightness", "shift", "contrast", "low_resolution", "gamma"])
def test_an_intensity_transform_changes_its_share_of_samples_and_no_mask(key: str) -> None:
    x, mask = example(60)
    x += torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    image, moved = augmented(x, mask, dataclasses.replace(OFF, **{key: 0.5}))  # type: ignore[arg-type]
    changed = sum(not torch.allclose(a, b, atol=1e-4) for a, b in zip(x, image, strict=True))
    assert 15 < changed < 45
    assert torch.equal(moved, mask)
    assert torch.isfinite(image).all()


def test_blur_and_low_resolution_leave_a_constant_and_the_mean_alone() -> None:
    config = dataclasses.replace(OFF, blur=1, low_resolution=1)
    image, _ = augmented(torch.full((8, 2, *PATCH), 3.0), None, config)
    assert torch.allclose(image, torch.tensor(3.0), atol=1e-4)
    x = torch.randn(8, 2, *PATCH)
    assert augmented(x, None, config)[0].std() < 0.8 * x.std()


def test_contrast_stays_in_the_range_and_gamma_keeps_mean_and_spread() -> None:
    x = torch.rand(10, 2, *PATCH) * 4
    image, _ = augmented(x, None, dataclasses.replace(OFF, contrast=1, contrast_range=(0.5, 2.0)))
    assert image.min() >= x.min() - 1e-4 and image.max() <= x.max() + 1e-4
    bent, _ = augmented(x, None, dataclasses.replace(OFF, gamma=1))
    assert torch.allclose(bent.mean((2, 3, 4)), x.mean((2, 3, 4)), atol=1e-3)
    assert torch.allclose(bent.std((2, 3, 4)), x.std((2, 3, 4)), rtol=1e-3)
    assert not torch.allclose(bent, x, atol=0.05)


def test_outside_a_case_is_what_normalises_to_0() -> None:
    x = torch.full((20, 2, *PATCH), 7.0)
    config = dataclasses.replace(OFF, scale=1, scale_range=(0.5, 0.5))
    image, _ = augmented(x, None, config)
    assert torch.allclose(image[:, 0, 0, 0, 0], torch.tensor(0.5), atol=1e-5)
    assert torch.allclose(image[:, 1, 0, 0, 0], torch.tensor(-1.0), atol=1e-5)


def test_a_constant_channel_stays_finite_under_everything() -> None:
    everything = {f.name: 1.0 for f in dataclasses.fields(ALL) if getattr(ALL, f.name) == 0.5}
    image, _ = augmented(torch.zeros(6, 2, *PATCH), None, dataclasses.replace(ALL, **everything))  # type: ignore[arg-type]
    assert torch.isfinite(image).all()
