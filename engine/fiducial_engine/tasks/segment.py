"""Segmentation of volumes: crops of images and masks, what is measured on whole cases, and what is written.

N cases, K outputs, S structures; Z, Y, X voxels. Exclusive structures have one output more than there are structures:
background, which comes first.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn

from fiducial_engine.augment_volumes import augment_volumes, margin
from fiducial_engine.config import EngineSegment, EngineVolumes, RunConfig, VolumeAugment
from fiducial_engine.crops import Crops, empty_values
from fiducial_engine.dist import Ranks
from fiducial_engine.errors import UserError
from fiducial_engine.finite import check_outputs
from fiducial_engine.inference import Said, to_device
from fiducial_engine.loader import Batch
from fiducial_engine.open_data import open_volumes
from fiducial_engine.sampling import PartRows, Rows
from fiducial_engine.select import Metrics, dice_metrics
from fiducial_engine.stored_array import whole
from fiducial_engine.tasks.segment_loss import SegmentLoss
from fiducial_engine.tasks.task import Shapes
from fiducial_engine.windows import logits_of_volume


def network_shapes(config: RunConfig) -> Shapes:
    """A patch → a logit a voxel and output.

    Raises:
        UserError: the data are not volumes.
    """
    task = config.task
    assert isinstance(task, EngineSegment)
    if not isinstance(config.data, EngineVolumes):
        raise UserError("task.kind: segment needs volumes with masks; the shard set holds images.")
    return Shapes((config.data.channels, *task.patch_size), (num_outputs(task), *task.patch_size))


def num_outputs(task: EngineSegment) -> int:
    """The structures, and background where they exclude each other."""
    return len(task.structures) + int(task.exclusive)


def probabilities(logits_KZYX: Tensor, task: EngineSegment) -> Tensor:
    """Softmax over background and structures, or a sigmoid each."""
    return logits_KZYX.softmax(0) if task.exclusive else logits_KZYX.sigmoid()


class Segment:
    """As Task says."""

    predicts_validation = False  # Masks are large; they are written where an evaluation asks for them.

    def __init__(self, config: RunConfig, device: torch.device) -> None:
        """
        Raises:
            UserError: the data are missing, damaged, or not those of the run; or they have no masks.
        """
        task, data, augment = config.task, config.data, config.augment
        assert isinstance(task, EngineSegment)
        assert isinstance(data, EngineVolumes)
        assert isinstance(augment, VolumeAugment)
        self._config, self._task, self._data, self._augment = config, task, data, augment
        self._device = device
        self._volumes, self.tables = open_volumes(data, tuple(s.name for s in task.structures))
        if not self._volumes.index.has_masks:
            raise UserError(f"The shard set at {data.shard_set} has no masks: segmentation can't learn from it.")
        self.shard_start = self._volumes.start
        self._empty_C = empty_values(data.normalization, self._volumes.dtype)
        # A patch lies within its case where the case is the longer: no margin reaches beyond the largest case.
        most = [max(0, side - p) for side, p in zip(self._volumes.largest(), task.patch_size, strict=True)]
        wanted = margin(task.patch_size, augment, data.spacing_mm)
        z, y, x = (min(m, w) for m, w in zip(most, wanted, strict=True))
        self.samples = Crops(
            *(self._volumes, task.structures, data.normalization),
            patch=task.patch_size,
            margin=(z, y, x),
            foreground_fraction=task.foreground_fraction,
            seed=config.train.seed,
        )
        self._loss = SegmentLoss(task, config.train.loss)

    def prepare_training(self, train_rows: PartRows) -> list[str]:
        labels = np.concatenate(
            [self.tables.labels_NL[train_rows.of_shard(k)] for k in range(len(train_rows.count_per_shard))]
        )
        absent = [s.name for s, count in zip(self._task.structures, (labels == 1).sum(0), strict=True) if count == 0]
        return [f"Structure {name}: in no training case; it can't be learned." for name in absent]

    def augmented(self, batch: Batch) -> tuple[Tensor, Tensor]:
        settings = self._config.train
        stored = to_device(batch.image, self._device, settings.precision)
        mask = batch.target.to(self._device, non_blocking=self._device.type == "cuda")
        image, moved = augment_volumes(
            *(stored, mask, batch.positions_B, self._augment, self._data.normalization, settings.seed),
            patch=self._task.patch_size,
            spacing_mm=self._data.spacing_mm,
        )
        assert moved is not None
        return to_device(image, self._device, settings.precision), moved

    def num_known(self, target: Tensor) -> int:
        return len(target)

    def loss_per_sample(self, outputs: Any, target: Tensor) -> Tensor:
        return self._loss.per_sample(outputs, target)

    def validate(self, network: nn.Module, rows_N: Rows, ranks: Ranks, precision: str, where: str) -> Metrics:
        """Mean Dice a structure over the cases that have it, on the stored grid; a structure missed counts 0."""
        structures = self._task.structures
        was_training = network.training
        network.eval()
        counts: list[Tensor] = []  # A case: whether its outputs are finite, its loss, and 3 × S numbers of voxels.
        mine = rows_N[ranks.rank :: ranks.size].tolist()
        said = Said(len(mine))
        for row in mine:
            logits = self._logits(network, row, precision)
            mask = torch.from_numpy(self._mask(row)).to(logits.device)[None]
            finite, loss = torch.isfinite(logits).all()[None], self._loss.per_sample(logits[None], mask)
            real_SV, found_SV = self._loss.truth(mask)[0].flatten(1), self._decided(logits).flatten(1)
            sums = ((found_SV & real_SV).sum(1), found_SV.sum(1), real_SV.sum(1))
            counts.append(torch.cat([x.double().cpu() for x in (finite, loss, *sums)]))
            said.done(len(counts))
        network.train(was_training)
        width = 2 + 3 * len(structures)
        measured = torch.stack(counts) if counts else torch.empty((0, width), dtype=torch.float64)
        all_N = ranks.gather_strided(measured, len(rows_N)).numpy()
        check_outputs(all_N[:, 0] > 0, self.tables, rows_N, where)
        if ranks.rank > 0 or len(rows_N) == 0:
            return {}
        both_NS, found_NS, real_NS = np.split(all_N[:, 2:], 3, axis=1)
        names = [s.name for s in structures]
        return {**dice_metrics(names, both_NS, found_NS, real_NS), "loss": float(all_N[:, 1].mean())}

    def predict(
        self, network: nn.Module, rows_N: Rows, ranks: Ranks, out: Path, where: str, *, mirror: tuple[int, ...] = ()
    ) -> int:
        """A file a case below the folder `out`, `000017.safetensors`, and `cases.jsonl`, written last.

        A file holds `probabilities` float32 [K, Z, Y, X]; with `mirror`, `mirrored` too, of the averaged windows.
        """
        out.mkdir(parents=True, exist_ok=True)
        (out / "cases.jsonl").unlink(missing_ok=True)
        network.eval()
        mine = rows_N[ranks.rank :: ranks.size]
        said = Said(len(mine))
        for number, row in enumerate(mine.tolist()):
            tensors = {"probabilities": self._logits(network, row, "fp32")}
            if mirror:
                tensors["mirrored"] = self._logits(network, row, "fp32", mirror)
            finite = all(bool(torch.isfinite(x).all()) for x in tensors.values())
            check_outputs(np.array([finite]), self.tables, mine[number : number + 1], where)
            stored = {k: probabilities(x, self._task).float().cpu().contiguous() for k, x in tensors.items()}
            temporary = out / f".tmp-{row:06d}-{os.getpid()}"
            save_file(stored, temporary)
            temporary.rename(out / f"{row:06d}.safetensors")
            said.done(number + 1)
        ranks.gather(None)  # Every rank has written its cases.
        if ranks.rank == 0:
            self._write_cases(out, rows_N)
        return len(rows_N)

    def _write_cases(self, out: Path, rows_N: Rows) -> None:
        temporary = out / f".tmp-cases-{os.getpid()}"
        with temporary.open("w", encoding="utf-8") as file:
            for row, case in zip(rows_N.tolist(), self.tables.cases(rows_N), strict=True):
                line = {
                    "row": row,
                    "case_id": case.case_id,
                    "patient_id": case.patient_id,
                    "labels": case.labels,
                    "attributes": case.attributes,
                }
                file.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(out / "cases.jsonl")

    def _logits(self, network: nn.Module, row: int, precision: str, mirror: tuple[int, ...] = ()) -> Tensor:
        return logits_of_volume(
            network,
            torch.from_numpy(whole(self._volumes[row].image)),
            self._empty_C,
            patch=self._task.patch_size,
            overlap=self._task.overlap,
            num_outputs=num_outputs(self._task),
            device=self._device,
            precision=precision,
            mirror=mirror,
        )

    def _mask(self, row: int) -> NDArray[np.uint8]:
        mask = self._volumes[row].mask
        assert mask is not None
        return whole(mask)

    def _decided(self, logits_KZYX: Tensor) -> Tensor:
        """Which structures each voxel is given to: the likeliest, or each at probability 0.5 and more."""
        if not self._task.exclusive:
            return logits_KZYX >= 0
        likeliest = logits_KZYX.argmax(0)
        return torch.stack([likeliest == k + 1 for k in range(len(self._task.structures))])
