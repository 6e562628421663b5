import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from tiny_set import MLP, events, make_run, make_set, write_lock

from fiducial_engine import train
from fiducial_engine.config import Prediction, RunEvent
from fiducial_engine.errors import UserError
from fiducial_engine.finite import FiniteCheck
from fiducial_engine.shards import file_sha256
from fiducial_engine.strict import parse


def trained(run_dir: Path, data: dict[str, Any], **changes: Any) -> Path:
    make_run(run_dir, data, **changes)
    train.main(["--run-dir", str(run_dir), "--generation", "1"])
    return run_dir


def predictions(run_dir: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run_dir / "predictions" / "val.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"train__ema": 0.9, "train__clip_norm": None, "train__accumulate": 3},
        {"train__loss": {"kind": "focal", "gamma": 2, "alpha": 0.5}, "train__select": "loss"},
        {"train__loss": {"kind": "bce", "pos_weight": "auto"}, "train__precision": "bf16"},
        {"train__schedule": {"kind": "plateau", "warmup": 0, "factor": 0.1, "patience": 0}},
        {"train__optimizer": {"kind": "sgd", "momentum": 0.9, "nesterov": True, "weight_decay": 1e-4}},
        {"train__precision": "fp16"},
    ],
    ids=["defaults", "ema", "focal", "bf16", "plateau", "sgd", "fp16"],
)
def test_a_network_learns_what_is_plain_to_see(tmp_path: Path, data: dict[str, Any], changes: dict[str, Any]) -> None:
    run_dir = trained(tmp_path / "run", data, train__epochs=12, **changes)
    best = json.loads((run_dir / "checkpoints" / "best.json").read_text())
    assert best["metrics"]["auroc_mean"] == 1
    assert events(run_dir, "end")[-1]["status"] == "finished"


def test_every_event_and_prediction_fits_its_schema(tmp_path: Path, data: dict[str, Any]) -> None:
    run_dir = trained(tmp_path / "run", data)
    for line in (run_dir / "events.jsonl").read_text().splitlines():
        parse(RunEvent, json.loads(line), line)
    found = predictions(run_dir)
    for prediction in found:
        parse(Prediction, prediction, str(prediction))
    assert [p["case_id"] for p in found] == [f"case-{row:03d}" for row in range(60) if row % 5 == 3]
    kinds = [e["type"] for e in events(run_dir)]
    assert (kinds[0], kinds[-1]) == ("start", "end")
    assert set(events(run_dir, "end")[0]["seconds"]) == {
        *("data", "augment", "forward", "backward", "optimizer", "validation", "checkpoint", "other")
    }


def test_predictions_lie_beside_their_sha256(tmp_path: Path, data: dict[str, Any]) -> None:
    folder = trained(tmp_path / "run", data) / "predictions"
    assert {path.name for path in folder.iterdir()} == {"val.jsonl", "val.jsonl.sha256"}
    assert (folder / "val.jsonl.sha256").read_text() == f"{file_sha256(folder / 'val.jsonl')}  val.jsonl\n"


def test_the_first_ten_steps_are_all_recorded_with_their_rate(tmp_path: Path, data: dict[str, Any]) -> None:
    steps = events(trained(tmp_path / "run", data, train__epochs=5), "step")
    assert [e["step"] for e in steps][:10] == list(range(1, 11))
    assert all(e["samples_per_second"] > 0 and 0 <= e["data_wait_fraction"] <= 1 for e in steps)


def test_every_validation_has_the_step_before_it_on_record(tmp_path: Path, data: dict[str, Any]) -> None:
    run_dir = trained(tmp_path / "run", data, train__epochs=5)
    validated = {e["step"] for e in events(run_dir, "validation")}
    assert len(validated) == 5
    assert validated <= {e["step"] for e in events(run_dir, "step")}


