"""Who carries the chat: OpenAI, Azure, Ollama, or any server that speaks like them?

`endpoint` says where a model is, and makes the one client for it. `dialect` puts a call into the words that this model
takes, and remembers which it refused. `line` sends it. `answer` reads what comes back, `completion` puts the answers
together, `faults` knows what went wrong. `conversation` is a call on its way, and `provider` the loop around it: a
place in the limits, a time-out, and our own retries until the call's patience ends.
"""

from llm_backend.adapters.providers.endpoint import Endpoint
from llm_backend.adapters.providers.provider import Observer, Provider, Timing, connect

__all__ = ["Endpoint", "Observer", "Provider", "Timing", "connect"]
