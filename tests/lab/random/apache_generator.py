"""Random Apache virtual hosts: combinations of a few hundred pieces of configuration."""
import re
from random import Random
from typing import List
from typing import Sequence

from tests.lab import net

ADDRESSES = (net.PUBLIC_V4, net.OTHER_V4, net.PUBLIC_V6, "127.0.0.1")
HOSTS = ("*:80", "*:80", "*:80", f"{net.PUBLIC_V4}:80", f"{net.OTHER_V4}:80", f"[{net.PUBLIC_V6}]:80", "*:8000",
         "_default_:80", f"{net.PUBLIC_V4}:*", f"{net.PUBLIC_V4}:80 {net.OTHER_V4}:8000")
#: ``{r}`` is the site's own directory, ``{n}`` its number.
NAMES_OF_SITES = ("www.{n}.test", "*.{n}.test", "a?.{n}.test", "shared.test", "*.shared.test", "WWW.Shared.test",
                  "*.*.{n}.test", "{n}.*")
ASKED_NAMES = ("{n}.test", "{n}.test", "www.{n}.test", "x.y.{n}.test", "ab.{n}.test", "shared.test", "{n}.example",
               "www.shared.test", "nobody.example", "{n}", net.PUBLIC_V4)
PREFIXES = ("/", "/.well-known", "/.well-known/", "/.well-known/acme-challenge", "/.well-known/acme-challenge/",
            "/.well", "/acme", "/acme/", "/site", "/other/", "/acme-challenge", "//.well-known")
REGEXES = (r"^/\.well-known/acme-challenge/(.*)$", r"^/\.well-known/(.*)", r"^/(.*)$", r"^/(?!\.well-known/)(.*)",
           r"/\.", r"/\.(?!well-known)", "^/acme(.*)", "acme", "^/nothing", r"^/\.well-known/acme-challenge/([\w-]+)$",
           "(.*)/([^/]+)$")
ROOTS = ("{r}/a", "{r}/a", "{r}/b", "{r}/c", '"{r}/b/"', "{r}/c/site")
#: File names for AliasMatch.
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
           "{r}/hosts/%{HTTP_HOST}/$1", "%{REQUEST_URI}", "/$1", "$1", "/other/$1", "/.well-known/acme-challenge/$1",
           "%{CONTEXT_DOCUMENT_ROOT}/acme/$1", "%{CONTEXT_PREFIX}/$1", "http://{n}.test:8080/acme/$1", "?x=1",
           "/acme/$1?", "https://other.test/$1?y=%1", "/acme/$1?a?b", "/${lc:$1}", "../b/acme/$1", "/site/", "{r}/c")
FLAGS = ("L", "L", "L", "END", "PT", "R", "R=301,L", "R=308,L", "R=303", "R=404", "F", "G", "S=1", "S=2", "C", "NC",
         "NE", "QSA", "E=ACME:1", "QSD", "DPI", "NS", "B", "N=3", "R=307,END",
         "UnsafePrefixStat", "E=!ACME", "E=no-proxy:1", "CO=a:b:.test", "T=text/plain", "H=default-handler", "QSL",
         "NE,R", "QSA,R", "QSD,R=302", "BNP")
