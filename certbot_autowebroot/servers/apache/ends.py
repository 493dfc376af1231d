"""The last phase: a file, a redirect, an upstream or a dead end."""
import os
import posixpath
import re
from dataclasses import replace
from typing import List
from typing import Optional
from urllib.parse import urlsplit

from certbot_autowebroot.route import Destination
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.route import PathInView
from certbot_autowebroot.route import Redirect
from certbot_autowebroot.route import Step
from certbot_autowebroot.route import Upstream
from certbot_autowebroot.servers.apache import mapping
from certbot_autowebroot.servers.apache import proxy
from certbot_autowebroot.servers.apache import rewrite
from certbot_autowebroot.servers.apache import sections
from certbot_autowebroot.servers.apache.directives import Directive
from certbot_autowebroot.servers.apache.directives import UnknowableError
from certbot_autowebroot.servers.apache.state import PORTS
from certbot_autowebroot.servers.apache.state import State

_SCHEMES = {"h2c": "http", "h2": "https", "ws": "http", "wss": "https"}
#: Handlers by name, with their modules; without the module httpd serves the file.
_HANDLER_MODULES = {"cgi-script": ("cgi", "cgid"), "server-status": ("status",), "server-info": ("info",),
                    "balancer-manager": ("proxy_balancer",), "send-as-is": ("asis",), "type-map": ("negotiation",),
                    "imap-file": ("imagemap",), "fcgid-script": ("fcgid",), "wsgi-script": ("wsgi",),
                    "lua-script": ("lua",), "perl-script": ("perl",), "ldap-status": ("ldap",)}


def handle(state: State, mapped: mapping.Mapped, name: str) -> Destination:
    """The destination by the handler of a file name or a proxied URL."""
    if isinstance(mapped, mapping.Proxied):
        return upstream(state, mapped.url, mapped.directive)
    directive = None if state.handler else sections.last(state.scopes, "sethandler")
    handler = state.expanded(directive.words[0]) if directive and directive.words else state.handler
    if handler.lower().startswith("proxy:"):
        return upstream(state, handler[6:] + name, directive)  # the request to the upstream has the path of the file
    handler = "" if handler.lower() == "none" else handler
    if any(state.configuration.has_module(module) for module in _HANDLER_MODULES.get(handler.lower(), ())):
        return state.dead_end(f"the handler {handler} answers, not a file", directive)
    if directive and handler and handler != "default-handler" and handler.lower() not in _HANDLER_MODULES:
        state.trail.append(Step(f"{directive.step.text}: a module may answer in place of the file", directive.source))
    if mapped.is_script and not handler and (state.configuration.has_module("cgi")
                                             or state.configuration.has_module("cgid")):
        return state.dead_end("the file would be executed", mapped.directive)
    return _directory(state, mapped, name)


def _directory(state: State, mapped: mapping.File, name: str) -> Destination:
    token = state.request.token
    if state.status:
        return state.dead_end(f"it answers {state.status} without a target, for a later rule has replaced it")
    if state.path_info not in ("", "/") and state.files.is_file(name):
        return state.dead_end(f"{name} is a file, not a directory", state.token_lost_by or mapped.directive)
    name += state.path_info
    deciding = mapped.directive.step if mapped.directive else state.site.document_root[1]
    if deciding not in state.trail:
        # A rule that rewrites the path tells more than the document root.
        state.trail.insert(1 if deciding.text.startswith("DocumentRoot") else len(state.trail), deciding)
    if name.endswith("/"):
        return state.dead_end(f"{name} ends with a slash: no file answers", state.token_lost_by)
    if token not in posixpath.basename(name):
        return state.dead_end(f"{name} answers, whatever file is asked for", state.token_lost_by)
    root = os.path.normpath(mapped.root or "/").replace("//", "/")
    if mapped.directive is None or "%{" in mapped.directive.text or mapped.directive.name not in (
            "documentroot", "alias", "virtualdocumentroot", "virtualdocumentrootip", "scriptalias"):
        root = _directory_of(name, root, state.request.path)
    prefix = root.rstrip("/") + "/"
    if not name.startswith(prefix):
        return state.dead_end(f"{name} lies outside of {root}")
    return Directory(PathInView(root), name[len(prefix):], tuple(state.trail),
                     depends_on_client=state.depends_on_client)


