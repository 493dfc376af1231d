"""nginx in front of applications, as documentation, panels and packages propose it: the facts, in our own words.

The names of the sites say where they come from. Applications listen at the ports and sockets that are named here.
"""
import re
from typing import List
from typing import NamedTuple

#: How the challenge of a site is answered: on the wire, or by a file that nginx looks for before the application.
WIRE, FILE = "wire", "file"
_WORDS = {
    "{headers}": "proxy_set_header Host $http_host; proxy_set_header X-Real-IP $remote_addr; "
                 "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; "
                 "proxy_set_header X-Forwarded-Proto $scheme;",
    "{upgrade}": "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; "
                 "proxy_set_header Connection $connection_upgrade;",
}


class Site(NamedTuple):
    """A name, and what nginx does with it.

    :ivar label: the first label of the name.
    :ivar lines: of ``http{}``. ``{name}`` is the name, ``{dir}`` nginx's directory, ``{own4}`` and ``{own6}`` are
        addresses of this site alone; ``listen 80`` means the address that the others share.
    :ivar answered_by: :data:`WIRE` or :data:`FILE`.
    """

    label: str
    lines: str
    answered_by: str = WIRE

    @property
    def name(self) -> str:
        """The name of the site."""
        return f"{self.label}.sample.com"

    @property
    def own_v4(self) -> List[str]:
        """An address that no other site has, if the site needs one: RFC 5737."""
        return [f"203.0.113.{100 + SITES.index(self)}"] if "{own4}" in self.lines else []

    @property
    def own_v6(self) -> List[str]:
        """The same of IPv6: RFC 3849."""
        return [f"2001:db8::{100 + SITES.index(self)}"] if "{own6}" in self.lines else []

    def config(self, address: str) -> str:
        """Its configuration.

        :param address: the one that sites share.
        """
        words = {**_WORDS, "{name}": self.name, "listen 80": f"listen {address}:80",
                 "{own4}": "".join(self.own_v4), "{own6}": "".join(self.own_v6)}
        text = self.lines
        for word, meaning in words.items():
            text = text.replace(word, meaning)
        return text


#: Lines that several sites share.
COMMON = """
map $http_upgrade $connection_upgrade { default upgrade; '' close; }
map $http_x_forwarded_proto $forwarded_proto { default $http_x_forwarded_proto; '' $scheme; }
map $http_user_agent $is_robot { default 0; ~*(bot|crawl|spider|validation|encrypt) 1; }
map $host $pool { default 127.0.0.1:3000; tenants.sample.com 127.0.0.1:3001; }
split_clients $remote_addr $release { 50% 127.0.0.1:3000; * 127.0.0.1:3001; }
limit_req_zone $binary_remote_addr zone=requests:1m rate=1r/m;
limit_conn_zone $server_name zone=connections:1m;
proxy_cache_path {dir}/cache levels=1:2 keys_zone=pages:1m inactive=60m;
geo $is_office { default 0; 10.0.0.0/8 1; }
resolver 127.0.0.1;
"""

