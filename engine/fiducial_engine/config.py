# Generated from src/schema by scripts/generate.ts. Edit it there.
"""Types of every file that the engine shares with TypeScript. It fills every default; there are none here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineClassify:
    kind: Literal["classify"]
    labels: tuple[str, ...]
    exclusive: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Structure:
    name: str
    values: tuple[int, ...]  # Values of the mask that belong to it.


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSegment:
    kind: Literal["segment"]
    structures: tuple[Structure, ...]
    exclusive: bool  # Softmax over background and the structures, in this order; else a sigmoid for each structure.
    patch_size: tuple[int, int, int]  # [z, y, x] of a crop and of a window.
    foreground_fraction: float  # Share of crops centred on a structure.
    overlap: float  # Of neighbouring windows, as a share of their side.


EngineTask: TypeAlias = EngineClassify | EngineSegment


@dataclass(frozen=True, slots=True, kw_only=True)
class InputNormalization:
    offset: float  # Added to the stored value: 32768 for int16, else 0.
    scale: float  # 1/255 for uint8, 1/65535 for int16, 1 for floats.
    mean: tuple[float, ...]  # Per channel, of scaled values.
    std: tuple[float, ...]  # Per channel, of scaled values.


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineImages:
    kind: Literal["images"]
    shard_set: str  # Absolute path of the shard set.
    set_id: str
    labels_id: str
    split_id: str
    normalization: InputNormalization
    sample_shape: tuple[int, int, int]  # [C, H, W].
    dtype: Literal["uint8", "int16"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineVolumes:
    kind: Literal["volumes"]
    shard_set: str  # Absolute path of the shard set.
    set_id: str
    labels_id: str
    split_id: str
    normalization: InputNormalization
    channels: int
    size: tuple[int, int, int] | None  # [z, y, x] of every case; null: each its own.
    spacing_mm: tuple[float, float, float]  # [z, y, x] of the stored grid, or its median where cases keep their own.
    dtype: Literal["uint8", "int16", "float16", "float32"]


EngineData: TypeAlias = EngineImages | EngineVolumes


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
class Unet3dModel:
    family: Literal["unet3d"]
    channels: tuple[int, ...]
    residual_units: int
    norm: Literal["instance", "batch", "group"]
    dropout: float
    weights: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SegresnetModel:
    family: Literal["segresnet"]
    init_filters: int
    blocks_down: tuple[int, ...]
    blocks_up: tuple[int, ...]
    dropout: float
    weights: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DynunetModel:
    family: Literal["dynunet"]
    base_channels: int
    max_channels: int
    residual: bool
    deep_supervision: int
    weights: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Resnet3dModel:
    family: Literal["resnet3d"]
    depth: int
    base_channels: int
    weights: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FileModel:
    family: Literal["file"]
    file: str  # Relative to the run folder: the copy.
    sha256: str
    name: str
    args: dict[str, Any]
    weights: str


EngineModel: TypeAlias = TimmModel | MlpModel | Unet3dModel | SegresnetModel | DynunetModel | Resnet3dModel | FileModel


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageAugment:
    kind: Literal["image"]  # Filled in by what the recipe says; need not be written.
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
class VolumeAugment:
    kind: Literal["volume"]
    flip: tuple[Literal["z", "y", "x"], ...]  # Axes mirrored, each with probability 0.5.
    rotate: float  # Probability.
    rotate_degrees: float  # Largest angle about each axis; of patches much flatter along z, about z alone.
    scale: float  # Probability.
    scale_range: tuple[float, float]  # Zoom factor.
    elastic: float  # Probability.
    elastic_mm: float  # Standard deviation of the displacement of control points, in mm of the stored spacing.
    noise: float  # Probability.
    noise_std: float  # Largest standard deviation of Gaussian noise, after normalisation.
    blur: float  # Probability.
    blur_sigma: tuple[float, float]  # In voxels.
    brightness: float  # Probability.
    brightness_range: tuple[float, float]  # Factor.
    shift: float  # Probability of adding a constant to a channel.
    shift_std: float  # Standard deviation of that constant, after normalisation.
    contrast: float  # Probability.
    contrast_range: tuple[float, float]  # Factor about the mean; values stay in their range.
    low_resolution: float  # Probability.
    low_resolution_range: tuple[float, float]  # Share of the resolution kept, sampled back by cubic interpolation.
    gamma: float  # Probability.
    gamma_range: tuple[float, float]  # Exponent.


Augment: TypeAlias = ImageAugment | VolumeAugment


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


@dataclass(frozen=True, slots=True, kw_only=True)
class DiceLoss:
    kind: Literal["dice"]  # 1 - soft Dice, a structure and sample at a time (Milletari et al., 3DV 2016).
    batch: bool  # Over all samples of the batch as if they were one.
    background: bool  # Count background as a structure; labels only.


@dataclass(frozen=True, slots=True, kw_only=True)
class DiceCeLoss:
    kind: Literal["dice_ce"]  # Dice plus cross-entropy, binary for regions.
    batch: bool
    background: bool
    ce_weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneralizedDiceLoss:
    kind: Literal["generalized_dice"]  # Structures weighed by 1 / volume² (Sudre et al., DLMIA 2017).
    background: bool


Loss: TypeAlias = BceLoss | CrossEntropyLoss | FocalLoss | DiceLoss | DiceCeLoss | GeneralizedDiceLoss


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
    global_batch: int  # Samples per step, summed over ranks and accumulation. auto: 32 images; of volumes 2 to 8 crops.
    accumulate: int  # Backward passes per optimizer update; divides the per-rank batch.
    lr: float  # Peak learning rate after warm-up.
    optimizer: Optimizer
    loss: Loss  # auto: bce, or cross_entropy when labels are exclusive; dice_ce for segmentation.
    schedule: Schedule
    clip_norm: float | None  # Largest gradient norm; null is off.
    ema: float | None  # Decay of the averaged weights that are validated and exported; null is off.
    early_stopping_patience: int | None
    select: Literal[
        "auroc_mean", "average_precision_mean", "balanced_accuracy", "f1_mean", "accuracy", "dice_mean", "loss"
    ]
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
class ImageSpecWindow:
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
class ImageSpec:
    kind: Literal["image"]  # 2D image.
    size: tuple[int, int]  # Rows and columns [y, x] of the stored tensor.
    channels: Literal[1] | Literal[3]  # 1 grey (ITU-R 601 luma of RGB), 3 RGB (grey is repeated).
    # Aspect ratio: ignored, kept with symmetric padding, kept with a central crop.
    fit: Literal["squash", "pad", "crop"]
    resample: Literal["bilinear", "bicubic"]  # Resize filter, antialiased, equal to Pillow's.
    antialias: bool  # Widen the filter when shrinking, as Pillow does. False reproduces models trained without.
    pad_value: int  # Fill of `fit: pad`, as a fraction n/255 of the stored range.
    # Source values mapped linearly to the whole stored range and clipped; null keeps 8-bit values as they are and shows
    # DICOM by its own window.
    window: ImageSpecWindow | None
    exif_orientation: bool  # Turn the image as its EXIF tag says.
    flip: tuple[Literal["y", "x"], ...]  # Array axes reversed after decoding, for models trained on mirrored arrays.
    channel_order: Literal["rgb", "bgr"]  # Order of stored channels; bgr for models trained through OpenCV.
    stain: StainNormalization | None  # Stain normalisation of RGB tiles, applied before resizing.
    dtype: Literal["uint8", "int16"]  # Stored type. int16 maps the window to -32768..32767.


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageShardIndexShard:
    file: str  # Relative to the set, e.g. 'shards/00000.safetensors'.
    num_cases: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageShardIndex:
    kind: Literal["images"]
    preprocess: ImageSpec
    sample_shape: tuple[int, int, int]  # [C, H, W] of each stored sample.
    dtype: Literal["uint8", "int16"]
    format: Literal[1]
    set_id: str
    code_version: int
    num_cases: int
    shards: tuple[ImageShardIndexShard, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NoneIntensity:
    kind: Literal["none"]  # Values as they are.


@dataclass(frozen=True, slots=True, kw_only=True)
class ZscoreIntensity:
    kind: Literal["zscore"]  # Mean 0, standard deviation 1 over all voxels of the case.


@dataclass(frozen=True, slots=True, kw_only=True)
class NonzeroZscoreIntensity:
    kind: Literal["nonzero_zscore"]  # The same over voxels that are not 0; zeros stay 0.


@dataclass(frozen=True, slots=True, kw_only=True)
class PercentileIntensity:
    kind: Literal["percentile"]  # Clipped to two percentiles of the case, then its z-score.
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowIntensity:
    kind: Literal["window"]  # The same source values in every case mapped to 0..1 and clipped.
    low: float
    high: float


Intensity: TypeAlias = NoneIntensity | ZscoreIntensity | NonzeroZscoreIntensity | PercentileIntensity | WindowIntensity


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeSpec:
    kind: Literal["volume"]
    channels: int
    orientation: str  # What x, y and z of the stored array point to.
    spacing_mm: tuple[float, float, float] | None  # [z, y, x] of the stored grid; null keeps that of the source.
    resample: Literal["linear", "cubic"]  # Of images; masks take the nearest voxel.
    crop: Literal["none", "foreground"]  # To the box of voxels that are not 0 in some channel.
    # [z, y, x] cropped or padded to, about the centre, for networks of fixed input; null: as large as it is.
    size: tuple[int, int, int] | None
    intensity: tuple[Intensity, ...]  # One a channel.
    # Stored type. int16 and uint8 map 0..1 of a window to their range.
    dtype: Literal["uint8", "int16", "float16", "float32"]
    # Of 2D images without a place in a patient, each a volume of one slice: spacing_mm and all lengths count pixels.
    # Absent: mm.
    distance_unit: Annotated[Literal["px"] | None, "may be absent"]
    # Of a sample of such an image; a file of another depth is refused. Absent: of volumes, and of sets and packages
    # made before this was noted.
    bits: Annotated[Literal[8] | Literal[16] | None, "may be absent"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeShardIndex:
    kind: Literal["volumes"]
    preprocess: VolumeSpec
    dtype: Literal["uint8", "int16", "float16", "float32"]
    has_masks: bool
    # [z, y, x] of the bricks that image and mask are deflated in, as `image_bricks`, where each ends as `image_ends`,
    # and `image_shape`; null: stored plainly.
    brick: tuple[int, int, int] | None
    format: Literal[1]
    set_id: str
    code_version: int
    num_cases: int
    shards: tuple[ImageShardIndexShard, ...]


ShardIndex: TypeAlias = ImageShardIndex | VolumeShardIndex


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