def test_a_multi_class_network_learns_with_int16_colour_images(tmp_path: Path) -> None:
    data = make_set(tmp_path / "set", shape=(3, 12, 9), labels=("a", "b", "c"), dtype="int16", exclusive=True)
    run_dir = trained(
        tmp_path / "run",
        data,
        task__exclusive=True,
        train__epochs=15,
        train__select="balanced_accuracy",
        train__loss={"kind": "cross_entropy", "class_weight": "auto", "label_smoothing": 0.05},
        augment__saturation=0.1,
        augment__hue=0.05,
    )
    assert events(run_dir, "validation")[-1]["metrics"]["balanced_accuracy"] == 1
    assert all(abs(sum(p["scores"].values()) - 1) < 1e-12 for p in predictions(run_dir))


def test_unknown_labels_are_masked_and_written_as_null(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(-1, 2, (60, 2)).astype(np.int8)
    data = make_set(tmp_path / "set", labels=("a", "b"), truth_NL=truth)
    run_dir = trained(tmp_path / "run", data, train__epochs=10)
    assert {p["labels"]["a"] for p in predictions(run_dir)} == {0, 1, None}
    assert events(run_dir, "validation")[-1]["metrics"]["auroc_mean"] == 1


def test_a_label_with_one_class_only_is_warned_of_and_its_metric_is_null(tmp_path: Path) -> None:
    data = make_set(tmp_path / "set", truth_NL=np.ones((60, 1), np.int8))
    run_dir = trained(tmp_path / "run", data)
    assert "every known training case is positive" in events(run_dir, "warning")[0]["message"]
    assert events(run_dir, "validation")[-1]["metrics"]["auroc_mean"] is None
    assert events(run_dir, "end")[0]["status"] == "finished"
    latest = json.loads((run_dir / "checkpoints" / "latest.json").read_text())
    assert json.loads((run_dir / "checkpoints" / "best.json").read_text())["step"] == latest["step"]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("c++") is None, reason="torch.compile needs a C++ compiler on the CPU")
def test_a_compiled_network_learns_the_same(tmp_path: Path, data: dict[str, Any]) -> None:
    plain = events(trained(tmp_path / "plain", data), "validation")[-1]["metrics"]
    compiled = events(trained(tmp_path / "compiled", data, train__compile=True), "validation")[-1]["metrics"]
    assert compiled == pytest.approx(plain, abs=0.02)


def test_without_a_validation_split_the_newest_checkpoint_is_the_best(tmp_path: Path) -> None:
    data = make_set(tmp_path / "set", part_N=np.ones(60, np.uint8))
    run_dir = trained(tmp_path / "run", data)
    assert "validation split is empty" in events(run_dir, "warning")[0]["message"]
    assert json.loads((run_dir / "checkpoints" / "best.json").read_text())["step"] == 15
    assert predictions(run_dir) == []


def test_early_stopping_ends_the_run_and_keeps_the_best(tmp_path: Path, data: dict[str, Any]) -> None:
    run_dir = trained(tmp_path / "run", data, train__lr=1e-9, train__epochs=50, train__early_stopping_patience=2)
    end = events(run_dir, "end")[0]
    assert end["status"] == "early_stopped"
    assert end["step"] < 50 * 36 // 8
    again = events(resumed(run_dir), "end")[-1]
    assert (again["status"], again["step"]) == ("early_stopped", end["step"])


def resumed(run_dir: Path) -> Path:
    write_lock(run_dir, 2)
    train.main(["--run-dir", str(run_dir), "--generation", "2"])
    return run_dir


def test_a_finished_run_started_again_trains_no_further(tmp_path: Path, data: dict[str, Any]) -> None:
    run_dir = trained(tmp_path / "run", data)
    before = (run_dir / "checkpoints" / "latest.json").read_text()
    resumed(run_dir)
    assert (run_dir / "checkpoints" / "latest.json").read_text() == before
    assert events(run_dir, "resume") == [{**events(run_dir, "resume")[0], "step": 9}]


