"""Table of Apache configurations and of the place where a challenge ends in each.

The fast test holds the evaluator against the table, the test in the lab also the real httpd: both are in
tests/servers/test_apache_table.py. The fuzzers start from the rows.
"""
import pathlib
from dataclasses import dataclass

from certbot_autowebroot.route import Request
from tests.lab.apache import DEFAULT_MODULES
from tests.lab.apache import Apache
from tests.lab.random.apache_oracle import TOKEN
from tests.lab.random.apache_oracle import fill
from tests.lab.random.apache_oracle import request_for

W = "/.well-known/acme-challenge"


@dataclass(frozen=True)
class Row:
    """One case. ``W`` is /.well-known/acme-challenge, ``T`` the token; paths are below the directory of the test.

    :ivar name: unique, for it is the first label of the host name.
    :ivar lines: the content of a virtual host; its document root is ``www`` where the lines set none.
    :ivar expected: the file, the redirect or the upstream; ``none`` for a dead end.
    :ivar reason: what the dead end and its last step must name.
    :ivar host: the host asked for, where it is another.
    :ivar top: lines of the main server.
    """

    name: str
    lines: str
    expected: str
    reason: str = ""
    host: str = ""
    top: str = ""

    @property
    def request(self) -> Request:
        """The request for the challenge."""
        return request_for(self.host or f"{self.name}.test", _PATHS.get(self.name, f"{W}/{TOKEN}"))


_PATHS = {"alias-inherited": f"/inherited/{TOKEN}"}

