"""A file is there when it is whole."""

from pathlib import Path

import pytest

from llm_backend.errors import RequestError
from llm_backend.interchange.replacing import replacing, require_folder


def test_an_older_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "pairs.jsonl"
    file.write_text("old")
    with replacing(file) as stream:
        stream.write(b"new")
        assert file.read_text() == "old"
    assert [one.name for one in tmp_path.iterdir()] == ["pairs.jsonl"]
    assert file.read_text() == "new"


def test_what_is_broken_off_leaves_nothing_behind(tmp_path: Path) -> None:
    file = tmp_path / "pairs.jsonl"
    with pytest.raises(KeyboardInterrupt), replacing(file):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="cannot be written"), replacing(tmp_path / "none" / "pairs.jsonl"):
        pass
    with pytest.raises(RequestError, match="there is no folder"):
        require_folder(tmp_path / "none" / "pairs.jsonl")
    with pytest.raises(RequestError, match="is a folder"):
        require_folder(tmp_path)
