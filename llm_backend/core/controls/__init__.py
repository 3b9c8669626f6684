"""What is known of each tag that takes an answer? A control to a tag.

Every module of this folder is loaded, so that a new tag is a new file.
"""

import importlib
import pkgutil

from llm_backend.core.controls.base import Control, Regions
from llm_backend.core.controls.binding import Unfillable, bind
from llm_backend.core.controls.conditions import hidden, shown_regions

for _found in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_found.name}")

__all__ = ["Control", "Regions", "Unfillable", "bind", "hidden", "shown_regions"]
