"""What does the Dockerfile say? Its instructions, stage by stage; enough of the language for ours."""

import json
import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Instruction:
    """One instruction, lines joined: `RUN pip install ...`."""

    word: str
    rest: str

    @property
    def exec_form(self) -> list[str]:
        """The command of a CMD or HEALTHCHECK in exec form, which gets its signals itself."""
        words: list[str] = json.loads(self.rest[self.rest.index("[") :])
        return words


def stages(file: Path) -> list[list[Instruction]]:
    """The instructions of each stage, its FROM first; what stands before the first FROM is left out."""
    text = re.sub(r"(?m)^\s*#.*\n", "", file.read_text(encoding="utf-8")).replace("\\\n", " ")
    found: list[list[Instruction]] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        word, _, rest = line.partition(" ")
        if word == "FROM":
            found.append([])
        if found:
            found[-1].append(Instruction(word, " ".join(rest.split())))
    return found
