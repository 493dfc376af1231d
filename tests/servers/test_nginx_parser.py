"""The grammar of nginx's configuration files, as its own reader has it, and what is made of bad input."""
from random import Random
from typing import Dict
from typing import List
from typing import Optional
from typing import Sequence

import pytest

from certbot_autowebroot.route import Source
from certbot_autowebroot.servers.nginx import parser
from certbot_autowebroot.servers.nginx import tokens
from certbot_autowebroot.servers.nginx.parser import Configuration
from certbot_autowebroot.servers.nginx.parser import Directive
from certbot_autowebroot.servers.nginx.parser import parse


def parsed(main: bytes, **files: bytes) -> Configuration:
    """A configuration out of a table of files; ``a_conf`` is /etc/a.conf."""
    table: Dict[str, bytes] = {"/etc/main": main}
    table.update({"/etc/" + name.replace("_", "."): content for name, content in files.items()})

    def read(path: str) -> bytes:
        if path not in table:
            raise FileNotFoundError(2, "No such file or directory", path)
        return table[path]

    def glob(pattern: str) -> Sequence[str]:
        return sorted(path for path in table if path.startswith(pattern.partition("*")[0]) and path != "/etc/main")

    return parse("/etc/main", read, glob)


def shape(directives: Optional[List[Directive]]) -> List[object]:
    """A tree of directives as nested lists."""
    return [[d.name, *d.args] + ([shape(d.block)] if d.block is not None else []) for d in directives or ()]


@pytest.mark.parametrize(("text", "expected"), [
    (b"a b c;", [["a", "b", "c"]]),
    (b"a{b;}c;", [["a", [["b"]]], ["c"]]),
    (b"a # b;\n c;", [["a", "c"]]),
    (b"a b#c;", [["a", "b#c"]]),
    (b"# last line", []),
    (b'a "b c" \'d;}\' "";', [["a", "b c", "d;}", ""]]),
    (b'a "b\\"c" \'d\\\'e\' "f\\\\g" "h\\d";', [["a", 'b"c', "d'e", "f\\g", "h\\d"]]),
    (b"a b\\ c\\;d e\\tf;", [["a", "b\\ c\\;d", "e\tf"]]),
    (b'a b"c;', [["a", 'b"c']]),
    (b"a ${b}c/${d};", [["a", "${b}c/${d}"]]),
    (b"if ($x ~ \"a{2}\") { b; }", [["if", "($x", "~", "a{2}", ")", [["b"]]]]),
    (b"location ~ ^/\\d+$ { }", [["location", "~", "^/\\d+$", []]]),
    (b"\xef\xbb\xbfa b;", [["a", "b"]]),
    (b"a\r\n\tb;\r\n", [["a", "b"]]),
    (b"a \xff\xfe;", [["a", "\udcff\udcfe"]]),
    (b"x_by_lua_block { if a then { '}' } end -- }\n [==[ } ]] ]==] --[[ } ]] } b;", [["x_by_lua_block", []], ["b"]]),
    (b"set_by_lua_block $v { return \"\\\"}\" } b;", [["set_by_lua_block", "$v", []], ["b"]]),
])
def test_grammar(text: bytes, expected: List[object]) -> None:
    """Words, quotes, escapes, comments and blocks are read as nginx reads them."""
    configuration = parsed(text)
    assert shape(configuration.directives) == expected
    assert configuration.problems == []


@pytest.mark.parametrize(("text", "problem", "line", "rest"), [
    (b"a;\nb", "unexpected end of file", 2, [["a"]]),
    (b"a;\nb {\n c;\n", "unexpected end of file", 4, [["a"], ["b", [["c"]]]]),
    (b"a;\n}\nb;", 'unexpected "}"', 2, [["a"]]),
    (b"a;\nb }", 'unexpected "}"', 2, [["a"]]),
    (b"a;;", 'unexpected ";"', 1, [["a"]]),
    (b"{", 'unexpected "{"', 1, []),
    (b"a \"b\n;", "quote that does not end", 1, []),
    (b"a \"b\"c;", "quote that does not end", 1, []),
    (b"a " + b"x" * 5000 + b";", "quote that does not end", 1, []),
    (b"a \"" + b"x" * 5000 + b"\";", "quote that does not end", 1, []),
    (b"x_by_lua_block { ' \n } b;", "string in a Lua block", 1, [["x_by_lua_block", []]]),
    (b"x_by_lua_block { [[ } b;", "Lua block does not end", 1, [["x_by_lua_block", []]]),
    (b"x_by_lua_block { b;", "Lua block does not end", 1, [["x_by_lua_block", []]]),
])
def test_broken_file(text: bytes, problem: str, line: int, rest: List[object]) -> None:
    """The directives before the error count; the problem has its line."""
    configuration = parsed(text)
    assert [problem in found.text for found in configuration.problems] == [True]
    assert configuration.problems[0].source == Source("/etc/main", line)
    assert shape(configuration.directives) == rest


