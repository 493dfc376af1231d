"""The lines for other machines of a name: those that answer the CA and do not send its challenges to this machine."""
import http.client
from typing import Dict
from typing import List
from typing import Optional
from typing import Tuple

from certbot_autowebroot.order.inquiry import Outcome
from certbot_autowebroot.order.inquiry import Printed
from certbot_autowebroot.route import Endpoint
from certbot_autowebroot.routing.redirects import is_public
from certbot_autowebroot.servers import registry
from certbot_autowebroot.system.addresses import source_address


def advice(outcome: Outcome, printed: Printed) -> List[str]:
    """What to do about the machines that answer for a name without lines; once for those that need the same.

    :param printed: what the reader has seen already; this advice is added.
    """
    addresses: Dict[Tuple[str, ...], List[str]] = {}
    for endpoint in _without_lines(outcome):
        addresses.setdefault(tuple(_for(outcome, endpoint)), []).append(endpoint.host)
    lines = []
    for needed, hosts in addresses.items():
        where = f"what to do at {' and '.join(hosts)}"
        if needed in printed:
            lines.append(f"{where}: put the lines above for another machine there too.")
        else:
            lines += [f"{where}: {needed[0]}", *needed[1:]]
            printed[needed] = outcome.identifier
    return lines


def command_for(outcome: Outcome, endpoint: Endpoint) -> Optional[str]:
    """The command that prints the lines for the machine at an address; None where lines would not help."""
    return _command(outcome, endpoint) if endpoint in _without_lines(outcome) else None


def _without_lines(outcome: Outcome) -> List[Endpoint]:
    """Where nothing came back within this machine, the others may have their lines."""
    if not outcome.proof.served:
        return []
    return [endpoint for endpoint in outcome.judge().other_servers
            if _status(outcome, endpoint) not in (http.client.BAD_GATEWAY, http.client.SERVICE_UNAVAILABLE,
                                                  http.client.GATEWAY_TIMEOUT)]


def _for(outcome: Outcome, endpoint: Endpoint) -> List[str]:
    server, host = _server(outcome, endpoint), _this_machine(endpoint)
    if server and host:
        lines = server.part(registry.FORWARDING).proxy(host).splitlines()
        return ["put these lines into its configuration, which send challenges to this machine:",
                *(f"    {line}" for line in lines)]
    lines = [f"run {_command(outcome, endpoint)}, and put the lines that it prints into its configuration."]
    if not server:
        lines.append(f"  SERVER is its web server: {', '.join(registry.names_with(registry.FORWARDING))}.")
    if not host:
        lines.append("  HOST is the address of this machine as it is seen from there.")
    return lines


def _command(outcome: Outcome, endpoint: Endpoint) -> str:
    server = _server(outcome, endpoint)
    return (f"certbot-autowebroot snippet {server.name if server else 'SERVER'} --to "
            f"{_this_machine(endpoint) or 'HOST'}")


def _server(outcome: Outcome, endpoint: Endpoint) -> Optional[registry.Server]:
    answer = outcome.answer_at(endpoint)
    server = registry.by_header(answer.server) if answer else None
    return server if server and registry.FORWARDING in server.parts else None


def _this_machine(other: Endpoint) -> str:
    """The address of this machine for another one; empty behind a router that translates it."""
    address = source_address(other.host)
    return address if address and (is_public(address) or not is_public(other.host)) else ""


def _status(outcome: Outcome, endpoint: Endpoint) -> int:
    answer = outcome.answer_at(endpoint)
    return answer.status if answer else 0
