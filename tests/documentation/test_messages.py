"""Every sentence for users is in docs/messages.rst, and every entry there is a sentence of the package."""
import ast
import functools
import itertools
import re
from pathlib import Path
from typing import Dict
from typing import List

TOP = Path(__file__).parents[2]
CATALOGUE = TOP / "docs" / "messages.rst"

#: A value within a sentence; in the catalogue ``<what it is>``.
VALUE = "<>"
#: Their arguments appear elsewhere (--help and the manual page), or are for developers.
_SILENT = {"add", "add_argument", "add_parser", "ArgumentParser", "Attribute", "compile", "debug"}
#: Texts of several words that are no messages.
_NO_MESSAGES = {
    "configure arguments",  # of nginx -V
    "dead end", "no listener", "no certificate", "proven from inside",  # values in the JSON of check
    "LoadModule info_module",
    "master process",  # nginx's title
    "(mode tcp)",
    "(without a name)",
    "the end",
    "Main DocumentRoot",  # of httpd -S
    "# In file",  # of httpd -D DUMP_CONFIG
    "HTTP/1.0 Host: <> <>Content-Length",
    "Content-Type: application/json Cache-Control: must-revalidate",
    'include "/etc/lighttpd/conf-enabled/*.conf"',
    "Mozilla/5.0 (compatible; Let's Encrypt validation server; +https://www.letsencrypt.org)",
    "HTTP/1.1 200 OK Content-Type: application/octet-stream Connection: close Content-Length",
    "certbot-autowebroot, process <>: answers ACME http-01 challenges",  # a comment in a table of nftables
    "delete table inet", "describe tcp dport", "No such file",  # to nft and of nft
    "autowebroot wire",  # a thread
    '{"end": true}',
    "not a TCP segment",
    "Apache httpd", "busybox httpd", "python -m http.server", "python -m SimpleHTTPServer", "ruby -run -e httpd",
}
#: These modules print lines of configuration, which are tested with the servers, and the help of metrics.
_CONFIGURATIONS = re.compile(
    r"certbot_autowebroot/(servers/\w+/(snippet|forwarding)|responders/wire/rules|cli/prometheus)\.py:")


@functools.cache
def same(text: str) -> str:
    """What is left of a text without the spaces, the punctuation and the values at both of its ends."""
    text = " ".join(re.sub("(<[^<>]*>)+", VALUE, text).split())
    return re.sub(f"^({VALUE}|[ ;,.:])+|({VALUE}|[ ;,.:])+$", "", text)


def texts_of(node: ast.AST) -> List[str]:
    """All values of a string expression, with :data:`VALUE` for what only a run knows."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [re.sub(r"\{\w*\}|%[sdr]", VALUE, node.value).replace("{{", "{").replace("}}", "}")]
    if isinstance(node, ast.JoinedStr):
        return ["".join(parts) for parts in itertools.product(*map(texts_of, node.values))]
    if isinstance(node, ast.FormattedValue):
        return texts_of(node.value)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return [left + right for left in texts_of(node.left) for right in texts_of(node.right)]
    if isinstance(node, ast.IfExp):
        return [*texts_of(node.body), *texts_of(node.orelse)]
    return [VALUE]


def values_of(node: ast.AST) -> List[ast.AST]:
    """The expressions that :func:`texts_of` has :data:`VALUE` for: they may hold sentences of their own."""
    if isinstance(node, ast.BinOp) and not isinstance(node.op, ast.Add):
        return [node.left, node.right]
    if isinstance(node, (ast.JoinedStr, ast.FormattedValue, ast.BinOp, ast.IfExp)):
        return [value for child in ast.iter_child_nodes(node) for value in values_of(child)]
    return [] if isinstance(node, (ast.Constant, ast.operator)) else [node]


class Texts(ast.NodeVisitor):
    """Collects what the strings of a module say, but for docstrings and the arguments of :data:`_SILENT`."""

    def __init__(self) -> None:
        self.found: Dict[str, int] = {}

    def visit_Expr(self, node: ast.Expr) -> None:
        if not isinstance(node.value, ast.Constant):
            self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        if getattr(node.func, "attr", getattr(node.func, "id", "")) not in _SILENT:
            self.generic_visit(node)

    def _take(self, node: ast.expr) -> None:
        for text in texts_of(node):
            self.found.setdefault(same(text), node.lineno)
        for value in values_of(node):
            self.visit(value)

    visit_Constant = visit_JoinedStr = visit_BinOp = visit_IfExp = _take


def texts_in(source: str) -> Dict[str, int]:
    """The texts of a module's source, with their lines."""
    texts = Texts()
    texts.visit(ast.parse(source))
    return texts.found


