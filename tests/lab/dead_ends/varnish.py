"""Dead ends in Varnish, which serves no files."""
from pathlib import Path
from typing import Dict
from typing import Mapping

from certbot_autowebroot.servers.varnish.snippet import BACKEND
from certbot_autowebroot.servers.varnish.snippet import lines
from tests.lab.dead_ends import DeadEnd
from tests.lab.varnish import Varnish

#: A VCL becomes a program: without optimisation it takes a third of the time.
_COMPILER = ("-p", "cc_command=exec gcc -g0 -O0 -w -fpic -shared -o %o %s")


def make(directory: Path, sites: Mapping[Path, str]) -> Varnish:
    """A Varnish with one VCL."""
    [text] = sites.values()
    return Varnish(directory, 'backend app {\n    .host = "127.0.0.1";\n    .port = "8001";\n}\n' + text,
                   parameters=_COMPILER)


def recv(text: str) -> str:
    """A subroutine for requests."""
    return f"sub vcl_recv {{\n    {text}\n}}\n"


DEAD_ENDS: Dict[str, DeadEnd] = {
    "application": DeadEnd(""),
    "dot files are denied": DeadEnd(recv('if (req.url ~ "/\\.") {\n        return (synth(403));\n    }')),
    "agent is denied": DeadEnd(recv(
        'if (req.http.User-Agent ~ "(?i)encrypt") {\n        return (synth(403, "No"));\n    }')),
    "redirect to https": DeadEnd(
        recv("if (std.port(server.ip) != 443) {\n        return (synth(750));\n    }")
        + 'sub vcl_synth {\n    if (resp.status == 750) {\n        set resp.status = 301;\n'
          '        set resp.http.location = "https://" + req.http.host + req.url;\n'
          "        return (deliver);\n    }\n}\n"),
    "addresses": DeadEnd('acl office {\n    "10.0.0.0"/8;\n}\n'
                         + recv("if (client.ip !~ office) {\n        return (synth(403));\n    }")),
    "host of the backend": DeadEnd(recv(
        'if (req.http.host == "{name}") {\n        set req.backend_hint = app;\n    } else {\n'
        "        return (synth(404));\n    }")),
    "included file": DeadEnd('include "{dir}/deny.vcl";\n',
                             "printf 'sub vcl_recv {\\n    return (synth(403));\\n}\\n' > deny.vcl"),
    "pipe": DeadEnd(recv("return (pipe);")),
    "director": DeadEnd(
        "sub vcl_init {\n    new all = directors.round_robin();\n    all.add_backend(app);\n}\n"
        + recv("set req.backend_hint = all.backend();")),
    "other path": DeadEnd(recv('set req.url = regsub(req.url, "^", "/shop");')),
    "maintenance": DeadEnd(recv("return (synth(503));")),
    "backend is there": DeadEnd("\n".join(BACKEND) + "\n" + recv("return (synth(403));")
                                + "\n".join(lines()) + "\n"),
    "no cookies": DeadEnd(recv("unset req.http.Cookie;\n    return (hash);")),
}
