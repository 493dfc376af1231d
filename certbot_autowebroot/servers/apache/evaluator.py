"""The destination of a request: httpd's phases, in its order.

Source: "Request Processing in the Apache HTTP Server 2.x" and the modules' manual pages. The phases: the virtual host,
URL translation (mod_rewrite, mod_proxy, mod_alias, mod_vhost_alias, core), access, fixups (per-directory rewriting),
the handler. A condition can test whether a file exists. So the evaluator follows the request once for each answer and
drops contradictions: a file that a rule refuses once it exists is a dead end.
"""
import os
import re
from dataclasses import replace
from typing import Dict
from typing import List
from typing import Optional
from typing import Sequence
from typing import Tuple
from typing import Union

from certbot_autowebroot.route import DeadEnd
from certbot_autowebroot.route import Destination
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import Redirect
from certbot_autowebroot.route import Request
from certbot_autowebroot.route import Step
from certbot_autowebroot.route import Unknown
from certbot_autowebroot.route import Upstream
from certbot_autowebroot.servers.apache import access
from certbot_autowebroot.servers.apache import ends
from certbot_autowebroot.servers.apache import environment
from certbot_autowebroot.servers.apache import fixups
from certbot_autowebroot.servers.apache import mapping
from certbot_autowebroot.servers.apache import proxy
from certbot_autowebroot.servers.apache import sections
from certbot_autowebroot.servers.apache import translation
from certbot_autowebroot.servers.apache.configuration import Configuration
from certbot_autowebroot.servers.apache.configuration import is_on
from certbot_autowebroot.servers.apache.directives import Directive
from certbot_autowebroot.servers.apache.directives import UnknowableError
from certbot_autowebroot.servers.apache.htaccess import NotAllowedHereError
from certbot_autowebroot.servers.apache.managed import managed_domain
from certbot_autowebroot.servers.apache.sections import HtaccessReader
from certbot_autowebroot.servers.apache.sections import Scope
from certbot_autowebroot.servers.apache.state import MAX_ALTERNATIVES
from certbot_autowebroot.servers.apache.state import Answers
from certbot_autowebroot.servers.apache.state import Files
from certbot_autowebroot.servers.apache.state import State
from certbot_autowebroot.servers.common import regex

#: "LimitInternalRecursion 10".
MAX_INTERNAL_REDIRECTS = 10


def evaluate(configuration: Configuration, request: Request, files: Files,
             htaccess: HtaccessReader) -> List[Destination]:
    """The destinations of a request: alternatives, the likeliest first, at least one."""
    useful: List[Tuple[State, Destination]] = []
    others: List[Destination] = []
    contradictions: List[Destination] = []
    with_file: List[Destination] = []
    pending: List[Answers] = [{}]
    runs: List[Tuple[State, Destination]] = []
    while pending and len(runs) < MAX_ALTERNATIVES:
        # Runs with the fewest changed answers first: where rules loop, the others do not end.
        run = State(configuration, request, files, htaccess, pending.pop(0))
        destination = _destination(run)
        pending += run.untried
        is_consistent = run.is_consistent(destination)
        end = destination if is_consistent else _contradiction(destination)
        runs.append((run, end))
        if not is_consistent:
            contradictions.append(end)
            if isinstance(destination, DeadEnd) and run.leads_to_its_file:
                with_file.append(destination)
        elif isinstance(destination, Directory) or (run.undecided and not isinstance(destination, DeadEnd)):
            useful.append((run, destination))
        else:
            others.append(destination)
    # A front controller answers only where there is no file; the challenge file will exist. So the line that refuses
    # the existing file is the reason, not the front controller, whatever status it answers.
    if with_file and all(isinstance(end, DeadEnd) for end in others):
        others = with_file
    return _distinct([_with_client_mark(one, runs) for one in useful] or others or contradictions[:1])


def _with_client_mark(one: Tuple[State, Destination], runs: Sequence[Tuple[State, Destination]]) -> Destination:
    """A destination, marked where a run with the same files and another client has another one."""
    run, end = one
    if not isinstance(end, (Directory, Upstream)):
        return end
    for other, other_end in runs:
        both = run.answers.keys() & other.answers.keys()
        differing = {question for question in both if run.answers[question] != other.answers[question]}
        if differing and differing <= run.undecided and replace(end, trail=()) != replace(other_end, trail=()):
            return replace(end, depends_on_client=True)
    return end


