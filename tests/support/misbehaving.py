"""How does a model's server misbehave, and what was it paid for? A responder with a seeded schedule and a ledger.

Tasks are tickets: each text names a number, from which the one right answer follows.
"""

import json
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from tests.support.stub_model import (
    Reply,
    azure_filtered,
    hangs,
    malformed,
    rate_limited,
    reset,
    says,
    server_error,
    user_text,
)

LABELS = ("amber", "blue", "crimson", "dun", "emerald")
CONFIG = (
    '<View><Text name="text" value="$text"/><TextArea name="response" toName="text"/>'
    '<Choices name="colour" toName="text">'
    + "".join(f'<Choice value="{label}"/>' for label in LABELS)
    + "</Choices></View>"
)
FAULTS: tuple[tuple[float, Callable[[], Reply]], ...] = (
    (0.05, lambda: rate_limited(retry_after="1")),
    (0.02, server_error),
    (0.01, reset),
    (0.01, hangs),
    (0.01, malformed),
)
"""What befalls a request instead of an answer, and how often."""

_TICKET = re.compile(r"Ticket (\d+):")


def task(number: int) -> dict[str, Any]:
    """Ticket `number`, as the host sends it."""
    return {"id": number, "data": {"text": f"Ticket {number}: it does not work."}, "annotations": [], "predictions": []}


def right(number: int) -> dict[str, str]:
    """The one right answer, by control."""
    return {"response": f"Looked into ticket {number}.", "colour": LABELS[number * 7 % len(LABELS)]}


@dataclass(frozen=True, slots=True)
class Payment:
    """A request that was answered, and so paid for: from when to when it was under way (monotonic seconds)."""

    number: int
    began: float
    ended: float


@dataclass(slots=True)
class Misbehaving:
    """A responder. Which fault a ticket meets at which try depends on the seed alone.

    Attributes:
        poison: Tickets that the content filter stops, however often they are asked.
        latency: Seconds that an answer takes.
        tries: Requests by ticket, of any outcome.
        paid: Requests that were answered.
    """

    seed: int
    poison: Collection[int] = ()
    latency: float = 0.05
    faults: tuple[tuple[float, Callable[[], Reply]], ...] = FAULTS
    tries: Counter[int] = field(default_factory=Counter)
    paid: list[Payment] = field(default_factory=list)

    def __call__(self, request: Any, n_th: int) -> Reply:
        found = _TICKET.search(user_text(request))
        assert found, "a question about no ticket"
        number = int(found[1])
        self.tries[number] += 1
        if number in self.poison:
            return azure_filtered()
        fault = self._fault(number)
        if fault is not None:
            return fault
        now = time.monotonic()
        self.paid.append(Payment(number, now, now + self.latency))
        answer = says(json.dumps(right(number)))
        return Reply(answer.status, answer.body, answer.headers, delay=self.latency)

    def paid_again(
        self, kills: Collection[float] = (), settling: float = 1.0, reading: float = 0.1
    ) -> dict[int, list[Payment]]:
        """Tickets that were paid for more than once, though no payment of theirs was under way at a kill.

        Args:
            kills: Moments at which the process was killed that asked.
            settling: Seconds for which an answer may be on its way into the store, on a busy machine, too.
            reading: Seconds for which a request that was sent may wait in its connection for us to read it.
        """
        by_ticket: dict[int, list[Payment]] = {}
        for payment in self.paid:
            by_ticket.setdefault(payment.number, []).append(payment)
        return {
            number: payments
            for number, payments in by_ticket.items()
            if sum(not self._cut_off(payment, kills, settling, reading) for payment in payments) > 1
        }

    @staticmethod
    def _cut_off(payment: Payment, kills: Collection[float], settling: float, reading: float) -> bool:
        return any(payment.began - reading <= kill <= payment.ended + settling for kill in kills)

    def _fault(self, number: int) -> Reply | None:
        thrown = random.Random(f"{self.seed} {number} {self.tries[number]}").random()
        for share, fault in self.faults:
            if thrown < share:
                return fault()
            thrown -= share
        return None
