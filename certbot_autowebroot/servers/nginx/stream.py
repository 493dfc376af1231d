"""``stream``: connections that are passed on as they come, whatever is said on them.

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
from certbot_autowebroot.servers.nginx.regexes import Unknowable
from certbot_autowebroot.servers.nginx.state import State


class StreamWalk(State):
    """Says where a connection is passed on to. The request goes unchanged."""

    def ends(self, group: Group) -> List[Destination]:
        """The end of a connection to these servers."""
        self.level = self.server = group.default
        self.trail.append(Step("stream server", self.server.directive.source))
        passes = self.server.own.get("proxy_pass", [])
        if not passes or not passes[-1].args:
            return [DeadEnd("the stream server passes nothing on", tuple(self.trail))]
        trail = (*self.trail, Step(str(passes[-1]), passes[-1].source))
        try:
            target = self.value(passes[-1].args[0])
        except Unknowable as unknown:
            return [Unknown(f"only the running server knows {unknown}", tuple(trail))]
        members = self.index.groups.get(target.lower(), (upstreams.endpoint(target),))
        if not members:
            return [DeadEnd(f"the upstream {target} has no member that is up", trail)]
        scheme = "http" if group.tls else self.request.scheme
        if self.level.setting("proxy_ssl") == "on":
            scheme = "https"
        return [Upstream(members, self.request.host, self.request.path, scheme,
                         proxy_protocol=self.level.setting("proxy_protocol") == "on", trail=trail)]
