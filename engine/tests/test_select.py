import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from fiducial_engine.config import EngineClassify
from fiducial_engine.select import is_better, validation_metrics

MULTI = EngineClassify(kind="classify", labels=("a", "b"), exclusive=False)
EXCLUSIVE = EngineClassify(kind="classify", labels=("a", "b", "c"), exclusive=True)


def test_means_are_over_known_labels_with_both_classes() -> None:
    rng = np.random.default_rng(0)
    scores = rng.random((40, 2))
    labels = np.stack([rng.integers(-1, 2, 40), np.ones(40)], axis=1).astype(np.int8)
    found = validation_metrics(scores, labels, MULTI, loss=0.5)
    known = labels[:, 0] >= 0
    assert found["auroc_mean"] == pytest.approx(roc_auc_score(labels[known, 0], scores[known, 0]))
    assert found["average_precision_mean"] == pytest.approx(average_precision_score(labels[known, 0], scores[known, 0]))
    assert found["loss"] == 0.5


def test_a_metric_without_both_classes_is_undefined() -> None:
    found = validation_metrics(np.full((3, 2), 0.7), np.ones((3, 2), np.int8), MULTI, loss=None)
    assert found["auroc_mean"] is None
    assert found["balanced_accuracy"] is None
    assert found["accuracy"] == 1
    assert found["loss"] is None


def test_exclusive_classes_are_decided_by_the_likeliest() -> None:
    scores = np.array([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.5, 0.4, 0.1], [0.1, 0.1, 0.8]])
    labels = np.array([[1, 0, 0], [0, 1, 0], [0, 1, 0], [-1, -1, -1]], dtype=np.int8)
    found = validation_metrics(scores, labels, EXCLUSIVE, loss=1.0)
    assert found["accuracy"] == pytest.approx(2 / 3)
    assert found["balanced_accuracy"] == pytest.approx(0.75)


def test_decisions_at_one_half_give_f1_and_balanced_accuracy() -> None:
    scores = np.array([[0.9], [0.6], [0.4], [0.2]])
    labels = np.array([[1], [0], [1], [0]], dtype=np.int8)
    one = EngineClassify(kind="classify", labels=("a",), exclusive=False)
    found = validation_metrics(scores, labels, one, loss=0.3)
    assert (found["f1_mean"], found["balanced_accuracy"], found["accuracy"]) == (0.5, 0.5, 0.5)


def test_the_lower_loss_decides_between_equals() -> None:
    assert is_better({"auroc_mean": 1.0, "loss": 0.2}, {"auroc_mean": 1.0, "loss": 0.3}, "auroc_mean")
    assert not is_better({"auroc_mean": 0.9, "loss": 0.1}, {"auroc_mean": 1.0, "loss": 0.3}, "auroc_mean")
    assert is_better({"loss": 0.1}, {"loss": 0.2}, "loss")
    assert not is_better({"auroc_mean": None, "loss": 0.1}, {"auroc_mean": 0.5, "loss": 0.2}, "auroc_mean")
