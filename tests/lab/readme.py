"""A README as a reader follows it: its sections, and the blocks that he types or compares with his own terminal.

Without docutils: the cells of the version matrix have none.
"""
import re
import textwrap
from pathlib import Path
from typing import Dict
from typing import List

TOP = Path(__file__).parents[2]


def blocks(name: str = "README.rst") -> Dict[str, List[str]]:
    """By the title of each section, its code blocks."""
    _, *rest = re.split(r"^(\S.*)\n-{3,}$", (TOP / name).read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {title: [textwrap.dedent(block).strip() for block in re.findall(r"::\n\n((?: {4}.*\n|\n)+)", text)]
            for title, text in zip(rest[::2], rest[1::2])}
