"""Report workers that are silent for much longer than usual, as a broken link causes no error."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from lrlc.harness.text import duration, say
from lrlc.harness.trial import Trial

SECONDS_BEFORE_A_WORD = 30.0

TIMES_THE_USUAL = 5
"""A report is overdue after this multiple of the usual time; the last one takes longer, as it includes the tests."""


@dataclass
class _Heard:
    label: str
    at: float
    longest: float | None = None
    """The longest time between two of its reports."""
    is_said: bool = False


class Silence:
    """Follows the reports of running trials; reports once that a worker is silent, and that it is back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._heard = clock, dict[str, _Heard]()
        self._usual: float | None = None

    def begins(self, trial: Trial) -> None:
        """Its worker has been given the trial, and should soon report its start."""
        self._heard[trial.id] = _Heard(trial.label, self._clock())

    def hears(self, trial: Trial) -> None:
        """A report has arrived."""
        heard, now = self._heard[trial.id], self._clock()
        if heard.is_said:
            say(f"{heard.label}: its worker answers again, after {duration(now - heard.at)}")
        if heard.longest is not None:
            self._usual = max(self._usual or 0.0, now - heard.at)
        heard.longest = 0.0 if heard.longest is None else max(heard.longest, now - heard.at)
        heard.at, heard.is_said = now, False

    def ends(self, trial: Trial) -> None:
        self._heard.pop(trial.id, None)

    def look(self) -> None:
        """Report the workers that are overdue."""
        now = self._clock()
        for heard in self._heard.values():
            if not heard.is_said and now - heard.at > self._patience(heard):
                heard.is_said = True
                say(
                    f"{heard.label}: its worker has not answered for {duration(now - heard.at)}; still waiting; "
                    "the trial is restarted if Ray gives up the worker"
                )

    def _patience(self, heard: _Heard) -> float:
        if heard.longest is None:  # not started yet
            return SECONDS_BEFORE_A_WORD
        usual = heard.longest or self._usual
        return float("inf") if usual is None else max(SECONDS_BEFORE_A_WORD, TIMES_THE_USUAL * usual)
