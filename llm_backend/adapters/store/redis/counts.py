"""What have processes counted that share a Redis?

Each adds what it counted since its last report: no total ends with the process that counted it, and none is counted
again by the one that comes after it. What is under way in a process stands until it was not heard of for a while.
"""

import json
from collections import Counter
from collections.abc import Mapping

from llm_backend.adapters.store.redis.server import RedisServer, at

_NAMES_MOST = 5_000
"""Models' names are part of what is counted, and projects bring models along."""
_HEARD_OF_WITHIN = 20.0
"""Seconds: some reports of a process that lives."""
_FORGOTTEN_AFTER = 3600
"""Seconds: longer than the same report is sent again."""


class RedisCounts(RedisServer):
    """The part of the shared home in which processes count together."""

    def add_counts(self, process: str, number: int, counts: Mapping[str, float], now: Mapping[str, float]) -> None:
        """Add what a process counted since its last report.

        Args:
            process: Its name, unlike that of any other.
            number: Of the report: one that is sent again under its number counts once.
            counts: Amounts to add, by name.
            now: What is under way in the process, by name.
        Raises:
            StoreError: Redis does not answer; whether the report has come is not known.
        """
        amounts = [part for name, amount in counts.items() for part in (name, repr(float(amount)))]
        told = json.dumps(dict(now))
        self._script("add_counts", process, number, told, _NAMES_MOST, _FORGOTTEN_AFTER, *amounts)

    def counts(self) -> tuple[Mapping[str, float], Mapping[str, float]]:
        """What all processes counted together, and what is under way in those that live.

        Raises:
            StoreError: Redis does not answer.
        """
        counted, processes, time = self._do_all(
            [("HGETALL", at("counted")), ("HGETALL", at("counting")), ("TIME",)], as_one=True
        )
        now: Counter[str] = Counter()
        for seconds, _, told in map(json.loads, processes.values()):
            if seconds >= time[0] - _HEARD_OF_WITHIN:
                now.update(told)
        return {name: float(amount) for name, amount in counted.items()}, now