ROWS = [
    # Document roots and aliases.
    Row("root", "DocumentRoot {dir}/a", "a/W/T"),
    Row("root-inherited", "#none", "www/W/T"),
    Row("root-quoted-with-slash", 'DocumentRoot "{dir}/a/"', "a/W/T"),
    Row("root-relative-to-serverroot", "DocumentRoot a", "a/W/T"),
    Row("root-and-a-serverpath", "ServerPath /.well-known\nDocumentRoot {dir}/a", "a/acme-challenge/T"),
    Row("root-and-another-serverpath", "ServerPath /.well\nDocumentRoot {dir}/a", "a/W/T"),
    Row("alias-and-a-serverpath", "ServerPath /.well-known\nAlias /.well-known {dir}/b\nDocumentRoot {dir}/a",
        "b/acme-challenge/T"),
    Row("root-twice-last-wins", "DocumentRoot {dir}/a\nDocumentRoot {dir}/b", "b/W/T"),
    Row("alias-with-slashes", "Alias /.well-known/acme-challenge/ {dir}/a/", "a/T"),
    Row("alias-without-slashes", "Alias /.well-known/acme-challenge {dir}/a", "a/T"),
    Row("alias-of-the-parent", "Alias /.well-known/ {dir}/a/", "a/acme-challenge/T"),
    Row("alias-relative", "Alias /.well-known a", "a/acme-challenge/T"),
    Row("alias-of-a-component-only", "Alias /.well {dir}/a", "www/W/T"),
    Row("alias-first-of-two", "Alias /.well-known/ {dir}/a/\nAlias /.well-known/acme-challenge/ {dir}/b/",
        "a/acme-challenge/T"),
    Row("alias-of-everything", "Alias / {dir}/a/", "a/W/T"),
    Row("alias-inherited", "#none", "a/T", host="alias-inherited.test",
        top="Alias /inherited/ {dir}/a/"),
    Row("aliasmatch", "AliasMatch ^/\\.well-known/acme-challenge/(.*)$ {dir}/a/acme/$1", "a/acme/T"),
    Row("aliasmatch-whole", "AliasMatch ^/\\.well-known {dir}/a", "none", "redirects to it"),
    Row("alias-in-location", "<Location /.well-known>\nAlias {dir}/a\n</Location>", "none"),
    Row("alias-in-location-preserved", "<Location /.well-known>\nAliasPreservePath On\nAlias {dir}/a\n</Location>",
        "a/acme-challenge/T"),
    Row("alias-in-location-by-expression", "<Location /.well-known>\nAlias {dir}/a%{{REQUEST_URI}}\n</Location>",
        "a/W/T"),
    Row("scriptalias", "ScriptAlias /.well-known/ {dir}/a/", "none", "ScriptAlias"),
    Row("scriptaliasmatch", "ScriptAliasMatch ^/\\.well-known/(.*) {dir}/a/$1", "none", "ScriptAliasMatch"),
    # VirtualDocumentRoot.
    Row("vdr-whole", "VirtualDocumentRoot {dir}/hosts/%0", "hosts/vdr-whole.test/W/T"),
    Row("vdr-first", "VirtualDocumentRoot {dir}/hosts/%1", "hosts/vdr-first/W/T"),
    Row("vdr-last", "VirtualDocumentRoot {dir}/hosts/%-1", "hosts/test/W/T"),
    Row("vdr-letters", "VirtualDocumentRoot {dir}/hosts/%1.1/%1.2/%-1.1+", "hosts/v/d/test/W/T"),
    Row("vdr-from-the-second", "ServerAlias x.vdr2.test\nVirtualDocumentRoot {dir}/hosts/%2+", "hosts/vdr2.test/W/T",
        host="x.vdr2.test"),
    Row("vdr-but-the-last", "VirtualDocumentRoot {dir}/hosts/%-2+", "hosts/vdr-but-the-last/W/T"),
    Row("vdr-missing-part", "VirtualDocumentRoot {dir}/hosts/%5", "hosts/_/W/T"),
    Row("vdr-port", "VirtualDocumentRoot {dir}/hosts/%p", "hosts/80/W/T"),
    Row("vdr-below", "VirtualDocumentRoot {dir}/hosts/%1/site", "hosts/vdr-below/site/W/T"),
    Row("vdr-beats-documentroot", "DocumentRoot {dir}/a\nVirtualDocumentRoot {dir}/hosts/%1",
        "hosts/vdr-beats-documentroot/W/T"),
    Row("alias-beats-vdr", "Alias /.well-known/ {dir}/a/\nVirtualDocumentRoot {dir}/hosts/%1", "a/acme-challenge/T"),
    # Names.
    Row("wildcard-alias", "ServerAlias *.wild.test\nDocumentRoot {dir}/a", "a/W/T", host="x.y.wild.test"),
    Row("question-mark-alias", "ServerAlias q?.mark.test\nDocumentRoot {dir}/a", "a/W/T", host="q1.mark.test"),
    Row("wildcard-not-the-bare-name", "ServerAlias *.bare.test\nDocumentRoot {dir}/a", "first/W/T", host="bare.test"),
    Row("upper-case-name", "ServerAlias UPPER.Case.Test\nDocumentRoot {dir}/a", "a/W/T", host="upper.case.test"),
    Row("same-name-first", "ServerAlias same.test\nDocumentRoot {dir}/a", "a/W/T", host="same.test"),
    Row("same-name-second", "ServerAlias same.test\nDocumentRoot {dir}/b", "a/W/T", host="same.test"),
    Row("no-name-matches", "DocumentRoot {dir}/a", "first/W/T", host="unheard-of.test"),
    # Redirects.
    Row("redirect-all", "Redirect permanent / https://other.test/", "301 https://other.test{W}/{T}"),
    Row("redirect-temporary", "Redirect / https://other.test/", "302 https://other.test{W}/{T}"),
    Row("redirect-to-a-path", "Redirect 307 /.well-known /elsewhere",
        "307 http://redirect-to-a-path.test/elsewhere/acme-challenge/{T}"),
    Row("redirect-beats-alias", "Alias /.well-known/ {dir}/a/\nRedirectPermanent / https://other.test/",
        "301 https://other.test{W}/{T}"),
    Row("redirect-of-another-path", "Redirect /other https://other.test/", "www/W/T"),
    Row("redirectmatch-exempting", "RedirectMatch 301 ^/(?!\\.well-known/acme-challenge/)(.*) https://other.test/$1",
        "www/W/T"),
    Row("redirectmatch", "RedirectMatch 301 ^/(.*) https://other.test/$1", "301 https://other.test{W}/{T}"),
    Row("redirect-gone", "Redirect gone /.well-known", "none", "Redirect gone"),
    Row("redirect-in-location", "<Location /.well-known>\nRedirect 301 https://other.test/x\n</Location>",
        "301 https://other.test/x"),
    Row("redirect-by-expression",
        "<Location /.well-known>\nRedirect 301 https://%{HTTP_HOST}%{REQUEST_URI}\n</Location>",
        "301 https://redirect-by-expression.test{W}/{T}"),
    Row("redirect-in-location-beats-proxy", "ProxyPass / http://127.0.0.1:8081/\n<Location />\n"
        "Redirect 301 /.well-known https://other.test\n</Location>", "301 https://other.test/acme-challenge/{T}"),
    Row("redirect-target-alone-in-directory", "<Directory {dir}/www>\nRedirect 301 https://other.test/x\n</Directory>",
        "301 https://other.test/x"),
    Row("fallback-resource", "FallbackResource /index.php", "www/W/T"),
    Row("redirect-relative", "ServerName redirect-relative.test:8080\nRedirectRelative On\nRedirect /.well-known /x",
        "302 http://redirect-relative.test/x/acme-challenge/{T}"),
    Row("redirectmatch-escaped-as-written", "RedirectMatch ^/\\.well-known https://other.test/%2Fx?y=%2F",
        "302 https://other.test/%252Fx?y=%2F"),
    Row("redirect-physical-port-before-the-servername",
        "ServerName physical.test:8080\nUseCanonicalPhysicalPort On\nRedirect / /x/",
        "302 http://physical.test/x{W}/{T}", host="physical.test"),
    Row("redirect-physical-port-after-the-canonical-name",
        "ServerName canonical.test:8080\nUseCanonicalPhysicalPort On\nUseCanonicalName On\nRedirect / /x/",
        "302 http://canonical.test:8080/x{W}/{T}", host="canonical.test"),
    Row("redirectmatch-dotfiles", "RedirectMatch 404 /\\.", "none", "RedirectMatch 404"),
    Row("redirectmatch-dotfiles-exempted", "RedirectMatch 404 /\\.(?!well-known)", "www/W/T"),
    Row("redirect-in-directory", "<Directory {dir}/www>\nRedirect 301 /.well-known https://other.test\n</Directory>",
        "301 https://other.test/acme-challenge/{T}"),
    Row("redirect-with-servername-port",
        "ServerName rport.test:8080\nRedirect / /x/", "302 http://rport.test:8080/x{W}/{T}",
        host="rport.test"),
    Row("redirect-canonical", "ServerAlias rc-other.test\nUseCanonicalName On\nRedirect / /x/",
        "302 http://redirect-canonical.test/x{W}/{T}", host="rc-other.test"),
    # Proxies.
    Row("proxy", "ProxyPass / http://127.0.0.1:8081/", "upstream 127.0.0.1:8081 127.0.0.1 {W}/{T}"),
    Row("proxy-preserving-the-host", "ProxyPreserveHost On\nProxyPass / http://127.0.0.1:8081/",
        "upstream 127.0.0.1:8081 proxy-preserving-the-host.test {W}/{T}"),
    Row("proxy-to-a-path", "ProxyPass /.well-known http://localhost:8081/x/y",
        "upstream 127.0.0.1:8081 localhost /x/y/acme-challenge/{T}"),
    Row("proxy-exempt", "ProxyPass /.well-known !\nProxyPass / http://127.0.0.1:8081/", "www/W/T"),
    Row("proxy-exempt-by-the-environment", "SetEnvIf Request_URI ^/\\.well-known/ no-proxy\n"
        "ProxyPass / http://127.0.0.1:8081/", "www/W/T"),
    Row("proxymatch-and-a-variable-by-a-rule", "RewriteEngine On\nRewriteRule ^/\\.well-known/ - [E=no-proxy:1]\n"
        "ProxyPassMatch ^/(.*) http://127.0.0.1:8081/$1", "www/W/T"),
    Row("proxy-exempt-too-late", "ProxyPass / http://127.0.0.1:8081/\nProxyPass /.well-known !",
        "upstream 127.0.0.1:8081 127.0.0.1 {W}/{T}"),
    Row("proxy-exempt-and-alias", "ProxyPass /.well-known/acme-challenge/ !\nProxyPass / http://127.0.0.1:8081/\n"
        "Alias /.well-known/acme-challenge/ {dir}/a/", "a/T"),
    Row("proxy-beats-alias", "Alias /.well-known/ {dir}/a/\nProxyPass / http://127.0.0.1:8081/",
        "upstream 127.0.0.1:8081 127.0.0.1 {W}/{T}"),
    Row("proxy-beats-redirect", "Redirect / https://other.test/\nProxyPass / http://127.0.0.1:8081/",
        "upstream 127.0.0.1:8081 127.0.0.1 {W}/{T}"),
    Row("proxymatch", "ProxyPassMatch ^/\\.well-known/(.*)$ http://127.0.0.1:8081/m/$1",
        "upstream 127.0.0.1:8081 127.0.0.1 /m/acme-challenge/{T}"),
    Row("proxymatch-without-reference", "ProxyPassMatch ^/\\.well http://127.0.0.1:8081",
        "upstream 127.0.0.1:8081 127.0.0.1 {W}/{T}"),
    Row("proxymatch-exempting", "ProxyPassMatch ^/\\.well !\nProxyPass / http://127.0.0.1:8081/", "www/W/T"),
    Row("proxy-in-location", "<Location />\nProxyPass http://127.0.0.1:8081/\n</Location>",
        "upstream 127.0.0.1:8081 127.0.0.1 {W}/{T}"),
    Row("proxy-exempt-in-location", "<Location />\nProxyPass http://127.0.0.1:8081/\n</Location>\n"
        "<Location /.well-known>\nProxyPass !\n</Location>", "www/W/T"),
    Row("proxy-in-locationmatch", "<LocationMatch ^/\\.well-known/(.*)>\nProxyPassMatch http://127.0.0.1:8081/l/$1\n"
        "</LocationMatch>", "upstream 127.0.0.1:8081 127.0.0.1 /l/acme-challenge/{T}"),
    Row("proxy-balancer", "<Proxy balancer://pb>\nBalancerMember http://127.0.0.1:8081\n"
        "BalancerMember http://127.0.0.1:8082 status=+H\n</Proxy>\nProxyPass / balancer://pb/",
        "upstream 127.0.0.1:8081 127.0.0.1 {W}/{T}"),
    Row("proxy-balancer-path", "<Proxy balancer://pp>\nBalancerMember http://127.0.0.1:8082/app\n</Proxy>\n"
        "ProxyPass / balancer://pp/x/", "upstream 127.0.0.1:8082 127.0.0.1 /app/x{W}/{T}"),
    Row("proxy-unix",
        "ProxyPass / unix:{dir}/backend.sock|http://app/", "upstream unix:{dir}/backend.sock app {W}/{T}"),
    Row("proxy-fcgi", "ProxyPass / fcgi://127.0.0.1:9/", "none", "ProxyPass / fcgi"),
    Row("proxy-denied", "ProxyPass / http://127.0.0.1:8081/\n<Location /.well-known>\nRequire all denied\n</Location>",
        "none", "Require all denied"),
    Row("proxy-section-denied", "ProxyPass / http://127.0.0.1:8081/\n<Proxy *>\nRequire all denied\n</Proxy>",
        "none", "Require all denied"),
    Row("handler-proxy", "<FilesMatch .*>\nSetHandler proxy:fcgi://127.0.0.1:9\n</FilesMatch>", "none", "SetHandler"),
    Row("handler-proxy-by-http", "<Location /.well-known>\nSetHandler proxy:http://127.0.0.1:8081\n</Location>",
        "upstream 127.0.0.1:8081 127.0.0.1 {dir}/www{W}/{T}"),
    Row("handler-and-proxy", "ProxyPass / http://127.0.0.1:8081/\n<Location />\nSetHandler server-status\n</Location>",
        "upstream 127.0.0.1:8081 127.0.0.1 {W}/{T}"),
    # Handlers and access.
    Row("handler-status", "<Location /.well-known>\nSetHandler server-status\n</Location>", "none", "SetHandler"),
    Row("handler-none-again", "<Location />\nSetHandler server-status\n</Location>\n<Location /.well-known>\n"
        "SetHandler None\n</Location>", "www/W/T"),
    Row("handler-unknown", "<Location />\nSetHandler some-handler\n</Location>", "www/W/T"),
    Row("handler-none-for-a-script", "ScriptAlias /.well-known/ {dir}/a/\n<Directory {dir}/a>\nSetHandler None\n"
        "</Directory>", "none", "ScriptAlias"),
    Row("handler-default-for-a-script", "ScriptAlias /.well-known/ {dir}/a/\n<Directory {dir}/a>\n"
        "SetHandler default-handler\n</Directory>", "a/acme-challenge/T"),
    Row("handler-by-a-rule", "RewriteEngine On\nRewriteRule ^ - [H=server-status]", "none", "H=server-status"),
    Row("handler-of-no-module", "<Location />\nSetHandler imap-file\n</Location>", "www/W/T"),
    Row("denied-by-directory", "<Directory {dir}/www/.well-known>\nRequire all denied\n</Directory>", "none",
        "Require all denied"),
    Row("denied-by-a-parent-granted-below", "<Directory {dir}/www>\nRequire all denied\n</Directory>\n"
        "<Directory {dir}/www/.well-known>\nRequire all granted\n</Directory>", "www/W/T"),
    Row("denied-dotfiles-directorymatch", '<DirectoryMatch "/\\.">\nRequire all denied\n</DirectoryMatch>', "none",
        "Require all denied"),
    Row("denied-dotfiles-exempted", '<DirectoryMatch "/\\.(?!well-known)">\nRequire all denied\n</DirectoryMatch>',
        "www/W/T"),
    Row("denied-dotfiles-files", '<FilesMatch "^\\.">\nRequire all denied\n</FilesMatch>', "www/W/T"),
    Row("denied-by-files", "<Files t0ken*>\nRequire all denied\n</Files>", "none", "Require all denied"),
    Row("denied-by-files-in-directory", "<Directory {dir}/www>\n<Files *>\nRequire all denied\n</Files>\n</Directory>",
        "none", "Require all denied"),
    Row("denied-by-location", "<Location /.well-known/>\nRequire all denied\n</Location>", "none"),
    Row("denied-then-granted-by-location", "<Directory {dir}/www>\nRequire all denied\n</Directory>\n"
        "<Location /.well-known>\nRequire all granted\n</Location>", "www/W/T"),
    Row("denied-by-locationmatch", "<LocationMatch /\\.>\nRequire all denied\n</LocationMatch>", "none"),
    Row("denied-in-limit", "<Location />\n<Limit POST>\nRequire all denied\n</Limit>\n</Location>", "www/W/T"),
    Row("denied-before-a-limit-of-other-methods", "<Files t0ken*>\nRequire all denied\n</Files>\n<Location />\n"
        "<Limit POST>\nRequire all denied\n</Limit>\n</Location>", "www/W/T"),
    Row("denied-before-a-merged-limit", "<Files t0ken*>\nRequire all denied\n</Files>\n<Location />\n"
        "AuthMerging And\n<Limit POST>\nRequire all granted\n</Limit>\n</Location>", "none"),
    Row("denied-in-limitexcept", "<Location />\n<LimitExcept POST>\nRequire all denied\n</LimitExcept>\n</Location>",
        "none"),
    Row("not-granted", "DocumentRoot {dir}/ungranted", "none", "Require all denied"),
    Row("require-not",
        "<Location />\n<RequireAll>\nRequire all granted\nRequire not env bad\n</RequireAll>\n</Location>",
        "www/W/T"),
    Row("require-none-container", "<Location />\n<RequireAll>\nRequire all granted\n<RequireNone>\nRequire method GET\n"
        "</RequireNone>\n</RequireAll>\n</Location>", "none"),
    Row("require-env", 'SetEnvIf Request_URI "^/\\.well-known/" acme\n<Location />\nRequire env acme\n</Location>',
        "www/W/T"),
    Row("require-env-of-a-directory", "<Directory {dir}/www>\nSetEnvIf Request_URI ^/\\.well-known/ ACME\n"
        "Require env ACME\n</Directory>", "www/W/T"),
    Row("require-env-of-a-group", '<LocationMatch "^/\\.well-known/(?<KIND>[^/]+)/">\nRequire env MATCH_KIND\n'
        "</LocationMatch>", "www/W/T"),
    Row("require-env-of-a-missing-header", "SetEnvIf X-Odd ^$ ACME\n<Location />\nRequire env ACME\n"
        "</Location>", "www/W/T"),
    Row("require-env-unset", "SetEnvIf Host . ACME\nSetEnvIf Host . !ACME\n<Location />\nRequire env ACME\n"
        "</Location>", "none"),
    Row("setenvif-with-a-group", "SetEnvIf Host ^([a-z]+)- X=$1\nRewriteEngine On\n"
        "RewriteRule ^ https://other.test/%{{ENV:X}} [R]", "302 https://other.test/setenvif"),
    Row("setenvifexpr", "SetEnvIfExpr \"%{{REQUEST_URI}} =~ m#^/.well-known/#\" ACME\n<Location />\n"
        "Require env ACME\n</Location>", "www/W/T"),
    Row("require-expr", "<Location />\nRequire expr %{REQUEST_URI} =~ m#^/\\.well-known/#\n</Location>", "www/W/T"),
    Row("require-method", "<Location />\nRequire method POST\n</Location>", "none"),
    Row("auth-merging-and", "<Location />\nRequire all denied\n</Location>\n<Location /.well-known>\nAuthMerging And\n"
        "Require all granted\n</Location>", "none"),
    Row("auth-merging-or", "<Location />\nRequire all denied\n</Location>\n<Location /.well-known>\nAuthMerging Or\n"
        "Require all granted\n</Location>", "www/W/T"),
    Row("order-deny", "<Location />\nOrder allow,deny\nDeny from all\n</Location>", "none", "Deny from all"),
    Row("order-allow", "<Location />\nOrder deny,allow\nDeny from all\n</Location>\n<Location /.well-known>\n"
        "Order allow,deny\nAllow from all\n</Location>", "www/W/T"),
    Row("order-satisfy-of-an-earlier-section", "<Location /.well-known>\nRequire all granted\nSatisfy Any\n"
        "</Location>\n<Location />\nOrder allow,deny\nAllow from env=none\n</Location>", "none", "Order allow,deny"),
    Row("order-replaced-by-satisfy", "<Location />\nOrder allow,deny\nDeny from all\n</Location>\n"
        "<Location /.well-known>\nSatisfy All\n</Location>", "www/W/T"),
    Row("order-satisfy-any-and-a-limit", "<Location />\nOrder allow,deny\nSatisfy Any\n<Limit POST>\n"
        "Require all denied\n</Limit>\n</Location>", "www/W/T"),
    Row("order-satisfy-any", "<Location />\nOrder deny,allow\nDeny from all\nRequire all granted\nSatisfy any\n"
        "</Location>", "www/W/T"),
    Row("wildcard-directory", "<Directory {dir}/*/.well-known>\nRequire all denied\n</Directory>", "none"),
    Row("wildcard-directory-is-one-component",
        "<Directory /*/.well-known>\nRequire all denied\n</Directory>", "www/W/T"),
    Row("wildcard-directory-matches-files-too", "<Directory {dir}/www/*/acme-challenge/?0ken*>\nRequire all denied\n"
        "</Directory>", "none", "Require all denied"),
    Row("wildcard-directory-matches-no-files-with-link-checks", "<Directory {dir}/www>\n"
        "Options SymLinksIfOwnerMatch\n</Directory>\n<Directory {dir}/www/*/acme-challenge/*>\nRequire all denied\n"
        "</Directory>", "www/W/T"),
    Row("wildcard-location", "<Location /*/acme-challenge/*>\nRequire all denied\n</Location>", "none"),
    Row("if-denies", "<If \"%{REQUEST_URI} =~ /well-known/\">\nRequire all denied\n</If>", "none"),
    Row("if-else", "<If \"%{HTTP_HOST} == 'other.test'\">\nRequire all denied\n</If>\n<Else>\n"
        "Redirect 301 / https://other.test/\n</Else>", "301 https://other.test{W}/{T}"),
    # mod_rewrite in the virtual host.
    Row("rewrite-to-https", "RewriteEngine On\nRewriteCond %{HTTPS} off\n"
        "RewriteRule ^ https://%{HTTP_HOST}%{REQUEST_URI} [R=301,L]", "301 https://rewrite-to-https.test{W}/{T}"),
    Row("rewrite-to-https-exempting", "RewriteEngine On\nRewriteCond %{REQUEST_URI} !^/\\.well-known/acme-challenge/\n"
        "RewriteRule ^ https://%{HTTP_HOST}%{REQUEST_URI} [R=301,L]", "www/W/T"),
    Row("rewrite-exempt-by-dash", "RewriteEngine On\nRewriteRule ^/\\.well-known/ - [L]\n"
        "RewriteRule ^ https://other.test/ [R,L]", "www/W/T"),
    Row("rewrite-to-www", "RewriteEngine On\nRewriteCond %{HTTP_HOST} !^www\\. [NC]\n"
        "RewriteRule (.*) http://www.%{HTTP_HOST}$1 [R=301,L]", "301 http://www.rewrite-to-www.test{W}/{T}"),
    Row("rewrite-off", "RewriteRule ^ https://other.test/ [R,L]", "www/W/T"),
    Row("rewrite-to-a-file-path",
        "RewriteEngine On\nRewriteRule ^/\\.well-known/acme-challenge/(.*) {dir}/a/acme/$1 [L]",
        "a/acme/T"),
    Row("rewrite-below-the-root", "RewriteEngine On\nRewriteRule ^/\\.well-known/acme-challenge/(.*) /acme/$1 [L]",
        "www/acme/T"),
    Row("rewrite-path-by-variable", "SetEnvIf Host . X={dir}/a\nRewriteEngine On\n"
        "RewriteRule ^/\\.well-known/acme-challenge/(.*) %{ENV:X}/acme/$1 [L]", "www{dir}/a/acme/T"),
    Row("rewrite-path-by-variable-in-the-root", "RewriteEngine On\n"
        "RewriteRule ^/\\.well-known/acme-challenge/(.*) %{DOCUMENT_ROOT}/acme/$1 [L]", "www/acme/T"),
    Row("rewrite-passthrough-to-alias", "Alias /x/ {dir}/a/\nRewriteEngine On\n"
        "RewriteRule ^/\\.well-known/(.*) /x/$1 [PT]", "a/acme-challenge/T"),
    Row("rewrite-passthrough-of-a-url",
        "RewriteEngine On\nRewriteRule ^/\\.well-known/(.*) http://other.test/$1 [PT]", "none", "[PT]"),
    Row("rewrite-passthrough-of-a-redirect", "RewriteEngine On\nRewriteRule ^/\\.well-known/(.*) /x/$1 [R,PT]", "none"),
    Row("rewrite-without-passthrough-misses-alias", "Alias /x/ {dir}/a/\nRewriteEngine On\n"
        "RewriteRule ^/\\.well-known/acme-challenge/(.*) /acme/$1", "www/acme/T"),
    Row("rewrite-proxy", "RewriteEngine On\nRewriteRule ^/(.*) http://127.0.0.1:8081/p/$1 [P]",
        "upstream 127.0.0.1:8081 127.0.0.1 /p{W}/{T}"),
    Row("rewrite-forbidden", "RewriteEngine On\nRewriteRule /\\. - [F]", "none", "RewriteRule /\\. - [F]"),
    Row("rewrite-gone", "RewriteEngine On\nRewriteRule ^/\\.well-known - [G]", "none"),
    Row("rewrite-status-404", "RewriteEngine On\nRewriteRule ^/\\.well-known - [R=404]", "none"),
    Row("rewrite-chain",
        "RewriteEngine On\nRewriteRule ^/nothing - [C]\nRewriteRule ^ https://other.test/ [R,L]", "www/W/T"),
    Row("rewrite-skip",
        "RewriteEngine On\nRewriteRule ^/\\.well-known - [S=1]\nRewriteRule ^ https://other.test/ [R,L]\n"
        "RewriteRule ^/\\.well-known/acme-challenge/(.*) {dir}/b/acme/$1", "b/acme/T"),
    Row("rewrite-next", "RewriteEngine On\nRewriteRule ^/\\.well-known/acme-challenge/(.*) /xx/$1\n"
        "RewriteRule ^/x(x*)/(.*) /y$1/$2 [N]\nRewriteRule ^/yx?/(.*) {dir}/a/acme/$1", "a/acme/T"),
    Row("rewrite-doubled-slash-by-variable",
        "RewriteEngine On\nRewriteRule ^/\\.well-known/acme-challenge/(.*) /$2/$1\n"
        "RewriteRule ^//(.*) {dir}/a/acme/$1", "www/T"),
    Row("rewrite-doubled-slash-in-a-redirect", "RewriteEngine On\nRewriteRule ^/\\.well-known/(.*) /$2/$1 [R]",
        "302 http://rewrite-doubled-slash-in-a-redirect.test//acme-challenge/{T}"),
    Row("rewrite-reference-escaped-in-the-target-only", "RewriteEngine On\nRewriteCond $1 ^acme-challenge/\n"
        "RewriteRule ^/\\.well-known/(.*) https://other.test/ [B,R]", "302 https://other.test/"),
    Row("rewrite-reference-with-a-question-mark", "RewriteEngine On\nRewriteRule ^/(.*) /$1?a?b [QSL]\n"
        "RewriteRule ^/(.*) /x$1 [R]", "none", "403"),
    Row("rewrite-reference-with-a-question-mark-allowed", "RewriteEngine On\nRewriteRule ^/(.*) /$1?a?b [QSL]\n"
        "RewriteRule ^/(.*) https://other.test/x [R,UnsafeAllow3F]", "302 https://other.test/x?b"),
    Row("rewrite-escaped-reference",
        "RewriteEngine On\nRewriteRule ^/\\.well-known/(.*) https://other.test/$1 [B,NE,R]",
        "302 https://other.test/acme%2dchallenge%2ft0ken_of%2d" + "x" * 34),
    Row("rewrite-slash-after-the-file",
        "RewriteEngine On\nRewriteRule ^/\\.well-known/(.*) {dir}/a/$1/", "none", "slash"),
    Row("aliasmatch-slash-after-the-file", "AliasMatch ^/\\.well-known/(.*) {dir}/a/$1/", "none", "slash"),
    Row("rewrite-doubled-slash-literally", "RewriteEngine On\nRewriteRule ^/\\.well-known/acme-challenge/(.*) //$1\n"
        "RewriteRule ^//(.*) {dir}/a/acme/$1", "a/acme/T"),
    Row("rewrite-without-a-slash", "RewriteEngine On\nRewriteRule ^/\\.well-known/acme-challenge/(.*) acme/$1",
        "www/acme/T"),
    Row("rewrite-or", "RewriteEngine On\nRewriteCond %{HTTP_HOST} ^nothing [OR]\nRewriteCond %{HTTP_HOST} ^rewrite-or\n"
        "RewriteRule ^ https://other.test/ [R=303,L]", "303 https://other.test/"),
    Row("rewrite-or-then-and",
        "RewriteEngine On\nRewriteCond %{HTTP_HOST} ^rewrite [OR]\nRewriteCond %{HTTP_HOST} ^nothing\n"
        "RewriteCond %{REQUEST_URI} !^/\\.well-known\nRewriteRule ^ https://other.test/ [R=303,L]", "www/W/T"),
    Row("rewrite-cond-captures", "RewriteEngine On\nRewriteCond %{HTTP_HOST} ^([^.]+)\\.test$\n"
        "RewriteRule ^(.*)$ {dir}/hosts/%1$1 [L]", "hosts/rewrite-cond-captures/W/T"),
    Row("rewrite-map-tolower", "RewriteMap lc int:tolower\nRewriteEngine On\n"
        "RewriteRule ^(.*)$ {dir}/hosts/${{lc:%{{HTTP_HOST}}}}$1 [L]", "hosts/rewrite-map-tolower.test/W/T"),
    Row("rewrite-map-alone", "RewriteMap lc int:tolower\nRewriteEngine On\n"
        "RewriteRule ^/\\.well-known(.*)$ ${{lc:{dir}}}/a$1 [L]", "www{dir}/a/acme-challenge/T"),
    Row("rewrite-unsafe-prefix", "RewriteEngine On\n"
        "RewriteRule ^/\\.well-known/acme-challenge/(.*) %{DOCUMENT_ROOT}/acme/$1 [L,UnsafePrefixStat]", "www/acme/T"),
    Row("rewrite-file-exists", "RewriteEngine On\nRewriteCond %{DOCUMENT_ROOT}%{REQUEST_URI} !-f\n"
        "RewriteRule ^ /index.php [L]", "www/W/T"),
    Row("rewrite-request-filename-is-the-uri", "RewriteEngine On\nRewriteCond %{REQUEST_FILENAME} !-f\n"
        "RewriteRule ^ /index.php [L]", "none", "RewriteRule ^ /index.php"),
    # Before the mapping no file is there; so the rule refuses, and not what would refuse a file elsewhere.
    Row("rewrite-request-filename-and-an-alias", "RewriteEngine On\nRewriteCond %{REQUEST_FILENAME} !-f\n"
        "RewriteRule ^ /index.php\nAliasMatch /\\. {dir}/ht-deny$0", "none", "RewriteRule ^ /index.php"),
    Row("rewrite-all-paths-again", "RewriteEngine On\nRewriteRule ^/\\.well-known/ /acme/\nRewriteRule ^ /acme/here",
        "none", "RewriteRule ^ /acme/here"),
    Row("rewrite-out-of-the-root-and-on", "RewriteEngine On\nRewriteRule ^/\\.well-known/.*/(.*) ../b/$1\n"
        "RewriteRule ^ - [E=here:1]", "none", "RewriteRule ^/\\.well-known/.*/(.*) ../b/$1"),
    Row("rewrite-the-token-away-and-on", "RewriteEngine On\nRewriteRule ^ /acme/here\nRewriteRule /here$ /acme/there",
        "none", "RewriteRule ^ /acme/here"),
    Row("rewrite-refuses-files", "RewriteEngine On\nRewriteCond %{DOCUMENT_ROOT}%{REQUEST_URI} -f\nRewriteRule ^ - [F]",
        "none", "[F]"),
    Row("rewrite-cached-copy-first", "RewriteEngine On\nRewriteCond {dir}/a%{REQUEST_URI} -f\n"
        "RewriteRule ^(.*) {dir}/a$1 [L]", "a/W/T"),
    Row("rewrite-directory-exists", "RewriteEngine On\nRewriteCond {dir}/hosts/%{HTTP_HOST} -d\n"
        "RewriteRule ^(.*) {dir}/hosts/%{HTTP_HOST}$1 [L]", "hosts/rewrite-directory-exists.test/W/T"),
    Row("rewrite-maintenance-off",
        "RewriteEngine On\nRewriteCond {dir}/maintenance -f\nRewriteRule ^ - [R=503]", "www/W/T"),
    Row("rewrite-escaped-query", "RewriteEngine On\nRewriteRule ^/(.*) https://other.test/?u=$1 [R,L]",
        "302 https://other.test/?u=.well-known/acme-challenge/{T}"),
    Row("rewrite-own-query-escaped", "RewriteEngine On\nRewriteRule ^ https://other.test/?a?b [R]",
        "302 https://other.test/?a%3fb"),
    Row("rewrite-query-of-an-earlier-rule", "RewriteEngine On\nRewriteRule ^/(.*) /$1?y=z\n"
        "RewriteCond %{QUERY_STRING} ^y=z$\nRewriteRule ^ https://other.test/ [R]", "302 https://other.test/?y=z"),
    Row("rewrite-qsd-to-a-url", "RewriteEngine On\nRewriteRule ^/(.*) /$1?y=z\n"
        "RewriteRule ^/(.*) https://other.test/$1 [QSD]", "302 https://other.test{W}/{T}"),
    Row("rewrite-map-not-defined", "RewriteEngine On\nRewriteRule ^(.*)$ {dir}/a${{nothing:x}}$1 [L]", "a/W/T"),
    Row("rewrite-map-not-defined-default", "RewriteEngine On\nRewriteRule ^(.*)$ {dir}/${{nothing:x|a}}$1 [L]",
        "a/W/T"),
    Row("rewrite-map-of-the-main-server", "RewriteEngine On\nRewriteRule ^(.*)$ {dir}/a${{upper:x}}$1 [L]", "a/W/T",
        top="RewriteMap upper int:toupper"),
    Row("rewrite-map-in-a-file", "RewriteMap roots txt:conf/roots.txt\nRewriteEngine On\n"
        "RewriteRule ^(.*)$ {dir}/${{roots:%{{HTTP_HOST}}|b}}$1 [L]", "a/W/T"),
    Row("rewrite-map-in-a-file-default", "RewriteMap roots txt:{dir}/conf/roots.txt\nRewriteEngine On\n"
        "RewriteRule ^(.*)$ {dir}/${{roots:%{{HTTP_HOST}}|b}}$1 [L]", "b/W/T"),
    Row("rewrite-map-inherited", "RewriteEngine On\nRewriteOptions Inherit\n"
        "RewriteRule ^ https://other.test/${{upper:x}} [R,L]", "302 https://other.test/X"),
    Row("rewrite-out-of-the-root", "RewriteEngine On\nRewriteRule ^/\\.well-known/acme-challenge/(.*) ../a/acme/$1",
        "none", "../a/acme"),
    Row("rewrite-dots-inside-the-root", "RewriteEngine On\n"
        "RewriteRule ^/\\.well-known/acme-challenge/(.*) /site/../acme/$1", "www/acme/T"),
    Row("rewrite-handler-beats-sethandler", "RewriteEngine On\nRewriteRule ^ - [H=default-handler]\n<Location />\n"
        "SetHandler server-status\n</Location>", "www/W/T"),
    Row("rewrite-handler-does-not-beat-the-proxy", "RewriteEngine On\nRewriteRule ^ - [H=default-handler]\n"
        "ProxyPass / http://127.0.0.1:8081/", "upstream 127.0.0.1:8081 127.0.0.1 {W}/{T}"),
    Row("rewrite-relative-redirect", "RewriteEngine On\nRewriteRule ^/\\.well-known/(.*) /moved/$1 [R=308]",
        "308 http://rewrite-relative-redirect.test/moved/acme-challenge/{T}"),
    Row("rewrite-redirect-continues", "RewriteEngine On\nRewriteRule ^/\\.well-known/(.*) /one/$1 [R]\n"
        "RewriteRule (.*)one(.*) $1two$2", "302 http://rewrite-redirect-continues.test/two/acme-challenge/{T}"),
    Row("rewrite-redirect-undone", "RewriteEngine On\nRewriteRule ^/\\.well-known/(.*) /one/$1 [R]\n"
        "RewriteRule one/acme-challenge/(.*) /acme/$1", "none"),
    Row("rewrite-redirect-undone-by-passthrough", "RewriteEngine On\nRewriteRule ^/\\.well-known/(.*) /one/$1 [R]\n"
        "RewriteRule one/acme-challenge/(.*) /acme/$1 [PT]", "none", "without a target"),
    Row("rewrite-back-to-here-is-a-redirect", "RewriteEngine On\n"
        "RewriteRule ^/\\.well-known/(.*) http://rewrite-back-to-here-is-a-redirect.test/$1",
        "302 http://rewrite-back-to-here-is-a-redirect.test/acme-challenge/{T}"),
    Row("rewrite-back-to-here-stays", "ServerName rewrite-back-to-here-stays.test:80\nRewriteEngine On\n"
        "RewriteRule ^/\\.well-known/acme-challenge/(.*) http://rewrite-back-to-here-stays.test/acme/$1", "www/acme/T"),
    Row("rewrite-back-to-here-stays-below-the-root", "ServerName rewrite-back-to-here-stays-below-the-root.test:80\n"
        "RewriteEngine On\nRewriteRule ^/(.*) http://rewrite-back-to-here-stays-below-the-root.test/$1\n"
        "RewriteRule ^/\\.well-known/acme-challenge/(.*) {dir}/a/acme/$1", "www{dir}/a/acme/T"),
    Row("rewrite-back-to-here-stays-legacy", "ServerName rewrite-back-to-here-stays-legacy.test:80\n"
        "RewriteEngine On\nRewriteOptions LegacyPrefixDocRoot\n"
        "RewriteRule ^/(.*) http://rewrite-back-to-here-stays-legacy.test/$1\n"
        "RewriteRule ^/\\.well-known/acme-challenge/(.*) {dir}/a/acme/$1", "a/acme/T"),
    Row("rewrite-elsewhere-is-a-redirect", "RewriteEngine On\nRewriteRule ^/\\.well-known/(.*) http://other.test/$1",
        "302 http://other.test/acme-challenge/{T}"),
    Row("rewrite-inherit", "RewriteEngine On\nRewriteOptions Inherit\nRewriteRule ^/\\.well-known/(.*) /inherited/$1",
        "302 https://inherited.test/acme-challenge/{T}",
        top="RewriteRule ^/inherited/(.*) https://inherited.test/$1 [R,L]"),
    Row("rewrite-not-inherited",
        "RewriteEngine On\nRewriteRule ^/\\.well-known/acme-challenge/(.*) /acme/$1", "www/acme/T"),
    Row("rewrite-document-root-with-slash", "DocumentRoot {dir}/a/\nRewriteEngine On\n"
        "RewriteRule ^/\\.well-known/(.*) https://other.test%{{DOCUMENT_ROOT}}/$1 [R]",
        "302 https://other.test{dir}/a//acme-challenge/{T}"),
    Row("rewrite-location-off", "RewriteEngine On\nRewriteRule ^ https://other.test/ [R,L]\n"
        "<Location /.well-known>\nRewriteEngine Off\n</Location>", "www/W/T"),
    Row("rewrite-environment", "RewriteEngine On\nRewriteRule ^/\\.well-known - [E=ACME:yes]\n"
        "RewriteCond %{ENV:ACME} !=yes\nRewriteRule ^ https://other.test/ [R,L]", "www/W/T"),
    Row("rewrite-the-request", "RewriteEngine On\nRewriteCond %{THE_REQUEST} \"^GET /\\.well-known/.* HTTP\"\n"
        "RewriteRule ^ https://other.test/ [R,L]", "302 https://other.test/"),
    Row("rewrite-forwarded-proto", "RewriteEngine On\nRewriteCond %{HTTP:X-Forwarded-Proto} !https\n"
        "RewriteRule ^/(.*) https://other.test/$1 [R,L]", "302 https://other.test{W}/{T}"),
    Row("rewrite-then-proxypass", "ProxyPass /app http://127.0.0.1:8081/\nRewriteEngine On\n"
        "RewriteRule ^/\\.well-known/(.*) /app/$1 [PT]", "upstream 127.0.0.1:8081 127.0.0.1 //acme-challenge/{T}"),
    Row("rewrite-expression",
        "RewriteEngine On\nRewriteCond expr \"%{HTTP_HOST} =~ /^rewrite-expr/ && ! %{HTTPS} == 'on'\"\n"
        "RewriteRule ^ https://other.test/ [R,L]", "302 https://other.test/"),
    # mod_rewrite in a directory.
    Row("dir-rewrite-front-controller", "<Directory {dir}/www>\nRewriteEngine On\nRewriteBase /\n"
        "RewriteCond %{REQUEST_FILENAME} !-f\nRewriteCond %{REQUEST_FILENAME} !-d\nRewriteRule . /index.php [L]\n"
        "</Directory>", "www/W/T"),
    Row("dir-rewrite-without-a-file-test", "<Directory {dir}/www>\nRewriteEngine On\nRewriteRule ^index\\.php$ - [L]\n"
        "RewriteRule . /index.php [L]\n</Directory>", "none"),
    Row("dir-rewrite-to-https", "<Directory {dir}/www>\nRewriteEngine On\nRewriteCond %{HTTPS} !=on\n"
        "RewriteRule ^(.*)$ https://%{HTTP_HOST}/$1 [R=301,L]\n</Directory>", "301 https://dir-rewrite-to-https.test{W}/{T}"),
    Row("dir-rewrite-below", "<Directory {dir}/www>\nRewriteEngine On\n"
        "RewriteRule ^\\.well-known/acme-challenge/(.*)$ acme/$1 [L]\n</Directory>", "www/acme/T"),
    Row("dir-rewrite-subdirectory", "<Directory {dir}/www>\nRewriteEngine On\n"
        "RewriteCond %{REQUEST_URI} !^/site/\nRewriteRule ^(.*)$ site/$1 [L]\n</Directory>", "www/site/W/T"),
    Row("dir-rewrite-loop",
        "<Directory {dir}/www>\nRewriteEngine On\nRewriteRule ^(.*)$ x/$1 [L]\n</Directory>", "none"),
    Row("dir-rewrite-passthrough-of-a-url",
        "<Directory {dir}/www>\nRewriteEngine On\nRewriteRule ^ http://other.test/ [PT]\n</Directory>", "none", "[PT]"),
    Row("rewrite-to-the-top-of-the-file-system",
        "RewriteEngine On\nRewriteRule ^/\\.well-known /%1", "none", "Require all denied"),
    Row("dir-rewrite-end", "<Directory {dir}/www>\nRewriteEngine On\nRewriteRule ^(.*)$ site/$1 [END]\n</Directory>",
        "www/site/W/T"),
    Row("dir-rewrite-deeper-replaces", "<Directory {dir}/www>\nRewriteEngine On\nRewriteRule ^ - [F]\n</Directory>\n"
        "<Directory {dir}/www/.well-known>\nRewriteEngine On\n</Directory>", "www/W/T"),
    Row("dir-rewrite-inherit-down", "<Directory {dir}/www>\nRewriteEngine On\nRewriteOptions InheritDown\n"
        "RewriteRule ^ - [F]\n</Directory>\n<Directory {dir}/www/.well-known>\nRewriteEngine On\n</Directory>", "none"),
    Row("dir-rewrite-inherit-down-and-ignore", "<Directory {dir}/www>\nRewriteEngine On\nRewriteOptions InheritDown\n"
        "RewriteRule ^ - [F]\n</Directory>\n<Directory {dir}/www/.well-known>\nRewriteEngine On\n"
        "RewriteOptions IgnoreInherit\n</Directory>", "www/W/T"),
    Row("dir-rewrite-inherit-down-before", "<Directory {dir}/www>\nRewriteEngine On\nRewriteOptions InheritDownBefore\n"
        "RewriteRule ^ https://other.test/ [R,L]\n</Directory>\n<Directory {dir}/www/.well-known>\nRewriteEngine On\n"
        "RewriteRule ^ - [F]\n</Directory>", "302 https://other.test/"),
    Row("dir-rewrite-deeper-inherits", "<Directory {dir}/www>\nRewriteEngine On\nRewriteRule ^ - [F]\n</Directory>\n"
        "<Directory {dir}/www/.well-known>\nRewriteEngine On\nRewriteOptions Inherit\n</Directory>", "none"),
    Row("dir-rewrite-without-followsymlinks", "<Directory {dir}/www>\nOptions None\nRewriteEngine On\n"
        "RewriteRule ^nothing - [F]\n</Directory>", "none"),
    Row("dir-rewrite-proxy",
        "<Directory {dir}/www>\nRewriteEngine On\nRewriteRule ^(.*)$ http://127.0.0.1:8081/$1 [P]\n"
        "</Directory>", "upstream 127.0.0.1:8081 127.0.0.1 {W}/{T}"),
    Row("dir-rewrite-of-the-directory-itself", "AliasMatch ^/\\.well-known {dir}/a/\n<Directory {dir}/a>\n"
        "RewriteEngine On\nRewriteRule ^$ https://other.test%{{REQUEST_URI}} [R]\n</Directory>",
        "302 https://other.test{W}/{T}"),
    Row("dir-rewrite-in-alias", "Alias /.well-known/ {dir}/a/\n<Directory {dir}/a>\nRewriteEngine On\n"
        "RewriteRule ^acme-challenge/(.*)$ acme/$1 [L]\n</Directory>", "a/acme/T"),
    Row("dir-rewrite-base-redirect", "<Directory {dir}/www>\nRewriteEngine On\nRewriteBase /base\n"
        "RewriteRule ^\\.well-known/(.*)$ moved/$1 [R]\n</Directory>",
        "302 http://dir-rewrite-base-redirect.test/base/moved/acme-challenge/{T}"),
    Row("dir-rewrite-redirect-wins", "<Directory {dir}/www>\nRewriteEngine On\n"
        "RewriteRule ^\\.well-known/acme-challenge/(.*)$ acme/$1 [L]\nRedirect 301 /.well-known https://other.test\n"
        "</Directory>", "301 https://other.test/acme-challenge/{T}"),
    Row("dir-rewrite-proxy-but-redirect-wins", "<Directory {dir}/www>\nRewriteEngine On\n"
        "RewriteRule ^(.*)$ http://127.0.0.1:8081/$1 [P]\nRedirect 301 /.well-known https://other.test\n</Directory>",
        "301 https://other.test/acme-challenge/{T}"),
    Row("dir-rewrite-to-a-file-path-is-a-url", "<Directory {dir}/www>\nRewriteEngine On\n"
        "RewriteRule ^\\.well-known/acme-challenge/(.*) {dir}/a/acme/$1 [L]\n</Directory>", "www{dir}/a/acme/T"),
    Row("dir-rewrite-base-of-an-alias",
        "Alias /zz/ {dir}/a/\n<Directory {dir}/www>\nRewriteEngine On\nRewriteBase /zz\n"
        "RewriteRule ^\\.well-known/acme-challenge/(.*) acme/$1 [L]\n</Directory>", "a/acme/T"),
    Row("dir-rewrite-in-a-wildcard-directory-strips-nothing", "<Directory {dir}/*>\nRewriteEngine On\n"
        "RewriteRule ^\\.well-known - [F]\n</Directory>", "www/W/T"),
    Row("dir-rewrite-context", "Alias /.well-known/ {dir}/a/\n<Directory {dir}/a>\nRewriteEngine On\n"
        "RewriteRule ^ https://other.test/%{{CONTEXT_PREFIX}}:%{{CONTEXT_DOCUMENT_ROOT}}:%{{DOCUMENT_ROOT}} [R]\n"
        "</Directory>", "302 https://other.test//.well-known/:{dir}/a/:{dir}/www"),
    Row("dir-rewrite-context-of-vdr", "VirtualDocumentRoot {dir}/hosts/%1\n<Directory {dir}/hosts>\nRewriteEngine On\n"
        "RewriteRule ^ https://other.test/%{{CONTEXT_PREFIX}}:%{{CONTEXT_DOCUMENT_ROOT}}:%{{DOCUMENT_ROOT}} [R]\n"
        "</Directory>", "302 https://other.test/:{dir}/hosts/dir-rewrite-context-of-vdr:"
        "{dir}/hosts/dir-rewrite-context-of-vdr"),
    Row("dir-rewrite-without-a-slash", "AliasMatch ^/\\.well-known {dir}/a\n<Directory {dir}/a>\nRewriteEngine On\n"
        "RewriteOptions AllowNoSlash\nRewriteRule ^ https://other.test/ [R]\n</Directory>", "302 https://other.test/"),
    Row("dir-rewrite-of-a-directory-below-without-its-slash", "AliasMatch ^/\\.well-known {dir}/a\n"
        "<Directory {dir}>\nRewriteEngine On\nRewriteRule ^ http://127.0.0.1:8081/x [P]\n</Directory>", "none",
        "redirects to it"),
    Row("dir-rewrite-of-a-directory-below-without-directoryslash", "AliasMatch ^/\\.well-known {dir}/a\n"
        "<Directory {dir}>\nDirectorySlash Off\nRewriteEngine On\nRewriteRule ^ http://127.0.0.1:8081/x [P]\n"
        "</Directory>", "upstream 127.0.0.1:8081 127.0.0.1 /x"),
    Row("dir-rewrite-handler-in-place-of-the-path", "<Directory {dir}/www>\nRewriteEngine On\n"
        "RewriteRule ^\\.well-known/acme-challenge/(.*) acme/$1 [H=default-handler]\n</Directory>", "none",
        "the handler"),
    Row("dir-rewrite-handler-does-not-beat-the-proxy", "<Directory {dir}/www>\nRewriteEngine On\n"
        "RewriteRule ^ http://127.0.0.1:8081/ [P,H=default-handler]\n</Directory>",
        "upstream 127.0.0.1:8081 127.0.0.1 /"),
    Row("handler-proxy-of-a-directory-without-its-slash", "AliasMatch ^/\\.well-known {dir}/a\n<Location />\n"
        "SetHandler proxy:http://127.0.0.1:8081\n</Location>", "none", "redirects to it"),
    Row("location-rewrite-base", "<Location /.well-known/acme-challenge>\nRewriteEngine On\nRewriteBase /site/\n"
        "RewriteRule !^nothing acme/$1 [R]\n</Location>", "302 http://location-rewrite-base.test/site/acme/"),
    Row("files-rewrite", "<Files *>\nRewriteEngine On\nRewriteRule ^{dir}/www - [F]\n</Files>", "none"),
    Row("if-rewrite", "<If \"true\">\nRewriteEngine On\nRewriteRule ^{dir}/www - [F]\n</If>", "none"),
    Row("location-rewrite-of-a-proxied-url-to-nothing", "ProxyPass / http://127.0.0.1:8081/\n"
        "<LocationMatch ^/\\.well-known>\nRewriteEngine On\nRewriteRule . $1 [R]\n</LocationMatch>",
        "302 http://location-rewrite-of-a-proxied-url-to-nothing.test/"),
    Row("location-rewrite-of-a-proxied-url", "ProxyPass / http://127.0.0.1:8081/\n<Location />\nRewriteEngine On\n"
        "RewriteRule 8081 - [F]\n</Location>", "none"),
    # Missing directories: the file name ends before them, the rest is path info. {bare} is an empty directory.
    Row("missing-path-info-appended-again", "DocumentRoot {bare}\n"
        "<Directory {bare}>\nRewriteEngine On\nRewriteRule ^\\.well-known/(.*) x/$1\n"
        "RewriteRule ^x/(.*) https://other.test/$1 [R]\n</Directory>",
        "302 https://other.test/acme-challenge/{T}/acme-challenge/{T}"),
    Row("missing-path-info-discarded", "DocumentRoot {bare}\n"
        "<Directory {bare}>\nRewriteEngine On\nRewriteRule ^\\.well-known/(.*) x/$1 [DPI]\n"
        "RewriteRule ^x/(.*) https://other.test/$1 [R]\n</Directory>", "302 https://other.test/acme-challenge/{T}"),
    Row("missing-path-info-variable", "DocumentRoot {bare}\n"
        "<Directory {bare}>\nRewriteEngine On\n"
        "RewriteRule ^ https://other.test%{{PATH_INFO}} [R]\n</Directory>", "302 https://other.test/acme-challenge/{T}"),
    Row("missing-front-controller", "DocumentRoot {bare}\n"
        "<Directory {bare}>\nRewriteEngine On\nRewriteCond %{REQUEST_FILENAME} !-f\n"
        "RewriteCond %{REQUEST_FILENAME} !-d\nRewriteRule . /index.php [L]\n</Directory>",
        "{bare}/W/T"),
    Row("missing-root-of-a-rule", "RewriteEngine On\nRewriteCond {bare}/root -d\nRewriteRule ^(.*)$ {bare}/root$1 [L]",
        "www/W/T"),
    Row("missing-denied-by-files-until-created", "DocumentRoot {bare}\n"
        '<FilesMatch "^\\.well">\nRequire all denied\n</FilesMatch>',
        "{bare}/W/T"),
    Row("missing-denied-once-created", "DocumentRoot {bare}\n"
        "<Directory {bare}/.well-known>\nRequire all denied\n</Directory>",
        "none"),
    Row("missing-directory-tested", "DocumentRoot {bare}\nRewriteEngine On\n"
        "RewriteCond %{DOCUMENT_ROOT}/.well-known !-d\nRewriteRule ^ https://other.test/ [R]",
        "{bare}/W/T"),
    Row("missing-directory-refused-once-created", "DocumentRoot {bare}\n"
        "RewriteEngine On\nRewriteCond %{DOCUMENT_ROOT}/.well-known -d\nRewriteRule ^ - [F]", "none", "[F]"),
    Row("missing-with-a-file-in-its-place", "DocumentRoot {bare}\n"
        "Alias /.well-known/ {dir}/conf/x.inc/", "none", "x.inc"),
    # .htaccess
    Row("htaccess-denies",
        "DocumentRoot {dir}/ht-deny\n<Directory {dir}/ht-deny>\nAllowOverride All\n</Directory>", "none",
        "Require all denied"),
    Row("htaccess-not-read", "DocumentRoot {dir}/ht-deny\n<Directory {dir}/ht-deny>\nAllowOverride None\n</Directory>",
        "ht-deny/W/T"),
    Row("htaccess-refused-by-default", "DocumentRoot {dir}/ht-deny", "none", "AllowOverride"),
    Row("htaccess-of-another-class", "DocumentRoot {dir}/ht-redirect\n<Directory {dir}/ht-redirect>\n"
        "AllowOverride AuthConfig\n</Directory>", "none", "AllowOverride"),
    Row("htaccess-of-another-class-inside-a-section", "DocumentRoot {dir}/ht-limit\n<Directory {dir}/ht-limit>\n"
        "AllowOverride FileInfo\n</Directory>", "none", "AllowOverride"),
    Row("htaccess-limit", "DocumentRoot {dir}/ht-limit\n<Directory {dir}/ht-limit>\nAllowOverride AuthConfig\n"
        "</Directory>", "ht-limit/W/T"),
    Row("htaccess-section-by-a-list-without-it", "DocumentRoot {dir}/ht-limit\n<Directory {dir}/ht-limit>\n"
        "AllowOverride None\nAllowOverrideList Require\n</Directory>", "none", "AllowOverride"),
    Row("htaccess-section-by-a-list", "DocumentRoot {dir}/ht-limit\n<Directory {dir}/ht-limit>\nAllowOverride None\n"
        "AllowOverrideList Require <Limit\n</Directory>", "ht-limit/W/T"),
    Row("htaccess-ifmodule-by-any-class", "DocumentRoot {dir}/ht-redirect\n<Directory {dir}/ht-redirect>\n"
        "AllowOverride Limit FileInfo\n</Directory>", "301 https://other.test{W}/{T}"),
    Row("htaccess-ifmodule-by-a-list", "DocumentRoot {dir}/ht-redirect\n<Directory {dir}/ht-redirect>\n"
        "AllowOverride None\nAllowOverrideList Redirect\n</Directory>", "none", "AllowOverride"),
    Row("htaccess-ignored-where-not-fatal", "DocumentRoot {dir}/ht-deny\n<Directory {dir}/ht-deny>\n"
        "AllowOverride FileInfo Nonfatal=Override\n</Directory>", "ht-deny/W/T"),
    Row("htaccess-not-closed", "DocumentRoot {dir}/ht-open\n<Directory {dir}/ht-open>\nAllowOverride All\n"
        "</Directory>", "none", "[F]"),
    Row("htaccess-files", "DocumentRoot {dir}/ht-files\n<Directory {dir}/ht-files>\nAllowOverride All\n</Directory>",
        "none", "Require all denied"),
    Row("htaccess-if", "DocumentRoot {dir}/ht-if\n<Directory {dir}/ht-if>\nAllowOverride All\n</Directory>",
        "301 https://other.test{W}/{T}"),
    Row("htaccess-else", "DocumentRoot {dir}/ht-if\n<Directory {dir}/ht-if>\nAllowOverride All\n</Directory>",
        "none", "Require all denied"),
    Row("htaccess-by-list", "DocumentRoot {dir}/ht-deny\n<Directory {dir}/ht-deny>\nAllowOverride None\n"
        "AllowOverrideList Require\n</Directory>", "none", "Require all denied"),
    Row("htaccess-rewrites", "DocumentRoot {dir}/ht-rewrite\n<Directory {dir}/ht-rewrite>\nAllowOverride FileInfo\n"
        "</Directory>", "ht-rewrite/W/T"),
    Row("htaccess-redirects", "DocumentRoot {dir}/ht-redirect\n<Directory {dir}/ht-redirect>\nAllowOverride All\n"
        "</Directory>", "301 https://other.test{W}/{T}"),
    # Without the file index.php answers; with the file the last line refuses it, and that is the reason.
    Row("htaccess-refuses-the-existing-file", "DocumentRoot {dir}/ht-front\n<Directory {dir}/ht-front>\n"
        "AllowOverride All\n</Directory>", "none", ".htaccess:7"),
    # The reader of the files evaluates Define and the like.
    Row("ifdefine-on", "<IfDefine ACME>\nDocumentRoot {dir}/a\n</IfDefine>", "a/W/T"),
    Row("ifdefine-off", "<IfDefine !ACME>\nDocumentRoot {dir}/a\n</IfDefine>\n<IfDefine OTHER>\nDocumentRoot {dir}/b\n"
        "</IfDefine>", "www/W/T"),
    Row("define-value", "Define here {dir}/b\nDocumentRoot ${{here}}", "b/W/T"),
    Row("ifmodule", "<IfModule mod_rewrite.c>\nDocumentRoot {dir}/a\n</IfModule>\n<IfModule !alias_module>\n"
        "DocumentRoot {dir}/b\n</IfModule>", "a/W/T"),
    Row("ifversion", "<IfVersion >= 2.4>\nDocumentRoot {dir}/a\n</IfVersion>\n<IfVersion < 2.4>\nDocumentRoot {dir}/b\n"
        "</IfVersion>", "a/W/T"),
    Row("iffile", "<IfFile {dir}/a>\nDocumentRoot {dir}/a\n</IfFile>\n<IfFile {dir}/nothing>\nDocumentRoot {dir}/b\n"
        "</IfFile>", "a/W/T"),
    Row("comment-behind-a-section", "DocumentRoot {dir}/a\n<Directory {dir}/a> # closed\nRequire all denied\n"
        "</Directory>", "none", "Require all denied"),
    Row("comment-behind-a-condition", "<IfModule alias_module> # our own\nAlias /.well-known/ {dir}/a/\n"
        "</IfModule>", "a/acme-challenge/T"),
    Row("continuation-line", "DocumentRoot \\\n    {dir}/a", "a/W/T"),
    Row("include-in-virtual-host", "Include conf/*.inc", "b/W/T"),
    Row("include-optional-missing", "IncludeOptional nothing/*.conf\nDocumentRoot {dir}/a", "a/W/T"),
    Row("macro", "#none", "a/W/T", host="macro.test"),
]

