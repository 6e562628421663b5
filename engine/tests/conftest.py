from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # As the engine sets it; read when torch is imported.
# torchrun's shared rendezvous store hangs now and then when workers are killed (pytorch#135712).
os.environ["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] = "1"

import pytest
import torch
from tiny_set import make_set
from zygote import Zygote

torch.set_num_threads(min(2, os.cpu_count() or 1))


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """60 cases of 1×12×10 in 3 shards, one label that brightens the image."""
    return make_set(tmp_path_factory.mktemp("set") / "set")


@pytest.fixture(scope="session")
def zygote() -> Iterator[Zygote]:
    with Zygote() as started:
        yield started


@pytest.fixture(autouse=True)
def signals_as_before() -> Iterator[None]:
    """Entry points called in this process install handlers."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def user_model(tmp_path: Path) -> Path:
    """A network with everything that has a state: batch norm, dropout, a buffer of its own."""
    path = tmp_path / "net.py"
    path.write_text(USER_MODEL)
    return path


USER_MODEL = """
from torch import nn


class Net(nn.Module):
    def __init__(self, in_channels, num_outputs, size, width=6):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, width, 3, stride=2, padding=1), nn.BatchNorm2d(width), nn.ReLU(), nn.Dropout(0.2),
        )
        self.head = nn.Linear(width, num_outputs)

    def forward(self, x):
        return self.head(self.features(x).mean((2, 3)))
"""
