"""The place of a site in a Caddyfile, which Caddy's running configuration does not have."""
import posixpath
import re
from typing import Callable
from typing import Iterable
from typing import Iterator
from typing import List
from typing import Optional
from typing import Tuple

from certbot_autowebroot.route import Source
from certbot_autowebroot.route import Step
from certbot_autowebroot.servers.caddy.source import caddyfile
from certbot_autowebroot.system.processes import Process

#: Files, each read once: imports may form a loop, and a pattern may match anything.
_MAX_FILES = 1000

Read = Callable[[str], bytes]
Glob = Callable[[str], Iterable[str]]


def site(process: Process, host: str) -> Optional[Step]:
    """The block of a host's site, or only the file; None where Caddy runs without a Caddyfile."""
    path = caddyfile(process)
    if not path:
        return None
    try:
        return site_in(path, host, process.view.read, process.view.glob)
    except OSError:
        return None


def site_in(path: str, host: str, read: Read, glob: Glob) -> Step:
    """The block of a host's site. An exact name comes before a wildcard, and that before a site for all hosts.

    :param read: the content of a file.
    :param glob: the files that a pattern matches.
    :raises OSError: the file cannot be read.
    """
    ranked = [(_rank(address, host), address, source) for address, source in _addresses(path, read, glob)]
    best = max((candidate for candidate in ranked if candidate[0]), key=lambda one: one[0], default=None)
    return Step(f"site {best[1]}", best[2]) if best else Step(f"site {host}", Source(path))


def _rank(address: str, host: str) -> int:
    """How specific an address (Caddyfile, "Addresses") is for a host; 0 where it does not match."""
    name = re.sub(r"^https?://", "", address.lower()).partition("/")[0]
    name = re.sub(r":\d*$", "", name)
    if name == host:
        return 3
    if name.startswith("*.") and name[1:] == host[host.find("."):]:
        return 2
    return 1 if name == "" else 0


def _addresses(path: str, read: Read, glob: Glob) -> Iterator[Tuple[str, Source]]:
    """The addresses of all sites, with the first line of their block; those of imported files last."""
    files, seen = [path], {path}
    for file in files:
        try:
            text = read(file).decode("utf-8", "replace")
        except OSError:
            if file == path:
                raise
            continue
        for line, addresses, imported in _blocks(text):
            yield from ((address, Source(file, line)) for address in addresses)
            for other in glob(posixpath.join(posixpath.dirname(file), imported)) if imported else ():
                if other not in seen and len(files) < _MAX_FILES:
                    files.append(other)
                    seen.add(other)


def _blocks(text: str) -> Iterator[Tuple[int, List[str], str]]:
    """The addresses and imports outside of all blocks of a Caddyfile, with their lines."""
    level = 0
    addresses: List[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = re.sub(r"(^|\s)#.*", "", line).split()
        if level == 0 and words[:1] == ["import"] and len(words) > 1:
            yield number, [], words[1]
        elif level == 0 and words:
            addresses += [address for word in words if word != "{" for address in word.split(",") if address]
            if words[-1] == "{" or not words[-1].endswith(","):  # one site alone needs no braces
                yield number, addresses, ""
                addresses = []
        level += (words[-1:] == ["{"]) - (words[:1] == ["}"])
