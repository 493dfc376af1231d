"""The formats of ``check``: JSON by its schema, and the text format of Prometheus."""
import json
import re
from pathlib import Path
from typing import Any
from typing import Dict
from typing import List
from typing import Sequence

from certbot_autowebroot.cli import __main__ as cli

SCHEMA = json.loads((Path(cli.__file__).parent / "check.schema.json").read_text())
#: A sample of the text format: a metric, labels, a number.
SAMPLE = re.compile(r'([a-z_]+)(?:\{((?:[a-z]+[0-9]*="(?:[^"\\\n]|\\["\\n])*",?)+)\})? (-?\d+)')


def conforms(value: Any, schema: Dict[str, Any]) -> None:
    """The part of JSON Schema that check.schema.json uses; a member that it does not know is an error."""
    if "$ref" in schema:
        conforms(value, SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]])
        return
    if "anyOf" in schema:
        kinds = [one for one in schema["anyOf"] if (one.get("type") == "null") == (value is None)]
        assert kinds, f"{value!r} is none of {schema['anyOf']}"
        conforms(value, kinds[0])
        return
    types = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool, "null": type(None)}
    allowed = schema.get("type", [])
    allowed = [allowed] if isinstance(allowed, str) else allowed
    assert not allowed or type(value) in [types[name] for name in allowed], f"{value!r} is no {allowed}"
    assert "enum" not in schema or value in schema["enum"], f"{value!r} is none of {schema['enum']}"
    if isinstance(value, dict):
        assert set(value) <= set(schema["properties"]), set(value) - set(schema["properties"])
        assert set(schema.get("required", [])) <= set(value), set(schema["required"]) - set(value)
        for name, member in value.items():
            conforms(member, schema["properties"][name])
    for member in value if isinstance(value, list) else ():
        conforms(member, schema["items"])


def samples(text: str) -> Dict[str, List[Sequence[str]]]:
    """The labels and values of each metric; each metric has its HELP and TYPE first, once."""
    found: Dict[str, List[Sequence[str]]] = {}
    lines = iter(text.splitlines())
    for line in lines:
        if line.startswith("# HELP "):
            name = line.split()[2]
            assert next(lines) == f"# TYPE {name} gauge" and name not in found
            found[name] = []
        else:
            match = SAMPLE.fullmatch(line)
            assert match and match[1] == list(found)[-1], line
            found[match[1]].append((match[2] or "", match[3]))
    return found
