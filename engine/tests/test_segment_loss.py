import dataclasses
from typing import Any

import pytest
import torch

from fiducial_engine.config import (
    BceLoss,
    DiceCeLoss,
    DiceLoss,
    EngineSegment,
    GeneralizedDiceLoss,
    Loss,
    Structure,
)
from fiducial_engine.errors import UserError
from fiducial_engine.tasks.segment_loss import SegmentLoss

LABELS = EngineSegment(
    kind="segment",
    structures=(Structure(name="a", values=(1,)), Structure(name="b", values=(4,))),
    exclusive=True,
    patch_size=(3, 4, 5),
    foreground_fraction=0.3,
    overlap=0.5,
)
# Regions that overlap: value 1 is in both.
REGIONS = dataclasses.replace(
    LABELS, exclusive=False, structures=(Structure(name="whole", values=(1, 2)), Structure(name="core", values=(1,)))
)
DICE = DiceLoss(kind="dice", batch=False, background=False)
DICE_CE = DiceCeLoss(kind="dice_ce", batch=False, background=False, ce_weight=0.7)
GENERALIZED = GeneralizedDiceLoss(kind="generalized_dice", background=True)


def example(num_outputs: int, values: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(0)
    logits = torch.randn((4, num_outputs, 3, 4, 5), generator=rng) * 2
    mask = torch.tensor(values, dtype=torch.uint8)[torch.randint(0, len(values), (4, 3, 4, 5), generator=rng)]
    return logits, mask


def one_hot(mask: torch.Tensor, task: EngineSegment) -> torch.Tensor:
    known = [torch.isin(mask, torch.tensor(s.values)) for s in task.structures]
    background = [~torch.stack(known).any(0)] if task.exclusive else []
    return torch.stack([*background, *known], dim=1).float()


@pytest.mark.parametrize("task", [LABELS, REGIONS], ids=["labels", "regions"])
@pytest.mark.parametrize("background", [False, True])
def test_dice_is_monais_of_each_sample(task: EngineSegment, background: bool) -> None:
    from monai.losses.dice import DiceLoss as Theirs

    logits, mask = example(3 if task.exclusive else 2, (0, 1, 2, 4))
    activation: dict[str, Any] = {"softmax" if task.exclusive else "sigmoid": True, "reduction": "none"}
    theirs = Theirs(include_background=background or not task.exclusive, **activation)
    ours = SegmentLoss(task, dataclasses.replace(DICE, background=background)).per_sample(logits, mask)
    assert torch.allclose(ours, theirs(logits, one_hot(mask, task)).flatten(1).mean(1), atol=1e-6)


def test_dice_over_the_batch_is_monais_and_the_same_for_every_sample() -> None:
    from monai.losses.dice import DiceLoss as Theirs

    logits, mask = example(3, (0, 1, 4))
    ours = SegmentLoss(LABELS, dataclasses.replace(DICE, batch=True)).per_sample(logits, mask)
    theirs = Theirs(include_background=False, softmax=True, batch=True)(logits, one_hot(mask, LABELS))
    assert torch.allclose(ours, theirs.expand(4), atol=1e-6)


def test_dice_ce_is_monais_for_labels_and_adds_binary_cross_entropy_for_regions() -> None:
    from monai.losses.dice import DiceCELoss as Theirs

    logits, mask = example(3, (0, 1, 4))
    theirs = Theirs(include_background=False, softmax=True, lambda_ce=0.7)(logits, one_hot(mask, LABELS))
    assert torch.allclose(SegmentLoss(LABELS, DICE_CE).per_sample(logits, mask).mean(), theirs, atol=1e-6)
    logits, mask = example(2, (0, 1, 2))
    bce = torch.nn.functional.binary_cross_entropy_with_logits(logits, one_hot(mask, REGIONS), reduction="none")
    dice = SegmentLoss(REGIONS, DICE).per_sample(logits, mask)
    both = SegmentLoss(REGIONS, DICE_CE).per_sample(logits, mask)
    assert torch.allclose(both, dice + 0.7 * bce.flatten(1).mean(1), atol=1e-6)


@pytest.mark.parametrize("values", [(0, 1, 4), (0, 1)], ids=["all present", "one absent"])
def test_generalized_dice_is_monais(values: tuple[int, ...]) -> None:
    from monai.losses.dice import GeneralizedDiceLoss as Theirs

    logits, mask = example(3, values)
    theirs = Theirs(softmax=True, reduction="none")(logits, one_hot(mask, LABELS))
    ours = SegmentLoss(LABELS, GENERALIZED).per_sample(logits, mask)
    assert torch.allclose(ours, theirs.flatten(), atol=1e-5)


def test_values_that_no_structure_names_are_background() -> None:
    logits, mask = example(3, (0, 4))
    renamed = torch.where(mask == 0, 9, mask).to(torch.uint8)
    loss = SegmentLoss(LABELS, DICE_CE)
    assert torch.equal(loss.per_sample(logits, mask), loss.per_sample(logits, renamed))
    assert not loss.truth(torch.full((1, 3, 4, 5), 9, dtype=torch.uint8)).any()


@pytest.mark.parametrize("loss", [DICE, DICE_CE, GENERALIZED], ids=lambda loss: loss.kind)
def test_a_batch_shared_in_any_way_has_the_same_sum(loss: Loss) -> None:
    logits, mask = example(3, (0, 1, 4))
    whole = SegmentLoss(LABELS, loss).per_sample(logits, mask)
    parts = [SegmentLoss(LABELS, loss).per_sample(logits[i : i + 1], mask[i : i + 1]) for i in range(4)]
    assert torch.allclose(whole, torch.cat(parts), atol=1e-6)


@pytest.mark.parametrize("loss", [DICE, DICE_CE, GENERALIZED], ids=lambda loss: loss.kind)
def test_half_precision_logits_lose_nothing_but_their_own_rounding(loss: Loss) -> None:
    rng = torch.Generator().manual_seed(0)
    logits = torch.randn((1, 3, 40, 48, 40), generator=rng).bfloat16()
    mask = torch.randint(0, 2, (1, 40, 48, 40), generator=rng).to(torch.uint8)
    with torch.autocast("cpu", torch.bfloat16):
        half = SegmentLoss(LABELS, loss).per_sample(logits, mask)
    assert half.dtype == torch.float32
    assert torch.allclose(half, SegmentLoss(LABELS, loss).per_sample(logits.float(), mask), atol=1e-5)


@pytest.mark.parametrize("loss", [DICE, DICE_CE, GENERALIZED], ids=lambda loss: loss.kind)
def test_a_sure_network_and_an_empty_mask_give_finite_gradients(loss: Loss) -> None:
    logits = torch.full((2, 3, 3, 4, 5), -200.0)
    logits[:, 0] = 200
    logits.requires_grad_()
    SegmentLoss(LABELS, loss).per_sample(logits, torch.zeros((2, 3, 4, 5), dtype=torch.uint8)).sum().backward()
    assert logits.grad is not None and torch.isfinite(logits.grad).all()


def test_deep_supervision_weighs_each_level_half_as_much_as_the_one_above() -> None:
    rng = torch.Generator().manual_seed(0)
    levels = [torch.randn((2, 3, *sides), generator=rng) for sides in ((4, 8, 8), (4, 4, 4), (2, 2, 2))]
    mask = torch.randint(0, 2, (2, 4, 8, 8), generator=rng).to(torch.uint8)
    loss = SegmentLoss(LABELS, DICE_CE)
    masks = [mask, mask[:, :, ::2, ::2], mask[:, ::2, ::4, ::4]]
    one, half, quarter = (loss.per_sample(x, m) for x, m in zip(levels, masks, strict=True))
    assert torch.allclose(loss.per_sample(levels, mask), (one + half / 2 + quarter / 4) / 1.75, atol=1e-6)


def test_a_loss_of_classification_is_refused() -> None:
    with pytest.raises(UserError, match="use dice_ce"):
        SegmentLoss(LABELS, BceLoss(kind="bce", pos_weight="none"))
