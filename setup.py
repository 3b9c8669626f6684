"""Which folders are packages: those found under `llm_backend/`, and `prompts/`, shipped as `llm_backend.prompts`.

This is the one thing that pyproject.toml cannot say; it takes a search or a list, not both.
"""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["llm_backend", "llm_backend.*"]), "llm_backend.prompts"],
    package_dir={"llm_backend.prompts": "prompts"},
)
