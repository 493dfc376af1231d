"""Draw the cost by the number of sites: ``python -m benchmarks.plot RESULTS.json FILE.svg [--cpu]``.

The input is of ``benchmarks.many_sites --out``; both axes are logarithmic. With ``--cpu`` it is the CPU time,
which is nearly the same on a busy machine.
"""
import argparse
import json
import math
from pathlib import Path
from typing import Any
from typing import Dict
from typing import Iterable
from typing import List
from typing import Tuple

_WIDTH, _HEIGHT = 760, 460
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 250, 40, 55
#: Seconds; less is noise.
_LEAST, _MOST = 0.01, 1000.0
#: By way and server: colour and dashes.
_LOOKS = {("autowebroot, remembered", "nginx"): ("#1a7f37", ""),
          ("autowebroot, remembered", "apache"): ("#1a7f37", "5 4"),
          ("autowebroot, first time", "nginx"): ("#0550ae", ""),
          ("autowebroot, first time", "apache"): ("#0550ae", "5 4"),
          ("Certbot's nginx", "nginx"): ("#cf222e", ""), ("Certbot's apache", "apache"): ("#cf222e", "5 4")}
_SERVERS = {"nginx": "nginx", "apache": "Apache"}

_TITLES = {"added": "Seconds that a renewal takes more than with --webroot",
           "added_cpu": "Seconds of CPU time that a renewal takes more than with --webroot"}

Line = List[Tuple[int, float]]


def lines(results: Iterable[Dict[str, Any]], measure: str) -> Dict[Tuple[str, str], Line]:
    """The seconds added to webroot, by way and server, and by number of sites."""
    found: Dict[Tuple[str, str], Line] = {}
    for result in results:
        for way, row in result["ways"].items():
            if (way, result["server"]) in _LOOKS and result["layout"] == "files":
                found.setdefault((way, result["server"]), []).append((result["sites"], row[measure]))
    return {key: sorted(points) for key, points in found.items()}


def svg(found: Dict[Tuple[str, str], Line], title: str) -> str:
    """The picture."""
    most = max(sites for points in found.values() for sites, _ in points)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
             'font-family="sans-serif" font-size="13">', f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
             _text(_LEFT, 22, title, "start")]

    def x(sites: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * math.log(sites) / math.log(max(10, most))

    def y(seconds: float) -> float:
        share = math.log(max(_LEAST, seconds) / _LEAST) / math.log(_MOST / _LEAST)
        return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * share

    seconds = _LEAST
    while seconds <= _MOST * 1.01:
        parts += [_line(x(1), y(seconds), x(most), y(seconds)),
                  _text(_LEFT - 8, y(seconds) + 4, f"{seconds:g} s", "end")]
        seconds *= 10
    for sites in sorted({sites for points in found.values() for sites, _ in points}):
        parts += [_line(x(sites), y(_LEAST), x(sites), y(_MOST)),
                  _text(x(sites), _HEIGHT - _BOTTOM + 20, f"{sites:,}", "middle")]
    parts.append(_text((x(1) + x(most)) / 2, _HEIGHT - 12, "sites", "middle"))
    used: List[float] = []
    for key, points in sorted(found.items(), key=lambda pair: -pair[1][-1][1]):
        way, server = key
        colour, dashes = _LOOKS[key]
        path = " ".join(f"{x(sites):.1f},{y(added):.1f}" for sites, added in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2" '
                     f'stroke-dasharray="{dashes}"/>')
        label = max(y(points[-1][1]) + 4, used[-1] + 17 if used else 0)
        used.append(label)
        name = way if server in way else f"{way}, {_SERVERS[server]}"
        parts.append(_text(x(points[-1][0]) + 8, label, name, "start", colour))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _text(x: float, y: float, text: str, anchor: str, colour: str = "#333") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{text}</text>'


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#ddd"/>'


def main() -> None:
    """Draw it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--cpu", dest="measure", action="store_const", const="added_cpu", default="added")
    options = parser.parse_args()
    found = lines(json.loads(options.results.read_text()), options.measure)
    options.picture.write_text(svg(found, _TITLES[options.measure]))


if __name__ == "__main__":
    main()
