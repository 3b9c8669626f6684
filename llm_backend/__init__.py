"""An LLM behind Label Studio: a prompt in, every control of the labeling config filled."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("llm-backend")
except PackageNotFoundError:  # running from a checkout that was never installed
    __version__ = "0+unknown"