def _distinct(destinations: Sequence[Destination]) -> List[Destination]:
    seen: Dict[Destination, Destination] = {}
    for destination in destinations:
        seen.setdefault(replace(destination, trail=()), destination)
    return list(seen.values())


def _contradiction(destination: Destination) -> Destination:
    """The dead end of a contradiction: httpd never serves the file, and nothing else while it is missing."""
    if isinstance(destination, (DeadEnd, Unknown)):
        return destination
    return DeadEnd("the rules stop leading to the file as soon as it exists", destination.trail)


def _destination(state: State) -> Destination:
    """Follow the request to its end."""
    try:
        return _follow(state)
    except NotAllowedHereError as error:
        return state.dead_end("it answers 500, for AllowOverride does not allow a line of .htaccess", error.directive)
    except (UnknowableError, regex.RegexError) as error:
        return Unknown(str(error), tuple(state.trail))


def _follow(state: State) -> Destination:
    request = state.request
    tls = state.configuration.default_at(request).speaks_tls(request.endpoint.port)
    state.site, by_name = state.configuration.choose(request)
    state.trail.append(state.site.step)
    state.trail += [Step(f"not certain: {text}") for text in state.configuration.tree.problems]
    if tls is not None and tls != (request.scheme == "https"):
        return state.dead_end(f"port {request.endpoint.port} speaks {'TLS' if tls else 'no TLS'} here")
    for site in (state.configuration.default_at(request), state.site):
        proxied = site.last("remoteipproxyprotocol")  # a load balancer sends a PROXY line
        if proxied and is_on(proxied) and not (request.endpoint.is_loopback or state.depends_on_client):
            state.depends_on_client = True
            state.trail.append(Step(f"{proxied.step.text}: depends on the client", proxied.source))
    if not by_name and state.site.flag("stricthostcheck"):
        return state.dead_end("StrictHostCheck refuses a host that no virtual host has")
    domain = managed_domain(state.configuration, request)
    if domain:
        return state.dead_end(f"mod_md answers the challenges of {request.host} itself", domain)
    state.uri = normalize(request.path, state.site.flag("mergeslashes", True))
    for _ in range(MAX_INTERNAL_REDIRECTS):
        outcome = _process(state)
        if not isinstance(outcome, str):
            return outcome
        state.uri = normalize(outcome, state.site.flag("mergeslashes", True))
        state.env = {"REDIRECT_" + name: value for name, value in state.env.items()}
        state.env["REDIRECT_STATUS"] = "200"
        state.is_redirected = True
    return state.dead_end(f"more than {MAX_INTERNAL_REDIRECTS} internal redirects")


def _process(state: State) -> Union[str, Destination]:
    """One pass through the phases: the destination, or the path of an internal redirect."""
    state.path_info = state.handler = state.document_root = state.filename = ""
    state.context = ("", "")
    state.status = 0
    server = sections.server_scopes(state.site)
    environment.set_environment(state, [directive for scope in server for directive in scope.directives])
    state.env.update(sections.location_groups(state.site, state.uri))
    state.scopes = _with_ifs(state, server + sections.location_scopes(state.site, state.uri), "")
    mapped = translation.translate(state)
    if not isinstance(mapped, (mapping.File, mapping.Proxied)):
        return mapped
    servlets = proxy.servlet_mount(state.site, state.uri) if isinstance(mapped, mapping.File) else None
    if servlets and "no-jk" not in state.env:
        return state.dead_end("a servlet container answers", servlets)
    name = mapped.name if isinstance(mapped, mapping.File) else "proxy:" + mapped.url
    if isinstance(mapped, mapping.Proxied):
        scopes = sections.proxy_scopes(state.site, mapped.url)
    else:
        if not name.startswith("/"):
            return state.dead_end(f"{name} is not an absolute path")
        state.document_root, state.context = mapped.document_root, mapped.context
        name, state.path_info = _walk(state, name)
        state.filename = name
        inside = "/" if state.files.is_dir(name) and not name.endswith("/") else ""
        scopes = sections.directory_scopes(state.site, name + inside, state.read_htaccess,
                                           lambda path: state.exists(path, "f"))
        scopes += sections.file_scopes(state.site.sections, name)
        scopes += sections.file_scopes(_inner(scopes), name)
    scopes += sections.location_scopes(state.site, state.uri)
    if not state.is_redirected:
        environment.set_environment(state, [directive for scope in scopes for directive in scope.directives])
    state.scopes = _with_ifs(state, server + scopes, name)
    refusal = _check_access(state, name)
    if refusal:
        return refusal
    outcome = fixups.fix_up(state, name)
    if isinstance(mapped, mapping.File) and not isinstance(outcome, (DeadEnd, Redirect)) and _lacks_slash(state, name):
        return state.dead_end(f"{name} is a directory, and it redirects to it", state.token_lost_by or mapped.directive)
    if outcome is not None:
        return outcome
    return ends.handle(state, mapped, name)