def test_a_start_on_other_ground_is_told_in_a_line_and_goes_on(tmp_path: Path, data: dict[str, Any]) -> None:
    run_dir = trained(tmp_path / "run", data)
    resumed(run_dir)
    assert events(run_dir, "warning") == []
    log = run_dir / "events.jsonl"
    torch_now = f'"torch": "{torch.__version__}"'
    log.write_text(log.read_text().replace('"world_size": 1', '"world_size": 4').replace(torch_now, '"torch": "1.0"'))
    write_lock(run_dir, 2)
    train.main(["--run-dir", str(run_dir), "--generation", "2", "--warning", "Other code."])
    ground, code = [w["message"] for w in events(run_dir, "warning")]
    assert "world_size 1 (was 4), torch " in ground and ground.count("\n") == 0
    assert (code, events(run_dir, "end")[-1]["status"]) == ("Other code.", "finished")


def test_the_weights_a_run_started_from_are_on_record_after_a_resume_too(tmp_path: Path, data: dict[str, Any]) -> None:
    first = trained(tmp_path / "first", data)
    weights = first / "checkpoints" / "step-00000009" / "model.safetensors"
    again = resumed(trained(tmp_path / "again", data, model={**MLP, "weights": str(weights)}))
    assert [e["weights_sha256"] for e in events(first, "start")] == [None]
    assert [e["weights_sha256"] for e in events(again, "start")] == [file_sha256(weights)] * 2


def test_weights_of_a_run_whose_checkpoint_is_damaged_are_refused(tmp_path: Path, data: dict[str, Any]) -> None:
    first = trained(tmp_path / "first", data)
    best = json.loads((first / "checkpoints" / "best.json").read_text())["folder"]
    weights = first / "checkpoints" / best / "model.safetensors"
    damaged = bytearray(weights.read_bytes())
    damaged[-1] ^= 1
    weights.write_bytes(damaged)
    with pytest.raises(UserError, match=r"damaged: model\.safetensors does not have the sha256"):
        trained(tmp_path / "again", data, model={**MLP, "weights": str(first)})


def test_only_the_newest_checkpoints_and_the_best_are_kept(tmp_path: Path, data: dict[str, Any]) -> None:
    run_dir = trained(tmp_path / "run", data, train__epochs=6, train__keep_checkpoints=1)
    best = json.loads((run_dir / "checkpoints" / "best.json").read_text())["folder"]
    latest = json.loads((run_dir / "checkpoints" / "latest.json").read_text())["folder"]
    assert {f.name for f in (run_dir / "checkpoints").glob("step-*")} == {best, latest}


def test_validation_may_come_several_times_an_epoch(tmp_path: Path, data: dict[str, Any]) -> None:
    run_dir = trained(tmp_path / "run", data, train__epochs=1, train__validate_every=0.25)
    assert [e["step"] for e in events(run_dir, "validation")] == [2, 3, 4, 5]


def test_an_infinite_loss_stops_the_run_naming_step_and_cases(tmp_path: Path, data: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"The (loss|gradient) of step \d+ is not finite; .*: case-\d\d\d") as error:
        trained(tmp_path / "run", data, train__lr=1e30, train__clip_norm=None, train__epochs=5)
    end = events(tmp_path / "run", "end")[-1]
    assert (end["status"], end["message"]) == ("failed", str(error.value))


def test_an_infinite_loss_found_some_steps_late_as_on_a_gpu_is_told_the_same(
    tmp_path: Path, data: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    check, calls = FiniteCheck.check, iter(range(1, 1000))
    monkeypatch.setattr(FiniteCheck, "check", lambda self: check(self) if next(calls) % 10 == 0 else None)
    with pytest.raises(UserError, match=r"The (loss|gradient) of step \d is not finite"):
        trained(tmp_path / "run", data, train__lr=1e30, train__clip_norm=None, train__epochs=5, train__validate_every=5)
    assert len(events(tmp_path / "run", "step")) < 10


def test_outputs_that_overflow_in_validation_stop_the_run_naming_the_cases(
    tmp_path: Path, data: dict[str, Any]
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "net.py").write_text(OVERFLOWS_IN_VALIDATION)
    model = {
        **{"family": "file", "file": "net.py", "sha256": file_sha256(tmp_path / "run" / "net.py")},
        **{"name": "Net", "args": {}, "weights": "none"},
    }
    with pytest.raises(UserError, match=r"outputs that are not finite; its cases: case-003, .* and 2 more\."):
        trained(tmp_path / "run", data, model=model)


OVERFLOWS_IN_VALIDATION = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, in_channels, num_outputs, size):
        super().__init__()
        self.head = nn.Linear(1, num_outputs)

    def forward(self, x):
        logits = self.head(x.mean((1, 2, 3))[:, None])
        return logits if self.training else logits / 0