CONDITIONS = (r"%{HTTP_HOST} ^(www\.)?{n}\.test$ [NC]", r"%{HTTP_HOST} !^www\.", r"%{HTTP_HOST} ^([^.]+)\.",
              r"%{REQUEST_URI} !^/\.well-known/acme-challenge/", "%{REQUEST_URI} ^/(acme|site)",
              r"%{REQUEST_URI} ^/\.well-known/(.*)", "%{HTTPS} off", "%{HTTPS} !=on", "%{HTTPS} on",
              "%{SERVER_PORT} !^443$", "%{SERVER_PORT} =80", "%{REQUEST_FILENAME} -f", "%{REQUEST_FILENAME} !-f",
              "%{REQUEST_FILENAME} !-d", "%{DOCUMENT_ROOT}%{REQUEST_URI} !-f", "%{DOCUMENT_ROOT}%{REQUEST_URI} -f",
              "{r}/b%{REQUEST_URI} -f", "{r}/hosts/%{HTTP_HOST} -d", "{r}/maintenance -f", "{r}/a !-d",
              "%{ENV:ACME} =1", "%{ENV:ACME} !1", "%{REQUEST_METHOD} =GET", "%{QUERY_STRING} ^$", "%{THE_REQUEST} acme",
              "$1 ^t0ken", "%{SERVER_NAME} ^{n}", 'expr "%{HTTP_HOST} =~ /^www/"', "%{REQUEST_SCHEME} =http",
              "%{HTTP:X-Forwarded-Proto} !https", "%{SERVER_ADDR} =203.0.113.10", "%{REQUEST_URI} !acme [NC]",
              "%{CONTEXT_PREFIX} ^/", "%{CONTEXT_DOCUMENT_ROOT} /b", "%{PATH_INFO} !^$", "%{SCRIPT_FILENAME} !-f",
              "%{REQUEST_FILENAME} -d", "%{HTTP_HOST} >n3", "%{SERVER_PORT} -lt100", "%{ENV:REDIRECT_STATUS} ^$",
              "%{ENV:REDIRECT_STATUS} =200", "%{HTTP_COOKIE} ^$", "{r}/hosts/%{HTTP_HOST} !-d", "%{ENV:FROM} =1",
              "%{REQUEST_URI} ([^/]+)$", "%{DOCUMENT_ROOT}/acme/%1 -f", "%{REQUEST_FILENAME} !-s",
              "%{ENV:MATCH_KIND} acme",
              "%{QUERY_STRING} x=(.*)", "%{REQUEST_URI}::$1 ^(.*?/)(.*)::\\2$", "%{HTTP_HOST}%{REQUEST_URI} ^www",
              r"%{REMOTE_ADDR} !^203\.", "%{HTTP_USER_AGENT} (bot|curl) [NC]", "%{TIME_HOUR} >06",
              "%{HTTP:Upgrade} =websocket [NC]", "%{HTTP:X-Forwarded-For} ^$", "%{HTTP_REFERER} ^$",
              "%{IS_SUBREQ} =false", "%{REQUEST_FILENAME} !-l", "%{HTTP:Accept-Encoding} gzip")
HANDLERS = ("server-status", "None", "default-handler", "some-handler", "cgi-script",
            "proxy:http://127.0.0.1:8081", '"proxy:unix:{dir}/backend.sock|http://app"')
FILES = ("<Files t0ken*>", "<Files *>", r'<FilesMatch "^\.">', "<FilesMatch .>", "<Files index.php>", '<Files ~ "^t">')
DIRECTORIES = ("<Directory {r}/a>", "<Directory {r}/b>", "<Directory {r}/a/.well-known>", "<Directory {r}>",
               "<Directory {r}/*>", "<Directory {r}/a/>", "<Directory {r}/*/.well-known>", r'<DirectoryMatch "/\.">',
               "<Directory {r}/a/acme>", r'<DirectoryMatch "/\.(?!well-known)">', '<DirectoryMatch "^{r}/(a|b)/acme">',
               "<Directory {r}/hosts>", '<Directory ~ "{r}/[ab]">', "<Directory />")
LOCATIONS = ("<Location />", "<Location /.well-known>", "<Location /.well-known/>", "<Location /acme>",
             "<Location /*/acme-challenge>", r"<LocationMatch ^/\.well-known/(.*)>",
             r"<LocationMatch /\.(?!well-known)>", '<Location ~ "acme/">', "<Location /site/>",
             "<Location /.well-known/acme-challenge>", r'<LocationMatch "^/\.well-known/(?<KIND>[^/]+)/">')
CONDITIONAL = ("<If \"%{HTTP_HOST} == '{n}.test'\">", '<If "%{REQUEST_URI} =~ /well-known/">',
               '<If "-n %{QUERY_STRING}">', "<If \"%{SERVER_PORT} -eq 80\">", "<If \"! %{HTTPS} == 'on'\">",
               "<If \"%{HTTP_HOST} -in {'{n}.test', 'shared.test'}\">", "<If \"-f '{r}/b' . %{REQUEST_URI}\">",
               "<If \"%{REQUEST_URI} -strmatch '/.well-known/*'\">", "<If \"-T env('ACME')\">",
               "<If \"tolower(req('Host')) =~ m#^www#i && -d '{r}/a/acme'\">", "<If \"-n req('User-Agent')\">",
               "<If \"%{REQUEST_URI} =~ m#/([^/]+)$# && $1 -ne '5'\">", "<If \"-f %{REQUEST_FILENAME}\">",
               "<If \"%{env:ACME} -eq 1 || %{HTTP_HOST} -strcmatch 'WWW.*'\">")
