"""The state of one request in nginx's phases: the files that belong to it, and redirects."""
from typing import Optional
from typing import Tuple
from urllib.parse import urljoin

from certbot_autowebroot.route import CA_PORTS
from certbot_autowebroot.route import DeadEnd
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import PathInView
from certbot_autowebroot.route import Redirect
from certbot_autowebroot.route import Step
from certbot_autowebroot.servers.nginx.contexts import Context
from certbot_autowebroot.servers.nginx.contexts import Location
from certbot_autowebroot.servers.nginx.guesses import ContradictionError
from certbot_autowebroot.servers.nginx.guesses import EndOfRequest
from certbot_autowebroot.servers.nginx.guesses import StatusError
from certbot_autowebroot.servers.nginx.parser import Directive
from certbot_autowebroot.servers.nginx.regexes import UnknowableError
from certbot_autowebroot.servers.nginx.values import Values
from certbot_autowebroot.servers.nginx.values import plain


class State(Values):
    """One request in nginx's phases."""

    def root(self) -> Tuple[str, Optional[Directive], Optional[Location]]:
        """The value of ``root`` or ``alias``, the directive, and for ``alias`` its location."""
        directives = self.context.nearest("root", "alias")
        directive = directives[-1] if directives else None
        text = directive.args[0] if directive and directive.args else "html"
        is_alias = directive is not None and directive.name == "alias"
        # nginx drops a literal slash at the end, not that of a variable. "/" is absolute and becomes empty.
        value = self.value(text if is_alias or not text.endswith("/") else text[:-1])
        is_absolute = value.startswith("/") or text == "/"
        base = value if is_absolute else f"{self.index.configuration.prefix.rstrip('/')}/{value}"
        return base, directive, _location(self.context, directive) if directive and is_alias else None

    def file(self, uri: Optional[str] = None) -> Tuple[str, str]:
        """The base directory, and the path of the file that belongs to a URI (``ngx_http_map_uri_to_path``).

        :param uri: the current one by default.
        :raises StatusError: nginx refuses ``alias`` after a rewrite has changed the path.
        """
        uri = self.uri if uri is None else uri
        base, directive, location = self.root()
        if directive is None or location is None:
            return base, base + uri
        if not self.matches_location:
            raise StatusError(500, "alias does not go with a rewritten path", directive.source)
        return base, base if location.regex else base + uri[len(location.name):]

    def directory(self, base: str, path: str) -> Optional[Directory]:
        """The directory of this file, where the token is its name; else None."""
        base, path = plain(base), plain(path)
        head, _, last = path.rpartition("/")
        if self.request.token not in last or self.request.token in head:
            return None
        if self.guesses.contradicts(path):
            raise ContradictionError
        if not path.startswith("/"):  # "root /;" and a rewritten path without a slash
            raise UnknowableError(f"what {path} is relative to")
        directive = self.root()[1]
        step = Step(str(directive), directive.source) if directive else Step("root html (the default)")
        below = path.startswith(base.rstrip("/") + "/") and ".." not in path[len(base):].split("/")
        root = (base if below else head) or "/"
        return Directory(PathInView(root), path[len(root.rstrip("/")) + 1:], (*self.trail, step),
                         depends_on_client=self.restricted)

    def redirect(self, url: str, status: int, step: Step) -> EndOfRequest:
        """The redirect as nginx writes it: a URL that begins with a slash gets scheme, name and port.

        With ``absolute_redirect off`` the CA makes a URL of it, and reads ``//x/`` as a host.
        """
        if url.startswith("/") and self.context.setting("absolute_redirect") != "off":
            url = self._origin() + url
        elif "://" not in url:
            try:
                url = urljoin(f"{self._origin()}{self.request.path}", url)
            except ValueError:
                return EndOfRequest(DeadEnd(f"{step.text}: {url} is not a URL", (*self.trail, step)))
        return EndOfRequest(Redirect(url, status, (*self.trail, step)))

    def _origin(self) -> str:
        request = self.request
        port = request.endpoint.port
        host = self.host or self.server.first_name
        relative = self.context.setting("absolute_redirect") == "off"
        if self.context.setting("server_name_in_redirect") == "on" and not relative:
            host = self.server.first_name
        # The CA resolves a relative one, and came to one of its own ports, whatever the port here.
        implied = relative or port in (0, CA_PORTS[request.scheme]) or self.context.setting("port_in_redirect") == "off"
        return f"{request.scheme}://{host}" + ("" if implied else f":{port}")


def _location(context: Optional[Context], directive: Directive) -> Optional[Location]:
    """The location of a directive in this context, or the next location further out."""
    while context is not None and directive not in context.own.get(directive.name, ()):
        context = context.parent
    while context is not None and not isinstance(context, Location):
        context = context.parent
    return context
