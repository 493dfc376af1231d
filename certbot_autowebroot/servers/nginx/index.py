"""A configuration, indexed for look-ups: its http part, or its stream part."""
import functools
from typing import List
from typing import Set

from certbot_autowebroot.servers.nginx import upstreams
from certbot_autowebroot.servers.nginx import variables
from certbot_autowebroot.servers.nginx.contexts import Context
from certbot_autowebroot.servers.nginx.names import Listeners
from certbot_autowebroot.servers.nginx.names import Server
from certbot_autowebroot.servers.nginx.parser import Configuration
from certbot_autowebroot.servers.nginx.parser import Directive
from certbot_autowebroot.servers.nginx.parser import File


class Index:
    """Look-ups for the evaluator.

    :ivar listeners: the servers of each address.
    :ivar maps: by variable.
    :ivar geo_defaults: by variable, the text for an address that its ``geo`` block does not name.
    :ivar groups: the members of each ``upstream``.
    :ivar regex_seconds: CPU time of its regular expressions so far.

    :param context: ``http`` or ``stream``.
    """

    def __init__(self, configuration: Configuration, context: str = "http") -> None:
        self.configuration = configuration
        self.regex_seconds = 0.0
        # nginx refuses a second such block; the evaluator reads both as one.
        blocks = [directive for directive in configuration.directives if directive.name == context]
        inside: List[Directive] = [directive for block in blocks for directive in block.block or ()]
        self._top = Context(Directive(context, (), inside, File("", ""), 0), None)
        own = self._top.own
        self.listeners = Listeners((Server(directive, self._top, configuration.hostname)
                                    for directive in own.get("server", ())), "80" if context == "http" else None)
        self.maps = variables.maps(own.get("map", ()))
        self.geo_defaults = variables.geo_defaults(own.get("geo", ()))
        self.groups = upstreams.groups(own.get("upstream", ()))

    @functools.cached_property
    def assigned(self) -> Set[str]:
        """The variables that are empty until something sets them."""
        return variables.assigned(self._top.directive.block or ())
