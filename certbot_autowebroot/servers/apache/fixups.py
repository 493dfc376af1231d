"""The fixup hooks: per-directory rewrite rules, then per-directory redirects."""
from typing import List
from typing import Tuple
from typing import Union

from certbot_autowebroot.route import DeadEnd
from certbot_autowebroot.route import Destination
from certbot_autowebroot.route import Redirect
from certbot_autowebroot.servers.apache import ends
from certbot_autowebroot.servers.apache import inheritance
from certbot_autowebroot.servers.apache import mapping
from certbot_autowebroot.servers.apache import sections
from certbot_autowebroot.servers.apache import translation
from certbot_autowebroot.servers.apache.configuration import is_on
from certbot_autowebroot.servers.apache.rules import Rule
from certbot_autowebroot.servers.apache.rules import read_rules
from certbot_autowebroot.servers.apache.state import State


def fix_up(state: State, name: str) -> Union[str, Destination, None]:
    """Per-directory rewriting, then per-directory redirects."""
    outcome = _rewrite_directory(state, name)
    if isinstance(outcome, (DeadEnd, Redirect)):
        return outcome
    per_directory = [d for scope in reversed(state.scopes) if scope.directory for d in scope.directives]
    redirect = mapping.location_redirect(state.scopes) or mapping.redirect(per_directory, state.uri)
    return ends.redirection(state, redirect) if redirect else outcome


def _rewrite_directory(state: State, name: str) -> Union[str, Destination, None]:
    rules, directory, base, options = _directory_rules(state)
    engine = sections.last(state.scopes, "rewriteengine")
    if not directory or not engine or not is_on(engine) or state.ended:
        return None
    if name + "/" == directory and "allownoslash" not in options:
        return None  # mod_dir redirects
    if not sections.link_options(state.scopes):
        return state.dead_end("RewriteRule is forbidden without Options FollowSymLinks", engine)
    result = translation.apply_rules(state, rules, name, directory)
    if isinstance(result, DeadEnd) or not result.changed:
        return result if isinstance(result, DeadEnd) else None
    if result.passthrough and result.is_url:
        return state.dead_end("it answers 400, for [PT] passes on a URL in place of a path")
    if result.proxied:
        return ends.upstream(state, result.path, result.rules[-1].directive)
    if result.is_url:
        if base:
            head, slash, path = result.path.partition("://")
            host, _, rest = path.partition("/")
            result.path = f"{head}{slash}{host}/{_swap_prefix(rest, directory[1:], base[1:])}"
        return ends.rewrite_redirect(state, result)
    if result.redirect:
        return state.dead_end(f"it answers {result.redirect} without a target, for a later rule has replaced it")
    if result.path == name:
        return None
    if state.handler:
        # It replaces redirect-handler, which would make the internal redirect.
        return state.dead_end(f"the handler {state.handler} answers")
    return _as_url(state, result.path, directory, base)


def _as_url(state: State, path: str, directory: str, base: str) -> str:
    """The path of the internal redirect: the file name turned back into a URL path."""
    if base:
        return _swap_prefix(path, directory, base)
    root = (state.document_root or state.site.document_root[0]).rstrip("/")
    if path.startswith(root + "/"):
        return path[len(root):]
    return _swap_prefix(path, state.context[1], state.context[0]) if state.context[0] else path


def _directory_rules(state: State) -> Tuple[List[Rule], str, str, "set[str]"]:
    """The merged per-directory configuration of mod_rewrite: rules, directory, RewriteBase and options."""
    rules: List[Rule] = []
    directory = base = ""
    options: set[str] = set()
    for scope in state.scopes:
        if not scope.has(*inheritance.DIRECTIVES):
            continue
        own = [d for d in scope.directives if d.name in inheritance.DIRECTIVES]
        parent, options = options, inheritance.options(own) or options
        inherited = set() if "ignoreinherit" in options else parent
        if not scope.directory:
            continue
        directory = scope.directory if scope.directory.endswith("/") else scope.directory + "/"
        new = read_rules(own)
        if "inherit" in options or "inheritdown" in inherited:
            rules = new + rules
        else:
            rules = rules + new if "inheritbefore" in options or "inheritdownbefore" in inherited else new
        rewrite_base = scope.last("rewritebase")
        base = rewrite_base.words[0] if rewrite_base and rewrite_base.words else base if "mergebase" in options else ""
    return rules, directory, base, options


def _swap_prefix(path: str, prefix: str, other: str) -> str:
    """Replace a directory at the beginning of a path (mod_rewrite's ``subst_prefix_path``)."""
    prefix = prefix.rstrip("/") + "/"
    if path.startswith(prefix):
        return other + "/" * bool(other and not other.endswith("/")) + path[len(prefix):]
    return path
