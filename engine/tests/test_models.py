"""Every family of the registry that reads images: overfits a batch, saves, loads, exports, agrees with onnxruntime."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import timm
import torch
from conftest import USER_MODEL
from safetensors.torch import save_file
from tiny_set import EXAMPLE

from fiducial_engine.config import EngineClassify, EngineImages, EngineModel, FileModel, MlpModel, RunConfig, TimmModel
from fiducial_engine.errors import UserError
from fiducial_engine.export import export_onnx
from fiducial_engine.models.network import Network, build_network
from fiducial_engine.models.registry import MODELS
from fiducial_engine.shards import file_sha256
from fiducial_engine.strict import parse

RESNET = TimmModel(family="timm", kind="resnet10t", weights="none", drop_rate=0.0, drop_path_rate=0.0)
MLP = MlpModel(family="mlp", hidden=(20, 8), dropout=0.0, weights="none")


def config(model: EngineModel, shape: tuple[int, int, int] = (1, 40, 36), num_labels: int = 2) -> RunConfig:
    example: RunConfig = parse(RunConfig, json.loads(EXAMPLE.read_text()), "example")
    assert isinstance(example.data, EngineImages)
    assert isinstance(example.task, EngineClassify)
    data = dataclasses.replace(example.data, sample_shape=shape)
    mean, std = (0.4,) * shape[0], (0.2,) * shape[0]
    data = dataclasses.replace(data, normalization=dataclasses.replace(data.normalization, mean=mean, std=std))
    task = dataclasses.replace(example.task, labels=tuple("abcdef"[:num_labels]))
    return dataclasses.replace(example, data=data, task=task, model=model)


def own_model(run_dir: Path, code: str = USER_MODEL, name: str = "Net", **args: Any) -> FileModel:
    (run_dir / "net.py").write_text(code)
    digest = file_sha256(run_dir / "net.py")
    return FileModel(family="file", file="net.py", sha256=digest, name=name, args=args, weights="none")


def model_of(family: str, run_dir: Path) -> EngineModel:
    models: dict[str, EngineModel] = {"timm": RESNET, "mlp": MLP, "file": own_model(run_dir, width=7)}
    return models[family]


def built(model: EngineModel, run_dir: Path, weights: str = "none", **changes: Any) -> Network:
    return build_network(config(model, **changes), run_dir, weights=weights)[0]


OF_IMAGES = [name for name, family in MODELS.items() if family.reads != "volumes"]


@pytest.mark.parametrize("family", OF_IMAGES)
def test_a_family_overfits_a_batch_then_saves_loads_exports_and_agrees_with_onnxruntime(
    tmp_path: Path, family: str
) -> None:
    model = model_of(family, tmp_path)
    torch.manual_seed(0)
    network = built(model, tmp_path).train()
    image = torch.randint(0, 256, (6, 1, 40, 36), dtype=torch.uint8)
    image[:3, :, :20] //= 3
    truth = torch.tensor([[0.0, 1.0]] * 3 + [[1.0, 0.0]] * 3)
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.01)
    for _ in range(60 if family == "file" else 25):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(network(image), truth)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.1

    save_file({k: v.contiguous() for k, v in network.state_dict().items()}, tmp_path / "model.safetensors")
    again = built(model, tmp_path, weights=str(tmp_path / "model.safetensors")).eval()
    with torch.no_grad():
        assert torch.equal(again(image), network.eval()(image))

    export_onnx(again, (1, 40, 36), torch.uint8, tmp_path / "model.onnx")
    first = (tmp_path / "model.onnx").read_bytes()
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
    for size in (1, 2, 7):
        batch = torch.randint(0, 256, (size, 1, 40, 36), dtype=torch.uint8)
        with torch.no_grad():
            expected = again(batch).numpy()
        assert np.allclose(session.run(["logits"], {"image": batch.numpy()})[0], expected, atol=1e-4)
    assert str(tmp_path).encode() not in first
    assert b"fiducial_engine/" not in first


def test_weights_too_large_for_one_file_go_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fiducial_engine.export._MOST_INLINE_BYTES", 10_000)
    network = built(MLP, tmp_path).eval()
    for _ in range(2):  # The second export replaces the first.
        files = export_onnx(network, (1, 40, 36), torch.uint8, tmp_path / "model.onnx")
    assert files == ["model.onnx", "model.onnx.data"]
    assert (tmp_path / "model.onnx").stat().st_size < 10_000
    assert (tmp_path / "model.onnx.data").stat().st_size < 130_000
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
    image = torch.randint(0, 256, (3, 1, 40, 36), dtype=torch.uint8)
    with torch.no_grad():
        assert np.allclose(session.run(None, {"image": image.numpy()})[0], network(image).numpy(), atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "shape"), [("vit_tiny_patch16_224", (1, 48, 32)), ("resnet18", (3, 33, 47)), ("densenet121", (1, 40, 64))]
)
def test_timm_models_take_any_size_and_1_or_3_channels(tmp_path: Path, kind: str, shape: tuple[int, int, int]) -> None:
    network = built(dataclasses.replace(RESNET, kind=kind), tmp_path, shape=shape, num_labels=3).eval()
    assert network(torch.zeros((2, *shape), dtype=torch.uint8)).shape == (2, 3)


def test_the_first_node_normalises_stored_values(tmp_path: Path) -> None:
    network = built(MLP, tmp_path)
    stored = torch.tensor([0, 51, 255], dtype=torch.uint8).view(1, 1, 1, 3)
    assert torch.allclose(network.normalize(stored).flatten(), torch.tensor([-2.0, -1.0, 3.0]))
    assert not any("normalize" in key for key in network.state_dict())


def test_an_unknown_model_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no model 'resnet_18'; did you mean .*resnet18"):
        built(dataclasses.replace(RESNET, kind="resnet_18"), tmp_path)


def test_a_size_that_patches_do_not_divide_is_explained(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="patches of 16×16, which do not divide 50×50"):
        built(dataclasses.replace(RESNET, kind="vit_tiny_patch16_224"), tmp_path, shape=(1, 50, 50))


def test_an_option_that_a_model_lacks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"does not take what the recipe asks for: .*drop_path_rate"):
        built(dataclasses.replace(RESNET, kind="densenet121", drop_path_rate=0.1), tmp_path)


def test_pretrained_weights_that_can_not_be_had_stop_the_run_and_name_the_file_to_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIDUCIAL_WEIGHTS", str(tmp_path / "placed"))
    monkeypatch.setattr("huggingface_hub.hf_hub_download", unreachable)
    with pytest.raises(UserError) as error:
        built(dataclasses.replace(RESNET, kind="resnet18"), tmp_path, weights="pretrained")
    said = str(error.value)
    assert "random ones are never used" in said
    assert "OSError: no route to host" in said
    assert "huggingface.co/timm/resnet18" in said
    assert str(tmp_path / "placed" / "resnet18.") in said


def unreachable(*arguments: Any, **keywords: Any) -> str:
    raise OSError("no route to host")


def test_weights_placed_by_hand_are_used_and_adapted_to_one_channel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(1)
    original = timm.create_model("resnet10t", num_classes=1000)
    (tag,) = timm.list_pretrained("resnet10t.*")
    placed = tmp_path / f"{tag}.safetensors"
    save_file(original.state_dict(), placed)
    monkeypatch.setenv("FIDUCIAL_WEIGHTS", str(tmp_path))
    network = built(RESNET, tmp_path, weights="pretrained")
    loaded = network.net.get_parameter("conv1.0.weight")
    assert torch.allclose(loaded, original.get_parameter("conv1.0.weight").sum(1, keepdim=True), atol=1e-6)
    assert torch.equal(
        network.net.get_parameter("layer4.0.conv1.weight"), original.get_parameter("layer4.0.conv1.weight")
    )


def test_a_tag_that_timm_lacks_lists_those_it_has(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no weights 'resnet18\.best'; it has .*resnet18\.a1_in1k"):
        built(dataclasses.replace(RESNET, kind="resnet18"), tmp_path, weights="timm:best")


@pytest.mark.parametrize(
    ("weights", "message"),
    [("nowhere.safetensors", "there is no nowhere.safetensors"), ("model.pth", "pickled weights are never loaded")],
)
def test_weights_that_are_not_there_or_pickled_are_refused(
    tmp_path: Path, weights: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.pth").write_bytes(b"x")
    with pytest.raises(UserError, match=message):
        built(MLP, tmp_path, weights=weights)


def test_weights_of_another_task_leave_only_the_last_layer_random_and_say_so(tmp_path: Path) -> None:
    first = built(MLP, tmp_path, num_labels=4)
    save_file(first.state_dict(), tmp_path / "first.safetensors")
    file = tmp_path / "first.safetensors"
    second, initial = build_network(config(MLP, num_labels=2), tmp_path, weights=str(file))
    assert torch.equal(first.net.get_parameter("1.weight"), second.net.get_parameter("1.weight"))
    assert "5.bias, 5.weight start at random values" in initial.warnings[0]
    assert initial.sha256 == file_sha256(file)


def test_weights_of_another_model_are_refused_naming_the_tensors(tmp_path: Path) -> None:
    first = built(dataclasses.replace(MLP, hidden=(20, 9)), tmp_path)
    save_file(first.state_dict(), tmp_path / "first.safetensors")
    with pytest.raises(
        UserError, match=r"does not fit the model:\n(  .*\n)*  3\.weight: \[9, 20\], the model has \[8, 20\]"
    ):
        built(MLP, tmp_path, weights=str(tmp_path / "first.safetensors"))


@pytest.mark.parametrize(
    ("code", "name", "message"),
    [
        ("def broken(:", "Net", "net.py can't be imported: SyntaxError"),
        ("import torch", "Net", "net.py defines no 'Net'"),
        ("def Net(**k):\n    return 1 / 0", "Net", r"Net of net.py failed: ZeroDivisionError: .* \(line 2\)"),
        ("def Net(**k):\n    return 3", "Net", "gave int, not a torch Module"),
        ("from torch import nn\ndef Net(**k):\n    return nn.Flatten()", "Net", r"logits of shape \(2, 2\); it gave"),
        ("from torch import nn\ndef Net(**k):\n    return nn.Linear(3, 2)", "Net", "can't take images of shape"),
    ],
)
def test_a_users_model_that_fails_is_explained(tmp_path: Path, code: str, name: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        built(own_model(tmp_path, code, name), tmp_path)


def test_a_users_model_that_changed_since_the_run_began_is_refused(tmp_path: Path) -> None:
    model = own_model(tmp_path)
    (tmp_path / "net.py").write_text(USER_MODEL + "\n# edited")
    with pytest.raises(UserError, match="was changed since the run began"):
        built(model, tmp_path)