def redirection(state: State, redirect: mapping.Redirection) -> Destination:
    """A redirect of mod_alias; a dead end for another status."""
    if not 300 <= redirect.status < 400:
        return state.dead_end(f"it answers {redirect.status}", redirect.directive)
    target = state.expanded(redirect.target) if redirect.is_expression else redirect.target
    # With RedirectRelative the client completes the URL, with the host that it asked for.
    base = f"{state.request.scheme}://{state.request.host}" if state.site.flag("redirectrelative") else state.own_url
    url = base + target if target.startswith("/") else target
    if not re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", url):
        return state.dead_end("the target of the redirect is not a URL", redirect.directive)
    if state.query and "?" not in url:
        url += "?" + state.query
    return Redirect(url, redirect.status, (*state.trail, redirect.directive.step))


def rewrite_redirect(state: State, result: rewrite.Result) -> Redirect:
    """A redirect of mod_rewrite."""
    url = result.path
    if result.escape:
        scheme, separator, rest = url.partition("://")
        host, slash, path = rest.partition("/")
        url = scheme + separator + host + slash + mapping.escape_path(path)
    if state.query:
        url += "?" + (mapping.escape_path(state.query) if result.escape and state.has_own_query else state.query)
    return Redirect(url, result.redirect or 302, tuple(state.trail))


def upstream(state: State, url: str, directive: Optional[Directive]) -> Destination:
    """The upstream of a proxied URL; a dead end for a protocol that serves no files."""
    if directive and directive.step not in state.trail:
        state.trail.append(directive.step)
    socket = ""
    if url.lower().startswith("unix:") and "|" in url:
        socket, _, url = url[5:].partition("|")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return state.dead_end(f"{url} is not a URL to pass a request to")
    scheme = parts.scheme.lower()
    if scheme == "balancer":
        return _balancer(state, parts.netloc, url[len("balancer://") + len(parts.netloc):], directive)
    if scheme not in PORTS:
        return state.dead_end(f"passed on by {scheme or url} to {socket or parts.netloc}, where no file is served")
    if "%{" in url or "${" in url:
        raise UnknowableError(f"the upstream {url}")
    scheme_port = PORTS[scheme]
    scheme = _SCHEMES.get(scheme, scheme)
    host = (parts.hostname or "").lower()
    member = Endpoint("unix:" + socket, 0) if socket else Endpoint(host, port or scheme_port)
    path = re.sub(r"^[^:]+://[^/?]*", "", url).partition("?")[0] or "/"
    if sections.flag(state.scopes, "proxypreservehost"):
        host = state.request.host
    return Upstream((member,), host, path, scheme, trail=tuple(state.trail),
                    depends_on_client=state.depends_on_client)


def _balancer(state: State, name: str, rest: str, directive: Optional[Directive]) -> Destination:
    upstreams = [upstream(state, url.rstrip("/") + rest, directive)
                 for url in proxy.balancer_members(state.site, name)]
    if not upstreams:
        return state.dead_end(f"balancer://{name} has no members")
    first = upstreams[0]
    if not isinstance(first, Upstream):
        return first
    members: List[Endpoint] = []
    for one in upstreams:
        if not isinstance(one, Upstream) or (one.path, one.scheme) != (first.path, first.scheme):
            raise UnknowableError(f"the members of balancer://{name} differ in more than their address")
        members += [member for member in one.members if member not in members]
    return replace(first, members=tuple(members))


def _directory_of(name: str, literal: str, path: str) -> str:
    r"""The directory that a rule names: the part of the file name that does not come from the URL.

    ``AliasMatch ^/\.well-known/(.*) /srv/$1`` names /srv; ``/srv/%{HTTP_HOST}/$1`` names /srv/HOST.
    """
    left, right = name.split("/"), path.split("/")
    common = 0
    while common < min(len(left), len(right)) - 1 and left[-1 - common] == right[-1 - common]:
        common += 1
    directory = "/".join(left[:len(left) - max(common, 1)]) or "/"
    return literal if len(literal) > len(directory) and name.startswith(literal.rstrip("/") + "/") else directory
