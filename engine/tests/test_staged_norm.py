import copy

import torch
from torch import nn

from fiducial_engine.export import StagedNorm


def test_a_staged_norm_is_the_instance_norm_also_where_most_of_a_volume_is_one_value() -> None:
    torch.manual_seed(0)
    norm = nn.InstanceNorm3d(3, affine=True)
    with torch.no_grad():
        norm.weight.uniform_(0.5, 2)
        norm.bias.uniform_(-1, 1)
    x = torch.full((2, 3, 20, 24, 28), 7.3)
    x[..., 8:12, 9:14, 10:15] += torch.randn(2, 3, 4, 5, 5)
    exact = copy.deepcopy(norm).double()(x.double()).detach()
    found = StagedNorm(norm)(x).detach()
    # Values reach 40.
    assert torch.allclose(found.double(), exact, rtol=0, atol=1e-4)
