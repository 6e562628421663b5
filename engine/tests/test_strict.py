import json
from pathlib import Path

import pytest

from fiducial_engine.config import (
    CheckpointPointer,
    EngineImages,
    LabelsTable,
    RunConfig,
    RunEvent,
    RunLock,
    ShardIndex,
    SplitTable,
)
from fiducial_engine.errors import ConfigError, UserError
from fiducial_engine.strict import load_run_config, parse

EXAMPLES = Path(__file__).parents[2] / "src" / "schema" / "examples"
TYPES = {
    "run": RunConfig,
    "run_event": RunEvent,
    "run_lock": RunLock,
    "checkpoint_pointer": CheckpointPointer,
    "shard_index": ShardIndex,
    "labels_table": LabelsTable,
    "split_table": SplitTable,
}


def examples(validity: str) -> list[tuple[str, Path]]:
    return [(kind, path) for kind in TYPES for path in sorted((EXAMPLES / kind / validity).glob("*.json"))]


@pytest.mark.parametrize(("kind", "path"), examples("valid"), ids=lambda p: getattr(p, "stem", p))
def test_a_valid_example_is_accepted(kind: str, path: Path) -> None:
    parse(TYPES[kind], json.loads(path.read_text()), path.name)


@pytest.mark.parametrize(("kind", "path"), examples("invalid"), ids=lambda p: getattr(p, "stem", p))
def test_an_invalid_example_is_refused_naming_every_mistake(kind: str, path: Path) -> None:
    example = json.loads(path.read_text())
    with pytest.raises(ConfigError) as error:
        parse(TYPES[kind], example["value"], path.name)
    named = [line.strip().split(":")[0] for line in str(error.value).splitlines()[1:]]
    assert sorted(named) == sorted(example["mistakes"])


def test_whole_numbers_become_floats_where_a_float_is_expected() -> None:
    config = parse(RunConfig, json.loads((EXAMPLES / "run/valid/timm.json").read_text()), "timm.json")
    assert isinstance(config.train.epochs, float)
    assert isinstance(config.data, EngineImages)
    assert config.data.sample_shape == (1, 96, 80)


def test_not_a_number_is_refused(tmp_path: Path) -> None:
    text = (EXAMPLES / "run/valid/timm.json").read_text().replace('"lr": 0.001', '"lr": NaN')
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(ConfigError, match="NaN"):
        load_run_config(tmp_path / "run.json")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no run\.json"):
        load_run_config(tmp_path / "run.json")