def test_sources() -> None:
    """A directive has the file and line of its first word."""
    configuration = parsed(b"\n\na {\n include b.conf;\n}\n", b_conf=b"#\nb\n c;")
    inner = (configuration.directives[0].block or [])[0]
    assert (configuration.directives[0].source, inner.source) == (Source("/etc/main", 3), Source("/etc/b.conf", 2))


def test_include() -> None:
    """An include may be in any block, relative to the main file, with or without wildcards."""
    configuration = parsed(b"a; http { include sites/*; server { include x.conf; } } b;",
                           x_conf=b"root /x;", **{"sites/1": b"one;", "sites/2": b"include x.conf; two;"})
    assert shape(configuration.directives) == [
        ["a"], ["http", [["one"], ["root", "/x"], ["two"], ["server", [["root", "/x"]]]]], ["b"]]


def test_missing_include() -> None:
    """A missing file is a problem, a pattern without matches is none, as for nginx."""
    configuration = parsed(b"include none/*;\ninclude missing.conf;\na;")
    assert [(problem.text, problem.source.line) for problem in configuration.problems] == [
        ("/etc/missing.conf cannot be read: No such file or directory", 2)]
    assert shape(configuration.directives) == [["a"]]


def test_missing_main_file() -> None:
    """It is a problem, not an exception."""
    problems = parse("/nowhere/nginx.conf", _refuse, lambda pattern: []).problems
    assert "/nowhere/nginx.conf cannot be read: Permission denied" in problems[0].text


def _refuse(path: str) -> bytes:
    raise PermissionError(13, "Permission denied", path)


def test_include_loop() -> None:
    """A file that includes itself, directly or through another, is a problem."""
    for files in ({"a_conf": b"include a.conf; x;"}, {"a_conf": b"include b.conf;", "b_conf": b"include a.conf;"}):
        configuration = parsed(b"include a.conf; y;", **files)
        assert any("includes itself" in problem.text for problem in configuration.problems)
        assert shape(configuration.directives)[-1] == ["y"]


def test_deep_includes() -> None:
    """A chain of includes has a limit."""
    files = {f"f{number}_conf": f"include f{number + 1}.conf;".encode() for number in range(200)}
    assert any("deep" in problem.text for problem in parsed(b"include f0.conf;", **files).problems)


