"""One module or package per web server: from a process to "where does this request go?"."""
import importlib
import logging
from typing import Any
from typing import List

logger = logging.getLogger(__name__)

#: Our own, in the order in which they are asked whether they recognise a process.
BUILT_IN = (
    "nginx:NginxServer",
    "apache:ApacheServer",
    "lighttpd:LighttpdServer",
    "caddy:CaddyServer",
    "haproxy:HaproxyServer",
    "static:StaticServer",
    "guess:AnyProgram",
)


def all_web_servers() -> List[Any]:
    """A new instance of every web server that we know of: other packages' first, our own after them."""
    return [found() for found in _registered()] + [_built_in(name) for name in BUILT_IN]


def _built_in(name: str) -> Any:
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(f"{__name__}.{module}"), attribute)()


def _registered() -> List[Any]:
    """The classes in the entry point group ``certbot_autowebroot.web_servers``. A broken one is left out."""
    from importlib import metadata
    entry_points: Any = metadata.entry_points()
    group = "certbot_autowebroot.web_servers"
    # Python 3.9 returns a mapping of groups; select() came with 3.10.
    found = entry_points.select(group=group) if hasattr(entry_points, "select") else entry_points.get(group, ())
    classes = []
    for entry_point in found:
        try:
            classes.append(entry_point.load())
        except Exception as error:  # somebody else's package must not stop a renewal
            logger.warning("The web server %s cannot be loaded: %s", entry_point.name, error)
    return classes
