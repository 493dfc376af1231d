"""A page as a reader follows it: its sections, and the blocks to type or to compare with a terminal.

Without docutils: the cells of the version matrix have none.
"""
import re
import textwrap
from pathlib import Path
from typing import Dict
from typing import List

TOP = Path(__file__).parents[2]


def blocks(name: str = "README.rst") -> Dict[str, List[str]]:
    """By the title of each section, its code blocks; before the first section, the title is empty."""
    rest = re.split(r"^(\S.*)\n-{3,}$", (TOP / name).read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {title: [textwrap.dedent(block).strip() for block in re.findall(r"::\n\n((?: {4}.*\n|\n)+)", text)]
            for title, text in zip(["", *rest[1::2]], rest[::2])}
