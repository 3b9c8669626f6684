"""What is opened once: which setting is at fault where it cannot be."""

from dataclasses import replace
from pathlib import Path

import pytest

from llm_backend.errors import SettingsError
from llm_backend.services import open_services
from llm_backend.settings import Settings
from tests.support.scripted import ScriptedLLM


def test_a_data_folder_that_cannot_be_used_is_told_with_its_setting(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    settings = replace(Settings(api_key="k"), data_dir=str(tmp_path / "file"))
    with pytest.raises(SettingsError, match=r'^DATA_DIR: ".*/file" cannot be used'):
        open_services(settings, ScriptedLLM("x"))
