"""The run's record, `events.jsonl`: written by rank 0, append-only, one line an event."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from types import TracebackType


class EventLog:
    """Appends events; a log that is there already belongs to an earlier start, whose torn last line is ended first."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        size = os.fstat(self._file).st_size
        self.is_restart = size > 0
        if size > 0 and os.pread(self._file, 1, size - 1) != b"\n":
            os.write(self._file, b"\n")

    def write(self, type: str, step: int, **fields: object) -> None:
        """One event, as RunEvent of src/schema/run.ts; the time is added."""
        event = {"type": type, "step": step, **fields, "time": time.time()}
        # One write a line: a kill tears at most the last.
        os.write(self._file, (json.dumps(event, allow_nan=False) + "\n").encode())

    def __enter__(self) -> EventLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._file)


class NoEvents(EventLog):
    """What ranks other than 0 write: nothing."""

    def __init__(self) -> None:
        self.is_restart = False

    def write(self, type: str, step: int, **fields: object) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass
