"""The process that answers on the wire in one network namespace; ``responder.py`` starts it and talks to it.

Requests come as lines of JSON on standard input, each is answered by one line. The process ends with its input, so with
its parent. It imports the standard library and what is pure: Python needs no directory of packages (``-I -S``) then.
"""
import contextlib
import json
import math
import os
import signal
import sys
import time
from typing import Any
from typing import Dict
from typing import List

from certbot_autowebroot.responders.wire.answering import Wire
from certbot_autowebroot.responders.wire.answering import WireError
from certbot_autowebroot.system import nftables

#: Seconds for which the connections that were answered are acknowledged after the end: until their clients close them.
LINGER = 1.0
_CLONE_NEWNET = 0x40000000


def _enter_network(descriptor: int) -> None:
    """setns(2).

    :raises OSError: it is not permitted.
    """
    if sys.version_info >= (3, 12):
        os.setns(descriptor, _CLONE_NEWNET)
        return
    import ctypes
    if ctypes.CDLL(None, use_errno=True).setns(descriptor, _CLONE_NEWNET):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def _converse(wire: Wire) -> None:
    """Carry out the parent's requests until it says so, or has ended."""
    tokens: List[str] = []
    while True:
        wire.serve(math.inf, sys.stdin.fileno())
        request = _request()
        try:
            if "end" in request:
                _end(wire, tokens)
                return
            _answer({"commands": _carry_out(request, wire, tokens)})
        except nftables.NftError as error:
            _answer({"error": str(error)})


def _carry_out(request: Dict[str, Any], wire: Wire, tokens: List[str]) -> List[str]:
    if "install" in request:
        return wire.install(request["install"])
    if "port" in request:
        return wire.add_port(request["port"])
    if "withdraw" in request:
        tokens.remove(request["withdraw"])
        return wire.remove_tokens([request["withdraw"]])
    tokens.append(request["token"])
    return wire.add_token(request["token"], request["content"])


def _end(wire: Wire, tokens: List[str]) -> None:
    """No new request is caught from now on, and connections that were answered are acknowledged for a while."""
    with contextlib.suppress(nftables.NftError):  # nft has ended, and the table with it
        wire.remove_tokens(tokens)
    until = time.monotonic() + (LINGER if wire.answered else 0)
    if not wire.has_owner:  # the parent forgets the table when it has our answer
        wire.serve(until)
        wire.close()
    _answer({"answered": wire.answered, "acknowledged": wire.acknowledged})
    if wire.has_owner:
        wire.serve(until)


def _request() -> Dict[str, Any]:
    request: Dict[str, Any] = json.loads(sys.stdin.readline() or '{"end": true}')
    return request


def _answer(answer: Dict[str, Any]) -> None:
    try:
        print(json.dumps(answer), flush=True)
    except BrokenPipeError:
        pass  # the parent has ended: so do we


def main() -> None:
    """``process.py TABLE NETWORK``: the table's name, and a descriptor of the namespace, or -1 for our own."""
    table, network = sys.argv[-2], int(sys.argv[-1])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # a table without an owner is removed first
    request = _request()
    try:
        if network >= 0:
            _enter_network(network)
        if "delete" in request:
            _answer({"existed": nftables.delete_table(table)})
            return
        wire = Wire(table)
    except (OSError, WireError, nftables.NftError) as error:
        _answer({"error": str(error)})
        return
    _answer({})
    try:
        _converse(wire)
    finally:
        wire.close()
