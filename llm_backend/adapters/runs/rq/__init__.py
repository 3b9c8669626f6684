"""How do runs go on in other processes, on this machine and others? As chunks of tasks in RQ's queues.

`RqEngine` is the engine of the process that takes requests: it queues what was added, and hears what was settled.
`RqWorker` is the other side, of which there may be many: it takes chunks and asks for their tasks. A chunk is followed
by the run's next one when it ends, queued by the worker that ended it, so that a run goes on whoever else is gone.

One worker is one process with one event loop, and many chunks under way in it. RQ's own workers run one job at a time;
as threads, a dozen of them would have to share signals, time limits and the loop. So only their loop is ours: queues,
jobs, their registries, heartbeats, retries and the list of workers are RQ's, and `rq info` shows them.
"""

from llm_backend.adapters.runs.rq.engine import RqEngine
from llm_backend.adapters.runs.rq.jobs import Pace
from llm_backend.adapters.runs.rq.presence import Headcount
from llm_backend.adapters.runs.rq.spending import Hearing, Spending
from llm_backend.adapters.runs.rq.worker import RqWorker

__all__ = ["Headcount", "Hearing", "Pace", "RqEngine", "RqWorker", "Spending"]
