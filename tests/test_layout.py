"""Helpers and fixtures that two test modules need live in tests/lab."""
import ast
import re
from pathlib import Path
from typing import Iterator

import pytest

TOP = Path(__file__).parents[1]
CONFTESTS = sorted(path for path in TOP.glob("tests/*/**/conftest.py"))


def imports(source: str) -> Iterator[str]:
    """Every module that a source imports, and every name that it imports from one."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_no_module_imports_a_test_module() -> None:
    """Nor a conftest, whose fixtures pytest alone finds."""
    found = [f"{path.relative_to(TOP)}: {name}" for path in sorted(TOP.glob("tests/**/*.py"))
             for name in imports(path.read_text(encoding="utf-8"))
             if re.match(r"tests\.(.*\.)?(test_\w+|conftest)\b", name)]
    assert found == []


@pytest.mark.parametrize("path", CONFTESTS, ids=[str(path.relative_to(TOP)) for path in CONFTESTS])
def test_conftest_of_a_folder_defines_nothing(path: Path) -> None:
    """A docstring, imports from the lab, and ``__all__``."""
    docstring, *imported, names = ast.parse(path.read_text(encoding="utf-8")).body
    assert isinstance(docstring, ast.Expr)
    assert isinstance(names, ast.Assign) and ast.unparse(names.targets[0]) == "__all__"
    assert [ast.unparse(node) for node in imported
            if not isinstance(node, ast.ImportFrom) or not str(node.module).startswith("tests.lab.")] == []
