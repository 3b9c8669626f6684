"""What is counted, for Prometheus, and how do several processes count together?

Those of one server do through files in one folder (`share`); without it each process counts for itself.
"""

from llm_backend.metrics.counters import CONTENT_TYPE, Metrics, Now
from llm_backend.metrics.files import forget_process, share

__all__ = ["CONTENT_TYPE", "Metrics", "Now", "forget_process", "share"]
