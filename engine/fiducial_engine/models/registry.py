"""Model families by the name that run.json uses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from torch import nn

from fiducial_engine.models import file_model, mlp, timm_model
from fiducial_engine.models.spec import NetworkSpec

MODELS: Final[dict[str, Callable[[Any, NetworkSpec], nn.Module]]] = {
    "timm": timm_model.build,
    "mlp": mlp.build,
    "file": file_model.build,
}
