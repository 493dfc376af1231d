"""Draw a session at a terminal as a picture: ``python tools/terminal_svg.py TITLE < SESSION > FILE.svg``.

The session is what a terminal shows: lines that begin with ``$`` are commands, and escape sequences colour the others.
"""
import re
import sys
import textwrap
from html import escape
from typing import Iterator

#: Columns of the terminal, and the size of one character in pixels.
_COLUMNS, _WIDTH, _HEIGHT, _MARGIN = 108, 7.8, 18, 14
#: Dark on light, readable on white and on black pages. By SGR (ECMA-48).
_COLOURS = {"31": "#b42318", "32": "#1a7f37", "33": "#8a5a00", "2": "#59636e"}
_SGR = re.compile(r"\033\[(\d*)m")
#: The progress of long work, which the terminal overwrites.
_OVERWRITTEN = re.compile(r"[^\n]*\r\033\[K")


def rows(session: str) -> Iterator["tuple[str, str]"]:
    """The rows of the terminal, each with its colour: long lines are wrapped between words."""
    colour = ""
    for line in _OVERWRITTEN.sub("", session.replace("\r\n", "\n")).rstrip().split("\n"):
        codes = _SGR.findall(line)
        if codes and codes[0] in _COLOURS:
            colour = _COLOURS[codes[0]]
        text = _SGR.sub("", line)
        for row in textwrap.wrap(text, _COLUMNS) or [""]:
            yield row, colour
        if codes and codes[-1] in ("", "0"):
            colour = ""


def svg(session: str, title: str) -> Iterator[str]:
    """The lines of the picture."""
    drawn = list(rows(session))
    width, height = round(_COLUMNS * _WIDTH + 2 * _MARGIN), len(drawn) * _HEIGHT + 2 * _MARGIN
    yield (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
           'role="img" font-family="ui-monospace, DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="13" '
           'fill="#1f2328">')
    yield f"<title>{escape(title)}</title>"
    yield (f'<rect x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="6" fill="#f6f8fa" '
           'stroke="#d1d9e0"/>')
    for number, (text, colour) in enumerate(drawn):
        shown = text.strip()
        if shown:
            left = _MARGIN + (len(text) - len(text.lstrip())) * _WIDTH
            look = ' font-weight="bold"' if text.startswith("$ ") else f' fill="{colour}"' if colour else ""
            # As long as it is here, whatever font the reader has.
            length = f'textLength="{len(shown) * _WIDTH:.1f}" lengthAdjust="spacingAndGlyphs"'
            yield (f'<text x="{left:.1f}" y="{_MARGIN + (number + 0.75) * _HEIGHT:.1f}" xml:space="preserve" '
                   f"{length}{look}>{escape(shown)}</text>")
    yield "</svg>"


if __name__ == "__main__":
    print(*svg(sys.stdin.read(), sys.argv[1]), sep="\n")
