"""nginx's table: configurations, and for each request its destinations."""
from typing import Dict
from typing import List
from typing import Tuple

#: Name, configuration of http{}, and for each request (:func:`request_for`) its destinations:
#: a path or several, ``301 URL``, ``-> members host path``, or ``dead STATUS``.
Case = Tuple[str, str, Dict[str, str]]
CASES: List[Case] = [
    # -- which server --
    ("unknown-host", """
        server { listen 80; server_name a.test; root {dir}/a; }
        server { listen 80 default_server; server_name b.test; root {dir}/b; }
     """, {"a.test": "a/W/T", "b.test": "b/W/T", "c.test": "b/W/T"}),
    ("first-server-is-the-default", """
        server { listen 80; server_name a.test; root {dir}/a; }
        server { listen 80; server_name b.test; root {dir}/b; }
     """, {"zzz.test": "a/W/T"}),
    ("no-listen-means-80", "server { root {dir}/a; }", {"a.test": "a/W/T"}),
    ("root-from-http", "root {dir}/a; server { listen 80; }", {"a.test": "a/W/T"}),
    ("relative-root", "server { listen 80; root sites/a; }", {"a.test": "sites/a/W/T"}),
    ("no-root-at-all", "server { listen 80; }", {"a.test": "html/W/T"}),
    ("root-with-slash", "server { listen 80; root {dir}/a/; }", {"a.test": "a/W/T"}),
    ("wildcards", """
        server { listen 80; server_name _; root {dir}/default; }
        server { listen 80; server_name *.one.test; root {dir}/star; }
        server { listen 80; server_name .two.test; root {dir}/dot; }
        server { listen 80; server_name three.*; root {dir}/tail; }
     """, {"a.one.test": "star/W/T", "one.test": "default/W/T", "b.a.one.test": "star/W/T", "two.test": "dot/W/T",
           "a.two.test": "dot/W/T", "three.test": "tail/W/T", "three.co.test": "tail/W/T", "three": "default/W/T"}),
    ("precedence-of-names", """
        server { listen 80; server_name ~^.*\\.test$; root {dir}/regex1; }
        server { listen 80; server_name ~^www; root {dir}/regex2; }
        server { listen 80; server_name www.*; root {dir}/tail; }
        server { listen 80; server_name *.test; root {dir}/short; }
        server { listen 80; server_name *.a.test; root {dir}/long; }
        server { listen 80; server_name www.a.test; root {dir}/exact; }
     """, {"www.a.test": "exact/W/T", "x.a.test": "long/W/T", "www.b.test": "short/W/T", "www.example": "tail/W/T",
           "test": "regex1/W/T", "wwwx": "regex2/W/T"}),
    ("longest-tail", """
        server { listen 80; server_name a.*; root {dir}/short; }
        server { listen 80; server_name a.b.*; root {dir}/long; }
     """, {"a.b.c": "long/W/T", "a.c.b": "short/W/T"}),
    ("regex-name-captures", """
        server { listen 80; server_name ~^(?<user>[a-z]+)\\.home\\.test$; root {dir}/home/$user/www; }
        server { listen 80; server_name ~^([a-z]+)\\.num\\.test$; root {dir}/num/$1/www; }
     """, {"ann.home.test": "home/ann/www/W/T", "bob.num.test": "num/bob/www/W/T"}),
    ("single-server-whose-last-regex-has-no-captures-is-not-matched", """
        server { listen 80; server_name ~^(?<user>[a-z]+)\\.test$ ~example$; root {dir}/home/$user/www; }
     """, {"ann.test": "home/www/W/T"}),
    ("single-server-whose-last-regex-has-captures-is-matched", """
        server { listen 80; server_name ~example$ ~^(?<user>[a-z]+)\\.test$; root {dir}/home/$user/www; }
     """, {"ann.test": "home/ann/www/W/T"}),
    ("two-servers-are-matched", """
        server { listen 80; server_name ~^(?<user>[a-z]+)\\.test$ ~example$; root {dir}/home/$user/www; }
        server { listen 80; server_name b.test; }
     """, {"ann.test": "home/ann/www/W/T"}),
    ("location-regex-empties-captures", """
        server { listen 80; server_name ~^([a-z]+)\\.num\\.test$; location ~ acme { root {dir}/num/x$1/www; } }
     """, {"bob.num.test": "num/x/www/W/T"}),
    ("same-name-twice", """
        server { listen 80; server_name a.test; root {dir}/first; }
        server { listen 80; server_name A.Test b.test; root {dir}/second; }
     """, {"a.test": "first/W/T", "b.test": "second/W/T"}),
    ("upper-case-and-trailing-dot", """
        server { listen 80; root {dir}/default; }
        server { listen 80; server_name A.TEST; root {dir}/$host; }
     """, {"a.test.": "a.test/W/T", "a.test": "a.test/W/T"}),
    ("http-host-keeps-the-dot", "server { listen 80; root {dir}/$http_host; }", {"a.test.": "a.test./W/T"}),
    ("dot-name-yields-to-exact", """
        server { listen 80; server_name x.test; root {dir}/x; }
        server { listen 80; server_name .x.test; root {dir}/dot; }
     """, {"x.test": "x/W/T", "a.x.test": "x/W/T"}),
    ("dot-name-after-star-holds-the-bare-name", """
        server { listen 80 default_server; root {dir}/default; }
        server { listen 80; server_name *.x.test; root {dir}/star; }
        server { listen 80; server_name .x.test; root {dir}/dot; }
        server { listen 80; server_name x.test; root {dir}/bare; }
     """, {"x.test": "default/W/T", "a.x.test": "star/W/T"}),
    ("exact-address-hides-wildcard", """
        server { listen 80; server_name a.test; root {dir}/any; }
        server { listen 203.0.113.10:80; server_name b.test; root {dir}/one; }
     """, {"a.test@203.0.113.10": "one/W/T", "a.test@203.0.113.11": "any/W/T", "b.test@203.0.113.11": "any/W/T"}),
    ("default-per-address", """
        server { listen 203.0.113.10:80; root {dir}/ten; }
        server { listen 203.0.113.11:80; root {dir}/eleven; }
        server { listen 203.0.113.11:80 default_server; server_name z.test; root {dir}/z; }
     """, {"a.test@203.0.113.10": "ten/W/T", "a.test@203.0.113.11": "z/W/T"}),
    ("ipv6-apart", """
        server { listen 80; root {dir}/four; }
        server { listen [::]:80; root {dir}/six; }
     """, {"a.test@203.0.113.10": "four/W/T", "a.test@2001:db8::10": "six/W/T"}),
    ("ipv6-dual-stack", "server { listen [::]:80 ipv6only=off; root {dir}/six; }",
     {"a.test@203.0.113.10": "six/W/T", "a.test@2001:db8::10": "six/W/T"}),
    ("ipv6-exact", """
        server { listen [::]:80; root {dir}/any; }
        server { listen [2001:DB8:0::10]:80; root {dir}/one; }
     """, {"a.test@2001:db8::10": "one/W/T", "a.test@::1": "any/W/T"}),
    ("port-range", "server { listen 79-81; root {dir}/a; }", {"a.test": "a/W/T"}),
    ("server-name-variable", """
        server { listen 80; server_name .first.test second.test; root {dir}/$server_name; }
     """, {"second.test": "first.test/W/T"}),
    ("http-host-and-scheme", "server { listen 80; root {dir}/$scheme/$http_host/$server_port; }",
     {"a.test": "http/a.test/80/W/T"}),
    ("server-addr", "server { listen 80; root {dir}/$server_addr; }", {"a.test": "203.0.113.10/W/T"}),
    # -- which location --
    ("alias-with-slash", """
        server { listen 80; location /.well-known/acme-challenge/ { alias {dir}/acme/; } }
     """, {"a.test": "acme/T"}),
    ("alias-without-slash", """
        server { listen 80; location /.well-known/acme-challenge { alias {dir}/acme; } }
     """, {"a.test": "acme/T"}),
    ("alias-missing-slash", """
        server { listen 80; location /.well-known/acme-challenge/ { alias {dir}/acme; } }
     """, {"a.test": "acmeT"}),
    ("alias-further-up", """
        server { listen 80; location /.well-known/ { alias {dir}/known/; } }
     """, {"a.test": "known/acme-challenge/T"}),
    ("alias-regex", """
        server { listen 80; location ~ ^/\\.well-known/acme-challenge/(.*)$ { alias {dir}/acme/$1; } }
     """, {"a.test": "acme/T"}),
    ("alias-regex-named", """
        server { listen 80; location ~ ^/\\.well-known/acme-challenge/(?<t>.+)$ { alias {dir}/acme/$t; } }
     """, {"a.test": "acme/T"}),
    ("alias-with-variable", """
        server { listen 80; location /.well-known/acme-challenge/ { alias {dir}/$host/; } }
     """, {"a.test": "a.test/T"}),
    ("alias-in-nested", """
        server { listen 80; location /.well-known/ { alias {dir}/known/;
            location /.well-known/acme-challenge/ { } } }
     """, {"a.test": "known/acme-challenge/T"}),
    ("location-root", """
        server { listen 80; root {dir}/a; location ^~ /.well-known/acme-challenge/ { root {dir}/acme; } }
     """, {"a.test": "acme/W/T"}),
    ("regex-beats-prefix", """
        server { listen 80; location /.well-known/acme-challenge/ { root {dir}/prefix; }
                 location ~ acme { root {dir}/regex; } }
     """, {"a.test": "regex/W/T"}),
    ("caret-beats-regex", """
        server { listen 80; location ^~ /.well-known/ { root {dir}/prefix; }
                 location ~ acme { root {dir}/regex; } }
     """, {"a.test": "prefix/W/T"}),
    ("regexes-in-order", """
        server { listen 80; location ~ nothing { root {dir}/none; } location ~* WELL-KNOWN { root {dir}/first; }
                 location ~ acme { root {dir}/second; } }
     """, {"a.test": "first/W/T"}),
    ("longest-prefix", """
        server { listen 80; location / { root {dir}/short; } location /.well-known/ac { root {dir}/long; }
                 location /.well { root {dir}/middle; } }
     """, {"a.test": "long/W/T"}),
    ("exact-does-not-match-token", """
        server { listen 80; root {dir}/a; location = /.well-known/acme-challenge/ { root {dir}/exact; } }
     """, {"a.test": "a/W/T"}),
    ("nested-caret-does-not-shut-out-outer-regex", """
        server { listen 80; location / { root {dir}/outer; location ^~ /.well-known/ { root {dir}/inner; } }
                 location ~ acme { root {dir}/regex; } }
     """, {"a.test": "regex/W/T"}),
    ("nested-regex-before-outer-regex", """
        server { listen 80; location / { location ~ well { root {dir}/inner; } } location ~ acme { root {dir}/outer; } }
     """, {"a.test": "inner/W/T"}),
    ("nested-inherits-root", """
        server { listen 80; location / { root {dir}/outer; location /.well-known/ { index x; } } }
     """, {"a.test": "outer/W/T"}),
    ("dotfiles-denied", """
        server { listen 80; root {dir}/a; location ~ /\\. { deny all; } }
     """, {"a.test": "dead 403"}),
    ("dotfiles-denied-with-exemption", """
        server { listen 80; root {dir}/a; location ^~ /.well-known/ { } location ~ /\\. { deny all; } }
     """, {"a.test": "a/W/T"}),
    ("dotfiles-denied-lookahead", """
        server { listen 80; root {dir}/a; location ~ /\\.(?!well-known) { deny all; } }
     """, {"a.test": "a/W/T"}),
    ("quoted-location", """
        server { listen 80; location ~ "^/\\.[a-z-]{10}/" { root {dir}/a; } }
     """, {"a.test": "a/W/T"}),
    ("internal", "server { listen 80; location /.well-known/ { internal; root {dir}/a; } }", {"a.test": "dead 404"}),
    ("slashes-are-merged", """
        server { listen 80; root {dir}/a; location ^~ /.well-known/ { root {dir}/b; } }
     """, {"a.test//W/T": "b/W/T", "a.test/W///T": "b/W/T"}),
    ("slashes-are-kept", """
        server { listen 80; merge_slashes off; root {dir}/a; location ^~ /.well-known/ { root {dir}/b; } }
     """, {"a.test//W/T": "a/W/T", "a.test/W///T": "b/W/T"}),
    ("slashes-in-the-request-uri", "server { listen 80; return 301 https://$host$request_uri; }",
     {"a.test//W/T": "301 https://a.test//.well-known/acme-challenge/T"}),
    ("internal-after-a-rewrite", """
        server { listen 80; rewrite ^/\\.well-known(.*)$ /in$1; location /in { internal; root {dir}/a; } }
     """, {"a.test": "a/in/acme-challenge/T"}),
    ("internal-after-try-files", """
        server { listen 80; location / { try_files /no/such /in$uri; } location /in { internal; root {dir}/a; } }
     """, {"a.test": "a/in/W/T"}),
    # -- access --
    ("allow-before-deny", """
        server { listen 80; root {dir}/a; location / { allow 203.0.113.10; deny all; } }
     """, {"a.test": "a/W/T"}),
    ("deny-inherited", "server { listen 80; deny all; location / { root {dir}/a; } }", {"a.test": "dead 403"}),
    ("deny-lifted", "server { listen 80; deny all; location / { allow all; root {dir}/a; } }", {"a.test": "a/W/T"}),
    ("deny-other-method", """
        server { listen 80; root {dir}/a; location / { limit_except GET { deny all; } } }
     """, {"a.test": "a/W/T"}),
    ("deny-get", """
        server { listen 80; root {dir}/a; location / { limit_except POST { deny all; } } }
     """, {"a.test": "dead 403"}),
    ("satisfy-any-without-credentials", """
        server { listen 80; root {dir}/a; satisfy any; allow 203.0.113.10; deny all; auth_basic x;
                 auth_basic_user_file {dir}/none; }
     """, {"a.test": "a/W/T"}),
    ("auth-off", """
        server { listen 80; root {dir}/a; auth_basic x; auth_basic_user_file {dir}/none;
                 location /.well-known/ { auth_basic off; } }
     """, {"a.test": "a/W/T"}),
    # -- try_files, error_page --
    ("try-files-front-controller", """
        server { listen 80; root {dir}/a; location / { try_files $uri $uri/ /index.php?$args; }
                 location ~ \\.php$ { return 500; } }
     """, {"a.test": "a/W/T"}),
    ("try-files-two-candidates", """
        server { listen 80; root {dir}/a; location / { try_files /cache$uri $uri =404; } }
     """, {"a.test": "a/cache/W/T a/W/T"}),
    ("try-files-server-level-without-location", """
        server { listen 80; root {dir}/a; try_files /x$uri =404; location /other { } }
     """, {"a.test": "a/x/W/T"}),
    ("try-files-server-level-with-location", """
        server { listen 80; root {dir}/a; try_files /x$uri =404; location / { } }
     """, {"a.test": "a/W/T"}),
    ("try-files-named", """
        server { listen 80; root {dir}/a; location / { try_files /no/such @other; } location @other { root {dir}/b; } }
     """, {"a.test": "b/W/T"}),
    ("try-files-fallback-uri", """
        server { listen 80; root {dir}/a; location / { try_files /no/such /moved$uri; }
                 location /moved { root {dir}/b; } }
     """, {"a.test": "b/moved/W/T"}),
    ("try-files-alias", """
        server { listen 80; location /.well-known/acme-challenge/ { alias {dir}/acme/; try_files $uri =404; } }
     """, {"a.test": "acme/T"}),
    ("try-files-regex-alias", """
        server { listen 80; location ~ ^/\\.well-known/acme-challenge/(.*)$ { alias {dir}/acme; try_files /$1 =404; } }
     """, {"a.test": "acme/T"}),
    ("try-files-code", "server { listen 80; root {dir}/a; location / { try_files /no/such =404; } }",
     {"a.test": "dead 404"}),
    ("try-files-proxy", """
        server { listen 80; root {dir}/a; location / { try_files $uri @app; }
                 location @app { proxy_pass http://127.0.0.1:9001; } }
     """, {"a.test": "a/W/T -> 127.0.0.1:9001 127.0.0.1 /W/T"}),
    ("try-files-with-a-handler", """
        server { listen 80; root {dir}/a; location / { try_files $uri @other; proxy_pass http://127.0.0.1:9001; }
                 location @other { root {dir}/b; } }
     """, {"a.test": "b/W/T -> 127.0.0.1:9001 127.0.0.1 /W/T"}),
    ("try-files-cuts-the-fallback-below-alias", """
        server { listen 80; root {dir}/a; location /.well-known/ { alias {dir}/x/; try_files /no/such $uri; } }
     """, {"a.test": "aacme-challenge/T"}),
    ("error-page-fallback", """
        server { listen 80; root {dir}/a; error_page 404 = @fallback; location @fallback { root {dir}/b; } }
     """, {"a.test": "a/W/T"}),
    ("error-page-418", """
        server { listen 80; root {dir}/a; error_page 418 = @acme; location @acme { root {dir}/b; }
                 if ($uri ~ acme-challenge) { return 418; } }
     """, {"a.test": "b/W/T"}),
    ("error-page-keeps-status", """
        server { listen 80; root {dir}/a; error_page 403 /.well-known/acme-challenge/x; location / { deny all; } }
     """, {"a.test": "dead 403"}),
    ("error-page-keeps-status-but-for-a-redirect", """
        server { listen 80; error_page 403 @away; deny all; location / { }
                 location @away { allow all; return 301 https://$host$request_uri; } }
     """, {"a.test": "301 https://a.test/.well-known/acme-challenge/T"}),
    ("error-page-redirect", """
        server { listen 80; error_page 404 https://other.test/x; location / { return 404; } }
     """, {"a.test": "302 https://other.test/x"}),
    ("error-page-200", """
        server { listen 80; root {dir}/a; location / { error_page 403 =200 /open$uri; deny all; } location /open { } }
     """, {"a.test": "a/open/W/T"}),
    # -- rewrite --
    ("rewrite-last", """
        server { listen 80; root {dir}/a; rewrite ^/\\.well-known/(.*)$ /known/$1 last;
                 location /known { root {dir}/b; } }
     """, {"a.test": "b/known/acme-challenge/T"}),
    ("rewrite-break-in-location", """
        server { listen 80; root {dir}/a; location /.well-known { rewrite ^/.well-known(.*) /known$1 break; }
                 location /known { root {dir}/b; } }
     """, {"a.test": "a/known/acme-challenge/T"}),
    ("rewrite-last-in-location", """
        server { listen 80; root {dir}/a; location /.well-known { rewrite ^/.well-known(.*) /known$1 last; }
                 location /known { root {dir}/b; } }
     """, {"a.test": "b/known/acme-challenge/T"}),
    ("rewrite-without-flag", """
        server { listen 80; root {dir}/a; location /.well-known {
            rewrite ^/.well-known(.*) /one$1; rewrite ^/one(.*) /two$1; } location /two { root {dir}/b; } }
     """, {"a.test": "b/two/acme-challenge/T"}),
    ("rewrite-cycle", "server { listen 80; root {dir}/a; location / { rewrite ^ /x$uri last; } }",
     {"a.test": "dead 500"}),
    ("rewrite-permanent", """
        server { listen 80; rewrite ^/(.*)$ https://www.test/$1 permanent; }
     """, {"a.test": "301 https://www.test/.well-known/acme-challenge/T"}),
    ("rewrite-redirect-relative", """
        server { listen 80; rewrite ^/(.*)$ /moved/$1 redirect; }
     """, {"a.test": "302 http://a.test/moved/.well-known/acme-challenge/T"}),
    ("rewrite-scheme", "server { listen 80; rewrite ^ $scheme://b.test$uri; }",
     {"a.test": "302 http://b.test/.well-known/acme-challenge/T"}),
    ("rewrite-break-and-alias", """
        server { listen 80; location /.well-known/ { alias {dir}/a/; rewrite ^/.well-known(.*) /x$1 break; } }
     """, {"a.test": "dead 500"}),
    ("rewrite-to-index", """
        server { listen 80; root {dir}/a; rewrite ^ /index.html last; }
     """, {"a.test": "dead 404"}),
    ("server-return-beats-location", """
        server { listen 80; return 301 https://$host$request_uri;
                 location /.well-known/acme-challenge/ { root {dir}/a; } }
     """, {"a.test": "301 https://a.test/.well-known/acme-challenge/T"}),
    ("return-with-exemption", """
        server { listen 80; location / { return 301 https://$host$request_uri; }
                 location /.well-known/acme-challenge/ { root {dir}/a; } }
     """, {"a.test": "a/W/T"}),
    ("certbots-own-redirect", """
        server { listen 80; server_name www.a.test a.test; root {dir}/a;
                 if ($host = www.a.test) { return 301 https://$host$request_uri; } return 404; }
     """, {"www.a.test": "301 https://www.a.test/.well-known/acme-challenge/T", "a.test": "dead 404"}),
    ("return-relative", "server { listen 80; return 302 /moved; }", {"a.test": "302 http://a.test/moved"}),
    ("return-server-name", "server { listen 80; server_name a.test; server_name_in_redirect on; return 302 /moved; }",
     {"b.test": "302 http://a.test/moved"}),
    ("return-not-absolute", "server { listen 80; absolute_redirect off; return 302 /moved; }",
     {"a.test": "302 http://a.test/moved"}),
    ("return-two-slashes-absolute", "server { listen 80; return 302 //b.test/x; }",
     {"a.test": "302 http://a.test//b.test/x"}),
    ("return-two-slashes-not-absolute", "server { listen 80; absolute_redirect off; return 302 //b.test/x; }",
     {"a.test": "302 http://b.test/x"}),
    ("return-url-only", "server { listen 80; return https://b.test$uri; }",
     {"a.test": "302 https://b.test/.well-known/acme-challenge/T"}),
    ("return-200", "server { listen 80; return 200 hello; }", {"a.test": "dead 200"}),
    ("return-403", "server { listen 80; location / { return 403; } }", {"a.test": "dead 403"}),
    ("return-444", "server { listen 80; return 444; }", {"a.test": "dead 0"}),
    ("return-301-without-url", "server { listen 80; return 301; }", {"a.test": "dead 301"}),
    ("if-scheme", """
        server { listen 80; root {dir}/a; if ($scheme = http) { return 301 https://$server_name$request_uri; } }
     """, {"a.test": "301 https:///.well-known/acme-challenge/T"}),
    ("if-without-tls", """
        server { listen 80; root {dir}/a; if ($ssl_protocol = "") { rewrite ^ https://$host$request_uri? permanent; } }
     """, {"a.test": "301 https://a.test/.well-known/acme-challenge/T"}),
    ("if-method", """
        server { listen 80; root {dir}/a; if ($request_method !~ ^(GET|HEAD)$ ) { return 405; } }
     """, {"a.test": "a/W/T"}),
    ("if-file-front-controller", """
        server { listen 80; root {dir}/a; location / { if (!-f $request_filename) { rewrite ^ /index.php last; } }
                 location ~ php { return 500; } }
     """, {"a.test": "a/W/T"}),
    ("if-file-refuses", """
        server { listen 80; root {dir}/a; location / { if (-f $request_filename) { return 403; } } }
     """, {"a.test": "dead 403"}),
    ("if-exists-elsewhere", """
        server { listen 80; root {dir}/a; location / { if (-e {dir}/b$uri) { root {dir}/b; } } }
     """, {"a.test": "b/W/T a/W/T"}),
    ("if-root", """
        server { listen 80; root {dir}/a; location / { set $x 1; if ($x) { root {dir}/b; } } }
     """, {"a.test": "b/W/T"}),
    ("if-names-a-variable-that-begins-with-a-digit", """
        server { listen 80; root {dir}/a; set $7g_reason ""; set $7g_drop 0; if ($7g_drop) { return 403; }
                 if ($7g_reason = "") { set $7g_drop "${7g_reason}1"; }
                 if ($7g_drop = 1) { return 301 https://$host/; } }
     """, {"a.test": "301 https://a.test/"}),
    ("last-if-wins", """
        server { listen 80; location / { if ($host) { root {dir}/a; } if ($uri) { root {dir}/b; } } }
     """, {"a.test": "b/W/T"}),
    ("if-loses-try-files", """
        server { listen 80; root {dir}/a; location / { try_files /x$uri =404; if ($host ~ a) { set $x 1; } } }
     """, {"a.test": "a/W/T", "b.test": "a/x/W/T"}),
    ("if-captures", """
        server { listen 80; if ($host ~ ^(\\w+)\\.test$) { set $who $1; } root {dir}/home/$who; }
     """, {"ann.test": "home/ann/W/T"}),
    ("rewrite-that-fails-empties-captures", """
        server { listen 80; location ~ ^/(.*)$ { rewrite ^/nothing/(.*)$ /x; root {dir}/a/$1/b; } }
     """, {"a.test": "a/b/W/T"}),
    ("map-that-fails-leaves-captures", """
        map $host $m { ~^nothing(.*)$ x; default y; }
        server { listen 80; server_name ~^(\\w+)\\.test$; set $y $m; root {dir}/$1/$m; }
     """, {"ann.test": "ann/y/W/T"}),
    ("if-zero-is-false", """
        server { listen 80; root {dir}/a; set $x 0; if ($x) { return 403; } set $y ""; if ($y) { return 403; } }
     """, {"a.test": "a/W/T"}),
    ("if-break", """
        server { listen 80; root {dir}/a; location / { if ($host) { break; } return 403; } }
     """, {"a.test": "a/W/T"}),
    ("unset-variable-is-empty", """
        server { listen 80; root {dir}/a$x/b; location /other { set $x /y; } }
     """, {"a.test": "a/b/W/T"}),
    ("slash-of-an-empty-variable-is-kept", """
        server { listen 80; root {dir}/b/$none; location = /y { set $none ""; }
                 location /.well-known/ { alias {dir}/x/; try_files /no/such $uri; } }
     """, {"a.test": "b/acme-challenge/T"}),
    ("root-is-the-root", "server { listen 80; root /; location / { rewrite ^ {dir}/a$uri break; } }",
     {"a.test": "a/W/T"}),
    ("set-root", "server { listen 80; set $site one; set $base {dir}/$site; root ${base}/www; }",
     {"a.test": "one/www/W/T"}),
    # -- map --
    ("map-hostnames", """
        map $host $dir { hostnames; default none; .a.test a; *.b.test b; c.* c; x.a.test x; }
        server { listen 80; root {dir}/$dir; }
     """, {"a.test": "a/W/T", "y.a.test": "a/W/T", "x.a.test": "x/W/T", "z.b.test": "b/W/T", "b.test": "none/W/T",
           "c.example": "c/W/T"}),
    ("map-of-a-name-with-a-dot", """
        map $http_host $dir { hostnames; default none; a.test a; ~^b\\.test$ b; }
        map $http_host $other { default none; a.test a; ~^b\\.test$ b; }
        server { listen 80; root {dir}/$dir/$other; }
     """, {"a.test.": "a/none/W/T", "b.test.": "b/none/W/T"}),
    ("map-regex", """
        map $host $dir { default none; ~^(?<n>\\w+)\\.re\\. $n; ~*^UP(\\d) up$1; "quoted.test" quoted; }
        server { listen 80; root {dir}/$dir; }
     """, {"ann.re.test": "ann/W/T", "up7.test": "up7/W/T", "quoted.test": "quoted/W/T", "x.test": "none/W/T"}),
    ("map-without-default", """
        map $host $dir { a.test a; } server { listen 80; root {dir}/x$dir; }
     """, {"a.test": "xa/W/T", "b.test": "x/W/T"}),
    ("map-ignores-case", """
        map_hash_bucket_size 256; map $uri $dir { default none; /.WELL-known/acme-challenge/{token} found; }
        server { listen 80; root {dir}/$dir; }
     """, {"a.test": "found/W/T"}),
    ("map-of-map", """
        map $host $one { default x; a.test y; } map $one$scheme $two { yhttp right; default wrong; }
        server { listen 80; root {dir}/$two; }
     """, {"a.test": "right/W/T", "b.test": "wrong/W/T"}),
    ("map-default-variable", """
        map $arg_x $dir { default $host; } server { listen 80; root {dir}/$dir; }
     """, {"a.test": "a.test/W/T"}),
    ("map-is-looked-up-once-unless-volatile", """
        map $uri $once { default b; ~well a; } map $uri $anew { volatile; default b; ~well a; }
        server { listen 80; set $first $once$anew; rewrite ^/\\.well-known(.*)$ /x$1; root {dir}/$once/$anew; }
     """, {"a.test": "a/b/x/acme-challenge/T"}),
    ("root-that-is-made-of-the-path-that-was-tried", """
        map $uri $dir { volatile; default a; ~moved b; }
        server { listen 80; root {dir}/$dir; location / { try_files /moved$uri $uri =404; } }
     """, {"a.test": "a/W/T"}),
    ("alias-after-a-break-and-an-internal-redirect", """
        server { listen 80; location /.well-known/ { rewrite ^/\\.well-known(.*)$ /x$1 break; root {dir}/a;
                 try_files /no/such /y$uri; } location /y/x/ { alias {dir}/b/; } }
     """, {"a.test": "b/acme-challenge/T"}),
    # -- other places --
    ("proxy", "server { listen 80; location / { proxy_pass http://127.0.0.1:9001; } }",
     {"a.test": "-> 127.0.0.1:9001 127.0.0.1 /W/T"}),
    ("proxy-host", """
        server { listen 80; location / { proxy_set_header Host $host; proxy_pass http://127.0.0.1:9001; } }
     """, {"a.test": "-> 127.0.0.1:9001 a.test /W/T"}),
    ("proxy-uri", "server { listen 80; location /.well-known/ { proxy_pass http://127.0.0.1:9001/x/; } }",
     {"a.test": "-> 127.0.0.1:9001 127.0.0.1 /x/acme-challenge/T"}),
    ("proxy-uri-and-rewrite-break", """
        server { listen 80; location /.well-known/ { rewrite ^/.well-known(.*) /y$1 break;
                 proxy_pass http://127.0.0.1:9001/x/; } }
     """, {"a.test": "-> 127.0.0.1:9001 127.0.0.1 /y/acme-challenge/T"}),
    ("proxy-rewritten-without-uri", """
        server { listen 80; location /.well-known/ { rewrite ^/.well-known(.*) /y$1 break;
                 proxy_pass http://127.0.0.1:9001; } }
     """, {"a.test": "-> 127.0.0.1:9001 127.0.0.1 /y/acme-challenge/T"}),
    ("proxy-variable", """
        server { listen 80; set $to 127.0.0.1:9002; location / { proxy_pass http://$to; } }
     """, {"a.test": "-> 127.0.0.1:9002 127.0.0.1 /W/T"}),
    ("proxy-variable-uri", """
        server { listen 80; set $to 127.0.0.1:9002; location / { proxy_pass http://$to/fixed; } }
     """, {"a.test": "-> 127.0.0.1:9002 127.0.0.1 /fixed"}),
    ("proxy-ipv6", "server { listen 80; location / { proxy_pass http://[::1]:9001/; } }",
     {"a.test": "-> [::1]:9001 ::1 /W/T"}),
    ("proxy-unix", "server { listen 80; location / { proxy_pass http://unix:{backends}/backend.sock; } }",
     {"a.test": "-> unix:{backends}/backend.sock localhost /W/T"}),
    ("proxy-unix-uri", """
        server { listen 80; location /.well-known { proxy_pass http://unix:{backends}/backend.sock:/u; } }
     """, {"a.test": "-> unix:{backends}/backend.sock localhost /u/acme-challenge/T"}),
    ("proxy-group", """
        upstream app { server 127.0.0.1:9001; server 127.0.0.1:9002 weight=3; server 127.0.0.1:9003 backup;
                       server 127.0.0.1:9004 down; }
        server { listen 80; location / { proxy_pass http://app; } }
     """, {"a.test": "-> 127.0.0.1:9001,127.0.0.1:9002,127.0.0.1:9003 app /W/T"}),
    ("proxy-group-by-variable", """
        upstream app { server 127.0.0.1:9001; }
        server { listen 80; set $up app; location / { proxy_pass http://$up; } }
     """, {"a.test": "-> 127.0.0.1:9001 app /W/T"}),
    ("proxy-with-exemption", """
        server { listen 80; root {dir}/a; location / { proxy_pass http://127.0.0.1:9001; }
                 location ^~ /.well-known/ { } }
     """, {"a.test": "a/W/T"}),
    ("proxy-not-inherited-by-nested", """
        server { listen 80; root {dir}/a; location / { proxy_pass http://127.0.0.1:9001; location /.well-known/ { } } }
     """, {"a.test": "a/W/T"}),
    ("proxy-kept-by-if", """
        server { listen 80; location / { proxy_pass http://127.0.0.1:9001; if ($host) { set $x 1; } } }
     """, {"a.test": "-> 127.0.0.1:9001 127.0.0.1 /W/T"}),
    ("proxy-in-if", """
        server { listen 80; root {dir}/a; location / { if ($host = a.test) { proxy_pass http://127.0.0.1:9001; } } }
     """, {"a.test": "-> 127.0.0.1:9001 127.0.0.1 /W/T", "b.test": "a/W/T"}),
    ("fastcgi", "server { listen 80; location / { fastcgi_pass 127.0.0.1:9999; } }", {"a.test": "dead 502"}),
    ("fastcgi-down-and-an-error-page", """
        server { listen 80; root {dir}/a; location / { fastcgi_pass 127.0.0.1:9999; error_page 502 504 = @static; }
                 location @static { try_files $uri =404; } }
     """, {"a.test": "a/W/T"}),
    ("memcached-with-a-fallback", """
        server { listen 80; location / { set $memcached_key $uri; memcached_pass 127.0.0.1:9999;
                 error_page 404 502 504 = @fallback; } location @fallback { root {dir}/a; } }
     """, {"a.test": "a/W/T"}),
    ("proxy-whose-404-is-intercepted", """
        server { listen 127.0.0.1:9404; return 404; }
        server { listen 80; location / { proxy_pass http://127.0.0.1:9404; proxy_intercept_errors on;
                 error_page 404 = @static; } location @static { root {dir}/a; } }
     """, {"a.test": "a/W/T -> 127.0.0.1:9404 127.0.0.1 /W/T"}),
    ("proxy-whose-404-is-not-intercepted", """
        server { listen 80; location / { proxy_pass http://127.0.0.1:9001; error_page 404 = @static; }
                 location @static { root {dir}/a; } }
     """, {"a.test": "-> 127.0.0.1:9001 127.0.0.1 /W/T"}),
    ("proxy-whose-error-pages-are-pages", """
        server { listen 80; root {dir}/a; error_page 404 /404.html; error_page 500 502 503 504 /50x.html;
                 location / { proxy_pass http://127.0.0.1:9001; proxy_intercept_errors on; } }
     """, {"a.test": "-> 127.0.0.1:9001 127.0.0.1 /W/T"}),
    ("lua", "server { listen 80; location / { content_by_lua_block { ngx.say('} {') } } }", {"a.test": "dead 200"}),
    ("lua-before-a-server", """
        init_by_lua_block { local s = "}" -- }
            local t = [[ } ]] local u = { '{' } }
        server { listen 80; root {dir}/a; }
     """, {"a.test": "a/W/T"}),
    ("echo", "server { listen 80; location / { echo hello; } }", {"a.test": "dead 200"}),
    ("stub-status", "server { listen 80; location / { stub_status; } }", {"a.test": "dead 200"}),
    # -- TLS --
    ("tls", """
        ssl_certificate {dir}/cert.pem; ssl_certificate_key {dir}/key.pem;
        server { listen 80; return 301 https://$host$request_uri; }
        server { listen 443 ssl; server_name a.test; root {dir}/a; }
        server { listen 443 ssl; server_name b.test; root {dir}/b$https; }
     """, {"a.test": "301 https://a.test/.well-known/acme-challenge/T", "https://a.test": "a/W/T",
           "https://b.test": "bon/W/T"}),
    ("tls-without-a-certificate", """
        ssl_certificate {dir}/cert.pem; ssl_certificate_key {dir}/key.pem;
        server { listen 443 ssl default_server; ssl_reject_handshake on; root {dir}/a; }
        server { listen 443 ssl; server_name a.test; root {dir}/a; }
        server { listen 443 ssl; server_name b.test; ssl_reject_handshake on; root {dir}/a; }
     """, {"https://a.test": "a/W/T", "https://b.test": "dead 0", "https://c.test": "dead 0"}),
    ("tls-for-clients-with-a-certificate", """
        ssl_certificate {dir}/cert.pem; ssl_certificate_key {dir}/key.pem; ssl_client_certificate {dir}/cert.pem;
        server { listen 443 ssl; server_name a.test; root {dir}/a; ssl_verify_client on; error_page 496 = @other;
                 location @other { root {dir}/b; } }
        server { listen 443 ssl; server_name b.test; root {dir}/a; ssl_verify_client optional; }
     """, {"https://a.test": "b/W/T a/W/T", "https://b.test": "a/W/T"}),
]
