"""May this call go now? (lane, concurrency, rate, fairness)

`Limits` holds the places of a process and the queues before them, a `Gate` what is known of one model's limits, and
`rates` the arithmetic of both.
"""

from llm_backend.adapters.limits.gate import Gate
from llm_backend.adapters.limits.places import Limits, Place, Spent

__all__ = ["Gate", "Limits", "Place", "Spent"]
