"""lighttpd's table: configurations, and for each request its destinations."""
from tests.lab.cases import PATH
from tests.lab.cases import TOKEN

ROOT = 'server.document-root = "{dir}/main"\n'
#: Configuration, and the destination of each request (:func:`tests.lab.cases.request_for`).
CASES = {
    "the document root": (ROOT, {"x": "main"}),
    "hosts: == != =~ !~": (ROOT + """
        $HTTP["host"] == "eq" { server.document-root = "{dir}/one" }
        $HTTP["host"] =~ "^re\\." { server.document-root = "{dir}/two" }
        $HTTP["host"] !~ "^(eq|re|x)" { server.document-root = "{dir}/relative" }
    """, {"eq": "one", "re.x": "two", "x": "main", "other": "relative"}),
    "a later block wins, a later line at the top does not": (ROOT + """
        $HTTP["host"] == "a" { server.document-root = "{dir}/one" }
        $HTTP["host"] =~ "a" { server.document-root = "{dir}/two" }
        server.port = 80
    """, {"a": "two", "b": "main"}),
    "the same condition again is the first one's lab_directory": (ROOT + """
        $HTTP["host"] == "a" { server.tag = "x" }
        $HTTP["host"] =~ "a" { server.document-root = "{dir}/two" }
        $HTTP["host"] == "a" { server.document-root = "{dir}/one" }
    """, {"a": "two"}),
    "an address for a name": (ROOT + """
        $HTTP["host"] == "[2001:db8::1]" { server.document-root = "{dir}/one" }
        $HTTP["host"] == "[2001:db8::2]" { url.redirect = ("" => "https://${url.authority}/") }
        $HTTP["host"] == "[2001:db8::3]:80" { proxy.server = ("" => (("host" => "127.0.0.1", "port" => 8001))) }
    """, {"2001:db8::1": "one", "2001:db8::2": "301 https://[2001:db8::2]/", "192.0.2.1": "main",
          "2001:db8::3": f"to 127.0.0.1:8001 2001:db8::3 {PATH}"}),
    "else branches": (ROOT + """
        $HTTP["host"] == "a" { server.document-root = "{dir}/one" }
        else $HTTP["host"] =~ "^[ab]$" { server.document-root = "{dir}/two" }
        else { server.document-root = "{dir}/relative" }
    """, {"a": "one", "b": "two", "c": "relative"}),
    "nested": (ROOT + """
        $HTTP["host"] == "a" {
            $HTTP["url"] =~ "^/\\.well-known/" { server.document-root = "{dir}/one" }
            else $HTTP["scheme"] == "http" { server.document-root = "{dir}/two" }
        }
    """, {"a": "one", "b": "main", f"a/{TOKEN}": "two *"}),
    "prefix and suffix conditions": (ROOT + """
        $HTTP["host"] =^ "pre" { server.document-root = "{dir}/one" }
        $HTTP["host"] =$ ".post" { server.document-root = "{dir}/two" }
    """, {"prefix": "one", "x.post": "two", "x": "main"}),
    "variables and sums": ("""
        var.base = "{dir}"
        var.name = "one"
        server.document-root = var.base + "/" + var.name
        $HTTP["host"] == "a" { server.document-root += "/sub" }
        $HTTP["host"] == "b" { var.name = "two" server.document-root = var.base + "/" + var.name }
    """, {"x": "one", "a": "one/sub", "b": "two"}),
    "comments, escapes, one line": (ROOT + r"""
        # $HTTP["host"] == "a" { server.document-root = "{dir}/one" }
        server.tag = "a \" } # \" b" $HTTP["host"] == "b" { server.document-root = "{dir}/two" } # end
    """, {"a": "main", "b": "two"}),
    "included as long ago": (ROOT + 'include_shell "cat {dir}/conf.d/10*.conf {dir}/conf.d/20-b.conf"',
                             {"a": "one", "b": "two", "c": "main"}),
    "include": (ROOT + 'include "conf.d/*.conf"\ninclude "conf.d/none*.conf"', {"a": "one", "b": "two", "c": "main"}),
    "global": ('$HTTP["host"] == "a" { global { server.document-root = "{dir}/one" } }', {"a": "one", "b": "one"}),
    "relative document root": ('server.document-root = "relative"', {"x": "dead end"}),
    "alias": (ROOT + """
        alias.url = ("/.well-known/acme-challenge/" => "{dir}/one/")
        $HTTP["host"] == "b" { alias.url = ("/.well-known" => "{dir}/one") }
        $HTTP["host"] == "c" { alias.url = ("/.well-known/acme-challenge/" => "{dir}/x") }
        $HTTP["host"] == "d" { alias.url += ("/.well" => "{dir}/two") }
        $HTTP["host"] == "e" { alias.url = ("/.well-known/acme-challenge" => "{dir}/one",
                                           "/.well-known/" => "{dir}/two/") }
    """, {"a": "one *", "b": "one acme-challenge/*", "c": ". x*", "d": "one *", "e": "one *"}),
    "simple-vhost": (ROOT + """
        simple-vhost.server-root = "{dir}/vhosts/"
        simple-vhost.document-root = "/htdocs/"
        simple-vhost.default-host = "default"
        $HTTP["host"] == "none" { simple-vhost.default-host = "gone" }
    """, {"www.sample.com": "vhosts/www.sample.com/htdocs", "x": "vhosts/default/htdocs", "none": "main"}),
    "evhost": (ROOT + """
        evhost.path-pattern = "{dir}/ev/%0/%3/"
        $HTTP["host"] =~ "^s" { evhost.path-pattern = "{dir}/ev/%1/%{2.1}" }
    """, {"www.sample.com": "ev/sample.com/www", "x.other.com": "main", "sample.com": "ev/com/s"}),
    "rewrite-once": (ROOT + """
        url.rewrite-once = ("^/\\.well-known/acme-challenge/(.*)" => "/sub/.well-known/acme-challenge/$1",
                            "^/sub" => "/x")
        $HTTP["host"] =~ "^(\\w+)\\.users$" { url.rewrite-once = ("^(.*)$" => "/../caps/%1$1") }
        $HTTP["host"] == "b" { url.rewrite-once = ("^/\\.well-known" => "", "^/(.*)" => "/index.php/$1") }
        $HTTP["host"] == "c" { url.rewrite-once = ("^/(.*)" => "/index.php?$1") }
        $HTTP["host"] == "d" { url.rewrite-once = ("^(/.well.*)" => "/sub$1${qsa}") }
    """, {"a": "main sub/.well-known/acme-challenge/*", "b": "main", "c": "dead end",
          "d": "main sub/.well-known/acme-challenge/*"}),
    "rewrite-repeat": (ROOT + """
        url.rewrite-repeat = ("^/\\.well-known(.*)" => "/second$1", "^/second(.*)" => "/sub/.well-known$1")
        $HTTP["host"] == "b" { url.rewrite-repeat = ("^(.*)" => "/x$1") }
        $HTTP["host"] == "c" { url.rewrite-once = ("^/second/(.*)" => "/sub/$1") }
    """, {"a": "main sub/.well-known/acme-challenge/*", "b": "dead end", "c": "main"}),
    "rewrite-if-not-file leaves a file alone": (ROOT + 'url.rewrite-if-not-file = ("" => "/index.php")', {"a": "main"}),
    "a rewritten url meets other conditions": (ROOT + """
        url.rewrite-once = ("^/\\.well-known/(.*)" => "/else/.well-known/$1")
        $HTTP["url"] =~ "^/else" { alias.url = ("/else" => "{dir}/one") }
    """, {"a": "one"}),
    "redirects": (ROOT + """
        $HTTP["host"] =~ "^(www\\.)?(.*)\\.com$" { url.redirect = ("^/(.*)" => "https://%2.org/$1") }
        $HTTP["host"] == "b" { url.redirect = ("" => "https://${url.authority}${url.path}${qsa}")
                               url.redirect-code = 308 }
        $HTTP["host"] == "c" { url.redirect = ("^/\\.well-known/" => "", "" => "https://c/") }
        $HTTP["host"] == "d" { $HTTP["url"] !~ "^/\\.well-known/" { url.redirect = ("" => "https://d/") } }
    """, {"www.sample.com": f"301 https://sample.org{PATH}", "b": f"308 https://b{PATH}", "c": "main", "d": "main",
          "d/other": "301 https://d/", "b/other?q=1": "308 https://b/other?q=1"}),
    "access": (ROOT + """
        url.access-deny = ("~", ".inc")
        $HTTP["host"] == "b" { url.access-deny = ("") }
        $HTTP["url"] =~ "/\\." { $HTTP["host"] == "c" { url.access-deny = ("") } }
        $HTTP["host"] == "d" { url.access-allow = (".html") }
        $HTTP["host"] == "e" { url.access-allow = ("A") url.access-deny = ("") }
    """, {"a": "main", "b": "dead end", "c": "dead end", "d": "dead end", "e": "main"}),
    "proxies": (ROOT + """
        var.one = ("host" => "127.0.0.1", "port" => 8001)
        var.two = ("port" => 8002, "host" => "127.0.0.1")
        $HTTP["host"] == "a" { proxy.server = ("" => (var.one)) }
        $HTTP["host"] == "b" { proxy.server = ("" => (var.one, var.two)) }
        $HTTP["host"] == "c" { proxy.server = ("" => (("host" => "{dir}/echo.sock"))) }
        $HTTP["host"] == "d" { $HTTP["url"] !~ "^/\\.well-known/" { proxy.server = ("" => (var.one)) } }
        $HTTP["host"] == "e" { proxy.server = ("/.well" => (var.one), "/.well-known" => (var.two)) }
        $HTTP["host"] == "f" { proxy.server = (".php" => (var.one)) }
        $HTTP["host"] == "g" { proxy.server = ("/" => (var.one))
            proxy.header = ("map-urlpath" => ("/.well-known" => "/wk"), "map-host-request" => ("-" => "inner")) }
    """, {"a": f"to 127.0.0.1:8001 a {PATH}", "b": f"to 127.0.0.1:8001,127.0.0.1:8002 b {PATH}",
          "c": f"to unix:/echo.sock c {PATH}", "d": "main", "e": f"to 127.0.0.1:8001 e {PATH}", "f": "main",
          "g": f"to 127.0.0.1:8001 inner /wk/acme-challenge/{TOKEN}"}),
    "sockets": (ROOT + """
        server.bind = "203.0.113.10"
        $SERVER["socket"] == "127.0.0.1" { server.document-root = "{dir}/one" }
        $SERVER["socket"] == "203.0.113.11:80" { server.document-root = "{dir}/two" }
        $SERVER["socket"] == "[::]:80" { $HTTP["host"] == "a" { server.document-root = "{dir}/one/sub" } }
    """, {"a": "one", "a@203.0.113.10": "main", "a@203.0.113.11": "two", "a@2001:db8::10": "one/sub",
          "b@2001:db8::10": "main"}),
    "sockets of all addresses": (ROOT + """
        $SERVER["socket"] == ":80" { server.document-root = "{dir}/one" }
        $SERVER["socket"] != "[::]:80" { $HTTP["host"] == "b" { server.document-root = "{dir}/two" } }
    """, {"a@203.0.113.10": "one", "b@203.0.113.11": "two"}),
    "cgi for everything": (ROOT + 'cgi.assign = ("" => "/bin/true")', {"a": "dead end"}),
    "server.tag is nothing": (ROOT + 'server.tag = "x" + 1 + "y"', {"a": "main"}),
    "Debian's scripts": (ROOT + 'server.port = 80\ninclude_shell "/usr/share/lighttpd/use-ipv6.pl " + server.port\n'
                         'include_shell "/usr/share/lighttpd/create-mime.conf.pl"', {"a": "main"}),
}
