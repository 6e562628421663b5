import errno
import json
import os
from pathlib import Path

import pytest

from fiducial_engine.events import EventLog


def test_events_are_appended_a_line_each(tmp_path: Path) -> None:
    for step in (1, 2):
        with EventLog(tmp_path / "events.jsonl") as log:
            assert log.is_restart == (step == 2)
            log.write("warning", step, message="line\nbreak")
    lines = (tmp_path / "events.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2]


def test_a_torn_line_is_ended_first(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_text('{"type": "st')
    with EventLog(tmp_path / "events.jsonl") as log:
        log.write("resume", 5)
    torn, resume = (tmp_path / "events.jsonl").read_text().splitlines()
    assert torn == '{"type": "st'
    assert json.loads(resume)["type"] == "resume"


def test_a_line_that_a_full_disk_cut_short_is_ended_before_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    with EventLog(tmp_path / "events.jsonl") as log:
        with monkeypatch.context() as full:
            room = iter([7])

            def cut(file: int, data: bytes) -> int:
                if (left := next(room, 0)) == 0:
                    raise OSError(errno.ENOSPC, "No space left on device")
                return write(file, data[:left])

            full.setattr(os, "write", cut)
            with pytest.raises(OSError, match="No space"):
                log.write("step", 1)
        log.write("end", 1)
    torn, end = (tmp_path / "events.jsonl").read_text().splitlines()
    assert (torn, json.loads(end)["type"]) == ('{"type"', "end")


def test_a_number_that_json_lacks_is_never_written(tmp_path: Path) -> None:
    with EventLog(tmp_path / "events.jsonl") as log, pytest.raises(ValueError, match="JSON compliant"):
        log.write("step", 1, loss=float("nan"))