_ROOTS = ("www", "a", "b", "first", "ungranted", "ht-deny", "ht-rewrite", "ht-redirect",
          "ht-limit", "ht-open", "ht-files", "ht-if", "ht-front")
_HTACCESS = {"ht-deny": "Require all denied\n",
             "ht-open": "<IfModule mod_rewrite.c> # not closed\nRewriteEngine On\nRewriteRule ^ - [F]\n",
             "ht-files": "<Files t0ken*>\nRequire all denied\n</Files>\n",
             "ht-if": "<If \"%{HTTP_HOST} == 'htaccess-if.test'\">\nRedirect 301 / https://other.test/\n</If>\n"
                      "<Else>\nRequire all denied\n</Else>\n",
             "ht-front": "RewriteEngine On\nRewriteCond %{REQUEST_FILENAME} !-f\nRewriteCond %{REQUEST_FILENAME} !-d\n"
                         "RewriteRule ^(.*)$ index.php?q=$1 [L,QSA]\nRewriteCond %{SCRIPT_FILENAME} -d [OR]\n"
                         "RewriteCond %{SCRIPT_FILENAME} -f\nRewriteRule \"(^|/)\\.\" - [F]\n",
             "ht-limit": "<Limit POST>\nRequire all denied\n</Limit>\n",
             "ht-rewrite": "RewriteEngine On\nRewriteCond %{REQUEST_FILENAME} !-f\nRewriteRule . /index.php [L]\n",
             "ht-redirect": "<IfModule mod_alias.c>\nRedirect 301 / https://other.test/\n</IfModule>\n"}

