"""Writes a run's network as ONNX, for any batch B: input `image` of the stored type, [B, C, H, W], or [B, C, Z, Y, X]
of a volume or patch; output `logits` [B, L], or [B, K, Z, Y, X] of a patch.

`python -m fiducial_engine.export --run-dir DIR --checkpoint best --out DIR --tensors in.safetensors --batches 1,2,7
--logits out.safetensors` writes model.onnx, and model.onnx.data beside it when the weights are too large for one
protobuf. Normalisation is the graph's first node. What the package is held against comes from the same process, as
starting one takes longer than all it computes: PyTorch's logits of `image` in in.safetensors, as `logits_b1`,
`logits_b2`, `logits_b7` in out.safetensors, float32. Of segmentation, `--volumes in.safetensors --volumes-out
out.safetensors` adds probabilities float32 [K, Z, Y, X] of each tensor [C, Z, Y, X], blended by MONAI.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import io
import logging
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from fiducial_engine.crops import torch_dtype
from fiducial_engine.entry import run_entry
from fiducial_engine.errors import UserError
from fiducial_engine.models.network import Network
from fiducial_engine.predict import axes
from fiducial_engine.score import logits_in_batches, probabilities_by_monai, read_image, tensor_names
from fiducial_engine.tasks.registry import TASKS
from fiducial_engine.trained import load_trained

if TYPE_CHECKING:
    import onnx

OPSET = 20
# A protobuf holds 2 GB at most; past this the weights go to their own file.
_MOST_INLINE_BYTES = 1 << 30


def main(arguments: list[str]) -> Mapping[str, object]:
    parser = argparse.ArgumentParser(prog="fiducial_engine.export")
    parser.add_argument("--run-dir", type=Path, required=True)
    parser.add_argument("--checkpoint", choices=("best", "latest"), default="best")
    parser.add_argument("--out", type=Path, required=True, help="folder")
    parser.add_argument("--tensors", type=Path, required=True, help="what to score, `image` of the stored type")
    parser.add_argument("--batches", type=_sizes, default=(1, 2, 7), help="batch sizes, e.g. 1,2,7")
    parser.add_argument("--logits", type=Path, required=True, help="the scores to write")
    parser.add_argument("--volumes", type=Path, help="volumes to segment whole, each a tensor of the stored type")
    parser.add_argument("--volumes-out", type=Path, help="their probabilities to write, by the same names")
    parser.add_argument("--mirror", type=axes, default=(), help="axes that those are averaged over, e.g. z,y,x")
    options = parser.parse_args(arguments)
    if (options.volumes is None) != (options.volumes_out is None):
        parser.error("--volumes and --volumes-out go together")
    config, pointer, network, _ = load_trained(options.run_dir.resolve(), options.checkpoint)
    shape = TASKS[config.task.kind].network_shapes(config).input
    dtype = torch_dtype(np.dtype(config.data.dtype))
    image = read_image(options.tensors, (None, *shape), dtype)
    save_file(logits_in_batches(network, image, options.batches), options.logits)
    if options.volumes is not None:
        probabilities = {
            name: probabilities_by_monai(
                network, read_image(options.volumes, (shape[0], None, None, None), dtype, name), config, options.mirror
            )
            for name in tensor_names(options.volumes)
        }
        save_file(probabilities, options.volumes_out)
    options.out.mkdir(parents=True, exist_ok=True)
    files = export_onnx(network, shape, dtype, options.out / "model.onnx")
    return {"files": files, "opset": OPSET, "cases": len(image), "step": pointer.step}


def export_onnx(network: Network, sample_shape: tuple[int, ...], dtype: torch.dtype, path: Path) -> list[str]:
    """Write the network; equal weights give equal bytes. Returns the names of the files written.

    Raises:
        UserError: the model uses something that ONNX can't express.
    """
    model = _to_onnx(with_staged_norms(network), sample_shape, dtype)
    _strip(model)
    import onnx

    if model.ByteSize() <= _MOST_INLINE_BYTES:
        _write(path, model.SerializeToString(deterministic=True))
        return [path.name]
    data = path.with_name(path.name + ".data")
    data.unlink(missing_ok=True)
    onnx.save_model(model, str(path), save_as_external_data=True, location=data.name, size_threshold=1024)
    return [path.name, data.name]


class StagedNorm(nn.Module):
    """Instance norm with means taken along one axis after the other: the same function, rounded less.

    onnxruntime's own operator adds a whole volume up in float32, one value to the next; where much of it is one value,
    as in a small case's continuation, roundings do not cancel: on the phantom volumes of a trained DynUNet its logits
    were 8e-4 from float64's, PyTorch's 1e-5.
    """

    def __init__(self, norm: nn.InstanceNorm3d) -> None:
        super().__init__()
        self.eps = norm.eps
        self.weight, self.bias = norm.weight, norm.bias

    def forward(self, x_BCZYX: Tensor) -> Tensor:
        centred = x_BCZYX - _mean(x_BCZYX)
        scaled: Tensor = centred * torch.rsqrt(_mean(centred * centred) + self.eps)
        if self.weight is None:
            return scaled
        return scaled * self.weight[:, None, None, None] + self.bias[:, None, None, None]


def _mean(x_BCZYX: Tensor) -> Tensor:
    return x_BCZYX.mean(4, keepdim=True).mean(3, keepdim=True).mean(2, keepdim=True)


def with_staged_norms(network: Network) -> Network:
    """A copy of the network whose instance norms take their means in stages; the network itself where it has none."""
    if not any(isinstance(module, nn.InstanceNorm3d) for module in network.modules()):
        return network
    changed = copy.deepcopy(network)
    for parent in list(changed.modules()):
        for name, module in list(parent.named_children()):
            if isinstance(module, nn.InstanceNorm3d):
                setattr(parent, name, StagedNorm(module))
    return changed


def _sizes(text: str) -> tuple[int, ...]:
    sizes = tuple(int(part) for part in text.split(","))
    if not sizes or min(sizes) < 1:
        raise argparse.ArgumentTypeError("batch sizes are 1 or more")
    return sizes


def _to_onnx(network: Network, sample_shape: tuple[int, ...], dtype: torch.dtype) -> onnx.ModelProto:
    # The batch of the example is 2: 0 and 1 would be taken as constants.
    example = torch.zeros((2, *sample_shape), dtype=dtype)
    said = io.StringIO()
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            program = torch.onnx.export(
                network.eval(),
                (example,),
                input_names=["image"],
                output_names=["logits"],
                opset_version=OPSET,
                dynamo=True,
                dynamic_shapes={"image": {0: torch.export.Dim("batch")}},
                verbose=False,
            )
        except torch.onnx.OnnxExporterError as cause:
            detail = str(cause).strip().splitlines()
            raise UserError(
                "The model can't be exported to ONNX with a batch of any size.\n"
                f"  why: {detail[0] if detail else cause}\n"
                "  do: in a model of your own, avoid Python branches on tensor values and on the batch size."
            ) from cause
    assert program is not None
    return program.model_proto


def _strip(model: onnx.ModelProto) -> None:
    """Remove the exporter's notes: they name files of this machine, and differ from one export to the next."""
    del model.metadata_props[:]
    graphs = [model.graph, *model.functions]
    for graph in graphs:
        del graph.metadata_props[:]
        graph.doc_string = ""
        for node in graph.node:
            del node.metadata_props[:]
            node.doc_string = ""
        for value in graph.value_info:
            del value.metadata_props[:]
            value.doc_string = ""
    for value in (*model.graph.input, *model.graph.output, *model.graph.initializer):
        del value.metadata_props[:]
        value.doc_string = ""


def _write(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".tmp-{path.name}-{os.getpid()}")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)


if __name__ == "__main__":
    run_entry(main)