"""


def test_a_single_case_that_breaks_the_loss_is_named_alone(tmp_path: Path, data: dict[str, Any]) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "net.py").write_text(BREAKS_ON_BLACK)
    black = make_set(tmp_path / "set", num=60, shards=1)
    # Case 10 is black; its file's size is unchanged, its checksum is mended.
    blacken(tmp_path / "set", 10)
    model = {
        **{"family": "file", "file": "net.py", "sha256": file_sha256(tmp_path / "run" / "net.py")},
        **{"name": "Net", "args": {}, "weights": "none"},
    }
    with pytest.raises(UserError, match=r"The loss of step \d is not finite; its cases: case-010\."):
        trained(tmp_path / "run", black, model=model, augment__brightness=0, train__clip_norm=None)


BREAKS_ON_BLACK = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, in_channels, num_outputs, size):
        super().__init__()
        self.head = nn.Linear(1, num_outputs)

    def forward(self, x):
        if not self.training:
            return self.head(x.mean((1, 2, 3), keepdim=False)[:, None])
        return self.head(torch.log(x.std((1, 2, 3), unbiased=False))[:, None])
"""


def blacken(folder: Path, row: int) -> None:
    file = folder / "shards" / "00000.safetensors"
    image = load_file(file)["image"].copy()
    image[row] = 0
    save_file({"image": image}, file)
    index = json.loads((folder / "index.json").read_text())
    index["shards"][0]["sha256"] = file_sha256(file)
    (folder / "index.json").write_text(json.dumps(index))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train__device": "auto"}, "run fiducial_engine.probe first"),
        ({"train__device": "cuda"}, "train.device: cuda, but torch"),
        ({"train__global_batch": 2, "train__accumulate": 3}, "can't be shared by 1 ranks × 3 passes"),
        ({"train__sync_batch_norm": True}, "GPUs only"),
        ({"model": {**MLP, "weights": "pretrained"}}, "is for timm models"),
    ],
)
def test_what_can_not_be_done_is_refused_with_advice(
    tmp_path: Path, data: dict[str, Any], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        trained(tmp_path / "run", data, **changes)


def test_an_empty_training_split_is_refused(tmp_path: Path) -> None:
    data = make_set(tmp_path / "set", part_N=np.full(60, 2, np.uint8))
    with pytest.raises(UserError, match="training split is empty"):
        trained(tmp_path / "run", data)


def test_a_process_of_an_earlier_generation_does_not_start(tmp_path: Path, data: dict[str, Any]) -> None:
    make_run(tmp_path / "run", data)
    write_lock(tmp_path / "run", 3)
    with pytest.raises(UserError, match="Another process writes this run now"):
        train.main(["--run-dir", str(tmp_path / "run"), "--generation", "2"])


def test_the_test_split_is_never_read(tmp_path: Path) -> None:
    # The last shard holds the whole test split, and can't be read without being found damaged.
    part = np.repeat(np.array([1, 2, 3], np.uint8), 20)
    data = make_set(tmp_path / "set", part_N=part)
    file = tmp_path / "set" / "shards" / "00002.safetensors"
    damaged = bytearray(file.read_bytes())
    damaged[-1] ^= 1
    file.write_bytes(damaged)
    trained(tmp_path / "run", data)
