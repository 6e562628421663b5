"""Every family of the registry that reads volumes: overfits a batch, saves, loads, exports, agrees with onnxruntime.

Each computes what MONAI's network of that name does.
"""

import dataclasses
import json
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import save_file
from tiny_volumes import EXAMPLE

from fiducial_engine.config import (
    DynunetModel,
    EngineClassify,
    EngineModel,
    EngineSegment,
    EngineVolumes,
    Resnet3dModel,
    RunConfig,
    SegresnetModel,
    Unet3dModel,
)
from fiducial_engine.errors import UserError
from fiducial_engine.export import export_onnx
from fiducial_engine.models.halving import plan_levels, strides_of_levels
from fiducial_engine.models.network import Network, build_network
from fiducial_engine.models.registry import MODELS
from fiducial_engine.strict import parse
from fiducial_engine.tasks.segment_loss import SegmentLoss

PATCH = (16, 24, 8)
UNET = Unet3dModel(
    family="unet3d", channels=(8, 16, 32), residual_units=2, norm="instance", dropout=0.0, weights="none"
)
SEGRESNET = SegresnetModel(
    family="segresnet", init_filters=8, blocks_down=(1, 2, 2), blocks_up=(1, 1), dropout=0.0, weights="none"
)
DYNUNET = DynunetModel(
    family="dynunet", base_channels=8, max_channels=24, residual=False, deep_supervision=2, weights="none"
)
RESNET = Resnet3dModel(family="resnet3d", depth=10, base_channels=8, weights="none")
EXAMPLES: dict[str, EngineModel] = {"unet3d": UNET, "segresnet": SEGRESNET, "dynunet": DYNUNET, "resnet3d": RESNET}
OF_VOLUMES = [name for name, family in MODELS.items() if family.reads == "volumes"]


def config(model: EngineModel, patch: tuple[int, int, int] = PATCH, channels: int = 2) -> RunConfig:
    """A run that segments, or classifies where that is what the model does."""
    example: RunConfig = parse(RunConfig, json.loads(EXAMPLE.read_text()), "example")
    assert isinstance(example.data, EngineVolumes)
    assert isinstance(example.task, EngineSegment)
    mean, std = (0.4, -0.1, 0.0)[:channels], (0.2, 1.5, 1.0)[:channels]
    normalization = dataclasses.replace(example.data.normalization, mean=mean, std=std)
    data = dataclasses.replace(example.data, channels=channels, size=patch, normalization=normalization)
    task: EngineSegment | EngineClassify = dataclasses.replace(example.task, patch_size=patch)
    if MODELS[model.family].gives == "labels":
        task = EngineClassify(kind="classify", labels=("a", "b"), exclusive=False)
    return dataclasses.replace(example, data=data, task=task, model=model)


def built(run_config: RunConfig, weights: str = "none") -> Network:
    torch.manual_seed(0)
    return build_network(run_config, Path("nowhere"), weights=weights)[0]


