"""The words of an nginx configuration file.

Sources: ``ngx_conf_read_token`` in src/core/ngx_conf_file.c; ngx_http_lua_module for the blocks of Lua.
"""
import re
from typing import List
from typing import Tuple

#: nginx reads a parameter into a buffer of this size (NGX_CONF_BUFFER).
MAX_PARAMETER = 4096
#: White space and comments before a directive; and a directive without quotes, escapes or comments, as nearly all are.
#: It has no character that is white space to str.split() and not to nginx.
_BLANK = r"[ \t\r\n]* (?: \#[^\n]*(?:\n|\Z) [ \t\r\n]* )*"
_NOT_PLAIN = r""";{}"'\\\#\v\f\x1c-\x1f\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"""
_PLAIN = rf"[^ \t\r\n{_NOT_PLAIN}][^{_NOT_PLAIN}]"
_STATEMENT = rf"{_BLANK} (?: ( {_PLAIN}* ) ( ; | (?<!\$) \{{ ) | ( \}} | \Z ) )"
_PLAIN_STATEMENT = re.compile(_STATEMENT, re.VERBOSE)

#: Many such directives, with escapes and quoted words too, and blocks of them, without any that the parser needs of a
#: server block that it skips: half a server in one match.
_NEVER_SKIPPED = r"include[ \t\r\n;{] | [^ \t\r\n;{}]*_by_lua_block"
_QUOTED = r"""(?<=[ \t\r\n]) (?<!\\.) (?: "(?:[^"\\]|\\.){0,500}" | '(?:[^'\\]|\\.){0,500}' ) (?=[ \t\r\n;{])"""
# Fewer than a parameter may have.
_WORDS = rf"{_PLAIN}{{0,500}} (?: (?: \\. | {_QUOTED} ) [^{_NOT_PLAIN}]{{0,500}} ){{0,7}}"
_SKIPPED_STATEMENTS = re.compile(rf"""
    (?: {_BLANK} (?! (?:listen|server_name)[ \t\r\n;{{] | {_NEVER_SKIPPED} ) {_WORDS}
        (?: ; | (?<!\$) \{{ (?: {_BLANK} (?! {_NEVER_SKIPPED} ) {_WORDS} ; ){{0,99}} {_BLANK} \}} )
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

#: Lua comments and strings, where a brace is no brace, and their long-bracket forms (Lua 5.1 manual, section 2.1).
_LUA = re.compile(r"""(?:--)?\[(=*)\[|--[^\n]*|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|([{}])|["']""", re.DOTALL)


class TokenError(Exception):
    """nginx would not understand the file from this offset on."""

    def __init__(self, text: str, offset: int) -> None:
        super().__init__(text)
        self.offset = offset


#: The words up to a mark, their offset, the mark (``;``, ``{``, ``}``, or nothing at the end of the file), and its end.
#: A plain tuple: ten thousand sites have 100,000.
Statement = Tuple[List[str], int, str, int]


def statement(text: str, position: int, skip: bool = False) -> Statement:
    """The next words and their mark.

    :param skip: skip the directives of a server block that neither select it nor include a file.
    :raises TokenError: nginx would not understand them.
    """
    plain = (_SKIPPED_STATEMENTS if skip else _PLAIN_STATEMENT).match(text, position)
    if plain is not None:
        mark = plain.lastindex
        if mark is None:
            position = plain.end()
        elif mark > 2:
            return [], plain.start(3), plain[3], plain.end()
        else:
            position = plain.start(1)
            if plain.end() - position < MAX_PARAMETER:
                return plain[1].split(), position, plain[2], plain.end()
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
            raise TokenError("unexpected characters, or a quote that does not end", token.start())
        words.append(_ESCAPE.sub(_unescape, word) if "\\" in word else word)
    return words, len(text), "", len(text)


def _unescape(match: "re.Match[str]") -> str:
    return _CONTROLS.get(match[1], match[1])


def end_of_lua(text: str, position: int, start: int) -> int:
    """The end of a Lua block.

    :param position: after its opening brace.
    :param start: the offset of the directive, for the error.
    :raises TokenError: it has no end.
    """
    depth = 1
    while depth:
        token = _LUA.search(text, position)
        if token is None:
            raise TokenError("a Lua block does not end", start)
        position = token.end()
        if token[1] is not None:
            end = text.find(f"]{token[1]}]", position)
            if end < 0:
                raise TokenError("a Lua block does not end", start)
            position = end
        elif token[2]:
            depth += 1 if token[2] == "{" else -1
        elif len(token[0]) == 1:
            raise TokenError("a string in a Lua block does not end", start)
    return position
