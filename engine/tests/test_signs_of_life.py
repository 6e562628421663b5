import io
import sys
import threading

import pytest

from fiducial_engine.signs_of_life import signs_of_life


class Listener(io.StringIO):
    def __init__(self) -> None:
        super().__init__()
        self.said_twice = threading.Event()

    def flush(self) -> None:
        if self.getvalue().count("\n") >= 2:
            self.said_twice.set()


def test_long_work_says_that_it_goes_on_until_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    listener = Listener()
    monkeypatch.setattr(sys, "stderr", listener)
    with signs_of_life("downloading", seconds=0.001):
        assert listener.said_twice.wait(timeout=10)
    assert listener.getvalue().startswith("still downloading, for 0 s\n")


def test_short_work_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with signs_of_life("downloading"):
        pass
    assert capsys.readouterr().err == ""
