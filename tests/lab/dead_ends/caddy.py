"""Dead ends in Caddy."""
from pathlib import Path
from typing import Dict
from typing import Mapping

from tests.lab.caddy import Caddy
from tests.lab.dead_ends import DeadEnd


def make(directory: Path, sites: Mapping[Path, str]) -> Caddy:
    """A Caddy whose Caddyfile has all sites."""
    own = directory / "caddy"
    own.mkdir()
    return Caddy(own, "".join(sites.values()))


def site(text: str) -> str:
    """A site of the name."""
    return f"http://{{name}} {{\n\t{text}\n}}\n"


_ROOT = "mkdir root && echo shop > root/index.php"

DEAD_ENDS: Dict[str, DeadEnd] = {
    "application": DeadEnd(site("reverse_proxy {app}")),
    "application with https": DeadEnd("{name} {\n\treverse_proxy {app}\n}\n"),
    "application of two names": DeadEnd("http://{name}, http://www.{name} {\n\treverse_proxy {app}\n}\n"),
    "application in a handle": DeadEnd(site(
        "handle /api/* {\n\t\treverse_proxy {app}\n\t}\n\thandle {\n\t\trespond 404\n\t}")),
    "application by FastCGI": DeadEnd(site("reverse_proxy {app} {\n\t\ttransport fastcgi\n\t}")),
    "dot files are denied": DeadEnd(site(
        "@dots path */.*\n\trespond @dots 403\n\troot * {dir}/root\n\tfile_server"), _ROOT),
    "dot files are hidden": DeadEnd(site("root * {dir}/root\n\tfile_server {\n\t\thide .*\n\t}"), _ROOT),
    "agent is denied": DeadEnd(site(
        "@agent header User-Agent *Encrypt*\n\trespond @agent 403\n\troot * {dir}/root\n\tfile_server"), _ROOT),
    "connection is closed": DeadEnd(site("abort")),
    "maintenance": DeadEnd(site('respond "down" 503')),
    "error": DeadEnd(site("error 410")),
    "directory that is gone": DeadEnd(site("root * {dir}/gone\n\tfile_server")),
    "all hosts": DeadEnd(":80 {\n\trespond 404\n}\n", alone=True),
    "imported lines": DeadEnd("({id}) {\n\trespond 404\n}\n" + site("import {id}")),
}
