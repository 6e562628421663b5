"""The run's record, `events.jsonl`: written by rank 0, append-only, one line an event."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Any


class EventLog:
    """Appends events; a log that is there already belongs to an earlier start, whose torn last line is ended first."""

    def __init__(self, path: Path) -> None:
        self.previous_start = _last_start(path)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        size = os.fstat(self._file).st_size
        self.is_restart = size > 0
        self._is_torn = False
        if size > 0 and os.pread(self._file, 1, size - 1) != b"\n":
            os.write(self._file, b"\n")

    def write(self, type: str, step: int, **fields: object) -> None:
        """One event, as RunEvent of src/schema/run.ts; the time is added."""
        event = {"type": type, "step": step, **fields, "time": time.time()}
        line = (json.dumps(event, allow_nan=False) + "\n").encode()
        if self._is_torn:
            line = b"\n" + line
        # One write a line: a kill tears at most the last. A disk that fills up takes a part first, then fails.
        self._is_torn = True
        written = os.write(self._file, line)
        while written < len(line):
            written += os.write(self._file, line[written:])
        self._is_torn = False

    def write_changes(self, step: int, **now: object) -> None:
        """Warn, in one line, of what of this start differs from the start before it: bits may then differ too."""
        before = self.previous_start or {}
        changed = [f"{key} {now[key]} (was {before[key]})" for key in now if before.get(key, now[key]) != now[key]]
        if changed:
            message = f"Resumed with {', '.join(changed)}: the last bits of the weights may not be those of one start."
            self.write("warning", step, message=message)

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
        self.previous_start = None

    def write(self, type: str, step: int, **fields: object) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


def _last_start(path: Path) -> dict[str, Any] | None:
    """The newest `start` that can be read."""
    found: dict[str, Any] | None = None
    if path.exists():
        with path.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if '"start"' in line:
                    try:
                        event = json.loads(line)
                    except ValueError:
                        continue
                    if isinstance(event, dict) and event.get("type") == "start":
                        found = event
    return found
