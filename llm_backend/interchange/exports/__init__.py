"""What did people and models make of tasks, by an export of Label Studio?"""

from llm_backend.interchange.exports.reading import of_json, read_export
from llm_backend.interchange.exports.task import ExportedTask

__all__ = ["ExportedTask", "of_json", "read_export"]