def _walk(state: State, name: str) -> Tuple[str, str]:
    """Split a file name after the first component that is not a directory; the rest is the path info.

    While a directory above the challenge file is missing, sections and rules see the shorter name
    (``ap_directory_walk``, "AcceptPathInfo").
    """
    slash = "/" if name.endswith("/") and name != "/" else ""
    name = os.path.normpath(name).replace("//", "/")
    end = name.find("/", 1)
    while end > 0:
        if not state.is_directory(name[:end]):
            return name[:end], name[end:] + slash
        end = name.find("/", end + 1)
    return (name + slash, "") if state.files.is_dir(name) else (name, slash)


def _inner(scopes: Sequence[Scope]) -> List[Directive]:
    return [section for scope in scopes for section in scope.inner]


def _with_ifs(state: State, scopes: List[Scope], filename: str) -> List[Scope]:
    candidates = list(state.site.sections) + _inner(scopes)

    def holds(section: Directive) -> bool:
        try:
            return state.expression(" ".join(section.words), filename)
        except (UnknowableError, regex.RegexError) as error:
            for_any_client = state.for_any_client(lambda: state.expression(" ".join(section.words), filename))
            return state.decide(section, str(error), for_any_client) if _matters(section) else False
    return scopes + sections.if_scopes(candidates, holds)


def _lacks_slash(state: State, name: str) -> bool:
    """Whether mod_dir redirects to the directory with a slash (DirectorySlash), before any handler."""
    return (state.files.is_dir(name) and not state.uri.endswith("/") and state.configuration.has_module("dir")
            and sections.flag(state.scopes, "directoryslash", True))


def _check_access(state: State, name: str) -> Optional[Destination]:
    def judge(kind: str, what: str) -> Optional[bool]:
        if kind == "address":
            return None
        try:
            return what in state.env and state.environment(what) is not None if kind == "env" \
                else state.expression(what, name)
        except (UnknowableError, regex.RegexError):
            return None
    verdict, directive = access.granted([scope.directives for scope in state.scopes], judge)
    if verdict is False:
        return state.dead_end("access is denied", directive)
    verify = sections.last(state.scopes, "sslverifyclient")
    if state.request.scheme == "https" and verify and verify.words[:1] == ["require"]:
        verdict, directive = None, verify  # a content delivery network has a certificate
    if verdict is None and directive:
        state.depends_on_client = True
        unlisted, _ = access.granted([scope.directives for scope in state.scopes],
                                     lambda kind, what: False if kind == "address" else
                                     state.for_any_client(lambda: bool(judge(kind, what))))
        state.trail.append(Step(f"{directive.step.text}: depends on the client", directive.source, unlisted is False))
    if state.request.scheme == "http" and any(scope.has("sslrequiressl") for scope in state.scopes):
        return state.dead_end("SSLRequireSSL refuses http")
    return None


def normalize(path: str, merge_slashes: bool) -> str:
    """Remove dot segments and doubled slashes from a path (``ap_normalize_path``), before all phases."""
    if merge_slashes:
        path = re.sub("/+", "/", path)
    parts: List[str] = []
    for part in path.split("/")[1:]:
        if part == "..":
            parts = parts[:-1]
        elif part != ".":
            parts.append(part)
    return "/" + "/".join(parts)


def _matters(section: Directive) -> bool:
    """Whether a section can change the destination."""
    names = {"require", "requireall", "requireany", "requirenone", "order", "allow", "deny", "satisfy", "sethandler",
             "redirect", "redirectmatch", "redirectpermanent", "redirecttemp", "rewriterule", "rewriteengine",
             "proxypass", "alias", "authmerging"}
    return any(child.name in names or _matters(child) for child in section.children)
