import numpy as np
import pytest
import torch
import torch.nn.functional as F

from fiducial_engine.config import BceLoss, CrossEntropyLoss, EngineClassify, FocalLoss, Loss
from fiducial_engine.errors import UserError
from fiducial_engine.sampling import PartRows
from fiducial_engine.tasks.classify_loss import ClassifyLoss, LabelCounts, count_labels, scores

MULTI = EngineClassify(kind="classify", labels=("a", "b", "c"), exclusive=False)
EXCLUSIVE = EngineClassify(kind="classify", labels=("a", "b", "c"), exclusive=True)
COUNTS = LabelCounts(np.array([10, 1, 0]), np.array([20, 2000, 5]))
BCE = BceLoss(kind="bce", pos_weight="none")
CE = CrossEntropyLoss(kind="cross_entropy", class_weight="none", label_smoothing=0.0)


def loss(task: EngineClassify, config: Loss) -> ClassifyLoss:
    return ClassifyLoss(task, config, COUNTS, torch.device("cpu"))


def test_unknown_labels_add_nothing_to_loss_gradient_or_divisor() -> None:
    logits = torch.randn(4, 3, requires_grad=True)
    label = torch.tensor([[1, 0, -1], [-1, -1, -1], [0, 0, 1], [1, -1, 0]], dtype=torch.int8)
    bce = loss(MULTI, BCE)
    per_sample = bce.per_sample(logits, label)
    known = label >= 0
    expected = F.binary_cross_entropy_with_logits(logits[known], label[known].float(), reduction="sum")
    assert torch.allclose(per_sample.sum(), expected)
    assert bce.num_known(label) == 7
    per_sample.sum().backward()
    assert logits.grad is not None
    assert torch.all(logits.grad[~known] == 0)


def test_an_unknown_label_with_an_infinite_logit_does_not_spoil_the_loss() -> None:
    logits = torch.tensor([[0.0, torch.inf, 0.0]])
    label = torch.tensor([[1, -1, 0]], dtype=torch.int8)
    assert torch.isfinite(loss(MULTI, BCE).per_sample(logits, label)).all()


def test_automatic_pos_weight_is_negatives_by_positives_at_most_100() -> None:
    found = loss(MULTI, BceLoss(kind="bce", pos_weight="auto"))._weight_L
    assert found is not None
    assert found.tolist() == [2.0, 100.0, 5.0]


def test_cross_entropy_equals_torch_and_counts_samples() -> None:
    logits = torch.randn(3, 3)
    label = torch.tensor([[0, 1, 0], [0, 0, 1], [-1, -1, -1]], dtype=torch.int8)
    weighted = loss(
        EXCLUSIVE, CrossEntropyLoss(kind="cross_entropy", class_weight=(1.0, 2.0, 3.0), label_smoothing=0.1)
    )
    expected = F.cross_entropy(
        logits[:2], torch.tensor([1, 2]), weight=torch.tensor([1.0, 2.0, 3.0]), label_smoothing=0.1, reduction="sum"
    )
    assert torch.allclose(weighted.per_sample(logits, label).sum(), expected)
    assert weighted.num_known(label) == 2


def test_automatic_class_weight_is_1_on_average_however_rare_a_class_is() -> None:
    counts = LabelCounts(np.array([600, 390, 10]), np.array([400, 610, 990]))
    auto = CrossEntropyLoss(kind="cross_entropy", class_weight="auto", label_smoothing=0.0)
    found = ClassifyLoss(EXCLUSIVE, auto, counts, torch.device("cpu"))._weight_L
    assert found is not None
    assert float((found * torch.tensor([0.6, 0.39, 0.01])).sum()) == pytest.approx(1)
    assert found.tolist() == pytest.approx([1000 / 1800, 1000 / 1170, 1000 / 30])


@pytest.mark.parametrize("task", [MULTI, EXCLUSIVE], ids=["multi-label", "exclusive"])
def test_the_focal_loss_of_a_sure_sample_has_a_gradient_for_any_gamma(task: EngineClassify) -> None:
    logits = torch.tensor([[200.0, -200.0, -200.0], [0.5, -200.0, 200.0]], requires_grad=True)
    label = torch.tensor([[1, 0, 0], [1, -1, -1]], dtype=torch.int8)
    loss(task, FocalLoss(kind="focal", gamma=0.5, alpha=None)).per_sample(logits, label).sum().backward()
    assert logits.grad is not None and torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("task", [MULTI, EXCLUSIVE], ids=["multi-label", "exclusive"])
def test_focal_loss_with_gamma_0_is_cross_entropy(task: EngineClassify) -> None:
    logits = torch.randn(5, 3)
    label = F.one_hot(torch.tensor([0, 1, 2, 1, 0]), 3).to(torch.int8)
    focal = loss(task, FocalLoss(kind="focal", gamma=0.0, alpha=None)).per_sample(logits, label)
    plain = loss(task, CE if task.exclusive else BCE).per_sample(logits, label)
    assert torch.allclose(focal, plain, atol=1e-6)
    hard = loss(task, FocalLoss(kind="focal", gamma=2.0, alpha=None)).per_sample(logits, label)
    assert torch.all(hard < focal)


@pytest.mark.parametrize(
    ("task", "config", "message"),
    [
        (EXCLUSIVE, BCE, "use cross_entropy"),
        (MULTI, CE, "use bce"),
        (MULTI, BceLoss(kind="bce", pos_weight=(1.0,)), "1 weights for 3 labels"),
        (EXCLUSIVE, FocalLoss(kind="focal", gamma=2.0, alpha=0.25), "alpha"),
    ],
)
def test_a_loss_that_does_not_fit_the_task_is_refused(task: EngineClassify, config: Loss, message: str) -> None:
    with pytest.raises(UserError, match=message):
        loss(task, config)


def test_scores_are_probabilities_in_float64_without_overflow() -> None:
    logits = np.array([[-1000.0, 0.0, 1000.0], [1.0, 2.0, 3.0]], dtype=np.float32)
    each = scores(logits, MULTI)
    assert each.dtype == np.float64
    assert each[0].tolist() == [0.0, 0.5, 1.0]
    assert np.allclose(scores(logits, EXCLUSIVE).sum(1), 1)
    assert np.allclose(each[1], 1 / (1 + np.exp(-np.array([1.0, 2.0, 3.0]))))


def test_a_label_with_one_class_only_is_told() -> None:
    counts = LabelCounts(np.array([3, 0, 0]), np.array([0, 4, 0]))
    told = counts.warnings(("a", "b", "c"))
    assert [line.split(":")[0] for line in told] == ["Label a", "Label b", "Label c"]
    assert "only" not in " ".join(COUNTS.warnings(("a", "b", "c"))[:0])


def test_exclusive_cases_with_two_classes_are_refused() -> None:
    labels = np.array([[1, 0, 0], [1, 1, 0]], dtype=np.int8)
    rows = PartRows(np.ones(2, np.uint8), np.array([0, 2]), 1)
    with pytest.raises(UserError, match="no class or several"):
        count_labels(labels, rows, EXCLUSIVE)
    assert count_labels(labels, rows, MULTI).positive_L.tolist() == [2, 1, 0]
