"""The HTTP door: Label Studio's calls in, JSON out."""

from llm_backend.web.app import create_app

__all__ = ["create_app"]