ENVIRONMENTS = ("SetEnvIf Host ^www no-proxy", r"SetEnvIf Request_URI ^/\.well-known ACME=1",
                "SetEnvIfNoCase Host WWW ACME", r"SetEnvIf Request_URI ^/\.well-known/([^/]+)/ FROM=$1 !ACME",
                "SetEnv ACME 1", "SetEnvIf ACME 1 FROM=1",
                "SetEnvIfExpr \"%{HTTP_HOST} == '{n}.test'\" ACME=1 FROM=1")
SETTINGS = ("UseCanonicalName On", "UseCanonicalPhysicalPort On", "MergeSlashes Off", "RedirectRelative On",
            "ProxyPassInherit Off", "RewriteMap lc int:tolower", "AcceptPathInfo On",
            "DirectorySlash Off")
REWRITE_OPTIONS = ("Inherit", "InheritBefore", "AllowNoSlash", "MergeBase", "IgnoreContextInfo", "LegacyPrefixDocRoot",
                   "InheritDown", "IgnoreInherit", "InheritDownBefore", "AllowAnyURI")
BACKENDS = ("http://127.0.0.1:8081", "http://127.0.0.1:8082", "http://127.0.0.1:8081/", "http://127.0.0.1:8081/p/",
            "http://localhost:8082/q", "unix:{dir}/backend.sock|http://app/", "balancer://group", "balancer://group/",
            "http://127.0.0.1:8081/o/ retry=0 timeout=5", "http://127.0.0.1:8082/n nocanon")
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
        """The main server."""
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
        lines += self._random.sample(SETTINGS, 2) if self._maybe(0.15) else []
        lines += self._random.sample(ENVIRONMENTS, 2) if self._maybe(0.2) else []
        text = "\n".join([f"<VirtualHost {self._pick(HOSTS)}>", *lines, "</VirtualHost>\n"])
        return _placed(text, number)

    def htaccess(self, number: int) -> str:
        """The .htaccess of a directory; empty for none."""
        lines: List[str] = []
        if self._maybe(0.5):
            return ""
        for _ in range(self._random.randint(1, 2)):
            kind = self._random.random()
            part = self._rewrites(BELOW) if kind < 0.5 else self._redirect() if kind < 0.7 else [self._access()]
            opening = self._pick((*FILES, *CONDITIONAL))
            closing = f"</{re.split(r'[ >]', opening[1:])[0]}>"
            lines += [opening, *part, closing] if self._maybe(0.3) else part
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
        # A redirect of all paths hides the rest of the site, so it is rare.
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
            lines.append(f"RewriteOptions {self._pick(REWRITE_OPTIONS)}")
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
                           "<Limit POST>\nRequire all denied\n</Limit>", "Require local",
                           "Order allow,deny\nAllow from all", "Order deny,allow\nDeny from all",
                           "Order deny,allow\nDeny from env=ACME", "Order allow,deny\nAllow from env=ACME",
                           "Require all granted\nOrder allow,deny\nSatisfy Any",
                           "Require ip 203.0.113.0/24",
                           "<RequireAll>\nRequire all granted\nRequire not ip 203.0.113.10\n</RequireAll>",
                           "<RequireAny>\nRequire ip 10.0.0.0/8\nRequire all granted\n</RequireAny>"))

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
        if kind < 0.96:
            return [self._pick(CONDITIONAL), self._access(), "</If>"]
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
                                "Redirect gone", "RewriteEngine Off", "Alias {r}/b", "Require env MATCH_KIND",
                                "Alias {r}/a%{REQUEST_URI}", "Alias {r}/b/%{env:MATCH_KIND}",
                                "Redirect 301 https://other.test/%{env:MATCH_KIND}",
                                "AliasPreservePath On\nAlias {r}/c"))]
        if kind < 0.95:
            return self._rewrites(BELOW)
        return self._redirect()


def _placed(text: str, number: int) -> str:
    return text.replace("{r}", "{dir}/s" + str(number)).replace("{n}", f"n{number}")
