"""How well do model and people agree, and what is the model's word on its own certainty worth?

From what an export holds (`pairs`) to a `Report`. Figures come with an interval wherever they are made of a sample: the
percentile bootstrap over tasks (Efron and Tibshirani 1993), drawn anew with the same numbers each time; where hardly
anything differs, which drawings cannot judge, at least Wilson's (1927).
"""

from llm_backend.errors import BackendError

try:
    import krippendorff as _krippendorff  # noqa: F401
    import scipy as _scipy  # noqa: F401
    import shapely as _shapely  # noqa: F401
    import sklearn as _sklearn  # noqa: F401
except ModuleNotFoundError as exc:
    raise BackendError(
        'Measuring agreement needs the extra "evaluate", which is not installed: pip install "llm-backend[evaluate]".'
    ) from exc
