"""Random nginx server blocks: pieces of configuration, put together in every way that nginx accepts.

One directive a line, for the tests of the line that a dead end names.
"""
from random import Random
from typing import List
from typing import Sequence
from typing import Set

from tests.lab import net

ADDRESSES = (net.PUBLIC_V4, net.OTHER_V4, net.PUBLIC_V6, "127.0.0.1")
LISTENS = ("80", "*:80", f"{net.PUBLIC_V4}:80", f"{net.OTHER_V4}:80", "[::]:80", f"[{net.PUBLIC_V6}]:80")
ASKED_NAMES = ("a.test", "b.test", "www.a.test", "x.www.a.test", "c.b.test", "test", "a.example", "www.b.example", "b",
               "a.test.", "WWW.A.TEST")
NAMES = ("a.test", "b.test", "www.a.test", "*.test", ".test", "*.a.test", ".a.test", ".b.test", "a.*", "www.*",
         "www.b.*", "b", '""', "_", "A.Test", r"~^(\w+)\.test$", r"~^(?<sub>\w+)\.b\.", "~example$",
         r"~^(?<sub>www)\.(.+)$")
PREFIXES = ("/", "/.w", "/.well-known", "/.well-known/", "/.well-known/acme-challenge", "/.well-known/acme-challenge/",
            "/moved", "/moved/", "/moved/acme-challenge/", "/x/", "/x/.well-known/")
REGEXES = (r"/\.", r"/\.(?!well-known)", r"^/\.well-known/(.*)$", r"^/\.well-known/acme-challenge/(?<file>.+)$",
           r"\.php$", "acme", "ACME", "^/(moved|x)/(.*)$", "^(?<all>.*)$", r"/[^/]{20,}$", "^/x", "nothing")
TESTS = ("$host = a.test", "$host != a.test", r"$host ~ ^(\w+)\.test$", r"$host ~* ^WWW\.(.*)$", "$host !~ b",
         "$request_method = POST", "$scheme = http", "$uri ~ ^/moved(.*)$", "$request_uri ~ acme", "$one", "$two",
         "$sub", "$arg_x", "$http_user_agent ~ bot", "-f $request_filename", "!-f $request_filename",
         "!-e $document_root$uri", "!-d $document_root$uri", r"$uri !~ \.well-known")
REWRITES = (r"^/\.well-known/(.*)$ /moved/$1", "^/moved/(.*)$ /.well-known/$1", "^ /x$uri", "^(.*)$ /x$1",
            "^/x(.*)$ $1", "^/nothing /moved", "^/x/(.*)$ /$sub/$1", "(acme)-challenge /moved/$1$uri?y=1")
VALUES = ("$host", "$server_name", "$one", "$two", "$sub", "$1", "fixed", "$file", "$scheme", "$server_port", "$2")
URLS = ("https://$host$request_uri", "https://$server_name$uri", "http://other.test$request_uri", "/moved$uri", "/x",
        "$scheme://www.$host$request_uri")

