import itertools

import numpy as np
import pytest
import torch
from torch import nn

from fiducial_engine.windows import importance, logits_of_volume, mirrorings, window_starts

CPU = torch.device("cpu")


def network(channels: int = 2, outputs: int = 3) -> nn.Module:
    """Something that knows where in its window a voxel lies: a convolution whose padding shows."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv3d(channels, 4, 3, padding=1), nn.ReLU(), nn.Conv3d(4, outputs, 3, padding=1)).eval()


def blended(
    net: nn.Module, volume: torch.Tensor, patch: tuple[int, int, int], overlap: float, mirror: tuple[int, ...] = ()
) -> torch.Tensor:
    empty = np.zeros(len(volume), np.float32)
    return logits_of_volume(
        *(net, volume, empty), patch=patch, overlap=overlap, num_outputs=3, device=CPU, precision="fp32", mirror=mirror
    )


@pytest.mark.parametrize("overlap", [0, 0.25, 0.5, 0.7])
@pytest.mark.parametrize("sides", [(11, 17, 9), (8, 6, 10), (5, 30, 4), (3, 4, 5)])
def test_blending_is_monais(sides: tuple[int, int, int], overlap: float) -> None:
    from monai.inferers.utils import sliding_window_inference

    patch = (8, 6, 10)
    volume = torch.randn((2, *sides), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        theirs = sliding_window_inference(volume[None], patch, 2, network(), overlap, mode="gaussian")
    assert isinstance(theirs, torch.Tensor)
    assert torch.allclose(blended(network(), volume, patch, overlap), theirs[0], atol=1e-5)


def test_importance_is_monais() -> None:
    from monai.data.utils import compute_importance_map

    for patch in ((8, 6, 10), (1, 40, 56), (3, 3, 64)):
        assert torch.allclose(importance(patch), compute_importance_map(patch, "gaussian", 0.125), atol=1e-7)


def test_windows_cover_every_voxel_and_none_beyond() -> None:
    for size, patch, overlap in itertools.product([(9, 20, 12), (8, 8, 8)], [(8, 8, 8), (3, 7, 5)], [0, 0.5, 0.9]):
        covered = np.zeros(size, int)
        for z, y, x in window_starts(size, patch, overlap):
            box = covered[z : z + patch[0], y : y + patch[1], x : x + patch[2]]
            assert box.shape == patch
            box += 1
        assert covered.min() > 0


def test_a_small_volume_is_continued_with_the_value_of_each_channel() -> None:
    seen: list[torch.Tensor] = []

    class Spy(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append(x)
            return x[:, :1].expand(-1, 3, -1, -1, -1)

    volume = torch.ones((2, 3, 4, 5), dtype=torch.uint8)
    empty = np.array([7, 9], np.uint8)
    found = logits_of_volume(
        *(Spy(), volume, empty), patch=(4, 6, 5), overlap=0.5, num_outputs=3, device=CPU, precision="fp32"
    )
    assert found.shape == (3, 3, 4, 5)
    [window] = seen
    assert window.shape == (1, 2, 4, 6, 5)
    assert (window[0, 0, 3] == 7).all() and (window[0, 1, :, 0] == 9).all() and (window[0, :, :3, 1:5] == 1).all()


@pytest.mark.parametrize("mirror", [(0,), (0, 2), (0, 1, 2)])
def test_mirroring_is_the_mean_over_windows_seen_in_every_mirror(mirror: tuple[int, ...]) -> None:
    net, volume, patch = network(), torch.randn(2, 8, 6, 10), (8, 6, 10)
    with torch.no_grad():
        turned = [net(volume.flip([a + 1 for a in m])[None])[0].flip([a + 1 for a in m]) for m in mirrorings(mirror)]
    assert len(turned) == 2 ** len(mirror)
    assert torch.allclose(blended(net, volume, patch, 0.5, mirror), torch.stack(turned).mean(0), atol=1e-5)
