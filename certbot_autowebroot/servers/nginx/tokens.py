"""The words of an nginx configuration file, as nginx's own reader takes them.

``ngx_conf_read_token`` in src/core/ngx_conf_file.c; and the blocks of Lua, which the module ngx_http_lua reads for
itself.
"""
import re
from typing import List
from typing import Tuple

#: nginx reads a parameter into a buffer of this size (NGX_CONF_BUFFER).
MAX_PARAMETER = 4096
#: White space and comments before a directive; and one without quotes, escapes or comments inside, as nearly all are.
#: Neither may it have what str.split() takes for white space and nginx does not.
_BLANK = r"[ \t\r\n]* (?: \#[^\n]*(?:\n|\Z) [ \t\r\n]* )*"
_NOT_PLAIN = r""";{}"'\\\#\v\f\x1c-\x1f\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"""
_PLAIN = rf"[^ \t\r\n{_NOT_PLAIN}][^{_NOT_PLAIN}]"
_STATEMENT = rf"{_BLANK} (?: ( {_PLAIN}* ) ( ; | (?<!\$) \{{ ) | ( \}} | \Z ) )"
_SIMPLE = re.compile(_STATEMENT, re.VERBOSE)

#: Such directives, with escapes and quoted words too, one after another, and blocks of them; but none of the names that
#: count where a server block is passed over. It is half a server in one go.
_COUNTS = r"include[ \t\r\n;{] | [^ \t\r\n;{}]*_by_lua_block"
_QUOTED = r"""(?<=[ \t\r\n]) (?<!\\.) (?: "(?:[^"\\]|\\.){0,500}" | '(?:[^'\\]|\\.){0,500}' ) (?=[ \t\r\n;{])"""
# Less than a parameter may have.
_WORDS = rf"{_PLAIN}{{0,500}} (?: (?: \\. | {_QUOTED} ) [^{_NOT_PLAIN}]{{0,500}} ){{0,7}}"
_AFTER_WHAT_DOES_NOT_COUNT = re.compile(rf"""
    (?: {_BLANK} (?! (?:listen|server_name)[ \t\r\n;{{] | {_COUNTS} ) {_WORDS}
        (?: ; | (?<!\$) \{{ (?: {_BLANK} (?! {_COUNTS} ) {_WORDS} ; ){{0,99}} {_BLANK} \}} )
    ){{0,99}}
    (?: {_STATEMENT} )?
    """, re.VERBOSE | re.DOTALL)

_TOKEN = re.compile(r"""
    [ \t\r\n]+ | \#[^\n]*
    | ( (?: [^ \t\r\n;{}"'\#\\$] | \\. | \$\{* ) [^ \t\r\n;{\\$]* (?: (?: \\. | \$\{* ) [^ \t\r\n;{\\$]* ){0,4096} )
    | ([;{}])
    | "( (?: [^"\\] | \\. ){0,4096} )" (?= [ \t\r\n;{)] )
    | '( (?: [^'\\] | \\. ){0,4096} )' (?= [ \t\r\n;{)] )
    | (.)
    """, re.VERBOSE | re.DOTALL)
_WORD, _MARK, _DOUBLE, _SINGLE, _BAD = range(1, 6)

_ESCAPE = re.compile(r"""\\(["'\\trn])""")
_CONTROLS = {"t": "\t", "r": "\r", "n": "\n"}

#: What can hide a brace in Lua: comments, strings, and their long-bracket forms (Lua 5.1 manual, section 2.1).
_LUA = re.compile(r"""(?:--)?\[(=*)\[|--[^\n]*|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|([{}])|["']""", re.DOTALL)


class Bad(Exception):
    """The file cannot be read on from here."""

    def __init__(self, text: str, offset: int) -> None:
        super().__init__(text)
        self.offset = offset


#: The words up to a mark, where they start, the mark, and where it ends: ``;``, ``{``, ``}``, or nothing at the end of
#: the file. A plain tuple: ten thousand sites have 100,000.
Statement = Tuple[List[str], int, str, int]


def statement(text: str, position: int, passes_over: bool = False) -> Statement:
    """The next words and their mark.

    :param passes_over: in a server block of which only what chooses it counts, and includes.
    :raises Bad: nginx would not understand them.
    """
    simple = (_AFTER_WHAT_DOES_NOT_COUNT if passes_over else _SIMPLE).match(text, position)
    if simple is not None:
        mark = simple.lastindex
        if mark is None:
            position = simple.end()
        elif mark > 2:
            return [], simple.start(3), simple[3], simple.end()
        else:
            position = simple.start(1)
            if simple.end() - position < MAX_PARAMETER:
                return simple[1].split(), position, simple[2], simple.end()
    words: List[str] = []
    start = len(text)
    for token in _TOKEN.finditer(text, position):
        kind = token.lastindex
        if kind is None:
            continue
        if not words:
            start = token.start()
        word = token[kind]
        if kind == _MARK:
            return words, start if word != "}" else token.start(), word, token.end()
        if kind == _BAD or len(word) > MAX_PARAMETER:
            raise Bad("unexpected characters, or a quote that does not end", token.start())
        words.append(_ESCAPE.sub(_unescape, word) if "\\" in word else word)
    return words, len(text), "", len(text)


def _unescape(match: "re.Match[str]") -> str:
    return _CONTROLS.get(match[1], match[1])


def after_lua(text: str, position: int, start: int) -> int:
    """Where the Lua block ends whose brace was opened just before.

    :param start: of the directive, which is to blame.
    """
    depth = 1
    while depth:
        token = _LUA.search(text, position)
        if token is None:
            raise Bad("a Lua block does not end", start)
        position = token.end()
        if token[1] is not None:
            end = text.find(f"]{token[1]}]", position)
            if end < 0:
                raise Bad("a Lua block does not end", start)
            position = end
        elif token[2]:
            depth += 1 if token[2] == "{" else -1
        elif len(token[0]) == 1:
            raise Bad("a string in a Lua block does not end", start)
    return position