def test_multiplying_includes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten includes of ten includes of ten files are few small files with more directives than memory can hold."""
    monkeypatch.setattr(parser, "MAX_DIRECTIVES", 10_000)
    files = {f"f{number}_conf": f"include f{number + 1}.conf;".encode() * 10 for number in range(9)}
    configuration = parsed(b"include f0.conf;", f9_conf=b"x;" * 10, **files)
    assert any("more than 10000 directives" in problem.text for problem in configuration.problems)


def test_deep_blocks() -> None:
    """Nested blocks have a limit, so that no recursion runs out of stack."""
    assert any("nested" in problem.text for problem in parsed(b"a {" * 5000).problems)


@pytest.mark.lab  # for its time alone: it needs neither root nor a server
@pytest.mark.parametrize("text", [bytes(range(256)) * 8000, b"\\" * 2_000_001, b"a " * 1_000_000, b"\"" * 1_000_000,
                                  b"$" * 2_000_000, b"${" * 1_000_000, b"x_by_lua_block {" + b"\"\\" * 500_000,
                                  b"x_by_lua_block {" + b"[=" * 500_000, b"x_by_lua_block {" + b"--[[" * 500_000])
def test_large_garbage(text: bytes) -> None:
    """Two megabytes against a backtracking tokenizer take linear time."""
    assert len(parsed(text).problems) == 1


SERVER = b"""http {
    server { listen 80; # one; }
        server_name a "b c" "~^d\\d{2}$"; include names.conf; location / { listen 1; include gone.conf; root '}'; }
        content_by_lua_block { if a then { '}' } end } if ($host = "x{}") { return 1; } listen [::]:80 ssl; }
    server{listen 81;}
    server { }
} stream { server { listen 82; proxy_pass x; } }
upstream x { server y:1; server z { listen 2; } }
"""


def servers_in(directives: Optional[List[Directive]]) -> List[Directive]:
    """All server blocks."""
    found = [d for d in directives or () if d.name == "server" and d.block is not None]
    return found + [server for d in directives or () for server in servers_in(d.block)]


def test_selecting_directives() -> None:
    """A skipped server block has the same listen and server_name as a read one, also from included files."""
    configuration = parsed(SERVER, names_conf=b"server_name e; listen 83; root /x;")
    found = [[str(d) for name in ("listen", "server_name") for d in server.inside(name)]
             for server in servers_in(configuration.directives)]
    assert found == [["listen 80", "listen 83", "listen [::]:80 ssl", "server_name a b c ~^d\\d{2}$", "server_name e"],
                     ["listen 81"], [], ["listen 82"], ["listen 2"]]
    for server in servers_in(configuration.directives):
        for name in ("listen", "server_name", "location", "proxy_pass"):
            assert shape(server.inside(name)) == shape([d for d in server.block or () if d.name == name])


_PIECES = (
    "listen 80;", "listen\t[::]:80 ssl ;", "server_name a b;", "server_name~x;", "listened 1;", "root /x;",
    "root /a\\;b;", "root $x{;", "root ${x}y;", "x '}';", "# listen 1; }\n", "include names.conf;",
    "include\ngone.conf;", "location / { root /x; }", "location ~ /\\.x { deny all; }",
    "location /a { listen 1; location /b { y; } }", "location / { include names.conf; }",
    "location /l { content_by_lua_block { if a then { '}' } end } }", "set_by_lua_block $x { return '}' }",
    "content_by_lua_block { n = #t; }", "location /n { content_by_lua_block { n = 1; m = #t; } }\n",
    'x "a; b" c;', "x 'a\\';}' ;", 'x "a"{', 'x \\ "; listen 3; ";', 'x\\\\ "; listen 3;";', 'x "a"b;', '"x" y;',
    'x a"b ;', "if ($a) { }", "x\v listen 2;", "{ z; }", "x {;}", "x { # }\n y; }", "a" * 600 + " " + "b" * 4000 + ";",
    "}", "{", ";", "\\\n;", "listen")


@pytest.mark.parametrize("seed", range(20))
def test_skipped_statements(
        seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """For random server blocks, half of them broken, both ways to skip give the same directives and problems."""
    random = Random(seed)  # noqa: S311
    for _ in range(200):
        body = " ".join(random.choices(_PIECES, k=random.randrange(12)))
        text = f"server {{ {body} }} server {{ listen 90; }}".encode()
        found = []
        for read in (tokens.statement, lambda text, position, passes_over: tokens.statement(text, position)):
            monkeypatch.setattr(parser, "statement", read)
            configuration = parsed(text, names_conf=b"server_name e; listen 83; root /x;")
            known = [[(str(d), d.source) for name in ("listen", "server_name") for d in server.inside(name)]
                     for server in configuration.directives]
            found.append((known, configuration.problems))
            monkeypatch.undo()
        assert found[0] == found[1], body


def test_lazy_block() -> None:
    """A block read later has the text of the first reading; each problem is reported once."""
    table = {"/etc/main": SERVER, "/etc/names.conf": b"server_name e;"}

    def read(path: str) -> bytes:
        return table.pop(path)  # KeyError the second time
    configuration = parse("/etc/main", lambda path: read(path) if path != "/etc/gone.conf" else _refuse(path),
                          lambda pattern: [])
    first = shape(configuration.directives)
    assert first == shape(configuration.directives)
    assert str(["server_name", "e"]) in str(first)
    assert [problem.text for problem in configuration.problems] == ["/etc/gone.conf cannot be read: Permission denied"]


@pytest.mark.lab  # for its time alone: it needs neither root nor a server
def test_many_includes() -> None:
    """Twenty thousand includes in one large file: to count the lines above each would take minutes."""
    text = b"http {" + b"server { listen 80; include x.conf; }\n" * 20_000 + b"}"
    server = servers_in(parsed(text, x_conf=b"root /x;").directives)[-1]
    assert shape(server.block) == [["listen", "80"], ["root", "/x"]]
