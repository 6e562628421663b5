# Generated from src/schema by scripts/generate.ts. Edit it there.
"""Types of every file that the engine shares with TypeScript. It fills every default; there are none here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineTask:
    kind: Literal["classify"]
    labels: tuple[str, ...]  # Findings or classes, in output order. One label = binary; several = multi-label.
    exclusive: bool  # Multi-class: exactly one label holds (softmax).


@dataclass(frozen=True, slots=True, kw_only=True)
class InputNormalization:
    offset: float  # Added to the stored value: 0 for uint8, 32768 for int16.
    scale: float  # 1/255 for uint8, 1/65535 for int16.
    mean: tuple[float, ...]  # Per channel, in 0..1.
    std: tuple[float, ...]  # Per channel, in 0..1.


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineData:
    shard_set: str  # Absolute path of the shard set.
    set_id: str
    labels_id: str
    split_id: str
    sample_shape: tuple[int, int, int]  # [C, H, W].
    dtype: Literal["uint8", "int16"]
    normalization: InputNormalization


@dataclass(frozen=True, slots=True, kw_only=True)
class TimmModel:
    family: Literal["timm"]
    kind: str
    weights: str
    drop_rate: float
    drop_path_rate: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MlpModel:
    family: Literal["mlp"]
    hidden: tuple[int, ...]
    dropout: float
    weights: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FileModel:
    family: Literal["file"]
    file: str  # Relative to the run folder: the copy.
    sha256: str
    name: str
    args: dict[str, Any]
    weights: str


EngineModel: TypeAlias = TimmModel | MlpModel | FileModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Augment:
    flip_x: float  # Probability of a left-right flip; for images whose sides are alike in meaning.
    flip_y: float  # Probability of an up-down flip.
    rotate90: float  # Probability of a random 90-degree turn; for tiles without an up.
    rotate_degrees: float  # Largest rotation either way.
    scale: float  # Zoom drawn from 1 - s to 1 + s.
    translate: float  # Largest shift, as a share of the side.
    crop: float  # Smallest share of the area kept by a random resized crop; 1 is off.
    brightness: float  # Largest additive change, in units of the 0..1 range.
    contrast: float  # Contrast factor drawn from 1 - c to 1 + c.
    saturation: float  # Saturation factor drawn from 1 - s to 1 + s; RGB only.
    hue: float  # Largest hue shift, in turns; RGB only.


@dataclass(frozen=True, slots=True, kw_only=True)
class AdamwOptimizer:
    kind: Literal["adamw"]
    betas: tuple[float, float]
    eps: float
    weight_decay: float  # Decoupled; not applied to biases and norms.


@dataclass(frozen=True, slots=True, kw_only=True)
class SgdOptimizer:
    kind: Literal["sgd"]
    momentum: float
    nesterov: bool
    weight_decay: float


Optimizer: TypeAlias = AdamwOptimizer | SgdOptimizer


@dataclass(frozen=True, slots=True, kw_only=True)
class BceLoss:
    kind: Literal["bce"]
    # auto: negatives / positives of the training split per label, at most 100.
    pos_weight: Literal["none", "auto"] | tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossEntropyLoss:
    kind: Literal["cross_entropy"]
    # auto: inverse class frequency, 1 on average over the training cases, at most 100.
    class_weight: Literal["none", "auto"] | tuple[float, ...]
    label_smoothing: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FocalLoss:
    kind: Literal["focal"]
    gamma: float
    alpha: float | None  # Weight of positives; null weighs both alike.


Loss: TypeAlias = BceLoss | CrossEntropyLoss | FocalLoss


@dataclass(frozen=True, slots=True, kw_only=True)
class ConstantSchedule:
    kind: Literal["constant"]
    warmup: float  # Share of all steps spent in linear warm-up.


@dataclass(frozen=True, slots=True, kw_only=True)
class CosineSchedule:
    kind: Literal["cosine"]
    warmup: float  # Share of all steps spent in linear warm-up.
    min_lr_fraction: float  # Final learning rate as a share of the peak.


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSchedule:
    kind: Literal["step"]
    warmup: float  # Share of all steps spent in linear warm-up.
    milestones: tuple[float, ...]  # Shares of all steps at which the rate drops.
    factor: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PlateauSchedule:
    kind: Literal["plateau"]
    warmup: float  # Share of all steps spent in linear warm-up.
    factor: float  # CheXNet divides by 10.
    patience: int  # Validations without improvement before the rate drops.


@dataclass(frozen=True, slots=True, kw_only=True)
class OneCycleSchedule:
    kind: Literal["one_cycle"]
    warmup: float  # Share of all steps spent in linear warm-up.
    start_fraction: float
    end_fraction: float


Schedule: TypeAlias = ConstantSchedule | CosineSchedule | StepSchedule | PlateauSchedule | OneCycleSchedule


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineTrain:
    epochs: float  # Passes over the training split.
    global_batch: int  # Samples per step, summed over ranks and accumulation.
    accumulate: int  # Backward passes per optimizer update; divides the per-rank batch.
    lr: float  # Peak learning rate after warm-up.
    optimizer: Optimizer
    loss: Loss  # auto: bce, or cross_entropy when labels are exclusive.
    schedule: Schedule
    clip_norm: float | None  # Largest gradient norm; null is off.
    ema: float | None  # Decay of the averaged weights that are validated and exported; null is off.
    early_stopping_patience: int | None
    select: Literal["auroc_mean", "average_precision_mean", "balanced_accuracy", "f1_mean", "accuracy", "loss"]
    validate_every: float  # Epochs between validations.
    checkpoint_every_minutes: float  # Time between checkpoints besides those at each validation.
    keep_checkpoints: int  # Latest checkpoints kept besides the best.
    precision: Literal["auto", "fp32", "bf16", "fp16"]  # auto: bf16 where the device does it well, else fp32.
    compile: bool  # torch.compile the network.
    deterministic: bool  # Deterministic kernels on GPU, at some cost.
    device: Literal["auto", "cpu", "cuda", "mps"]  # auto: the accelerator, else cpu, said aloud.
    streams: int  # Canonical sample streams; node counts that divide it read disjoint shards.
    shuffle_window: int  # Shards of a stream shuffled together.
    sync_batch_norm: bool  # Batch statistics over all ranks; GPU only.
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    fiducial_version: str
    commit: str | None
    dirty: bool | None
    node_lock_sha256: str | None
    python_lock_sha256: str | None
    created: str  # ISO 8601, UTC.


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig:
    format: Literal[1]
    name: str
    # Of the recipe with every default filled in, without `evaluate`, `package`, `launch` and `$schema`.
    recipe_hash: str
    task: EngineTask
    data: EngineData
    model: EngineModel
    augment: Augment
    train: EngineTrain
    provenance: Provenance


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointPointer:
    step: int
    epoch: float
    folder: str  # Relative to checkpoints/.
    metrics: dict[str, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLock:
    generation: int
    pid: int
    host: str
    process_start: str | None  # What tells the process from a later one with its pid.
    time: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StartEvent:
    type: Literal["start"]
    step: int
    total_steps: int
    world_size: int
    device: str
    precision: str
    threads: int
    torch: str
    num_train: int
    num_val: int
    num_parameters: int
    weights_sha256: str | None  # Of the file that step 0 started from; null where it started at random.
    time: float  # Unix seconds.


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeEvent:
    type: Literal["resume"]
    step: int
    time: float  # Unix seconds.


@dataclass(frozen=True, slots=True, kw_only=True)
class StepEvent:
    type: Literal["step"]
    step: int
    epoch: float
    loss: float
    lr: float
    samples_per_second: float
    data_wait_fraction: float
    time: float  # Unix seconds.


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationEvent:
    type: Literal["validation"]
    step: int
    epoch: float
    metrics: dict[str, float | None]
    is_best: bool
    seconds: float
    time: float  # Unix seconds.


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointEvent:
    type: Literal["checkpoint"]
    step: int
    folder: str
    seconds: float
    time: float  # Unix seconds.


@dataclass(frozen=True, slots=True, kw_only=True)
class WarningEvent:
    type: Literal["warning"]
    step: int
    message: str
    time: float  # Unix seconds.


@dataclass(frozen=True, slots=True, kw_only=True)
class EndEvent:
    type: Literal["end"]
    step: int
    status: Literal["finished", "early_stopped", "stopped", "failed"]
    message: str | None
    # Where this process spent its time: data, augment, forward, backward, optimizer, validation, checkpoint, other.
    seconds: dict[str, float]
    time: float  # Unix seconds.


RunEvent: TypeAlias = StartEvent | ResumeEvent | StepEvent | ValidationEvent | CheckpointEvent | WarningEvent | EndEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    case_id: str
    patient_id: str
    labels: dict[str, Literal[0] | Literal[1] | None]
    logits: dict[str, float]
    scores: dict[str, float]
    attributes: dict[str, str | float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class PreprocessSpecWindow:
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ReinhardStainNormalization:
    kind: Literal["reinhard"]
    target_mean: tuple[float, float, float]  # Mean of l, alpha, beta of the target stain.
    target_std: tuple[float, float, float]  # Standard deviation of l, alpha, beta of the target stain.


@dataclass(frozen=True, slots=True, kw_only=True)
class MacenkoStainNormalization:
    kind: Literal["macenko"]
    # Optical-density RGB unit vectors of haematoxylin and eosin in the target.
    target_stains: tuple[tuple[float, float, float], tuple[float, float, float]]
    target_max: tuple[float, float]  # 99th percentile of each stain concentration in the target.


StainNormalization: TypeAlias = ReinhardStainNormalization | MacenkoStainNormalization


@dataclass(frozen=True, slots=True, kw_only=True)
class PreprocessSpec:
    kind: Literal["image"]  # 2D image; volumes are another kind.
    size: tuple[int, int]  # Rows and columns [y, x] of the stored tensor.
    channels: Literal[1] | Literal[3]  # 1 grey (ITU-R 601 luma of RGB), 3 RGB (grey is repeated).
    # Aspect ratio: ignored, kept with symmetric padding, kept with a central crop.
    fit: Literal["squash", "pad", "crop"]
    resample: Literal["bilinear", "bicubic"]  # Resize filter, antialiased, equal to Pillow's.
    antialias: bool  # Widen the filter when shrinking, as Pillow does. False reproduces models trained without.
    pad_value: int  # Fill of `fit: pad`, as a fraction n/255 of the stored range.
    # Source values mapped linearly to the whole stored range and clipped; null keeps 8-bit values as they are.
    window: PreprocessSpecWindow | None
    exif_orientation: bool  # Turn the image as its EXIF tag says.
    flip: tuple[Literal["y", "x"], ...]  # Array axes reversed after decoding, for models trained on mirrored arrays.
    channel_order: Literal["rgb", "bgr"]  # Order of stored channels; bgr for models trained through OpenCV.
    stain: StainNormalization | None  # Stain normalisation of RGB tiles, applied before resizing.
    dtype: Literal["uint8", "int16"]  # Stored type. int16 maps the window to -32768..32767.


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardIndexShard:
    file: str  # Relative to the set, e.g. 'shards/00000.safetensors'.
    num_cases: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardIndex:
    format: Literal[1]
    set_id: str
    preprocess: PreprocessSpec
    code_version: int
    num_cases: int
    sample_shape: tuple[int, int, int]  # [C, H, W] of each stored sample.
    dtype: Literal["uint8", "int16"]
    shards: tuple[ShardIndexShard, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelsTable:
    format: Literal[1]
    set_id: str
    labels_id: str
    labels: tuple[str, ...]
    num_cases: int
    sha256: str  # Of labels.safetensors.


@dataclass(frozen=True, slots=True, kw_only=True)
class PartCounts:
    train: int
    val: int
    test: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitTableLeak:
    kind: str
    case_ids: tuple[str, ...]
    splits: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitTable:
    format: Literal[1]
    set_id: str
    split_id: str
    labels_id: str
    kind: Literal["random", "column", "official", "folds"]
    cases: PartCounts
    patients: PartCounts
    leaks: tuple[SplitTableLeak, ...]
    normalization: InputNormalization  # The training split's mean and std, or what the recipe names.
    sha256: str  # Of split.safetensors.


@dataclass(frozen=True, slots=True, kw_only=True)
class TableCase:
    case_id: str
    patient_id: str
    labels: dict[str, Literal[0] | Literal[1] | None]
    attributes: dict[str, str | float | None]
