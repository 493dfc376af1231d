"""``stream``: nginx passes connections on, whatever their protocol.

Sources: ngx_stream_core_module, ngx_stream_proxy_module, ngx_stream_ssl_preread_module.
"""
from typing import List

from certbot_autowebroot.route import DeadEnd
from certbot_autowebroot.route import Destination
from certbot_autowebroot.route import Step
from certbot_autowebroot.route import Unknown
from certbot_autowebroot.route import Upstream
from certbot_autowebroot.servers.nginx import upstreams
from certbot_autowebroot.servers.nginx.names import Group
from certbot_autowebroot.servers.nginx.regexes import UnknowableError
from certbot_autowebroot.servers.nginx.state import State


class StreamWalk(State):
    """Follows one connection, with an unchanged request, to its upstream."""

    def destinations(self, group: Group) -> List[Destination]:
        """The destination of a connection to these servers."""
        self.context = self.server = group.default
        self.trail.append(Step("stream server", self.server.directive.source))
        passes = self.server.own.get("proxy_pass", [])
        if not passes or not passes[-1].args:
            return [DeadEnd("the stream server passes nothing on", tuple(self.trail))]
        trail = (*self.trail, Step(str(passes[-1]), passes[-1].source))
        try:
            target = self.value(passes[-1].args[0])
        except UnknowableError as unknown:
            return [Unknown(f"only the running server knows {unknown}", tuple(trail))]
        members = self.index.groups.get(target.lower(), (upstreams.endpoint(target),))
        if not members:
            return [DeadEnd(f"the upstream {target} has no member that is up", trail)]
        scheme = "http" if group.tls else self.request.scheme
        if self.context.setting("proxy_ssl") == "on":
            scheme = "https"
        return [Upstream(members, self.request.host, self.request.path, scheme,
                         proxy_protocol=self.context.setting("proxy_protocol") == "on", trail=trail)]
