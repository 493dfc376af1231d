"""Dead ends in nginx."""
from pathlib import Path
from typing import Dict
from typing import Mapping

from certbot_autowebroot import settings
from certbot_autowebroot.servers.nginx.snippet import lines
from tests.lab.dead_ends import DeadEnd
from tests.lab.nginx import MODULES
from tests.lab.nginx import Nginx


def server(text: str, listen: str = "listen 80;") -> str:
    """A server block of the name."""
    return f"server {{\n    {listen}\n    server_name {{name}};\n{text}\n}}\n"


def make(directory: Path, sites: Mapping[Path, str]) -> Nginx:
    """An nginx whose sites are files of their own, as in sites-enabled."""
    for path, text in sites.items():
        path.write_text(text)
    lua = "".join(f"load_module {MODULES}/{name}.so;\n" for name in ("ndk_http_module", "ngx_http_lua_module"))
    return Nginx(directory / "nginx", "".join(f"include {path};\n" for path in sites), user="www-data", main=lua)


_PASSED = "    location / {\n        proxy_pass http://{app};\n    }"
_ROOT = "mkdir root && echo shop > root/index.php"
_HESTIA = ("#=========================================================================#\n"
           "# Default Web Domain Template                                             #\n"
           "# DO NOT MODIFY THIS FILE! CHANGES WILL BE LOST WHEN REBUILDING DOMAINS   #\n"
           "#=========================================================================#\n\n")