SITES: List[Site] = [
    # -- Python --
    Site("gunicorn", """
        upstream gunicorn { server unix:{dir}/gunicorn.sock fail_timeout=0; }
        server {
            listen 80; server_name {name};
            client_max_body_size 4G;
            keepalive_timeout 5;
            root {dir}/gunicorn;
            location / { try_files $uri @app; }
            location @app { {headers} proxy_redirect off; proxy_pass http://gunicorn; }
        }
    """, FILE),
    Site("django", """
        server {
            listen 80; server_name {name};
            location /static/ { alias {dir}/django/static/; }
            location / { include /etc/nginx/proxy_params; proxy_pass http://unix:{dir}/django.sock; }
        }
    """),
    Site("uwsgi", """
        upstream uwsgi { server unix:{dir}/uwsgi.sock; }
        server {
            listen 80; server_name {name};
            charset utf-8;
            location / { uwsgi_pass uwsgi; include /etc/nginx/uwsgi_params; }
        }
    """),
    Site("flask", """
        server {
            listen 80; server_name {name};
            location = /favicon.ico { access_log off; log_not_found off; }
            location / { proxy_pass http://127.0.0.1:3000; {headers} }
        }
    """),
    Site("uvicorn", """
        server {
            listen 80; server_name {name};
            location / { proxy_pass http://127.0.0.1:3000; {headers} {upgrade} proxy_buffering off; }
        }
    """),
    Site("odoo", """
        upstream odoo { server 127.0.0.1:3000; }
        upstream odoochat { server 127.0.0.1:3000; }
        server {
            listen 80; server_name {name};
            proxy_read_timeout 720s;
            proxy_set_header X-Forwarded-Host $host;
            location /longpolling { proxy_pass http://odoochat; }
            location / { proxy_redirect off; proxy_pass http://odoo; }
            gzip on;
        }
    """),
    Site("jupyter", """
        server {
            listen 80; server_name {name};
            location / { proxy_pass http://127.0.0.1:3000; {headers} {upgrade} proxy_set_header X-Scheme $scheme; }
            location ~ /.* { proxy_pass http://127.0.0.1:3000; }
        }
    """),
    Site("synapse", """
        server {
            listen 80; server_name {name};
            location ~ ^(/_matrix|/_synapse/client) { proxy_pass http://127.0.0.1:3000; client_max_body_size 50M; }
            location / { return 404; }
        }
    """),
    Site("scgi", """
        server {
            listen 80; server_name {name};
            location / { scgi_pass 127.0.0.1:9000; scgi_param REQUEST_METHOD $request_method; }
        }
    """),
    # -- Ruby --
    Site("puma", """
        upstream puma { server unix:{dir}/puma.sock fail_timeout=0; }
        server {
            listen 80; server_name {name};
            root {dir}/puma;
            try_files $uri/index.html $uri @puma;
            location @puma { {headers} proxy_pass http://puma; }
            error_page 500 502 503 504 /500.html;
        }
    """, FILE),
    Site("gitlab", """
        upstream gitlab { server unix:{dir}/gitlab.sock fail_timeout=0; }
        server {
            listen 80; server_name {name};
            server_tokens off;
            client_max_body_size 0;
            location / { gzip off; proxy_read_timeout 300; {headers} {upgrade} proxy_pass http://gitlab; }
            error_page 404 /404.html;
            error_page 502 /502.html;
            location ~ ^/(404|502)\\.html$ { root {dir}/gitlab; internal; }
        }
    """),
    Site("discourse", """
        server {
            listen 80; server_name {name};
            location / {
                proxy_pass http://unix:{dir}/discourse.sock:;
                proxy_http_version 1.1;
                proxy_set_header Host $http_host;
                proxy_redirect off;
            }
        }
    """),
    Site("mastodon", """
        server {
            listen 80; server_name {name};
            root {dir}/mastodon;
            location /.well-known/acme-challenge/ { allow all; }
            location / { return 301 https://$host$request_uri; }
        }
    """, FILE),
    Site("redmine", """
        upstream redmine { server 127.0.0.1:3000; server 127.0.0.1:3001; }
        server {
            listen 80; server_name {name};
            location / { if (!-f $request_filename) { proxy_pass http://redmine; break; } root {dir}/redmine; }
        }
    """, FILE),
    # -- Node --
    Site("node", """
        server {
            listen 80; server_name {name};
            location / { proxy_pass http://127.0.0.1:3000; {headers} {upgrade} proxy_cache_bypass $http_upgrade; }
        }
    """),
    Site("ghost", """
        server {
            listen 80; server_name {name};
            location / { proxy_pass http://127.0.0.1:3000; {headers} }
            location ~ /\\.(?!well-known) { deny all; }
        }
    """),
    Site("nextjs", """
        server {
            listen 80; server_name {name};
            location /_next/static { proxy_cache pages; proxy_pass http://127.0.0.1:3000; }
            location / { proxy_pass http://127.0.0.1:3000; {headers} }
        }
    """),
    Site("etherpad", """
        server {
            listen 80; server_name {name};
            location / {
                proxy_pass http://127.0.0.1:3000;
                {headers}
                proxy_pass_header Server;
                proxy_buffering off;
                proxy_http_version 1.1;
            }
        }
    """),
    Site("socket-io", """
        upstream sockets { ip_hash; server 127.0.0.1:3000; server 127.0.0.1:3001; }
        server { listen 80; server_name {name}; location / { {headers} {upgrade} proxy_pass http://sockets; } }
    """),
    Site("mattermost", """
        upstream mattermost { server 127.0.0.1:3000; keepalive 32; }
        server {
            listen 80; server_name {name};
            location ~ /api/v[0-9]+/(users/)?websocket$ { {headers} {upgrade} proxy_pass http://mattermost; }
            location / {
                {headers}
                proxy_http_version 1.1;
                proxy_set_header Connection "";
                proxy_cache pages;
                proxy_cache_lock on;
                proxy_cache_use_stale timeout;
                proxy_pass http://mattermost;
            }
        }
    """),
    Site("home-assistant", """
        server {
            listen 80; server_name {name};
            location / { proxy_pass http://127.0.0.1:3000; {headers} {upgrade} }
            proxy_buffering off;
        }
    """),
    # -- Java, Go and others --
    Site("jenkins", """
        upstream jenkins { keepalive 32; server 127.0.0.1:3000; }
        server {
            listen 80; server_name {name};
            root {dir}/jenkins;
            ignore_invalid_headers off;
            location ~ "^/static/[0-9a-f]{8}/(.*)$" { rewrite "^/static/[0-9a-f]{8}/(.*)" /$1 last; }
            location / {
                sendfile off;
                proxy_pass http://jenkins;
                proxy_redirect default;
                proxy_http_version 1.1;
                proxy_max_temp_file_size 0;
            }
        }
    """),
    Site("tomcat", """
        server {
            listen 80; server_name {name};
            location / { proxy_pass http://localhost:3000/app/; proxy_cookie_path /app /; }
        }
    """),
    Site("nexus", """
        server {
            listen 80; server_name {name};
            allow all;
            proxy_send_timeout 120;
            proxy_request_buffering off;
            location / { proxy_pass http://127.0.0.1:3000; {headers} }
        }
    """),
    Site("keycloak", """
        server {
            listen 80; server_name {name};
            proxy_buffer_size 128k;
            proxy_buffers 4 256k;
            proxy_busy_buffers_size 256k;
            location / { proxy_pass http://127.0.0.1:3000; {headers} proxy_set_header X-Forwarded-Port 443; }
        }
    """),
    Site("grafana", """
        upstream grafana { server localhost:3000; }
        server {
            listen 80; server_name {name};
            location / { {headers} proxy_pass http://grafana; }
            location /api/live/ { {upgrade} proxy_pass http://grafana; }
        }
    """),
    Site("gitea", """
        server {
            listen 80; server_name {name};
            client_max_body_size 512M;
            location / { proxy_pass http://127.0.0.1:3000; {headers} }
        }
    """),
    Site("vaultwarden", """
        upstream vault { zone vault 64k; server 127.0.0.1:3000; keepalive 2; }
        server {
            listen 80; server_name {name};
            location / { {headers} {upgrade} proxy_pass http://vault; }
            location /admin { allow 192.168.0.0/16; deny all; proxy_pass http://vault; }
        }
    """),
    Site("minio", """
        server {
            listen 80; server_name {name};
            ignore_invalid_headers off;
            client_max_body_size 0;
            proxy_buffering off;
            location / {
                proxy_connect_timeout 300;
                chunked_transfer_encoding off;
                proxy_pass http://127.0.0.1:3000;
            }
        }
    """),
    Site("registry", """
        server {
            listen 80; server_name {name};
            location /v2/ {
                if ($http_user_agent ~ "^(docker/1\\.[3-5])") { return 404; }
                proxy_pass http://127.0.0.1:3000;
            }
            location / { return 404; }
        }
    """),
    Site("rabbitmq", """
        server {
            listen 80; server_name {name};
            location ~* /api/(.*)/(.*) { proxy_pass http://127.0.0.1:3000$uri; }
            location / { proxy_pass http://127.0.0.1:3000; {headers} }
        }
    """),
    Site("grpc", """
        server { listen 80; server_name {name}; location / { grpc_pass grpc://127.0.0.1:9000; } }
    """),
    Site("memcached", """
        server {
            listen 80; server_name {name};
            location / { set $memcached_key $uri; memcached_pass 127.0.0.1:9000; error_page 404 502 504 = @app; }
            location @app { proxy_pass http://127.0.0.1:3000; }
        }
    """),
    # -- PHP --
    Site("wordpress", """
        server {
            listen 80; server_name {name};
            root {dir}/wordpress;
            index index.php;
            location / { try_files $uri $uri/ /index.php?$args; }
            location ~ \\.php$ { fastcgi_pass unix:{dir}/php.sock; include /etc/nginx/fastcgi_params; }
            location ~ /\\. { deny all; }
        }
    """),
    Site("laravel", """
        server {
            listen 80; server_name {name};
            root {dir}/laravel;
            location / { try_files $uri $uri/ /index.php?$query_string; }
            location ~ \\.php$ { fastcgi_pass unix:{dir}/php.sock; }
            location ~ /\\.(?!well-known).* { deny all; }
        }
    """, FILE),
    Site("symfony", """
        server {
            listen 80; server_name {name};
            root {dir}/symfony;
            location / { fastcgi_pass unix:{dir}/php.sock; fastcgi_param SCRIPT_FILENAME {dir}/symfony/index.php; }
        }
    """),
    Site("nextcloud", """
        server {
            listen 80; server_name {name};
            root {dir}/nextcloud;
            location ^~ /.well-known {
                location = /.well-known/carddav { return 301 /remote.php/dav/; }
                location ^~ /.well-known { return 301 /index.php$uri; }
            }
            location / { rewrite ^ /index.php; }
            location ~ \\.php(?:$|/) { fastcgi_pass 127.0.0.1:9000; }
            location ~ ^/(?:\\.|autotest|occ) { return 404; }
        }
    """),
    Site("nextcloud-all-in-one", """
        server {
            listen 80; server_name {name};
            location / {
                proxy_pass http://127.0.0.1:3000;
                {headers} {upgrade}
                client_body_buffer_size 512k;
                proxy_read_timeout 86400s;
            }
            location ~ /\\. { return 404; }
        }
    """),
    # -- panels and containers --
    Site("hestia", """
        server {
            listen 80; server_name {name};
            location ~ /\\.(?!well-known/|file) { deny all; return 404; }
            location / {
                proxy_pass http://127.0.0.1:3000;
                location ~* ^.+\\.(css|js|png)$ { try_files $uri @fallback; root {dir}/hestia; expires max; }
            }
            location @fallback { proxy_pass http://127.0.0.1:3000; }
        }
    """),
    Site("plesk", """
        server {
            listen 80; server_name {name};
            location / {
                proxy_pass http://127.0.0.1:3000;
                proxy_hide_header upgrade;
                proxy_set_header X-Accel-Internal /internal-nginx-static-location;
                access_log off;
            }
            location /internal-nginx-static-location/ { alias {dir}/plesk/; internal; }
        }
    """),
    Site("proxy-manager", """
        server {
            listen 80; server_name {name};
            location ^~ /.well-known/acme-challenge/ {
                auth_basic off;
                allow all;
                default_type text/plain;
                root {dir}/proxy-manager;
            }
            location = /.well-known/acme-challenge/ { return 404; }
            set $server 127.0.0.1;
            set $port 3000;
            location / { proxy_pass http://$server:$port; }
        }
    """, FILE),
    Site("docker-proxy", """
        upstream docker.sample.com { server 127.0.0.1:3000; }
        server {
            listen 80; server_name {name};
            location / {
                proxy_pass http://docker.sample.com;
                proxy_set_header X-Forwarded-Proto $forwarded_proto;
                proxy_set_header Proxy "";
            }
        }
    """),
    Site("swag", """
        server {
            listen 80; server_name {name};
            location / {
                set $upstream_app 127.0.0.1;
                set $upstream_port 3000;
                proxy_pass http://$upstream_app:$upstream_port;
                {headers} {upgrade}
            }
        }
    """),
    Site("by-name", """
        server {
            listen 80; server_name {name};
            location / { set $backend http://application.sample.com:3000; proxy_pass $backend; }
        }
    """),
    Site("catch-all", """
        server { listen 80 default_server; server_name _; return 444; }
    """),
    # -- who may come --
    Site("password", """
        server {
            listen 80; server_name {name};
            auth_basic "Members";
            auth_basic_user_file {dir}/users;
            location / { proxy_pass http://127.0.0.1:3000; {headers} }
        }
    """),
    Site("forward-auth", """
        server {
            listen 80; server_name {name};
            location = /verify { internal; proxy_pass http://127.0.0.1:3000; proxy_pass_request_body off; }
            auth_request /verify;
            error_page 401 =302 https://login.sample.com/?rd=$scheme://$http_host$request_uri;
            location / { proxy_pass http://127.0.0.1:3000; {headers} }
        }
    """),
    Site("office-only", """
        server {
            listen 80; server_name {name};
            allow 10.0.0.0/8;
            deny all;
            location / { proxy_pass http://127.0.0.1:3000; {headers} }
        }
    """),
    Site("office-by-geo", """
        server {
            listen 80; server_name {name};
            if ($is_office = 0) { return 403; }
            location / { proxy_pass http://127.0.0.1:3000; {headers} }
        }
    """),
    Site("no-robots", """
        server {
            listen 80; server_name {name};
            if ($is_robot) { return 403; }
            location / { proxy_pass http://127.0.0.1:3000; {headers} }
        }
    """),
    Site("post-only", """
        server {
            listen 80; server_name {name};
            location / { limit_except POST { deny all; } proxy_pass http://127.0.0.1:3000; }
        }
    """),
    Site("satisfy-any", """
        server {
            listen 80; server_name {name};
            satisfy any;
            allow 10.0.0.0/8;
            deny all;
            auth_basic "Members";
            auth_basic_user_file {dir}/users;
            location / { proxy_pass http://127.0.0.1:3000; {headers} }
        }
    """),
    Site("rate-limit", """
        server {
            listen 80; server_name {name};
            limit_req zone=requests nodelay;
            limit_req_status 444;
            location / { proxy_pass http://127.0.0.1:3000; {headers} }
        }
    """),
    Site("connection-limit", """
        server {
            listen 80; server_name {name};
            limit_conn connections 1;
            limit_conn_status 429;
            limit_rate 1k;
            location / { proxy_pass http://127.0.0.1:3000; {headers} }
        }
    """),
    Site("no-dot-files", """
        server {
            listen 80; server_name {name};
            location ~ /\\. { deny all; access_log off; log_not_found off; }
            location / { proxy_pass http://127.0.0.1:3000; {headers} }
        }
    """),
    # -- which application --
    Site("maintenance", """
        server {
            listen 80; server_name {name};
            if (!-f {dir}/open) { return 503; }
            error_page 503 @closed;
            location @closed { return 503 closed; }
            location / { proxy_pass http://127.0.0.1:3000; {headers} }
        }
    """),
    Site("tenants", """
        server { listen 80; server_name {name}; location / { proxy_pass http://$pool; } }
    """),
    Site("two-releases", """
        server { listen 80; server_name {name}; location / { proxy_pass http://$release; } }
    """),
    Site("own-error-pages", """
        server {
            listen 80; server_name {name};
            proxy_intercept_errors on;
            error_page 400 403 404 500 502 503 504 = /sorry.html;
            location = /sorry.html { root {dir}/sorry; internal; }
            location / { proxy_pass http://127.0.0.1:3000; {headers} }
        }
    """),
    Site("upstream-by-tls", """
        server {
            listen 80; server_name {name};
            location / { proxy_pass https://127.0.0.1:3000; proxy_ssl_verify off; proxy_ssl_server_name on; }
        }
    """),
    Site("backup-servers", """
        upstream backups { least_conn; server 127.0.0.1:3000 weight=3 max_fails=3; server 127.0.0.1:3001 backup; }
        server {
            listen 80; server_name {name};
            location / { proxy_pass http://backups; proxy_next_upstream error timeout http_500; }
        }
    """),
    Site("mirrored", """
        server {
            listen 80; server_name {name};
            location = /mirror { internal; proxy_pass http://127.0.0.1:3001; }
            location / { mirror /mirror; proxy_pass http://127.0.0.1:3000; }
        }
    """),
    Site("rewritten-body", """
        server {
            listen 80; server_name {name};
            sub_filter '</head>' '<script></script></head>';
            location / { proxy_pass http://127.0.0.1:3000; {headers} }
        }
    """),
    Site("cached-errors", """
        server {
            listen 80; server_name {name};
            proxy_cache pages;
            proxy_cache_valid any 10m;
            proxy_ignore_headers Cache-Control;
            location / { proxy_pass http://127.0.0.1:3000; {headers} }
        }
    """),
    # -- TLS of nginx itself: at port 80 there is a redirect --
    Site("https", """
        server { listen 80; server_name {name}; return 301 https://$host$request_uri; }
    """),
    Site("https-by-rewrite", """
        server { listen 80; server_name {name}; rewrite ^ https://$server_name$request_uri? permanent; }
    """),
    Site("https-by-if", """
        server {
            listen 80; server_name {name};
            if ($forwarded_proto = http) { return 308 https://$host$request_uri; }
            location / { proxy_pass http://127.0.0.1:3000; {headers} }
        }
    """),
    Site("canonical-host", """
        server {
            listen 80; server_name {name};
            if ($host != canonical.example.com) { return 301 https://canonical.example.com$request_uri; }
            location / { proxy_pass http://127.0.0.1:3000; {headers} }
        }
    """),
    # -- listeners --
    Site("deferred", """
        server {
            listen {own4}:80 deferred; server_name {name};
            location / { proxy_pass http://127.0.0.1:3000; {headers} }
        }
    """),
    Site("many-accept-queues", """
        server {
            listen {own4}:80 reuseport backlog=4096; server_name {name};
            location / { proxy_pass http://127.0.0.1:3000; {headers} }
        }
    """),
    Site("fast-open", """
        server {
            listen {own4}:80 fastopen=256 so_keepalive=30m::10; server_name {name};
            location / { proxy_pass http://127.0.0.1:3000; {headers} }
        }
    """),
    Site("small-buffers", """
        server {
            listen {own4}:80 rcvbuf=4k sndbuf=4k; server_name {name};
            client_header_buffer_size 128;
            client_header_timeout 5s;
            keepalive_requests 1;
            reset_timedout_connection on;
            location / { proxy_pass http://127.0.0.1:3000; {headers} }
        }
    """),
    Site("proxy-line", """
        server {
            listen {own4}:80 proxy_protocol; server_name {name};
            set_real_ip_from 10.0.0.0/8;
            real_ip_header proxy_protocol;
            location / { proxy_pass http://127.0.0.1:3000; {headers} }
        }
    """),
    Site("http2-without-tls", """
        server {
            listen {own4}:80 http2; server_name {name};
            location / { proxy_pass http://127.0.0.1:3000; {headers} }
        }
    """),
    Site("ipv6", """
        server {
            listen [{own6}]:80 ipv6only=on; server_name {name};
            location / { proxy_pass http://127.0.0.1:3000; {headers} }
        }
    """),
    Site("both-versions", """
        server {
            listen {own4}:80; listen [{own6}]:80; server_name {name};
            location / { proxy_pass http://127.0.0.1:3000; {headers} }
        }
    """),
]


def ports() -> List[int]:
    """The ports at which applications have to listen."""
    return sorted(set(map(int, re.findall(r"(?:127\.0\.0\.1|localhost|application\.sample\.com):(\d+)", _text()))))


def sockets() -> List[str]:
    """The names of their sockets, in nginx's directory."""
    return sorted(set(re.findall(r"unix:\{dir\}/(\w+\.sock)", _text())))


def _text() -> str:
    return COMMON + "".join(site.lines for site in SITES)
