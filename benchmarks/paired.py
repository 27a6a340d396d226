"""Paired rounds: every way runs in turn, so that what slows the machine slows them all."""

import time
from collections.abc import Callable
from typing import Any

from benchmarks.comparison import BIGRAD, SECONDS, Case, Measured, Size

__all__ = ["Recorder", "rounds_for"]


class Recorder:
    """Runs the ways of a case and keeps what each round gave."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self.rounds: dict[str, dict[str, list[float]]] = {}

    def others(self) -> None:
        """Run all ways but bigrad's."""
        for name in self._case.ways:
            if name != BIGRAD:
                self.run(name)

    def run(self, name: str) -> Any:
        """Run one way, keep its figures, and return its result."""
        way, repeat = self._case.ways[name], self._case.repeat
        began = time.perf_counter()
        result = _repeated(way, repeat) if repeat > 1 else way()
        seconds = (time.perf_counter() - began) / repeat
        values = result.values if isinstance(result, Measured) else {SECONDS: seconds}
        for unit, value in values.items():
            self.rounds.setdefault(name, {}).setdefault(unit, []).append(value)
        return result


def _repeated(way: Callable[[], Any], repeat: int) -> Any:
    for _ in range(repeat - 1):
        way()
    return way()


def rounds_for(size: Size, seconds: float) -> int:
    """How many rounds to make if one takes `seconds`."""
    least, most = size.rounds
    return max(least, min(most, int(size.seconds / max(seconds, 1e-9))))
