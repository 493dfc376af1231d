"""Random Apache configurations, held against a real httpd: ``python -m tests.servers.apache_random --count 5000``.

A configuration is one ``<VirtualHost>`` with directories and .htaccess files of its own. Several make a batch, which
one httpd runs, so that they compete for names and addresses too. A seed names a batch for good. Run by hand, it
enters a network namespace of its own, as pytest does; most of its time goes into files, so TMPDIR is best a tmpfs.
"""
import argparse
import http.client
import os
import pathlib
import re
import sys
import tempfile
import time
import typing
from collections import Counter
from dataclasses import dataclass
from random import Random
from typing import List
from typing import Sequence

from certbot_autowebroot.route import Destination
from certbot_autowebroot.route import Directory
from certbot_autowebroot.route import Unknown
from tests.lab import net
from tests.lab.apache import DEFAULT_MODULES
from tests.lab.apache import Apache
from tests.servers.apache_oracle import NAMES
from tests.servers.apache_oracle import TOKEN
from tests.servers.apache_oracle import Asked
from tests.servers.apache_oracle import Evaluators
from tests.servers.apache_oracle import backends
from tests.servers.apache_oracle import fetch
from tests.servers.apache_oracle import ours

SITES_PER_BATCH = 50

ADDRESSES = (net.PUBLIC_V4, net.OTHER_V4, net.PUBLIC_V6, "127.0.0.1")
HOSTS = ("*:80", "*:80", "*:80", f"{net.PUBLIC_V4}:80", f"{net.OTHER_V4}:80", f"[{net.PUBLIC_V6}]:80", "*:8000",
         "_default_:80", f"{net.PUBLIC_V4}:*", f"{net.PUBLIC_V4}:80 {net.OTHER_V4}:8000")
#: In what follows, ``{r}`` is the site's own directory, ``{n}`` its number.
NAMES_OF_SITES = ("www.{n}.test", "*.{n}.test", "a?.{n}.test", "shared.test", "*.shared.test", "WWW.Shared.test",
                  "*.*.{n}.test", "{n}.*")
ASKED_NAMES = ("{n}.test", "{n}.test", "www.{n}.test", "x.y.{n}.test", "ab.{n}.test", "shared.test", "{n}.example",
               "www.shared.test", "nobody.example")
PREFIXES = ("/", "/.well-known", "/.well-known/", "/.well-known/acme-challenge", "/.well-known/acme-challenge/",
            "/.well", "/acme", "/acme/", "/site", "/other/", "/acme-challenge", "//.well-known")
REGEXES = (r"^/\.well-known/acme-challenge/(.*)$", r"^/\.well-known/(.*)", r"^/(.*)$", r"^/(?!\.well-known/)(.*)",
           r"/\.", r"/\.(?!well-known)", "^/acme(.*)", "acme", "^/nothing", r"^/\.well-known/acme-challenge/([\w-]+)$",
           "(.*)/([^/]+)$")
ROOTS = ("{r}/a", "{r}/a", "{r}/b", "{r}/c", '"{r}/b/"', "{r}/c/site")
#: What AliasMatch leads to.
FILE_TARGETS = ("{r}/a/acme/$1", "{r}/b/$1", "{r}/c", "{r}/b$0", "{r}/a/$2")
URLS = ("https://other.test/", "https://other.test", "/acme", "/site/", "http://{n}.test/acme/",
        "https://other.test/x?y=z")
VIRTUAL_ROOTS = ("{r}/hosts/%0", "{r}/hosts/%1", "{r}/hosts/%-1", "{r}/hosts/%2+/site", "{r}/hosts/%1.1/%-1.2+",
                 "{r}/hosts/%p", "{r}/hosts/%-2+", "{r}/hosts/%9", "{r}/a/%%")
STATUSES = ("", "301 ", "permanent ", "temp ", "307 ", "308 ", "seeother ")

PATTERNS = (r"^/\.well-known/acme-challenge/(.*)$", r"^/\.well-known/acme-challenge/(.*)$", r"^/\.well-known/(.*)$",
            "^/(.*)$", "^", "(.*)", r"!^/\.well-known", "^/acme/(.*)", "^/site(.*)", "^/nothing", "ACME", r"/\.",
            "^/(a)(c)?(.*)", r"^/\.well-known/acme-challenge/")
