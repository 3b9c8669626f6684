"""The runs' home in one process: `engine` asks, `waiters` knows who waits for what comes of it."""

from llm_backend.adapters.runs.local.engine import LocalEngine

__all__ = ["LocalEngine"]
