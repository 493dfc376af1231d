"""From the URL path to a file name or another server: mod_rewrite, mod_proxy, mod_alias, mod_vhost_alias, core."""
import posixpath
import re
from dataclasses import replace
from typing import List
from typing import Optional
from typing import Pattern
from typing import Union

from certbot_autowebroot.route import DeadEnd
from certbot_autowebroot.route import Destination
from certbot_autowebroot.servers.apache import ends
from certbot_autowebroot.servers.apache import inheritance
from certbot_autowebroot.servers.apache import mapping
from certbot_autowebroot.servers.apache import proxy
from certbot_autowebroot.servers.apache import rewrite
from certbot_autowebroot.servers.apache import sections
from certbot_autowebroot.servers.apache.directives import Directive
from certbot_autowebroot.servers.apache.directives import UnknowableError
from certbot_autowebroot.servers.apache.rules import Rule
from certbot_autowebroot.servers.apache.rules import read_rules
from certbot_autowebroot.servers.apache.state import State
from certbot_autowebroot.servers.common import regex

#: Rules without which the path is tried. Real ones are a few; a loop of hundreds takes time at each trial.
_MAX_TRIED = 5


def translate(state: State) -> Union[mapping.Mapped, Destination]:
    """The result of the first module that accepts the path.

    :raises UnknowableError: a rule needs a value of the running server.
    """
    rewritten = _rewrite_server(state)
    if rewritten is not None:
        return rewritten
    # mod_proxy's manual page, "Protocol Adjustments": the environment variable no-proxy exempts a request.
    proxied = None if "no-proxy" in state.env else proxy.proxy_pass(state.site, state.scopes, state.uri)
    if proxied:
        return proxied
    redirect = mapping.location_redirect(state.scopes) or mapping.redirect(
        state.site.all(*mapping.REDIRECTS), state.uri)
    if redirect:
        return ends.redirection(state, redirect)
    file = mapping.location_alias(state.scopes, state.uri) or mapping.alias(state.site, state.uri)
    if file:
        return replace(file, name=state.expanded(file.name), root=state.expanded(file.root))
    for directive in state.site.all("wsgiscriptalias", "wsgiscriptaliasmatch"):
        words = directive.words
        if len(words) > 1 and (regex.search(words[0], state.uri) if directive.name.endswith("match")
                               else mapping.match_prefix(state.uri, words[0])):
            return state.dead_end("a WSGI application answers", directive)
    script = mapping.virtual_script(state.site, state.uri)
    if script:
        return state.dead_end("it would be executed", script)
    file = mapping.virtual_document_root(state.site, state.server_name, state.server_port,
                                         state.request.endpoint.host, state.uri)
    if file:
        return file
    if not state.site.document_root[0]:
        raise UnknowableError("no DocumentRoot is set, and the compiled default is not known")
    return _below_root(state, state.uri)


def _rewrite_server(state: State) -> Union[mapping.Mapped, Destination, None]:
    """mod_rewrite in the server context; None where it declines, perhaps with another path."""
    if state.ended or not sections.flag(state.scopes, "rewriteengine"):
        return None
    rules = [rule for server in inheritance.servers(state.site) for rule in read_rules(server.directives)]
    if not rules or not inheritance.configures_rewrite(state.site):
        return None
    result = apply_rules(state, rules, state.uri)
    if isinstance(result, DeadEnd) or not result.changed:
        return result if isinstance(result, DeadEnd) else None
    if result.passthrough:
        if not result.path.startswith("/"):
            return state.dead_end("it answers 400, for [PT] passes on a URL in place of a path")
        state.uri, state.status = result.path, result.redirect
        return None
    if result.proxied:
        return mapping.Proxied(result.path, result.rules[-1].directive)
    if result.is_url:
        return ends.rewrite_redirect(state, result)
    state.status = result.redirect
    return _rewritten_file(state, result)


def apply_rules(state: State, rules: List[Rule], path: str,
                directory: str = "") -> Union[rewrite.Result, DeadEnd]:
    """Apply rules to a path; a dead end where one of them ends the request."""
    before = state.copy()
    result = _applied(state, rules, path, directory)
    state.ended = state.ended or result.end
    state.has_own_query = state.query != before.query
    state.trail += [rule.directive.step for rule in result.rules]
    token = state.request.token
    if result.changed and token in path + before.path_info and token not in result.path:
        state.token_lost_by = _decider(before, rules, path, directory, result).directive
    if result.error:
        return state.dead_end(f"it answers {result.error}")
    state.handler = result.handler or state.handler
    if result.handler and result.handler != "default-handler":
        return state.dead_end(f"the handler {result.handler} answers")
    return result


def _applied(state: State, rules: List[Rule], path: str, directory: str) -> rewrite.Result:
    return rewrite.apply(rules, path, state, state.env, directory, state.own_url, _own_url_pattern(state))


def _decider(before: State, rules: List[Rule], path: str, directory: str, result: rewrite.Result) -> Rule:
    """The first rule that removes the token and without which the path would be another one.

    A later rule may match any path: then the rules before it do not matter.
    """
    without_token = {id(rule): rule for rule, left in zip(result.rules, result.paths)
                     if before.request.token not in left}
    for rule in list(without_token.values())[:_MAX_TRIED]:
        try:
            trial = _applied(before.copy(), [one for one in rules if one is not rule], path, directory)
        except (UnknowableError, regex.RegexError):
            return rule
        if trial.path != result.path:
            return rule
    return next(iter(without_token.values()))


def _rewritten_file(state: State, result: rewrite.Result) -> Union[mapping.File, DeadEnd]:
    """A path of the file system where its first component exists, else a path below the document root.

    Since 2.4.60 the former needs a literal first component in the substitution, the document root at its beginning, or
    the flag UnsafePrefixStat. A path from a URL of this virtual host is always a URL path (LegacyPrefixDocRoot).
    """
    rule = result.last_substitution
    assert rule is not None  # noqa: S101 - only a substitution changes the path
    first = "/" + result.path.lstrip("/").partition("/")[0]
    exists = state.files.is_dir(first) or state.files.is_file(first)
    literal = rule.target.startswith(first)
    in_root = result.path.startswith(state.site.document_root[0].rstrip("/"))
    unsafe = "unsafeprefixstat" in rule.flags
    is_url_path = result.reduced and "legacyprefixdocroot" not in inheritance.server_options(state.site)
    if exists and (literal or in_root or unsafe) and not is_url_path:
        return mapping.File(result.path, mapping.literal_directory(rule.target, "$%\\"), rule.directive)
    return _below_root(state, result.path, rule.directive)


def _below_root(state: State, path: str, directive: Optional[Directive] = None) -> Union[mapping.File, DeadEnd]:
    if posixpath.normpath(path.lstrip("/")).partition("/")[0] == "..":
        return state.dead_end("it answers 403, for the rules lead out of the document root", directive)
    return mapping.document_root(state.site, path)


def _own_url_pattern(state: State) -> Optional[Pattern[str]]:
    """Matches a URL of this virtual host, which needs a port in ServerName: httpd makes it a path again."""
    server = state.site.server
    if not server.port:
        return None
    hosts = "|".join(re.escape(name).replace(r"\*", "[^/:]*").replace(r"\?", "[^/:]")
                     for name in (server.name, *server.aliases))
    port = "(?::80)?" if server.port == 80 else "(?::443)?" if server.port == 443 else f":{server.port}"
    return re.compile(rf"{state.request.scheme}://(?:{hosts}){port}(?=/|\Z)", re.IGNORECASE)
