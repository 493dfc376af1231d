"""The table of static servers: command lines, and the directory that each serves."""

HOST = "www.sample.com"
CASES = {
    "python, the working directory": ("python3 -m http.server 80", "cwd"),
    "python, -d": ("python3 -m http.server 80 -d ../site", "site"),
    "python, --directory=": ("python3 -u -m http.server --directory=../site 80", "site"),
    "python, -m without a space, -b before": ("python3 -mhttp.server -b 127.0.0.1 80", "cwd"),
    "python, -d as one word, after -X": ("python3 -X dev -m http.server 80 -d../site", "site"),
    "busybox, the working directory": ("busybox httpd -f -p 80", "cwd"),
    "busybox, -h": ("busybox httpd -f -p 80 -h ../site", "site"),
    "busybox, its configuration overrides -h": ("busybox httpd -f -p 80 -h ../site -c {place}/busybox.conf", "jail"),
    "php, the working directory": ("php -S 127.0.0.1:80", "cwd"),
    "php, -t": ("php -d display_errors=1 -S 127.0.0.1:80 -t ../site", "site"),
    "webfsd, the working directory": ("webfsd -F -p 80", "cwd"),
    "webfsd, -r": ("webfsd -F -p 80 -r ../site", "site"),
    "webfsd, virtual hosts": ("webfsd -F -p 80 -v -r ../site", f"site/{HOST}"),
    "mini_httpd, the working directory": ("mini_httpd -D -p 80", "cwd"),
    "mini_httpd, -d": ("mini_httpd -D -p 80 -d ../site", "site"),
    "mini_httpd, -d and -dd": ("mini_httpd -D -p 80 -d ../cwd -dd data", "cwd/data"),
    "mini_httpd, virtual hosts": ("mini_httpd -D -p 80 -v -d ../site", f"site/{HOST}"),
    "mini_httpd, its configuration's data_dir": ("mini_httpd -D -p 80 -C {place}/data.conf", "cwd/data"),
    "http-server, public": ("node {place}/node_modules/http-server/bin/http-server.js", "cwd/public"),
    "http-server, an argument": ("node {place}/node_modules/.bin/http-server -p 80 ../site", "site"),
    "serve, the working directory": ("node {place}/node_modules/serve/bin/serve.js", "cwd"),
    "serve, an argument": ("node {place}/node_modules/serve/bin/serve.js -p 80 ../site", "site"),
}