DEAD_ENDS: Dict[str, DeadEnd] = {
    # An application behind it: the README of every Node, Rails or Go server.
    "application": DeadEnd(server(_PASSED)),
    "application, and dot files are denied": DeadEnd(server(r"    location ~ /\. { deny all; }" + "\n" + _PASSED)),
    "application by uwsgi": DeadEnd(server("    location / {\n        include /etc/nginx/uwsgi_params;\n"
                                           "        uwsgi_pass 127.0.0.1:8001;\n    }")),
    "application for the very path": DeadEnd(server(
        "    location /.well-known/acme-challenge/ {\n        proxy_pass http://{app};\n    }\n" + _PASSED)),
    "application for the very path, exempt from expressions": DeadEnd(server(
        "    location ^~ /.well-known/acme-challenge/ { proxy_pass http://{app}; }\n"
        r"    location ~ /\. { deny all; }" + "\n" + _PASSED)),
    "another machine": DeadEnd(server("    location / {\n        proxy_pass http://192.0.2.9;\n    }")),
    # Refusals of the server block.
    "return 403": DeadEnd(server("    return 403;")),
    "return 444": DeadEnd(server("    return 444;")),
    "return 403 before a location for it": DeadEnd(server(
        "    return 403;\n    location ^~ /.well-known/acme-challenge/ { root /var/www; }")),
    "return 403 before a location that passes it on": DeadEnd(server(
        "    return 403;\n    location /.well-known/acme-challenge/ { proxy_pass http://{app}; }")),
    "a brace on the next line": DeadEnd("server\n{\n    listen 80;\n    server_name {name};\n    return 404;\n}\n"),
    "a block on one line": DeadEnd("server { listen 80; server_name {name}; location / { return 404; } }\n"),
    "two blocks in one file": DeadEnd(server("    return 404;", "listen 8080;") + server("    return 404;")),
    "condition on the URI": DeadEnd(server('    root {dir}/root;\n    if ($request_uri ~ "/\\.") { return 403; }'),
                                      _ROOT),
    "condition on the agent": DeadEnd(server(
        '    root {dir}/root;\n    if ($http_user_agent ~* (python|curl|letsencrypt|encrypt)) { return 403; }'), _ROOT),
    "condition on the referer": DeadEnd(server(
        "    root {dir}/root;\n    valid_referers server_names;\n    if ($invalid_referer) { return 403; }"), _ROOT),
    "secure link": DeadEnd(server("    root {dir}/root;\n    secure_link $arg_md5;\n    secure_link_md5 secret$uri;\n"
                                  '    if ($secure_link = "") { return 403; }'), _ROOT),
    "map of hosts": DeadEnd("map $host $closed_{id} { default 1; other.sample.com 0; }\n" + server(
        "    root {dir}/root;\n    if ($closed_{id}) { return 503; }"), _ROOT),
    "geo of addresses": DeadEnd("geo $known_{id} { default 0; 10.0.0.0/8 1; }\n" + server(
        "    root {dir}/root;\n    if ($known_{id} = 0) { return 444; }"), _ROOT),
    "maintenance by a file": DeadEnd(server(
        "    root {dir}/root;\n    if (-f $document_root/down.html) { return 503; }"), _ROOT + "\n> root/down.html"),
    # Redirects.
    "redirect to another domain": DeadEnd(server("    return 301 https://other.example$request_uri;")),
    "redirect to https, where no program listens": DeadEnd(server(
        "    if ($scheme = http) { return 301 https://$host$request_uri; }")),
    "rewrite to another domain": DeadEnd(server("    rewrite ^ https://other.example$request_uri? permanent;")),
    "redirect to www and back": DeadEnd(
        server("    return 301 http://www.{name}$request_uri;")
        + "server {\n    listen 80;\n    server_name www.{name};\n    return 301 http://{name}$request_uri;\n}\n"),
    "redirect to https without a certificate": DeadEnd(
        server("    return 301 https://$host$request_uri;")
        + "server {\n    listen 443 ssl default_server;\n    ssl_reject_handshake on;\n}\n", alone=True),
    "redirect in a location for the very path": DeadEnd(server(
        "    location /.well-known/acme-challenge/ { return 301 http://acme.other.example$request_uri; }")),
    # Front controllers.
    "every request to index.php": DeadEnd(server(
        "    root {dir}/root;\n    rewrite ^/(.*)$ /index.php?q=$1 last;\n"
        "    location ~ \\.php$ { fastcgi_pass 127.0.0.1:8001; }"), _ROOT),
    "every request to index.php, but in a location": DeadEnd(server(
        "    root {dir}/root;\n    location / { try_files /nothing /index.php; }\n"
        "    location ~ \\.php$ { fastcgi_pass 127.0.0.1:8001; }"), _ROOT),
    "directory that is gone": DeadEnd(server("    root {dir}/gone;\n    location / { try_files $uri /index.php; }\n"
                                             "    location ~ \\.php$ { fastcgi_pass 127.0.0.1:8001; }")),
    # Rules for dot files: h5bp, Drupal (nginx.com's recipe), Nextcloud's .well-known.
    "dot files are denied": DeadEnd(server("    root {dir}/root;\n    location ~ /\\. { deny all; }"), _ROOT),
    "dot files as Drupal denies them": DeadEnd(server(
        "    root {dir}/root;\n    location ~ (^|/)\\. { return 403; }"), _ROOT),
    "dot files are denied by an included file": DeadEnd(server("    root {dir}/root;\n    include {dir}/deny.inc;"),
                                                        _ROOT + " && echo 'location ~ /\\. { deny all; }' > deny.inc"),
    "well-known is denied": DeadEnd(server("    root {dir}/root;\n    location ^~ /.well-known/ { deny all; }"), _ROOT),
    "well-known goes to index.php": DeadEnd(server(
        "    root {dir}/root;\n    location ^~ /.well-known { return 301 /index.php$request_uri; }\n"
        "    location ~ \\.php { fastcgi_pass 127.0.0.1:8001; }"), _ROOT),
    "internal": DeadEnd(server("    root {dir}/root;\n    location /.well-known/ { internal; }"), _ROOT),
    # Access control.
    "password": DeadEnd(server('    root {dir}/root;\n    auth_basic "members";\n'
                               "    auth_basic_user_file {dir}/users;"), _ROOT + " && echo a:b > users"),
    "subrequest": DeadEnd(server("    root {dir}/root;\n    auth_request /auth;\n"
                                 "    location = /auth { internal; proxy_pass http://{app}; }"), _ROOT),
    "addresses": DeadEnd(server("    root {dir}/root;\n    allow 10.0.0.0/8;\n    deny all;"), _ROOT),
    "any of address and password": DeadEnd(server(
        '    root {dir}/root;\n    satisfy any;\n    allow 10.0.0.0/8;\n    deny all;\n    auth_basic "members";\n'
        "    auth_basic_user_file {dir}/users;"), _ROOT + " && echo a:b > users"),
    "methods": DeadEnd(server("    root {dir}/root;\n    location / { limit_except POST { deny all; } }"), _ROOT),
    "error page of the refusal": DeadEnd(server(
        "    root {dir}/root;\n    error_page 403 =200 /down.html;\n    deny all;\n"
        "    location = /down.html { allow all; }"), _ROOT + " && echo > root/down.html"),
    "named location": DeadEnd(server("    error_page 404 = @app;\n    location / { return 404; }\n"
                                     "    location @app { proxy_pass http://{app}; }")),
    # Modules.
    "Lua refuses": DeadEnd(server("    root {dir}/root;\n    rewrite_by_lua_block { ngx.exit(403) }\n"
                                  "    access_by_lua_block { ngx.exit(403) }"), _ROOT),
    "Lua of all servers refuses": DeadEnd(
        "access_by_lua_block { ngx.exit(403) }\n" + server("    root {dir}/root;"), _ROOT, alone=True),
    "Lua answers": DeadEnd(server('    location / { content_by_lua_block { ngx.say("shop") } }')),
    "picture": DeadEnd(server("    location / { empty_gif; }")),
    "server side includes": DeadEnd(server('    ssi on;\n    location / { return 200 "<!--# echo var=host -->"; }')),
    # Directories.
    "directory that its user may not enter": DeadEnd(server("    root {dir}/root;"), _ROOT + " && chmod 700 root"),
    "symbolic links are off": DeadEnd(server("    root {dir}/link;\n    disable_symlinks on;"),
                                      _ROOT + "; ln -s root link"),
    "alias that is gone": DeadEnd(server(
        "    location /.well-known/acme-challenge/ { alias {dir}/gone/; }\n" + _PASSED)),
    "link of another user": DeadEnd(server("    root {dir}/root;"), "mkdir -p root/.well-known other && "
                                    "ln -s {dir}/other root/.well-known/acme-challenge && chown -R www-data other && "
                                    "chown -h nobody root/.well-known/acme-challenge"),
    "link to nothing": DeadEnd(server("    root {dir}/root;"),
                               "mkdir -p root/.well-known && ln -s ../../other root/.well-known/acme-challenge"),
    # The lines are there, in vain.
    "lines behind a refusal": DeadEnd(server("    return 403;\n" + "\n".join(lines(settings.SHARED_DIRECTORY))),
                                      f"install -d -m 755 {settings.SHARED_DIRECTORY}"),
    # The name is in no server block.
    "default server": DeadEnd("server {\n    listen 80 default_server;\n    return 444;\n}\n", alone=True),
    "default server of the second address family": DeadEnd(
        server("    root {dir}/root;") + "server {\n    listen [::]:80 default_server;\n    return 444;\n}\n", _ROOT,
        alone=True, has_v6=True),
    # The files of panels. Lines of the owner's go into the file of a pattern, where they help there.
    "HestiaCP": DeadEnd(_HESTIA + server(
        "    location / {\n        proxy_pass http://{app};\n    }\n    include {dir}/nginx.conf_*;")),
    "HestiaCP redirects": DeadEnd(_HESTIA + server(
        "    return 301 https://other.example$request_uri;\n    include {dir}/nginx.conf_*;")),
    "Plesk": DeadEnd("#ATTENTION!\n#\n#DO NOT MODIFY THIS FILE BECAUSE IT WAS GENERATED AUTOMATICALLY,\n"
                     "#SO ALL YOUR CHANGES WILL BE LOST THE NEXT TIME THE FILE IS GENERATED.\n\n" + server(
                         "    location / {\n        proxy_pass https://127.0.0.1:7081;\n    }\n"
                         "    location ^~ /.well-known/acme-challenge/ { return 404; }")),
    "CloudPanel": DeadEnd(server(
        "    location ~ /.well-known {\n        auth_basic off;\n        allow all;\n    }\n"
        "    root {dir}/gone;\n    # include /etc/nginx/global_settings;\n    location / {\n"
        "        proxy_pass http://{app};\n    }")),
    "aaPanel": DeadEnd(server(
        "    root {dir}/root;\n    #CERT-APPLY-CHECK--START\n    include {dir}/well-known.conf;\n"
        "    #CERT-APPLY-CHECK--END\n    location ~ ^/(\\.user.ini|\\.htaccess|\\.git|\\.well) { return 404; }\n"
        "    if ($host != other) { return 301 https://other.example$request_uri; }"),
        _ROOT + " && echo 'location ~ \\.well-known { allow all; }' > well-known.conf"),
    "ISPConfig": DeadEnd(server(
        "    root {dir}/root;\n    location ~ /\\. { deny all; access_log off; log_not_found off; }\n"
        "    location ^~ /.well-known/acme-challenge/ {\n        access_log off;\n        log_not_found off;\n"
        "        root {dir}/acme/;\n        autoindex off;\n    }"), _ROOT),
}