@pytest.mark.parametrize("family", OF_VOLUMES)
def test_a_family_overfits_a_batch_then_saves_loads_exports_and_agrees_with_onnxruntime(
    tmp_path: Path, family: str
) -> None:
    run_config = config(EXAMPLES[family])
    network = built(run_config).train()
    rng = torch.Generator().manual_seed(1)
    image = torch.randn((2, 2, *PATCH), generator=rng).half()
    mask = torch.zeros((2, *PATCH), dtype=torch.uint8)
    mask[0, 4:9, 3:14, 2:6], mask[1, 9:15, 8:20, 1:5] = 1, 1
    mask[0, 10:14, 8:20, 3:7], mask[1, 1:6, 2:13, 2:6] = 2, 2
    image[mask[:, None].expand_as(image) == 1] += 3
    image[mask[:, None].expand_as(image) == 2] -= 3
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.01)
    for _ in range(40):
        loss = loss_of(run_config, network(image), mask)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.3

    save_file({k: v.contiguous() for k, v in network.state_dict().items()}, tmp_path / "model.safetensors")
    again = built(run_config, str(tmp_path / "model.safetensors")).eval()
    with torch.no_grad():
        assert torch.equal(again(image), network.eval()(image))

    export_onnx(again, (2, *PATCH), torch.float16, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
    [taken] = session.get_inputs()
    assert (taken.name, taken.type, taken.shape[1:]) == ("image", "tensor(float16)", [2, *PATCH])
    for size in (1, 2, 3):
        batch = torch.randn((size, 2, *PATCH), generator=rng).half()
        with torch.no_grad():
            expected = again(batch).numpy()
        assert np.abs(session.run(["logits"], {"image": batch.numpy()})[0] - expected).max() < 1e-4


def loss_of(run_config: RunConfig, outputs: torch.Tensor | list[torch.Tensor], mask: torch.Tensor) -> torch.Tensor:
    if isinstance(run_config.task, EngineSegment):
        return SegmentLoss(run_config.task, run_config.train.loss).per_sample(outputs, mask).mean()
    truth = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert isinstance(outputs, torch.Tensor)
    return torch.nn.functional.binary_cross_entropy_with_logits(outputs, truth)


@pytest.mark.parametrize("norm", ["instance", "batch"])
@pytest.mark.parametrize("units", [0, 2])
@pytest.mark.parametrize("patch", [(16, 24, 8), (4, 16, 32), (1, 16, 24)])
def test_unet3d_is_monais(units: int, norm: Literal["instance", "batch"], patch: tuple[int, int, int]) -> None:
    from monai.networks.nets.unet import UNet

    model = dataclasses.replace(UNET, residual_units=units, norm=norm)
    ours = built(config(model, patch)).net
    kernel = [3 if side > 1 else 1 for side in patch]
    strides: Any = strides_of_levels(patch, 2)
    theirs = UNet(
        spatial_dims=3,
        in_channels=2,
        out_channels=3,
        channels=(8, 16, 32),
        strides=strides,
        kernel_size=kernel,
        up_kernel_size=kernel,
        num_res_units=units,
        norm=norm,
    )
    compare(ours, theirs, patch)


def test_segresnet_is_monais() -> None:
    from monai.networks.nets.segresnet import SegResNet

    patch = (16, 24, 32)  # MONAI halves every axis, whatever its length.
    ours = built(config(SEGRESNET, patch)).net
    theirs = SegResNet(
        spatial_dims=3, init_filters=8, in_channels=2, out_channels=3, blocks_down=(1, 2, 2), blocks_up=(1, 1)
    )
    compare(ours, theirs, patch)


def test_segresnet_of_one_slice_is_monais_in_two_dimensions() -> None:
    from monai.networks.nets.segresnet import SegResNet

    patch = (1, 16, 24)
    ours = built(config(SEGRESNET, patch)).net
    theirs = SegResNet(
        spatial_dims=2, init_filters=8, in_channels=2, out_channels=3, blocks_down=(1, 2, 2), blocks_up=(1, 1)
    )
    tensors = list(theirs.named_parameters()), list(ours.named_parameters())
    with torch.no_grad():
        for (_, given), (_, taken) in zip(*tensors, strict=True):
            taken.copy_(given if given.ndim == 1 else given[:, :, None])
        x = torch.randn(2, 2, *patch)
        assert torch.allclose(ours.eval()(x)[:, :, 0], theirs.eval()(x[:, :, 0]), atol=1e-4)


@pytest.mark.parametrize("family", [name for name in OF_VOLUMES if MODELS[name].gives == "mask"])
def test_a_family_takes_one_slice_and_exports_it(tmp_path: Path, family: str) -> None:
    patch = (1, 24, 16)
    network = built(config(EXAMPLES[family], patch, channels=3)).eval()
    image = torch.randint(0, 256, (2, 3, *patch), dtype=torch.uint8)
    export_onnx(network, (3, *patch), torch.uint8, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
    with torch.no_grad():
        expected = network(image).numpy()
    assert expected.shape == (2, 3, *patch)
    assert np.abs(session.run(["logits"], {"image": image.numpy()})[0] - expected).max() < 1e-4


@pytest.mark.parametrize("residual", [False, True])
def test_dynunet_is_monais(residual: bool) -> None:
    from monai.networks.nets.dynunet import DynUNet

    patch = (8, 24, 16)
    run_config = config(dataclasses.replace(DYNUNET, residual=residual), patch)
    assert isinstance(run_config.data, EngineVolumes)
    strides, kernels = plan_levels(patch, run_config.data.spacing_mm)
    theirs = DynUNet(
        spatial_dims=3,
        in_channels=2,
        out_channels=3,
        kernel_size=kernels,
        strides=strides,
        upsample_kernel_size=strides[1:],
        filters=[min(8 << level, 24) for level in range(len(strides))],
        res_block=residual,
        deep_supervision=False,
    )
    ours = built(run_config).net
    by_part = {"down": [theirs.input_block, *theirs.downsamples, theirs.bottleneck], "up": list(theirs.upsamples)}
    for name, parts in by_part.items():
        for mine, other in zip(ours.get_submodule(name).children(), parts, strict=True):
            copy_in_order(other, mine)
    copy_in_order(theirs.output_block, ours.get_submodule("head"))
    x = torch.randn(2, 2, *patch)
    with torch.no_grad():
        assert torch.allclose(ours.eval()(x), theirs.eval()(x), atol=1e-4)


def compare(ours: torch.nn.Module, theirs: torch.nn.Module, patch: tuple[int, int, int]) -> None:
    copy_in_order(theirs, ours)
    x = torch.randn(2, 2, *patch)
    with torch.no_grad():
        assert torch.allclose(ours.eval()(x), theirs.eval()(x), atol=1e-4)


def copy_in_order(source: torch.nn.Module, target: torch.nn.Module) -> None:
    """Copy tensors by their place: the layers are made in the same order, under other names."""
    tensors = list(dict(source.named_parameters()).values()), list(dict(target.named_parameters()).values())
    with torch.no_grad():
        for given, taken in zip(*tensors, strict=True):
            taken.copy_(given)


def test_an_axis_is_halved_while_its_side_is_even_and_at_least_8() -> None:
    assert strides_of_levels((40, 56, 6), 4) == [(2, 2, 1), (2, 2, 1), (2, 2, 1), (1, 1, 1)]


def test_thick_slices_are_halved_only_when_the_others_have_caught_up() -> None:
    # nnU-Net's plan for a patch of 16 slices 5 mm apart: in plane first, kernels flat until there.
    strides, kernels = plan_levels((16, 256, 256), (5.0, 0.9, 0.9))
    assert strides == [(1, 1, 1), (1, 2, 2), (1, 2, 2), (2, 2, 2), (2, 2, 2), (1, 2, 2), (1, 2, 2)]
    assert kernels == [(1, 3, 3), (1, 3, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3)]


def test_deep_supervision_gives_smaller_outputs_in_training_only() -> None:
    network = built(config(DYNUNET, (16, 24, 16)))
    x = torch.zeros((2, 2, 16, 24, 16))
    shapes = [tuple(level.shape[1:]) for level in network.train()(x)]
    assert shapes[0] == (3, 16, 24, 16)
    assert all(a[1] >= b[1] and a[2] > b[2] for a, b in pairwise(shapes))
    assert isinstance(network.eval()(x), torch.Tensor)


@pytest.mark.parametrize("model", [RESNET, dataclasses.replace(RESNET, depth=50)])
def test_resnet3d_takes_volumes_of_any_size(model: Resnet3dModel) -> None:
    network = built(config(model, (9, 33, 20))).eval()
    assert network(torch.zeros(2, 2, 9, 33, 20)).shape == (2, 2)


WIDE_RESNET = dataclasses.replace(RESNET, base_channels=16)


@pytest.mark.parametrize(
    ("model", "size"),
    [(RESNET, (20, 24, 30)), (WIDE_RESNET, (3, 32, 24)), (WIDE_RESNET, (6, 32, 24)), (UNET, (2, 24, 16))],
)
def test_in_bf16_gradients_are_near_those_of_fp32_where_few_slices_are_left(
    model: Any, size: tuple[int, int, int]
) -> None:
    network = built(config(model, size)).train()
    image = torch.randn(4, 2, *size)

    def gradients(*, bf16: bool) -> list[torch.Tensor]:
        # Memory that convolutions are then given holds NaN where they don't write it.
        freed = [torch.full((1 << power,), torch.nan, dtype=torch.bfloat16) for power in range(8, 21, 2)]
        del freed
        network.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            network(image).float().square().mean().backward()
        return [one.grad.clone() for one in network.parameters() if one.grad is not None]

    for exact, found in zip(gradients(bf16=False), gradients(bf16=True), strict=True):
        # bf16 has 8 bits, and norms of few voxels magnify what is lost; garbage is not even of the size.
        assert (found - exact).norm() <= exact.norm() + 1e-3


def test_a_model_of_another_task_is_refused_naming_those_that_fit() -> None:
    segment = config(UNET)
    with pytest.raises(UserError, match=r"resnet3d gives labels of volumes; .* needs mask of volumes.*\n.*unet3d"):
        built(dataclasses.replace(segment, model=RESNET))


def test_blocks_that_do_not_match_are_refused() -> None:
    with pytest.raises(UserError, match=r"blocks_up: 3 entries; of 3 levels"):
        built(config(dataclasses.replace(SEGRESNET, blocks_up=(1, 1, 1))))
