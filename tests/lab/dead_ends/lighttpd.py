"""Dead ends in lighttpd."""
from pathlib import Path
from typing import Dict
from typing import Mapping

from tests.lab.dead_ends import DeadEnd
from tests.lab.lighttpd import Lighttpd

_MODULES = ("mod_access", "mod_auth", "mod_authn_file", "mod_rewrite", "mod_redirect", "mod_proxy", "mod_fastcgi",
            "mod_cgi", "mod_simple_vhost", "mod_evhost")
_PROXY = 'proxy.server = ( "" => (( "host" => "127.0.0.1", "port" => 8001 )) )'
_ROOT = "mkdir root && echo shop > root/index.php"


def make(directory: Path, sites: Mapping[Path, str]) -> Lighttpd:
    """A lighttpd whose main file has one site; mod_alias is not loaded yet."""
    [text] = sites.values()
    return Lighttpd(directory, f'server.port = 80\nserver.document-root = "/usr"\n{text}', modules=_MODULES)


def host(text: str) -> str:
    """A condition on the name."""
    return f'$HTTP["host"] == "{{name}}" {{\n    {text}\n}}\n'


DEAD_ENDS: Dict[str, DeadEnd] = {
    "application": DeadEnd(host(_PROXY)),
    "application for all hosts": DeadEnd(_PROXY),
    "application in an included file": DeadEnd('include "{dir}/app.conf"\n', f"echo '{_PROXY}' > app.conf"),
    "program by FastCGI": DeadEnd(host('fastcgi.server = ( "/" => (( "host" => "127.0.0.1", "port" => 8001, '
                                       '"check-local" => "disable" )) )')),
    "scripts": DeadEnd(host('server.document-root = "{dir}/root"\n    cgi.assign = ( "" => "/bin/true" )'), _ROOT),
    "redirect": DeadEnd('url.redirect = ( "" => "https://other.example/" )\n'),
    "redirect to https, where no program listens": DeadEnd(
        '$HTTP["scheme"] == "http" {\n    $HTTP["host"] =~ ".*" {\n'
        '        url.redirect = ( ".*" => "https://%0$0" )\n    }\n}\n'),
    "rewrite": DeadEnd(host('url.rewrite-once = ( "^/(.*)" => "/index.php?q=$1" )')),
    "front controller": DeadEnd('url.rewrite-if-not-file = ( "" => "/index.php" )\n'),
    "dot files are denied": DeadEnd('$HTTP["url"] =~ "/\\." {\n    url.access-deny = ( "" )\n}\n'),
    "agent is denied": DeadEnd('$HTTP["useragent"] =~ "Encrypt" {\n    url.access-deny = ( "" )\n}\n'),
    "password": DeadEnd(host(
        'server.document-root = "{dir}/root"\n    auth.backend = "plain"\n'
        '    auth.backend.plain.userfile = "{dir}/users"\n'
        '    auth.require = ( "/" => ( "method" => "basic", "realm" => "members", "require" => "valid-user" ) )'),
        _ROOT + " && echo a:b > users"),
    "directory that is gone": DeadEnd(host('server.document-root = "{dir}/gone"')),
    "directory of a host that is gone": DeadEnd('evhost.path-pattern = "{dir}/hosts/%0/"\n'),
}
