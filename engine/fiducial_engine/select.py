"""Validation metrics that choose the best checkpoint. A metric without both classes is None, never 0.5."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from fiducial_engine.config import EngineClassify

Metrics = dict[str, float | None]


def validation_metrics(
    scores_NL: NDArray[np.float64], labels_NL: NDArray[np.int8], task: EngineClassify, loss: float | None
) -> Metrics:
    """Every metric that `train.select` may name, over known labels.

    Means are over the labels that have both classes. Decisions are at probability 0.5, or the likeliest class.
    """
    known = labels_NL >= 0
    if task.exclusive:
        known &= known.all(axis=1, keepdims=True)
    metrics: Metrics = {
        "auroc_mean": _mean_over_labels("roc_auc_score", scores_NL, labels_NL, known),
        "average_precision_mean": _mean_over_labels("average_precision_score", scores_NL, labels_NL, known),
    }
    metrics |= _exclusive(scores_NL, labels_NL, known) if task.exclusive else _multi_label(scores_NL, labels_NL, known)
    metrics["loss"] = loss
    return metrics


def dice_metrics(
    names: list[str], both_NS: NDArray[np.float64], found_NS: NDArray[np.float64], real_NS: NDArray[np.float64]
) -> Metrics:
    """Mean Dice of each structure over cases, `dice_<name>`, and of the structures, `dice_mean`, as `evaluate` has it.

    A structure that is missed counts 0, and so does one that is found where there is none; a case that has it neither
    in truth nor found says nothing about it.

    Args:
        both_NS: voxels of N cases and S structures that are found and real; found_NS and real_NS likewise.
    """
    metrics: Metrics = {}
    for s, name in enumerate(names):
        voxels_N = found_NS[:, s] + real_NS[:, s]
        some = voxels_N > 0
        dice = 2 * both_NS[some, s] / voxels_N[some]
        metrics[f"dice_{name}"] = float(dice.mean()) if len(dice) else None
    known = [value for value in metrics.values() if value is not None]
    return {"dice_mean": float(np.mean(known)) if known else None, **metrics}


def is_better(metrics: Metrics, best: Metrics, metric: str) -> bool:
    """Whether a validation beats the best so far in `metric`; the lower loss decides between equals.

    Ranking metrics of a small validation split soon tie, at 1 above all; the first to tie is then the least trained.
    An undefined value beats only another.
    """
    return _rank(metrics, metric) > _rank(best, metric)


def _rank(metrics: Metrics, metric: str) -> tuple[float, float]:
    value, loss = metrics.get(metric), metrics.get("loss")
    lower = -math.inf if loss is None else -loss
    if metric == "loss" or value is None:
        return (-math.inf, -math.inf) if value is None else (lower, lower)
    return value, lower


def _mean_over_labels(
    name: str, scores_NL: NDArray[np.float64], labels_NL: NDArray[np.int8], known_NL: NDArray[np.bool_]
) -> float | None:
    import sklearn.metrics  # 1-2 s to import: only a process that validates pays for it.

    metric: Callable[..., float] = getattr(sklearn.metrics, name)
    values = []
    for column in range(labels_NL.shape[1]):
        known = known_NL[:, column]
        truth, score = labels_NL[known, column], scores_NL[known, column]
        if 0 < truth.sum() < len(truth):
            values.append(float(metric(truth, score)))
    return float(np.mean(values)) if values else None


def _exclusive(scores_NL: NDArray[np.float64], labels_NL: NDArray[np.int8], known_NL: NDArray[np.bool_]) -> Metrics:
    from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

    known = known_NL[:, 0]
    truth, decided = labels_NL[known].argmax(1), scores_NL[known].argmax(1)
    if len(truth) == 0:
        return {"balanced_accuracy": None, "f1_mean": None, "accuracy": None}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # A class decided but absent: its recall is not counted.
        balanced = float(balanced_accuracy_score(truth, decided))
    f1 = f1_score(truth, decided, labels=np.unique(truth), average="macro", zero_division=0.0)
    return {
        "balanced_accuracy": balanced,
        "f1_mean": float(f1),
        "accuracy": float(accuracy_score(truth, decided)),
    }


def _multi_label(scores_NL: NDArray[np.float64], labels_NL: NDArray[np.int8], known_NL: NDArray[np.bool_]) -> Metrics:
    decided_NL = scores_NL >= 0.5
    balanced, f1 = [], []
    for column in range(labels_NL.shape[1]):
        known = known_NL[:, column]
        truth, decided = labels_NL[known, column] == 1, decided_NL[known, column]
        if not 0 < truth.sum() < len(truth):
            continue
        sensitivity, specificity = float(decided[truth].mean()), float((~decided[~truth]).mean())
        balanced.append((sensitivity + specificity) / 2)
        f1.append(2 * float((decided & truth).sum()) / float(decided.sum() + truth.sum()))
    right = (decided_NL == (labels_NL == 1))[known_NL]
    return {
        "balanced_accuracy": float(np.mean(balanced)) if balanced else None,
        "f1_mean": float(np.mean(f1)) if f1 else None,
        "accuracy": float(right.mean()) if len(right) else None,
    }
