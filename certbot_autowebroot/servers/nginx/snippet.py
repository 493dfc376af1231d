"""Lines with which nginx serves one directory for challenges. *Pure*."""
import shlex
from typing import Iterator
from typing import List
from typing import Sequence

from zope.interface import moduleProvides

from certbot_autowebroot.interfaces import Edit
from certbot_autowebroot.interfaces import IHasSnippet
from certbot_autowebroot.interfaces import SiteLines
from certbot_autowebroot.route import CHALLENGE_PATH
from certbot_autowebroot.route import Request
from certbot_autowebroot.route import Source
from certbot_autowebroot.route import Step
from certbot_autowebroot.route import Trail
from certbot_autowebroot.servers import nginx
from certbot_autowebroot.servers.common.snippet import commented
from certbot_autowebroot.servers.common.snippet import first_step
from certbot_autowebroot.servers.common.snippet import mkdir_command
from certbot_autowebroot.servers.nginx.parser import Directive
from certbot_autowebroot.system.processes import Process

moduleProvides(IHasSnippet)

#: Ends what ngx_http_rewrite_module does in a server: no ``return``, ``rewrite`` or ``if`` after it is run.
NO_REWRITES = r"rewrite ^/\.well-known/acme-challenge/ $uri break;"
#: Access rules of a server are not inherited where a location has its own.
FOR_ALL = ("    allow all;", "    auth_basic off;", "    auth_request off;")
#: A location inherits them, unless it has its own; an empty one runs nothing (ngx_http_lua_module 0.10.23).
_LUA = ("rewrite_by_lua", "rewrite_by_lua_block", "rewrite_by_lua_file", "access_by_lua", "access_by_lua_block",
        "access_by_lua_file")
_LOCATIONS = ((CHALLENGE_PATH,), ("^~", CHALLENGE_PATH))


def lines(directory: str, inherited: Sequence[str] = ()) -> List[str]:
    """For the beginning of a ``server`` block.

    ``^~`` keeps locations by regular expression out, such as those that deny dot files (ngx_http_core_module,
    "location").

    :param inherited: the names of directives that the location would inherit.
    """
    phases = dict.fromkeys(name.partition("_")[0] for name in inherited if name in _LUA)
    return [NO_REWRITES,
            f"location ^~ {CHALLENGE_PATH} {{",
            f"    root {directory};",
            *FOR_ALL,
            *(f"    {phase}_by_lua_block {{ }}" for phase in phases),
            "}"]


def for_site(process: Process, request: Request, trail: Trail, directory: str) -> Iterator[SiteLines]:
    """The lines for a server block; none for a stream. nginx does not start with the same location twice.

    Where the block has a location for the path, the first line may suffice.
    """
    step = first_step(trail, "server ")
    if step is None or step.source is None:
        return
    then = f"{test_command(process)}, and reload {process.name}"
    yield from _listen(process, request, step, then)
    where = f"into the server block at {step.source}, as its first lines"
    inside = r"\bserver\s*\{"
    block = _server_block(process, step.source)
    taken = first_step(trail, *(" ".join(("location", *args)) for args in _LOCATIONS))
    existing = taken.source if taken else next((location.source for location in block if location.name == "location"
                                                and location.args in _LOCATIONS), None)
    if existing and not taken:
        only = (NO_REWRITES,)
        yield SiteLines(step.source, only, f"into the server block at {step.source}, as its first line", then,
                        edits=(Edit(step.source.file, step.source.line, only, inside),))
    if existing:
        where += f", in place of its location at {existing}"
    text = tuple(lines(directory, [directive.name for directive in block]))
    removed = (Edit(existing.file, existing.line, (), instead_of_block=r"\blocation\s"),) if existing else ()
    yield SiteLines(step.source, text, where, then,
                    edits=(*removed, Edit(step.source.file, step.source.line, text, inside)))


def _listen(process: Process, request: Request, default: Step, then: str) -> Iterator[SiteLines]:
    """The line by which the server of the name listens for IPv6 too, where another one answers as the default."""
    if ":" not in request.endpoint.host or ", the default for" not in default.text:
        return
    try:
        evaluator = nginx.evaluator_of(process)
    except OSError:
        return
    port = request.endpoint.port
    in_v4 = request._replace(endpoint=request.endpoint._replace(host="127.0.0.1"))
    for destination in evaluator.destinations(in_v4)[:1]:
        named = first_step(destination.trail, "server ")
        if named and named.source and ", the default for" not in named.text:
            line = (f"listen [::]:{port};",)
            yield SiteLines(named.source, line, f"into the server block at {named.source}, as its first line, for the "
                            f"name has an IPv6 address, where {default} answers in its place", then,
                            edits=(Edit(*named.source, line, r"\bserver\s*\{"),))


def _server_block(process: Process, source: Source) -> List[Directive]:
    """What a server block has and inherits: its own directives, then those around it; empty where it cannot be read."""
    try:
        configuration = nginx.evaluator_of(process).configuration
    except OSError:
        return []
    for http in configuration.directives:
        if http.name == "http":
            for server in http.block or ():
                if server.name == "server" and server.file == source.file and server.source == source:
                    around = [directive for directive in http.block or () if directive.name != "server"]
                    return [*(server.block or ()), *around]
    return []


def test_command(process: Process) -> str:
    """nginx's test of the configuration with which it runs."""
    words = [word for name, value in nginx.options(nginx.master_of(process).argv).items()
             for word in (f"-{name}", value)]
    return shlex.join([process.name, "-t", *words])


def for_every_site(directory: str) -> str:
    """A file that each server block includes."""
    return commented(f"""
        File: /etc/nginx/snippets/autowebroot.conf

        nginx has no location for all sites at once. Write the line
            include snippets/autowebroot.conf;
        into every server block, those for port 443 too, as its first line: a return, rewrite or if of the server block
        that comes before it still wins. A location {CHALLENGE_PATH} that the block has already must go.
        Where nginx does not know auth_request, leave that line out.
        Then run:
            {mkdir_command(directory)}
            nginx -t && systemctl reload nginx
        """, lines(directory))
