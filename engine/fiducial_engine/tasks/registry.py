"""Tasks by the name that run.json uses."""

from __future__ import annotations

from typing import Final

from fiducial_engine.tasks import classify, segment
from fiducial_engine.tasks.task import TaskKind

TASKS: Final[dict[str, TaskKind]] = {
    "classify": TaskKind("labels", classify.network_shapes, classify.Classify),
    "segment": TaskKind("mask", segment.network_shapes, segment.Segment),
}