class Generator:
    """Makes the configurations of one batch.

    :param refusals: the chance that a context has access rules, and that a location answers in place of a file.
    """

    def __init__(self, seed: int, refusals: float = 0.1) -> None:
        self._random = Random(seed)  # noqa: S311
        self._refusals = refusals
        self._defaults: Set[str] = set()

    def _maybe(self, chance: float) -> bool:
        return self._random.random() < chance

    def _pick(self, options: Sequence[str]) -> str:
        return self._random.choice(options)

    def maps(self) -> str:
        """The directives of the http context."""
        lines = []
        for variable, sources in (("one", ("$host", "$uri", "$http_host", "$scheme$host")), ("two", ("$one", "$host"))):
            hostnames = self._maybe(0.4)
            body = ["hostnames;"] if hostnames else []
            keys = ["a.test", "b.test", "WWW.a.test", "httpa.test", "m1", "m2", r"~^(\w+)\.test$", r"~^(?<sub>\w+)\.b",
                    "~*WELL(.*)$", "~moved"] + (["*.test", ".c.b.test", "a.*"] if hostnames else [])
            for key in self._random.sample(keys, self._random.randint(0, 4)):
                value = self._pick(("m1", "m2", "m3", '""', "0", "$server_name", "$1" if "(" in key else "m4"))
                body.append(f'"{key}" {value};')
            if self._maybe(0.6):
                body.append(f"default {self._pick(('m1', 'm9', '$host'))};")
            if self._maybe(0.1):
                body.append("volatile;")
            lines.append(f"map {self._pick(sources)} ${variable} {{ {' '.join(body)} }}")
        lines.append("upstream group { server 127.0.0.1:9001; server 127.0.0.1:9002 backup; }")
        lines += [f"root {self._root()};"] if self._maybe(0.3) else []
        return "\n".join(lines)

    def server(self, name: str = "") -> str:
        """One server block.

        :param name: one that no other block has.
        """
        lines = []
        taken = set()
        for listen in self._random.sample(LISTENS, self._random.randint(1, 2)):
            address = listen.replace("*:", "")
            if address in taken:
                continue
            taken.add(address)
            default = address not in self._defaults and self._maybe(0.1)
            if default:
                self._defaults.add(address)
            lines.append(f"listen {listen}{' default_server' if default else ''};")
        names = self._random.sample(NAMES, self._random.randint(0, 3))
        names += [name] if name else []
        lines += [f"server_name {' '.join(names)};"] if names else []
        lines += [f"root {self._root()};"] if self._maybe(0.8) else []
        lines += ["set $file '';", "set $sub none;"] if self._maybe(0.1) else []
        lines += self._rewrites(0.15)
        lines += self._settings()
        lines += [f"try_files {self._tries()};"] if self._maybe(0.1) else []
        lines += self._locations("", 0)
        if self._maybe(0.2):
            lines.append("include snippets/*.conf;")
        lines += ["location @named {", *self._body("@", "@named", 2), "}"]
        return "server {\n" + "\n".join(lines) + "\n}\n"

    def _root(self) -> str:
        root = "{dir}/r" + str(self._random.randint(0, 5))
        return self._pick((root, root, root, root + "/", f"{root}/{self._pick(VALUES)}", "relative"))

    def _settings(self) -> List[str]:
        lines = []
        if self._maybe(self._refusals):
            lines.append(self._pick(("deny all;", "allow all;", "deny 192.0.2.1;", "allow all;\ndeny all;")))
        if self._maybe(0.1):
            target = self._pick(("@named", "/moved$uri", "/.well-known/acme-challenge/x", "https://$host/error"))
            lines.append(f"error_page 403 404 418 {self._pick(('=', '=200', ''))} {target};")
        if self._maybe(0.03):
            lines.append(self._pick(("absolute_redirect off;", "server_name_in_redirect on;")))
        return lines

    def _locations(self, parent: str, depth: int) -> List[str]:
        lines = []
        seen = set()
        for _ in range(self._random.randint(1, 4) if depth == 0 else self._random.choice((0, 0, 1, 2))):
            if self._maybe(0.4):
                modifier, name = self._pick(("~", "~*")), self._pick(REGEXES)
            else:
                inside = [prefix for prefix in PREFIXES if prefix.startswith(parent)] if parent != "~" else []
                if not inside:
                    continue
                modifier, name = self._pick(("", "", "^~", "=")), self._pick(inside)
                if (modifier == "=", name) in seen:
                    continue
                seen.add((modifier == "=", name))
            body = self._body(modifier, name, depth)
            if depth < 2 and modifier != "=":
                body += self._locations("~" if "~" in (modifier, modifier[:1]) else name, depth + 1)
            lines += [f'location {modifier} "{name}" {{', *body, "}"]
        return lines

    def _body(self, modifier: str, name: str, depth: int) -> List[str]:
        lines = self._rewrites(0.25) + self._settings()
        choice = self._random.random()
        regex = modifier in ("~", "~*")
        if choice < 0.35:
            lines.append(f"root {self._root()};")
        elif choice < 0.55 and modifier != "@":
            tail = self._pick(("/$1", "/$file", "/$host/$1", "/fixed")) if regex else self._pick(("", "/", "/$host/"))
            lines.append("alias {dir}/r" + f"{self._random.randint(0, 5)}{tail};")
        elif choice < 0.62:
            uri = self._pick(("", "", "/", "/y/")) if modifier in ("", "^~", "=") else ""
            target = self._pick(("127.0.0.1:9001", "group", "127.0.0.1:9002"))
            lines += ["proxy_set_header Host $host;"] if self._maybe(0.5) else []
            lines.append(f"proxy_pass http://{target}{uri};")
        elif choice < 0.65 and modifier != "@":
            lines.append("internal;")
        elif choice < 0.67:
            lines += ["limit_except POST {", "deny all;", "}"]
        if self._maybe(0.2):
            lines.append(f"try_files {self._tries()};")
        return lines

    def _tries(self) -> str:
        options = ("$uri", "$uri/", "/cache$uri", "/no/such", "/$host$uri", "$uri.html", "/$1", "/moved$uri")
        last = self._pick(("=404", "=403", "@named", "/moved$uri", "/index.php?$args", "/x$uri", "$uri"))
        return " ".join([*self._random.sample(options, self._random.randint(1, 3)), last])

    def _rewrites(self, chance: float, depth: int = 0) -> List[str]:
        lines = []
        while self._maybe(chance):
            kind = self._random.random()
            if kind < 0.35 and depth == 0:
                test = self._pick(TESTS)
                words = test.split(" ")
                quoted = " ".join([*words[:-1], f'"{words[-1]}"']) if len(words) == 3 else test
                lines += [f"if ({quoted}) {{", *self._rewrites(0.7, 1), "}"]
            elif kind < 0.65:
                flag = self._pick(("last", "break", "", "", "permanent", "redirect"))
                lines.append(f"rewrite {self._pick(REWRITES)} {flag};")
            elif kind < 0.85:
                lines.append(f"set ${self._pick(('sub', 'file'))} {self._pick(VALUES)};")
            elif kind < 0.9:
                lines.append("break;")
            elif kind < 0.95:
                lines.append(f"return {self._pick(('301', '302', '307'))} {self._pick(URLS)};")
            else:
                lines.append(f"return {self._pick(('403', '404', '418', '444', '200 text', '410 text'))};")
        return lines
