"""What did the model answer? Its text becomes one answer per field of the form.

`parsing` finds the JSON in it, and `reading` takes from that what each control can take.
"""

from llm_backend.core.answers.parsing import parse
from llm_backend.core.answers.reading import Reading

__all__ = ["Reading", "parse"]
