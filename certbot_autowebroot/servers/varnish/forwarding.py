"""Lines with which Varnish sends challenges to another machine. *Pure*."""
from typing import List
from typing import Sequence

from zope.interface import moduleProvides

from certbot_autowebroot.interfaces import IForwardsChallenges
from certbot_autowebroot.route import in_url
from certbot_autowebroot.servers.common.forwarding import CONNECT_SECONDS
from certbot_autowebroot.servers.common.forwarding import ON_THE_OTHERS
from certbot_autowebroot.servers.common.forwarding import PEER_HEADER
from certbot_autowebroot.servers.common.snippet import commented

moduleProvides(IForwardsChallenges)

_CHALLENGE = r'url ~ "^/\.well-known/acme-challenge/"'
#: A status that VCL makes up: above 599, so no backend sends it.
_SYNTHETIC = 850
#: The retries of varnishd(1) without ``-p max_retries``.
_MAX_RETRIES = 4


def redirect(host: str) -> str:
    """Subroutines of one name are run in the order of the file (vcl(7), "Subroutines")."""
    return _file(ON_THE_OTHERS.format(host=host), [
        "sub vcl_recv {",
        f"    if (req.{_CHALLENGE}) {{",
        f"        return (synth({_SYNTHETIC}));",
        "    }",
        "}",
        "sub vcl_synth {",
        f"    if (resp.status == {_SYNTHETIC}) {{",
        "        set resp.status = 302;",
        '        set resp.reason = "Found";',
        f'        set resp.http.Location = "http://{in_url(host)}" + req.url;',
        "        return (deliver);",
        "    }",
        "}"])


def proxy(host: str) -> str:
    """A pass: a cached 404 would hide the file. The Host header stays as it is."""
    return _file(ON_THE_OTHERS.format(host=host), [
        *_backend("autowebroot", host),
        "sub vcl_recv {",
        f"    if (req.{_CHALLENGE}) {{",
        "        set req.backend_hint = autowebroot;",
        "        return (pass);",
        "    }",
        "}"])


def ask_peers(peers: Sequence[str], directory: str) -> str:
    """The web server behind Varnish is asked first, then one peer for each retry (vcl(7), "bereq.retries")."""
    last = len(peers)
    retry = [f"    if (bereq.{_CHALLENGE} && !bereq.http.{PEER_HEADER}-Asked && bereq.retries < {last}) {{",
             "        return (retry);",
             "    }"]
    choice: List[str] = []
    for number, _ in enumerate(peers, 1):
        choice += [f"        if (bereq.retries == {number}) {{",
                   f"            set bereq.backend = autowebroot_peer{number};",
                   "        }"]
    parameter = "" if last <= _MAX_RETRIES else f"""
        Give varnishd the option -p max_retries={last}: without, it asks {_MAX_RETRIES} peers only.
        """
    return _file(f"""
        These lines are the same on every machine. Varnish serves no files: it asks the web server behind it, which has
        the lines of "certbot-autowebroot snippet SERVER" for the directory {directory}, and then the peers, itself
        among them, until one has the file. Where the first backend is not this web server, write "set req.backend_hint"
        with the right one above the return (pass).
        {parameter}""", [
        *(line for number, peer in enumerate(peers, 1) for line in _backend(f"autowebroot_peer{number}", peer)),
        "sub vcl_recv {",
        f"    unset req.http.{PEER_HEADER}-Asked;",
        f"    if (req.{_CHALLENGE}) {{",
        f"        if (req.http.{PEER_HEADER}) {{",
        f"            set req.http.{PEER_HEADER}-Asked = \"1\";",
        "        }",
        "        return (pass);",
        "    }",
        "}",
        "sub vcl_backend_fetch {",
        f"    if (bereq.{_CHALLENGE} && bereq.retries > 0) {{",
        f'        set bereq.http.{PEER_HEADER} = "1";',
        *choice,
        "    }",
        "}",
        "sub vcl_backend_response {",
        *(line.replace("&& !", "&& beresp.status != 200 && !") for line in retry),
        "}",
        "sub vcl_backend_error {",
        *retry,
        f"    if (bereq.{_CHALLENGE}) {{",
        "        set beresp.status = 404;",
        "    }",
        "}"])


def _backend(name: str, host: str) -> List[str]:
    return [f"backend {name} {{",
            f'    .host = "{host}";',
            '    .port = "80";',
            f"    .connect_timeout = {CONNECT_SECONDS}s;",
            "}"]


def _file(comment: str, lines: Sequence[str]) -> str:
    return commented(f"""
        File: /etc/varnish/autowebroot.vcl

        Write the line
            include "/etc/varnish/autowebroot.vcl";
        into /etc/varnish/default.vcl, after the first backend (the first is the default) and before the first sub.
{comment}
        Then run:
            varnishd -C -f /etc/varnish/default.vcl > /dev/null && systemctl reload varnish
        """, lines)
