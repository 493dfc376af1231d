"""The routes that Caddy adds by itself. Caddy documentation, "Automatic HTTPS".

Caddy's configuration does not have them. For every server with host names and a port other than the HTTP port, Caddy
adds redirects from the HTTP port, and one for all other hosts.
"""
from typing import Any
from typing import Dict
from typing import List
from typing import Tuple

_REDIRECT = "https://{http.request.host}%s{http.request.uri}"


def with_redirects(http: Dict[str, Any]) -> List[Tuple[str, Dict[str, Any]]]:
    """The servers of an http app by name, with those that Caddy adds for redirects.

    :param http: ``apps.http`` of a configuration.
    """
    http_port, https_port = _port(http.get("http_port"), 80), _port(http.get("https_port"), 443)
    servers = {str(name): dict(server) for name, server in _pairs(http.get("servers")) if isinstance(server, dict)}
    redirects: Dict[str, List[Dict[str, Any]]] = {}
    for server in servers.values():
        automatic = server.get("automatic_https") if isinstance(server.get("automatic_https"), dict) else {}
        listens = _strings(server.get("listen"))
        if not _applies(automatic, listens, http_port):
            continue
        skipped = (automatic or {}).get("skip")
        hosts = [host for host in _hosts(server) if not (isinstance(skipped, list) and host in skipped)]
        if not hosts and not server.get("tls_connection_policies"):
            continue
        for address in listens:
            host, _, port = address.rpartition(":")
            to = "" if port == str(https_port) else f":{port}"
            redirects.setdefault(f"{host}:{http_port}", []).append(_redirect(to, [{"protocol": "http", "host": hosts}]
                                                                             if hosts else []))
    for address, routes in redirects.items():
        # Redirects for names come after the user's routes for names and before the user's routes for all; then one
        # for all (caddyserver/caddy issues 3212 and 4829).
        for server in servers.values():
            if address in _strings(server.get("listen")):
                own = server["routes"] if isinstance(server.get("routes"), list) else []
                number = max((n for n, route in enumerate(own, 1) if _route_hosts(route)), default=0)
                named = [route for route in routes if route["match"]]
                server["routes"] = [*own[:number], *named, *own[number:], _redirect("", [{"protocol": "http"}])]
                break
        else:
            servers[f"of automatic HTTPS at {address}"] = {"listen": [address],
                                                           "routes": [*routes, _redirect("", [{"protocol": "http"}])]}
    return list(servers.items())


def _applies(automatic: Any, listens: List[str], http_port: int) -> bool:
    """Whether Caddy redirects to a server: not where redirects are off, or it has plain HTTP only."""
    if isinstance(automatic, dict) and (automatic.get("disable") or automatic.get("disable_redirects")):
        return False
    return any(address.rpartition(":")[2] != str(http_port) for address in listens)


def _redirect(port: str, match: List[Dict[str, Any]]) -> Dict[str, Any]:
    return {"match": match, "terminal": True, "handle": [
        {"handler": "static_response", "status_code": 308, "headers": {"Location": [_REDIRECT % port]}}]}


def _hosts(server: Dict[str, Any]) -> List[str]:
    routes = server.get("routes")
    return [host for route in (routes if isinstance(routes, list) else ()) for host in _route_hosts(route)]


def _route_hosts(route: Any) -> List[str]:
    sets = route.get("match") if isinstance(route, dict) else None
    matchers = [one.get("host") for one in (sets if isinstance(sets, list) else ()) if isinstance(one, dict)]
    return [host for hosts in matchers for host in _strings(hosts)]


def _strings(value: Any) -> List[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _pairs(value: Any) -> List[Tuple[Any, Any]]:
    return list(value.items()) if isinstance(value, dict) else []


def _port(value: Any, default: int) -> int:
    return value if isinstance(value, int) and value else default
