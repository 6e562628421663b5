"""A multilayer perceptron on pixels or voxels: flatten, then linear layers with ReLU, as in the MHIST baseline."""

from __future__ import annotations

import math
from itertools import pairwise

from torch import nn

from fiducial_engine.config import MlpModel
from fiducial_engine.models.spec import NetworkSpec


def build(config: MlpModel, spec: NetworkSpec) -> nn.Module:
    """As spec says; `hidden` names the units of each hidden layer."""
    units = [spec.in_channels * math.prod(spec.size), *config.hidden]
    layers: list[nn.Module] = [nn.Flatten()]
    for num_in, num_out in pairwise(units):
        layers += [nn.Linear(num_in, num_out), nn.ReLU(inplace=True)]
        if config.dropout > 0:
            layers.append(nn.Dropout(config.dropout))
    return nn.Sequential(*layers, nn.Linear(units[-1], spec.num_outputs))
