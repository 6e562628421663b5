"""A trained network of a run, for the entry points that only compute with it."""

from __future__ import annotations

from pathlib import Path

import torch

from fiducial_engine.checkpoint import load_weights, read_pointer
from fiducial_engine.config import CheckpointPointer, RunConfig
from fiducial_engine.device import exact_float32, num_threads, resolve_device
from fiducial_engine.models.network import Network, build_network
from fiducial_engine.strict import load_run_config


def load_trained(
    run_dir: Path, which: str, device: str = "cpu"
) -> tuple[RunConfig, CheckpointPointer, Network, torch.device]:
    """The network of a run's `best` or `latest` checkpoint, set to compute in full float32 as the package does.

    Args:
        device: cpu, or auto for the accelerator where there is one.

    Raises:
        UserError: the run has no such checkpoint, or it is damaged; the file is named.
    """
    config = load_run_config(run_dir / "run.json")
    pointer = read_pointer(run_dir, which)
    torch.set_num_threads(num_threads())
    exact_float32()
    network, _ = build_network(config, run_dir)
    load_weights(run_dir, pointer, network)
    target = torch.device(resolve_device(device))
    network.to(target).eval()
    return config, pointer, network, target
