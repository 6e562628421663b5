import timm
import torch

from fiducial_engine.config import AdamwOptimizer, InputNormalization, SgdOptimizer
from fiducial_engine.ema import AveragedNetwork
from fiducial_engine.models.network import Network, Normalize
from fiducial_engine.optim import build_optimizer, parameter_groups

CPU = torch.device("cpu")
NORMALIZE = Normalize(InputNormalization(offset=0.0, scale=1 / 255, mean=(0.5,), std=(0.2,)), num_axes=2)


def test_norms_biases_and_embeddings_are_not_decayed() -> None:
    network = Network(NORMALIZE, timm.create_model("vit_tiny_patch16_224", in_chans=1, num_classes=2, img_size=32))
    names = {id(p): name for name, p in network.named_parameters()}
    decayed, free = parameter_groups(network, 0.05)
    assert (decayed["weight_decay"], free["weight_decay"]) == (0.05, 0.0)
    spared = {names[id(p)] for p in parameters(free)}
    assert {"net.pos_embed", "net.cls_token", "net.blocks.0.norm1.weight", "net.head.bias"} <= spared
    assert "net.blocks.0.attn.qkv.weight" not in spared
    assert len(names) == len(parameters(decayed)) + len(parameters(free))


def parameters(group: dict[str, object]) -> list[torch.nn.Parameter]:
    found = group["params"]
    assert isinstance(found, list)
    return found


def test_frozen_parameters_are_left_out() -> None:
    network = torch.nn.Linear(3, 2)
    network.weight.requires_grad_(False)
    (group,) = parameter_groups(network, 0.1)
    assert group["params"] == [network.bias]


def test_both_optimizers_take_a_step() -> None:
    for config in (
        AdamwOptimizer(kind="adamw", betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01),
        SgdOptimizer(kind="sgd", momentum=0.0, nesterov=True, weight_decay=0.0),
    ):
        network = torch.nn.Linear(3, 2)
        before = network.weight.detach().clone()
        optimizer = build_optimizer(network, config, 0.1, CPU)
        network(torch.ones(1, 3)).sum().backward()
        optimizer.step()
        assert not torch.equal(before, network.weight)


def test_averaged_weights_follow_slowly_and_forget_the_start() -> None:
    network = torch.nn.BatchNorm1d(2)
    ema = AveragedNetwork(network, 0.999)
    weight, mean = network.get_parameter("weight"), network.get_buffer("running_mean")
    with torch.no_grad():
        weight.fill_(3.0)
        mean.fill_(7.0)
    ema.update(network, step=0)
    averaged = ema.network.get_parameter("weight")
    assert torch.allclose(averaged, torch.tensor(1.0 + 0.9 * 2.0))
    assert torch.equal(ema.network.get_buffer("running_mean"), mean)
    ema.update(network, step=10**6)
    assert torch.allclose(averaged, torch.tensor(2.8 + 0.001 * 0.2))