def is_message(text: str) -> bool:
    """Several words: one alone is a name or a key."""
    words = re.findall(r"[A-Za-z][a-z']+", text.replace(VALUE, ""))
    return len(words) > 1 and " " in text and not re.search(r'\w\[|^--?\w|"\$', text)  # types, options, shell


@functools.lru_cache(maxsize=1)
def said() -> Dict[str, str]:
    """The texts of the package, with their files and lines."""
    package = TOP / "certbot_autowebroot"
    return {text: f"{path.relative_to(TOP)}:{line}" for path in sorted(package.rglob("*.py"))
            for text, line in texts_in(path.read_text(encoding="utf-8")).items()}


def entries() -> List[str]:
    """The messages of the catalogue."""
    return re.findall(r"^\| ``(.*)``$", CATALOGUE.read_text(encoding="utf-8"), re.MULTILINE)


def covers(entry: str, text: str) -> bool:
    """Whether an entry is this message."""
    return text.startswith(same(entry[:-1])) if entry.endswith("…") else text == same(entry)


def test_every_message_is_an_entry() -> None:
    """A new sentence needs an entry."""
    catalogue = entries()
    missing = [f"| ``{text}``  from {where}" for text, where in said().items()
               if is_message(text) and text not in _NO_MESSAGES and not _CONFIGURATIONS.match(where)
               and not any(covers(entry, text) for entry in catalogue)]
    assert not missing, "docs/messages.rst does not explain these; <> is a value, to be named there:\n" \
        + "\n".join(missing)


def test_every_entry_is_a_message() -> None:
    """A sentence that is gone needs no entry, and none has two."""
    texts = said()
    gone = [entry for entry in entries() if not any(covers(entry, text) for text in texts)]
    assert not gone, "nothing says these entries of docs/messages.rst any more:\n" + "\n".join(gone)
    assert [entry for entry in set(entries()) if entries().count(entry) > 1] == []
    assert texts.keys() >= _NO_MESSAGES


def test_the_ten_are_entries() -> None:
    """The section at the top repeats messages, word for word."""
    section = CATALOGUE.read_text(encoding="utf-8").partition("The ten that you will meet")[2].partition("\n---")[2]
    ten = re.findall(r"^``(.*)``$", section.partition("\n---")[0], re.MULTILINE)
    assert len(ten) == 10
    assert [message for message in ten if message not in entries()] == []


def test_every_entry_is_explained() -> None:
    """A block of messages, an empty line, an indented paragraph."""
    lines = CATALOGUE.read_text(encoding="utf-8").splitlines()
    ends = [number for number, line in enumerate(lines[:-2])
            if line.startswith("| ") and not lines[number + 1].startswith("| ")]
    assert ends
    assert [lines[end] for end in ends if lines[end + 1] or not lines[end + 2].startswith("    ")] == []


def test_texts_of_every_expression() -> None:
    """A literal, a value within, two alternatives, an addition, a sentence among the values of another."""
    source = '''
def tell(self):
    """Not what the documentation says."""
    logger.debug("nor what is for developers")
    yield "the port is taken"
    yield f"{self.port} is {'taken' if self.taken else f'held by {self.program}'} by now"
    yield "taken by " + self.program + " for good"
    yield ["the %s is gone" % self.port] if self.gone else []
    yield "{port} is not {taken}".format(port=self.port, taken=self.cut(f"taken from {self.name} away"))
'''
    assert {text for text in texts_in(source) if is_message(text)} == {
        "the port is taken", "is taken by now", "is held by <> by now", "taken by <> for good", "the <> is gone",
        "is not", "taken from <> away"}