BELOW = (r"^\.well-known/acme-challenge/(.*)$", r"^\.well-known/acme-challenge/(.*)$", "^(.*)$", ".", "^",
         "^acme/(.*)$", "^site/(.*)", r"!^\.well-known", r"^index\.php$", "ACME", r"^\.", "^acme-challenge/(.*)",
         "^(.*/)?([^/]*)$")
TARGETS = ("-", "-", "/acme/$1", "/index.php", "/site/$1", "/site$1", "/acme-challenge/$1", "{r}/a/acme/$1", "{r}/b$1",
           "{r}/b/%1/$1", "%{DOCUMENT_ROOT}/acme/$1", "/%1/$1", "https://%{HTTP_HOST}%{REQUEST_URI}",
           "https://other.test/$1", "http://www.%{HTTP_HOST}/$1", "http://{n}.test/acme/$1", "/acme/$1?x=$1", "acme/$1",
           "{r}/hosts/%{HTTP_HOST}/$1", "%{REQUEST_URI}", "/$1", "$1", "/other/$1", "/.well-known/acme-challenge/$1")
FLAGS = ("L", "L", "L", "END", "PT", "R", "R=301,L", "R=308,L", "R=303", "R=404", "F", "G", "S=1", "S=2", "C", "NC",
         "NE", "QSA", "E=ACME:1", "QSD", "DPI", "NS", "B", "N=3", "R=307,END")
CONDITIONS = (r"%{HTTP_HOST} ^(www\.)?{n}\.test$ [NC]", r"%{HTTP_HOST} !^www\.", r"%{HTTP_HOST} ^([^.]+)\.",
              r"%{REQUEST_URI} !^/\.well-known/acme-challenge/", "%{REQUEST_URI} ^/(acme|site)",
              r"%{REQUEST_URI} ^/\.well-known/(.*)", "%{HTTPS} off", "%{HTTPS} !=on", "%{HTTPS} on",
              "%{SERVER_PORT} !^443$", "%{SERVER_PORT} =80", "%{REQUEST_FILENAME} -f", "%{REQUEST_FILENAME} !-f",
              "%{REQUEST_FILENAME} !-d", "%{DOCUMENT_ROOT}%{REQUEST_URI} !-f", "%{DOCUMENT_ROOT}%{REQUEST_URI} -f",
              "{r}/b%{REQUEST_URI} -f", "{r}/hosts/%{HTTP_HOST} -d", "{r}/maintenance -f", "{r}/a !-d",
              "%{ENV:ACME} =1", "%{ENV:ACME} !1", "%{REQUEST_METHOD} =GET", "%{QUERY_STRING} ^$", "%{THE_REQUEST} acme",
              "$1 ^t0ken", "%{SERVER_NAME} ^{n}", 'expr "%{HTTP_HOST} =~ /^www/"', "%{REQUEST_SCHEME} =http",
              "%{HTTP:X-Forwarded-Proto} !https", "%{SERVER_ADDR} =203.0.113.10", "%{REQUEST_URI} !acme [NC]")
HANDLERS = ("server-status", "None", "default-handler", "some-handler", "cgi-script")
FILES = ("<Files t0ken*>", "<Files *>", r'<FilesMatch "^\.">', "<FilesMatch .>", "<Files index.php>", '<Files ~ "^t">')
DIRECTORIES = ("<Directory {r}/a>", "<Directory {r}/b>", "<Directory {r}/a/.well-known>", "<Directory {r}>",
               "<Directory {r}/*>", "<Directory {r}/a/>", "<Directory {r}/*/.well-known>", r'<DirectoryMatch "/\.">',
               "<Directory {r}/a/acme>", r'<DirectoryMatch "/\.(?!well-known)">', '<DirectoryMatch "^{r}/(a|b)/acme">',
               "<Directory {r}/hosts>", '<Directory ~ "{r}/[ab]">', "<Directory />")
LOCATIONS = ("<Location />", "<Location /.well-known>", "<Location /.well-known/>", "<Location /acme>",
             "<Location /*/acme-challenge>", r"<LocationMatch ^/\.well-known/(.*)>",
             r"<LocationMatch /\.(?!well-known)>", '<Location ~ "acme/">', "<Location /site/>",
             "<Location /.well-known/acme-challenge>")
CONDITIONAL = ("<If \"%{HTTP_HOST} == '{n}.test'\">", '<If "%{REQUEST_URI} =~ /well-known/">',
               '<If "-n %{QUERY_STRING}">', "<If \"%{SERVER_PORT} -eq 80\">", "<If \"! %{HTTPS} == 'on'\">")
