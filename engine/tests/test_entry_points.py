"""Started as TypeScript starts them: exit codes, the last line on stdout, what they write."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from safetensors.numpy import load_file, save_file
from tiny_set import make_run, run

from fiducial_engine import export, predict, probe, train
from fiducial_engine.device import num_threads


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory, data: dict[str, Any]) -> Path:
    """A run trained with averaged weights."""
    folder = make_run(tmp_path_factory.mktemp("entry") / "run", data, train__epochs=4, train__ema=0.8)
    train.main(["--run-dir", str(folder), "--generation", "1"])
    return folder


def test_probe_resolves_what_the_recipe_leaves_open(tmp_path: Path, data: dict[str, Any]) -> None:
    config = make_run(tmp_path, data, train__device="auto", train__precision="auto") / "run.json"
    found = probe.main(["--config", str(config)])
    assert found["device"] in ("cpu", "cuda", "mps")
    assert found["precision"] in ("fp32", "bf16")
    assert found["threads"] == num_threads()
    memory = found["memory_bytes"]
    assert isinstance(memory, int) and 1 << 28 < memory < 1 << 44


def test_a_users_mistake_exits_2_with_its_message_and_a_last_json_line(tmp_path: Path, data: dict[str, Any]) -> None:
    config = make_run(tmp_path, data, train__lr="fast") / "run.json"
    code, last, err = run("probe", "--config", str(config))
    assert code == 2
    assert "train.lr: expected a number" in last["error"]
    assert "train.lr: expected a number" in err
    assert "Traceback" not in err


def test_scores_in_batches_of_1_2_and_7_agree_with_the_exported_network(run_dir: Path, tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (9, 1, 12, 10), dtype=np.uint8)
    save_file({"image": image}, tmp_path / "in.safetensors")
    result = export.main(_export_arguments(run_dir, tmp_path))
    reference = load_file(tmp_path / "out.safetensors")
    assert sorted(reference) == ["logits_b1", "logits_b2", "logits_b7"]
    assert result["files"] == ["model.onnx"]
    session = onnxruntime.InferenceSession(str(tmp_path / "onnx" / "model.onnx"), providers=["CPUExecutionProvider"])
    assert [(i.name, i.type, i.shape[1:]) for i in session.get_inputs()] == [("image", "tensor(uint8)", [1, 12, 10])]
    for size in (1, 2, 7):
        parts = [image[i : i + size] for i in range(0, 9, size)]
        found = np.concatenate([session.run(["logits"], {"image": part})[0] for part in parts])
        assert np.abs(found - reference[f"logits_b{size}"]).max() < 1e-5


def test_predict_repeats_the_validation_predictions_and_scores_other_parts(run_dir: Path, tmp_path: Path) -> None:
    predict.main(["--run-dir", str(run_dir), "--part", "val", "--out", str(tmp_path / "val.jsonl")])
    assert (tmp_path / "val.jsonl").read_text() == (run_dir / "predictions" / "val.jsonl").read_text()
    result = predict.main(["--run-dir", str(run_dir), "--part", "test", "--out", str(tmp_path / "test.jsonl")])
    assert result["cases"] == 12
    first = json.loads((tmp_path / "test.jsonl").read_text().splitlines()[0])
    assert first["case_id"] == "case-004"


def test_tensors_of_another_shape_are_refused(run_dir: Path, tmp_path: Path) -> None:
    save_file({"image": np.zeros((2, 1, 8, 8), np.uint8)}, tmp_path / "in.safetensors")
    with pytest.raises(Exception, match=r"`image` is torch.uint8 \[2, 1, 8, 8\]"):
        export.main(_export_arguments(run_dir, tmp_path))


def _export_arguments(run_dir: Path, folder: Path) -> list[str]:
    files = {"--tensors": folder / "in.safetensors", "--logits": folder / "out.safetensors", "--out": folder / "onnx"}
    return ["--run-dir", str(run_dir), *(str(part) for pair in files.items() for part in pair)]


def test_weights_of_a_run_start_another(run_dir: Path, tmp_path: Path, data: dict[str, Any]) -> None:
    from tiny_set import MLP, events

    second = make_run(tmp_path / "run", data, model={**MLP, "weights": str(run_dir)}, train__epochs=1)
    train.main(["--run-dir", str(second), "--generation", "1"])
    assert events(second, "step")[0]["loss"] < 0.3
