"""The parts of README.md that programs write, each between two markers."""

from __future__ import annotations

import re
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def write_part(name: str, text: str, readme: Path = README) -> None:
    """Put `text` between <!-- NAME: … --> and <!-- end of NAME -->, each alone on its line.

    Raises:
        ValueError: if the markers are not there, once each.
    """
    before = readme.read_text(encoding="utf-8")
    part = re.compile(rf"^(<!-- {name}: [^\n]*-->\n).*?^(<!-- end of {name} -->)$", re.DOTALL | re.MULTILINE)
    after, count = part.subn(lambda found: f"{found[1]}{text}\n{found[2]}", before)
    if count != 1:
        raise ValueError(
            f"{readme.name}: needs one <!-- {name}: … --> and below it <!-- end of {name} -->; got {count}"
        )
    readme.write_text(after, encoding="utf-8")
