"""Starts entry points by forking a process that has imported everything already: 0.1 s a start instead of 5.

The child is a process of its own that can be killed with SIGKILL. The parent computes nothing, so that no thread is
lost in the fork. Commands and answers are JSON lines on stdin and stdout.
"""

from __future__ import annotations

import importlib
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

ENGINE = Path(__file__).parents[1]


class Zygote:
    """The forking process, seen from the test."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            env={**os.environ, "PYTHONPATH": str(ENGINE)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self._process.stdout.readline()  # Everything is imported.

    def start(self, entry: str, *arguments: object, log: Path, **environment: object) -> int:
        """Fork a child that runs an entry point; its output goes to `log`. Returns its process id."""
        return int(self._ask(start=[entry, *map(str, arguments)], log=str(log), env=environment))

    def wait(self, pid: int) -> int:
        """The exit code of a child, negative for a signal."""
        return int(self._ask(wait=pid))

    def run(self, entry: str, *arguments: object, log: Path, **environment: object) -> int:
        return self.wait(self.start(entry, *arguments, log=log, **environment))

    def start_ranks(self, size: int, entry: str, *arguments: object, log: Path) -> list[int]:
        """Fork `size` children with the environment that torchrun gives its workers."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        world = {"WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        return [
            self.start(entry, *arguments, log=log.with_suffix(f".{rank}"), RANK=rank, LOCAL_RANK=rank, **world)
            for rank in range(size)
        ]

    def _ask(self, **command: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def __enter__(self) -> Zygote:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)


def _serve() -> None:
    for module in (
        "fiducial_engine",
        "sklearn.metrics",
        "torch._dynamo",
        "torch.optim",
        "fiducial_engine.train",
        "safetensors.torch",
    ):
        importlib.import_module(module)
    print("ready", flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        if "wait" in command:
            answer = os.waitstatus_to_exitcode(os.waitpid(command["wait"], 0)[1])
        else:
            answer = os.fork()
            if answer == 0:
                _become(command["start"], command["log"], command["env"])
        print(json.dumps(answer), flush=True)


def _become(start: list[str], log: str, environment: dict[str, object]) -> None:
    from fiducial_engine.entry import run_entry

    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.environ.update({key: str(value) for key, value in environment.items()})
    sys.argv = start
    code = 1
    try:
        run_entry(importlib.import_module(f"fiducial_engine.{start[0]}").main)
        code = 0
    except SystemExit as stop:
        code = int(stop.code or 0)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def wait_until(condition: Any, seconds: float = 60) -> None:
    """Poll until a condition holds.

    Raises:
        TimeoutError: it did not in time.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.002)


if __name__ == "__main__":
    _serve()