TOP = """
Listen 80
ServerName main.test
DocumentRoot {dir}/www
<Directory />
Require all denied
</Directory>
<Directory {dir}>
Require all granted
</Directory>
<Directory {dir}/ungranted>
Require all denied
</Directory>
<VirtualHost *:80> # the first, not the main server
ServerName first.test
DocumentRoot {dir}/first
</VirtualHost>
<Macro Site $name $root>
<VirtualHost *:80>
ServerName $name
DocumentRoot $root
</VirtualHost>
</Macro>
Use Site macro.test {dir}/a
"""


def make_server(directory: pathlib.Path) -> Apache:
    """Write the directories and the configuration of all rows; the httpd is not started."""
    _make_files(directory)
    parts = [TOP]
    for row in ROWS:
        parts.append(row.top)
        lines = row.lines.replace("{{", "{").replace("}}", "}").replace("{bare}", f"{{dir}}/bare/{row.name}")
        name = "" if "ServerName" in row.lines else f"ServerName {row.name}.test\n"
        parts.append(f"<VirtualHost *:80>\n{name}{lines}\n</VirtualHost>")
    return Apache(directory, "\n".join(parts), (*DEFAULT_MODULES, "access_compat", "cgid", "status"), ["-DACME"])


def _make_files(directory: pathlib.Path) -> None:
    for name in _ROOTS:
        fill(directory / name)
    (directory / "hosts").mkdir()
    for row in ROWS:
        if "{bare}" in row.lines:
            (directory / "bare" / row.name).mkdir(parents=True)
        for name in (f"{row.name}.test", row.name, "test", "_", "80", "vdr2.test", "v/d/test"):
            if "hosts/" + name + "/" in row.expected:
                fill(directory / "hosts" / name)
    for name, text in _HTACCESS.items():
        (directory / name / ".htaccess").write_text(text)
    (directory / "conf").mkdir()
    (directory / "conf" / "roots.txt").write_text(
        "# rewrite-map-in-a-file.test b\nrewrite-map-in-a-file.testing b\n#rewrite-map-in-a-file-default.test a\n"
        "rewrite-map-in-a-file.test\ta # ours\nrewrite-map-in-a-file.test b\n")
    (directory / "conf" / "x.inc").write_text(f"DocumentRoot {directory}/b\n")


def expected_words(text: str, directory: pathlib.Path, name: str = "") -> str:
    """The expected column in the words of apache_oracle."""
    text = text.replace("{bare}", f"bare/{name}")
    if text.endswith("/T"):
        path = text.replace("W/", W[1:] + "/").replace("{dir}", str(directory))
        return f"file {directory}/{path[:-1] + TOKEN}"
    return text.replace("{W}", W).replace("{T}", TOKEN).replace("{dir}", str(directory))
