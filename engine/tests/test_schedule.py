import pytest

from fiducial_engine.config import (
    ConstantSchedule,
    CosineSchedule,
    OneCycleSchedule,
    PlateauSchedule,
    Schedule,
    StepSchedule,
)
from fiducial_engine.schedule import lr_factor


def factors(schedule: Schedule, total: int = 100) -> list[float]:
    return [lr_factor(schedule, step, total) for step in range(total)]


def test_cosine_warms_up_reaches_the_peak_and_ends_at_its_least() -> None:
    f = factors(CosineSchedule(kind="cosine", warmup=0.1, min_lr_fraction=0.01))
    assert f[0] == pytest.approx(1 / 11)
    assert f[:11] == sorted(f[:11])
    assert f[10] == 1
    assert f[10:] == sorted(f[10:], reverse=True)
    assert f[-1] == pytest.approx(0.01)


def test_step_drops_at_its_milestones() -> None:
    f = factors(StepSchedule(kind="step", warmup=0.0, milestones=(0.6, 0.85), factor=0.1))
    assert [f[59], f[60], f[84], f[85]] == pytest.approx([1, 0.1, 0.1, 0.01])


def test_one_cycle_rises_and_falls_below_its_start() -> None:
    f = factors(OneCycleSchedule(kind="one_cycle", warmup=0.3, start_fraction=0.04, end_fraction=1e-4))
    assert f[0] == pytest.approx(0.04)
    assert f[30] == pytest.approx(1)
    assert f[-1] == pytest.approx(1e-4)


def test_plateau_divides_at_each_drop() -> None:
    schedule = PlateauSchedule(kind="plateau", warmup=0.0, factor=0.1, patience=1)
    assert lr_factor(schedule, 50, 100, drops=2) == pytest.approx(0.01)


def test_constant_stays() -> None:
    assert set(factors(ConstantSchedule(kind="constant", warmup=0.0))) == {1.0}


@pytest.mark.parametrize("total", [1, 2, 3])
def test_a_run_of_a_few_steps_has_a_rate(total: int) -> None:
    for schedule in (
        CosineSchedule(kind="cosine", warmup=0.05, min_lr_fraction=0.01),
        OneCycleSchedule(kind="one_cycle", warmup=0.3, start_fraction=0.04, end_fraction=1e-4),
    ):
        assert all(0 < f <= 1 for f in factors(schedule, total))