BACKENDS = ("http://127.0.0.1:8081", "http://127.0.0.1:8082", "http://127.0.0.1:8081/", "http://127.0.0.1:8081/p/",
            "http://localhost:8082/q", "unix:{dir}/backend.sock|http://app/", "balancer://group", "balancer://group/")
OVERRIDES = ("AllowOverride None", "AllowOverride All", "AllowOverride All", "AllowOverride FileInfo",
             "AllowOverride AuthConfig Limit", "AllowOverride None\nAllowOverrideList Require Redirect")

_TOP = """
Listen 80
Listen 8000
ServerName main.test
DocumentRoot {dir}/main
<Directory />
Require all denied
</Directory>
<Directory {dir}>
Require all granted
</Directory>
<Proxy balancer://group>
BalancerMember http://127.0.0.1:8081
BalancerMember http://127.0.0.1:8082
</Proxy>
<Macro Challenge $root>
Alias /.well-known/acme-challenge/ $root/acme/
</Macro>
<Macro Refuse $what>
<LocationMatch $what>
Require all denied
</LocationMatch>
</Macro>
"""


class Generator:
    """Makes the configurations of one batch."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)  # noqa: S311

    def _maybe(self, chance: float) -> bool:
        return self._random.random() < chance

    def _pick(self, options: Sequence[str]) -> str:
        return self._random.choice(options)

    def main(self) -> str:
        """What stands outside of the virtual hosts."""
        lines = [_TOP, "Define below acme"]
        lines += ["Alias /other/ {dir}/main/"] if self._maybe(0.3) else []
        lines += [f"Redirect {self._pick(PREFIXES[6:])} https://main.test/"] if self._maybe(0.2) else []
        lines += self._rewrites(PATTERNS) if self._maybe(0.4) else []
        lines += ["ProxyPass /acme-challenge http://127.0.0.1:8082"] if self._maybe(0.1) else []
        return "\n".join(lines).replace("{r}", "{dir}/main").replace("{n}", "main") + "\nInclude sites/*.conf\n"

    def site(self, number: int) -> str:
        """One virtual host."""
        lines = [f"ServerName {self._pick(('{n}.test', '{n}.test', '{n}.test:80', 'http://{n}.test:8080'))}"]
        lines += [f"ServerAlias {name}" for name in self._random.sample(NAMES_OF_SITES, self._random.choice((0, 1, 2)))]
        if self._maybe(0.85):
            lines.append(f"DocumentRoot {self._pick(ROOTS)}")
        if self._maybe(0.1):
            lines.append(f"VirtualDocumentRoot {self._pick(VIRTUAL_ROOTS)}")
        for _ in range(self._random.randint(0, 5)):
            lines += self._wrapped(self._piece())
        text = "\n".join([f"<VirtualHost {self._pick(HOSTS)}>", *lines, "</VirtualHost>\n"])
        return _placed(text, number)

    def htaccess(self, number: int) -> str:
        """What lies in a directory; an empty one for none."""
        lines: List[str] = []
        if self._maybe(0.5):
            return ""
        for _ in range(self._random.randint(1, 2)):
            kind = self._random.random()
            if kind < 0.5:
                lines += self._rewrites(BELOW)
            elif kind < 0.7:
                lines += self._redirect()
            else:
                lines += [self._access()]
        return _placed("\n".join(lines) + "\n", number)

    def _wrapped(self, lines: List[str]) -> List[str]:
        kind = self._random.random()
        if kind < 0.05:
            return [f"<IfDefine {self._pick(('ACME', '!ACME', 'below', 'OTHER'))}>", *lines, "</IfDefine>"]
        if kind < 0.08:
            module = self._pick(("mod_rewrite.c", "!alias_module", "imagemap_module"))
            return [f"<IfModule {module}>", *lines, "</IfModule>"]
        if kind < 0.1:
            return [self._pick(("Include {dir}/fragments/*.inc", "IncludeOptional nothing/*", "Use Challenge {r}/c",
                                "Use Refuse ^/acme", "Include fragments/root.inc")), *lines]
        return lines

    def _piece(self) -> List[str]:
        kind = self._random.random()
        if kind < 0.15:
            return [self._alias()]
        if kind < 0.3:
            return self._redirect()
        if kind < 0.55:
            return self._rewrites(PATTERNS)
        if kind < 0.63:
            return self._proxy()
        return self._section()

    def _alias(self) -> str:
        if self._maybe(0.3):
            return f"AliasMatch {self._pick(REGEXES)} {self._pick(FILE_TARGETS)}"
        prefix = self._pick(PREFIXES[:-1])
        slash = prefix.endswith("/") != self._maybe(0.1)
        return f"Alias {prefix} {self._pick(('{r}/a', '{r}/b', '{r}/c/acme', '{r}/${below}'))}{'/' if slash else ''}"

    def _redirect(self) -> List[str]:
        if self._maybe(0.35):
            if self._maybe(0.2):
                return [f"RedirectMatch {self._pick(('404', '410', 'gone'))} {self._pick(REGEXES)}"]
            target = self._pick(URLS) + self._pick(("", "$1"))
            return [f"RedirectMatch {self._pick(STATUSES)}{self._pick(REGEXES)} {target}"]
        if self._maybe(0.1):
            return [f"Redirect {self._pick(('gone', '404', '403'))} {self._pick(PREFIXES[:-1])}"]
        # One of everything, which leaves nothing else to see, is to be rare.
        prefix = self._pick(PREFIXES[self._random.choice((0, 1, 1, 5)):-1])
        return [f"Redirect {self._pick(STATUSES)}{prefix} {self._pick(URLS)}"]

    def _proxy(self) -> List[str]:
        lines = [f"ProxyPreserveHost {self._pick(('On', 'Off'))}"] if self._maybe(0.4) else []
        for _ in range(self._random.randint(1, 3)):
            target = self._pick((*BACKENDS, "!", "!", "!", "!"))
            if self._maybe(0.25):
                target = self._pick(("!", "http://127.0.0.1:8081/m/$1", "http://127.0.0.1:8082",
                                     "http://127.0.0.1:8082$0"))
                lines.append(f"ProxyPassMatch {self._pick(REGEXES)} {target}")
            else:
                lines.append(f"ProxyPass {self._pick(PREFIXES[:-1])} {target}")
        return lines

    def _rewrites(self, patterns: Sequence[str]) -> List[str]:
        lines = [f"RewriteEngine {'On' if self._maybe(0.95) else 'Off'}"]
        if self._maybe(0.08):
            lines.append(f"RewriteOptions {self._pick(('Inherit', 'InheritBefore'))}")
        if patterns is BELOW and self._maybe(0.3):
            lines.append(f"RewriteBase {self._pick(('/', '/', '/site/', '/acme', '/other/'))}")
        for _ in range(self._random.randint(1, 4)):
            for _ in range(self._random.choice((0, 0, 1, 1, 2, 3))):
                condition = self._pick(CONDITIONS)
                joined = self._maybe(0.15) and not condition.endswith("]")
                lines.append(f"RewriteCond {condition}{' [OR]' if joined else ''}")
            flags = self._random.sample(FLAGS, self._random.choice((0, 1, 1, 1, 2)))
            flags = flags[:1] if ",".join(flags).count("R") > 1 else flags
            target = self._pick(TARGETS)
            if self._maybe(0.06):
                flags, target = ["P"], self._pick(("http://127.0.0.1:8081/$1", "http://127.0.0.1:8082%{REQUEST_URI}"))
            lines.append(f"RewriteRule {self._pick(patterns)} {target}{' [' + ','.join(flags) + ']' if flags else ''}")
        return lines

    def _access(self) -> str:
        return self._pick(("Require all denied", "Require all granted", "Require all granted", "Require method GET",
                           "<RequireAny>\nRequire all denied\nRequire method GET\n</RequireAny>",
                           "<RequireAll>\nRequire all granted\nRequire not env ACME\n</RequireAll>",
                           "Require expr %{REQUEST_URI} =~ m#^/\\.well-known/#",
                           "<Limit POST>\nRequire all denied\n</Limit>"))

    def _section(self) -> List[str]:
        kind = self._random.random()
        if kind < 0.5:
            opening, body = self._pick(DIRECTORIES), self._in_directory()
        elif kind < 0.8:
            opening, body = self._pick(LOCATIONS), self._in_location()
        elif kind < 0.9:
            body = [self._access() if self._maybe(0.7) else f"SetHandler {self._pick(HANDLERS)}"]
            opening = self._pick(FILES)
        else:
            opening, body = self._pick(CONDITIONAL), [self._access() if self._maybe(0.6) else self._redirect()[0]]
        return [opening, *body, f"</{re.split(r'[ >]', opening[1:])[0]}>"]

    def _in_directory(self) -> List[str]:
        kind = self._random.random()
        if kind < 0.25:
            return [self._access()]
        if kind < 0.55:
            return self._rewrites(BELOW)
        if kind < 0.8:
            return [self._pick(OVERRIDES)]
        if kind < 0.85:
            return [self._pick(("Options None", "Options -FollowSymLinks", "Options +SymLinksIfOwnerMatch",
                                "AuthMerging Or", "RewriteOptions Inherit"))]
        if kind < 0.9:
            return [f"SetHandler {self._pick(HANDLERS)}"]
        if kind < 0.95:
            return self._redirect()
        opening = self._pick(FILES)
        return [opening, self._access(), f"</{re.split(r'[ >]', opening[1:])[0]}>"]

    def _in_location(self) -> List[str]:
        kind = self._random.random()
        if kind < 0.4:
            return [*(["AuthMerging And"] if self._maybe(0.1) else []), self._access()]
        if kind < 0.6:
            return [f"SetHandler {self._pick(HANDLERS)}"]
        if kind < 0.8:
            return [f"ProxyPass {self._pick((*BACKENDS, '!', '!', '!'))}"]
        if kind < 0.9:
            return [self._pick(("Redirect 301 https://%{HTTP_HOST}%{REQUEST_URI}", "Redirect https://other.test/x",
                                "Redirect gone", "RewriteEngine Off"))]
        return self._redirect()


def _placed(text: str, number: int) -> str:
    return text.replace("{r}", "{dir}/s" + str(number)).replace("{n}", f"n{number}")


@dataclass
class _Case:
    """One request, with what both of our ways say."""

    number: int
    asked: Asked
    destinations: List[Destination]


def hold(seed: int, directory: pathlib.Path, counts: typing.Counter[str]) -> List[str]:
    """Run one batch and return what we and httpd disagree on; ``counts`` gets the kinds of our answers."""
    generator = Generator(seed)
    present = Random(f"directories {seed}")  # noqa: S311
    top = directory / f"batch{seed}"
    server = Apache(top, generator.main(), (*DEFAULT_MODULES, "cgid", "status"), ["-DACME"])
    for name in ("sites", "fragments"):
        (top / name).mkdir()
    (top / "fragments" / "root.inc").write_text(f"DocumentRoot {top}/main\n")
    (top / "fragments" / "x.inc").write_text("<IfDefine ACME>\nAlias /site {dir}/main/site\n</IfDefine>\n"
                                             .replace("{dir}", str(top)))
    _directories(top / "main")
    for number in range(SITES_PER_BATCH):
        for root in ("a", "b", "c"):
            # Where a directory is missing, httpd takes what follows for path info.
            _directories(top / f"s{number}" / root, NAMES if present.random() < 0.5 else present.sample(NAMES, 1))
        (top / f"s{number}" / "hosts" / f"n{number}.test").mkdir(parents=True)
        (top / "sites" / f"{number}.conf").write_text(generator.site(number).replace("{dir}", str(top)))
        for place in ("a", "b", "a/acme"):
            text = generator.htaccess(number)
            if text and (top / f"s{number}" / place).is_dir():
                (top / f"s{number}" / place / ".htaccess").write_text(text.replace("{dir}", str(top)))
    with backends(top):
        _start(server, counts)
        try:
            return _ask(server, Random(seed), counts)  # noqa: S311
        finally:
            server.stop()


def _directories(root: pathlib.Path, names: Sequence[str] = NAMES) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)


def _start(server: Apache, counts: typing.Counter[str]) -> None:
    """Start it; a virtual host that httpd refuses is left out, as it is no configuration then."""
    while True:
        try:
            server.start()
            return
        except AssertionError as error:
            where = re.search(r"line \d+ of (\S+/sites/\d+\.conf)", str(error))
            if where is None:
                raise
            os.unlink(where[1])
            counts["refused"] += 1


def _ask(server: Apache, random: Random, counts: typing.Counter[str]) -> List[str]:
    evaluators = Evaluators(server)
    found: List[str] = []
    cases: List[_Case] = []
    sites = sorted(int(path.stem) for path in (server.directory / "sites").iterdir())
    counts["configurations"] += len(sites)
    for number in sites:
        text = (server.directory / "sites" / f"{number}.conf").read_text()
        for template in random.sample(ASKED_NAMES, 3):
            asked = Asked(template.replace("{n}", f"n{number}"), address=_address(text, random),
                          port=8000 if ":8000>" in text or random.random() < 0.05 else 80)
            case = _Case(number, asked, _evaluated(evaluators, asked))
            cases.append(case)
            counts["answers"] += 1
            counts[type(case.destinations[0]).__name__] += 1
            counts["alternatives"] += len(case.destinations) > 1
            read = evaluators.destinations(asked, evaluators.read)
            if ours(read) != ours(case.destinations):
                found.append(_told(server, case, f"the files say {ours(read)}"))
    empty = [case for case in cases if not isinstance(case.destinations[0], Unknown)]
    for case in empty:
        found += _empty_handed(server, case)
    return found + _serving_another(server, [c for c in empty if not isinstance(c.destinations[0], Directory)])


def _address(text: str, random: Random) -> str:
    """Mostly one that the virtual host is for."""
    own = [address for address in ADDRESSES if address in text.partition("\n")[0]]
    return random.choice(own if own and random.random() < 0.9 else ADDRESSES)


def _evaluated(evaluators: Evaluators, asked: Asked) -> List[Destination]:
    """What we say once the directories are there that we name: nobody would name them otherwise."""
    for _ in range(4):
        destinations = evaluators.destinations(asked, evaluators.dumped)
        missing = [pathlib.Path(str(d)).parent for d in destinations if isinstance(d, Directory)]
        if all(path.is_dir() for path in missing):
            break
        for path in missing:
            path.mkdir(parents=True, exist_ok=True)
    return destinations


def _empty_handed(server: Apache, case: _Case) -> List[str]:
    """Whether httpd does what we say, with no files but those that we have named."""
    files = [pathlib.Path(str(d)) for d in case.destinations if isinstance(d, Directory)]
    for file in files:
        file.write_text(f"file {file}")
    answer = _fetched(case.asked)
    for file in set(files):
        file.unlink()
    said = [word for destination in case.destinations for word in ours([destination])]
    # Where a condition cannot be known, the dead end that its other answer leads to is not told.
    said += ["none"] if any("taken as" in step.text for d in case.destinations for step in d.trail) else []
    return [] if _agree(answer, said) else [_told(server, case, f"httpd says {answer}")]


def _fetched(asked: Asked) -> str:
    try:
        answer = fetch(asked)
    except (OSError, http.client.HTTPException):
        return "none"
    return answer.partition("?")[0] if answer.startswith("upstream ") else answer


def _agree(answer: str, said: Sequence[str]) -> bool:
    # mod_dir's redirect to a directory: no file of ours either way.
    nothing = answer.startswith("none") or (answer.startswith("301 http://") and answer.partition("?")[0].endswith("/"))
    # A directory's index that is passed on: it has lost the token.
    nothing = nothing or (answer.startswith("upstream ") and TOKEN not in answer)
    return answer in said or (nothing and "none" in said)


def _serving_another(server: Apache, cases: Sequence[_Case]) -> List[str]:
    """Whether httpd serves a file where we say that it serves none."""
    files = [path / TOKEN for top in ("main", "s*") for path in server.directory.glob(f"{top}/**")
             if not (path / TOKEN).is_dir()]  # a document root may be named after the token
    for file in files:
        file.write_text(f"file {file}")
    served = [(case, answer) for case in cases for answer in [_fetched(case.asked)] if answer.startswith("file ")]
    for file in files:
        file.unlink()
    found = []
    for case, answer in served:
        file = pathlib.Path(answer[5:])
        file.write_text(answer)
        if _fetched(case.asked) == answer:
            found.append(_told(server, case, f"httpd serves {answer}"))
        file.unlink()
    return found


def _told(server: Apache, case: _Case, what: str) -> str:
    trail = " | ".join(str(step) for step in case.destinations[0].trail)
    said = ours(case.destinations)
    return f"{server.directory.name} site {case.number} {case.asked}\n  we say {said}; {what}\n  {trail}"


def main() -> int:
    """Hold many, print the figures."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--count", type=int, default=5000, help="configurations")
    arguments.add_argument("--seed", type=int, default=0, help="the first batch")
    arguments.add_argument("--directory", help="keep the configurations there")
    given = arguments.parse_args()
    net.enter_private_namespace()
    began = time.monotonic()
    counts: typing.Counter[str] = Counter()
    found: List[str] = []
    with tempfile.TemporaryDirectory() as temporary:
        seed = given.seed
        while counts["configurations"] < given.count:
            found += hold(seed, pathlib.Path(given.directory or temporary), counts)
            seed += 1
    for text in found:
        print(text)
    print(f"{len(found)} disagreements in {time.monotonic() - began:.0f} s;",
          ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items())))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
