"""The collector looks seldom for as long as it is asked to, and as before afterwards."""

from __future__ import annotations

import gc

import pytest

from penstock.garbage import collecting_seldom


def test_the_collector_is_as_before_once_the_work_is_done() -> None:
    before = gc.get_threshold()
    with pytest.raises(ValueError, match="work"), collecting_seldom():
        assert gc.get_freeze_count() > 1_000
        assert gc.get_threshold() > before
        raise ValueError("work")
    assert (gc.get_threshold(), gc.get_freeze_count()) == (before, 0)


def test_cycles_are_still_found() -> None:
    class Loop:
        itself: Loop

    with collecting_seldom():
        for _ in range(30_000):
            one = Loop()
            one.itself = one
        assert sum(isinstance(one, Loop) for one in gc.get_objects()) < 30_000
