"""Classification of images, or of volumes of one size: their labels, their augmentation, what is measured and written.

B samples, N cases, L labels. A label is 1, 0, or -1 for unknown.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fiducial_engine.augment import augment_batch
from fiducial_engine.augment_volumes import augment_volumes
from fiducial_engine.config import EngineClassify, EngineImages, EngineVolumes, ImageAugment, RunConfig
from fiducial_engine.crops import torch_dtype
from fiducial_engine.dist import Ranks
from fiducial_engine.errors import UserError
from fiducial_engine.finite import check_outputs
from fiducial_engine.inference import logits_of_rows, to_device, write_scores
from fiducial_engine.loader import Batch
from fiducial_engine.open_data import open_images, open_volumes
from fiducial_engine.sampling import PartRows, Rows
from fiducial_engine.select import Metrics, validation_metrics
from fiducial_engine.shards import ShardSet
from fiducial_engine.tasks.classify_loss import ClassifyLoss, count_labels, scores
from fiducial_engine.tasks.task import Shapes
from fiducial_engine.volumes import VolumeSet


def network_shapes(config: RunConfig) -> Shapes:
    """A whole image or volume → one logit a label.

    Raises:
        UserError: volumes have no common size.
    """
    assert isinstance(config.task, EngineClassify)
    return Shapes(_sample_shape(config.data), (len(config.task.labels),))


class Classify:
    """As Task says."""

    predicts_validation = True

    def __init__(self, config: RunConfig, device: torch.device) -> None:
        """
        Raises:
            UserError: the data are missing, damaged, or not those of the run.
        """
        assert isinstance(config.task, EngineClassify)
        self._config = config
        self._task = config.task
        self._device = device
        shards: ShardSet | VolumeSet
        if isinstance(config.data, EngineImages):
            shards, self.tables = open_images(config.data, config.task.labels)
            self._channel_order = shards.index.preprocess.channel_order
        else:
            shards, self.tables = open_volumes(config.data, config.task.labels)
        self.shard_start = shards.start
        self.samples = LabelledSamples(shards, self.tables.labels_NL, _sample_shape(config.data))
        self._loss: ClassifyLoss | None = None

    def prepare_training(self, train_rows: PartRows) -> list[str]:
        counts = count_labels(self.tables.labels_NL, train_rows, self._task)
        self._loss = ClassifyLoss(self._task, self._config.train.loss, counts, self._device)
        return counts.warnings(self._task.labels)

    def augmented(self, batch: Batch) -> tuple[Tensor, Tensor]:
        config = self._config
        settings, normalization = config.train, config.data.normalization
        stored = to_device(batch.image, self._device, settings.precision)
        label_BL = batch.target.to(self._device, non_blocking=self._device.type == "cuda")
        if isinstance(config.augment, ImageAugment):
            image = augment_batch(
                stored, batch.positions_B, config.augment, normalization, settings.seed, self._channel_order
            )
            return image, label_BL
        assert isinstance(config.data, EngineVolumes)
        image, _ = augment_volumes(
            *(stored, None, batch.positions_B, config.augment, normalization, settings.seed),
            patch=_size(config.data),
            spacing_mm=config.data.spacing_mm,
        )
        return image, label_BL

    def num_known(self, target: Tensor) -> int:
        assert self._loss is not None
        return self._loss.num_known(target)

    def loss_per_sample(self, outputs: Any, target: Tensor) -> Tensor:
        assert self._loss is not None
        return self._loss.per_sample(outputs, target)

    def validate(self, network: nn.Module, rows_N: Rows, ranks: Ranks, precision: str, where: str) -> Metrics:
        logits_NL = self._logits(network, rows_N, ranks, precision, where)
        if ranks.rank > 0 or len(rows_N) == 0:
            return {}
        labels_NL = self.tables.labels_NL[rows_N]
        label = torch.from_numpy(labels_NL)
        known = self.num_known(label)
        loss_N = self.loss_per_sample(logits_NL.to(self._device), label.to(self._device))
        loss = float(loss_N.cpu().double().sum()) / known if known else None
        return validation_metrics(scores(logits_NL.numpy(), self._task), labels_NL, self._task, loss)

    def predict(
        self, network: nn.Module, rows_N: Rows, ranks: Ranks, out: Path, where: str, *, mirror: tuple[int, ...] = ()
    ) -> int:
        """One `Prediction` a line of the file `out`.

        Raises:
            UserError: axes to mirror are named.
        """
        if mirror:
            raise UserError("--mirror is for segmentation.")
        logits_NL = self._logits(network, rows_N, ranks, "fp32", where)
        if ranks.rank == 0:
            write_scores(out, self.tables.cases(rows_N), logits_NL.numpy(), self._task)
        return len(rows_N)

    def _logits(self, network: nn.Module, rows_N: Rows, ranks: Ranks, precision: str, where: str) -> Tensor:
        mine = logits_of_rows(
            network, self.samples, rows_N[ranks.rank :: ranks.size], self._device, precision, len(self._task.labels)
        )
        logits_NL = ranks.gather_strided(mine, len(rows_N))
        check_outputs(torch.isfinite(logits_NL).all(1).numpy(), self.tables, rows_N, where)
        return logits_NL


class LabelledSamples:
    """What the loader reads for classification: whole samples and their labels."""

    def __init__(
        self, shards: ShardSet | VolumeSet, labels_NL: NDArray[np.int8], sample_shape: tuple[int, ...]
    ) -> None:
        self._shards = shards
        self._labels_NL = labels_NL
        self.image_shape = sample_shape
        self.image_dtype = torch_dtype(shards.dtype)
        self.target_shape: tuple[int, ...] = labels_NL.shape[1:]
        self.target_dtype = torch.int8

    def read(self, rows_B: Rows, positions_B: Rows, image: NDArray[Any], target: NDArray[Any]) -> None:
        self._shards.gather(rows_B, image)
        target[...] = self._labels_NL[rows_B]


def _sample_shape(data: EngineImages | EngineVolumes) -> tuple[int, ...]:
    return data.sample_shape if isinstance(data, EngineImages) else (data.channels, *_size(data))


def _size(data: EngineVolumes) -> tuple[int, int, int]:
    if data.size is None:
        raise UserError("task.kind: classify needs volumes of one size.\n  do: set prepare.size to [z, y, x].")
    return data.size
