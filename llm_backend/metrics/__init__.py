"""What is counted, for Prometheus, and how do several processes count together?

Those of one server do through files in one folder (`share`), without which each counts for itself; workers report to
the memory that they share with servers (`reporting`).
"""

from llm_backend.metrics.counters import CONTENT_TYPE, Metrics, Now
from llm_backend.metrics.elsewhere import reporting
from llm_backend.metrics.files import count_alone, forget_process, share

__all__ = ["CONTENT_TYPE", "Metrics", "Now", "count_alone", "forget_process", "reporting", "share"]
