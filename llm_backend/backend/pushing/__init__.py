"""How do answers get into Label Studio that no request takes there?

`gathering` has what is still to be pushed, `following` what runs still bring, `targets` knows where to, and `claims`
sees to it that nobody else hands over the same meanwhile. How predictions are stored there is next door: `push`.
"""

from llm_backend.backend.pushing.claims import shown_within
from llm_backend.backend.pushing.gathering import Pushing
from llm_backend.backend.pushing.targets import Targets

__all__ = ["Pushing", "Targets", "shown_within"]
