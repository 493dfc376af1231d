"""HAProxy's table: configurations, and for each request its destinations."""
from tests.lab.cases import PATH
from tests.lab.cases import TOKEN
from tests.lab.cases import to

BACKENDS = """
backend one
    server s1 127.0.0.1:8001
backend two
    server s2 127.0.0.1:8002
backend three
    server s3 127.0.0.1:8003
"""
FRONT = "frontend front\n    bind :80\n"
#: Configuration, and the destination of each request (:func:`tests.lab.cases.request_for`).
CASES = {
    "default backend": (FRONT + "default_backend two" + BACKENDS, {"a": to(2, "a")}),
    "no backend at all": (FRONT + BACKENDS, {"a": "dead end"}),
    "listen": ("listen l\n bind :80\n server s 127.0.0.1:8001", {"a": to(1, "a")}),
    "listen with use_backend": ("listen l\n bind :80\n use_backend two if { hdr(host) b }\n server s 127.0.0.1:8001"
                                + BACKENDS, {"a": to(1, "a"), "b": to(2, "b")}),
    "named acls, several lines are or": (FRONT + """
        acl acme path_beg /.well-known/acme-challenge/
        acl mine hdr(host) -i A
        acl mine hdr_end(host) .users
        use_backend two if acme mine
        default_backend one""" + BACKENDS, {"a": to(2, "a"), "x.users": to(2, "x.users"), "b": to(1, "b"),
                                            "a/x": to(1, "a", "/x")}),
    "a number of a text": (FRONT + """
        use_backend two if { hdr(host) -m int 7 }
        use_backend three if { hdr(host) -m int le 0 }
        default_backend one""" + BACKENDS, {"7": to(2, "7"), "-7": to(3, "-7"), "a": to(3, "a"), "7a": to(2, "7a"),
                                            "8": to(1, "8")}),
    "and, or, not": (FRONT + """
        acl a hdr(host) a
        acl b hdr(host) b
        acl wk path_dir .well-known
        use_backend two if a !wk or b wk
        use_backend three unless a || b
        default_backend one""" + BACKENDS, {"a": to(1, "a"), "b": to(2, "b"), "c": to(3, "c"), "a/x": to(2, "a", "/x"),
                                            "b/x": to(1, "b", "/x")}),
    "anonymous acls": (FRONT + """
        use_backend two if { path_beg /.well } { hdr(host) -m beg a } || { hdr(host) -m str c }
        use_backend three if !{ hdr(host) -m sub d } ! { hdr(host) -m reg ^(e|f)$ }
        default_backend one""" + BACKENDS, {"abc": to(2, "abc"), "c": to(2, "c"), "d": to(1, "d"), "e": to(1, "e"),
                                            "g": to(3, "g")}),
    "suffixes": (FRONT + """
        use_backend two if { hdr_beg(host) www. }
        use_backend three if { hdr_dom(host) -i Sample }
        use_backend one if { path_sub acme } { hdr_reg(host) -i ^R[0-9]+$ }
        use_backend two if { path_end A } { hdr_len(host) 4 }""" + BACKENDS,
                 {"www.x": to(2, "www.x"), "x.sample.com": to(3, "x.sample.com"), "r12": to(1, "r12"),
                  "xsample": "dead end", "four": to(2, "four"), "five5": "dead end"}),
    "a dir is a whole component": (FRONT + """
        use_backend two if { path_dir well-known }
        use_backend three if { path_dir .well-known/acme-challenge }
        default_backend one""" + BACKENDS, {"a": to(3, "a"), "b/x/well-known": to(2, "b", "/x/well-known")}),
    "files and maps": (FRONT + """
        acl listed path_beg -f {dir}/paths.lst
        use_backend two if listed { hdr(host) a }
        use_backend %[hdr(host),map_end({dir}/hosts.map)] if { hdr_end(host) .users }
        use_backend %[hdr(host),map_reg({dir}/regex.map,one)] if { hdr_beg(host) x. }
        use_backend %[hdr(host),field(1,.)] if { hdr_beg(host) three. }
        use_backend %[req.hdr(host),lower,map({dir}/hosts.map)] if listed
        use_backend three
        default_backend one""" + BACKENDS, {"a": to(2, "a"), "b": to(3, "b"), "q.users": to(1, "q.users"),
                                    "x.y": to(3, "x.y"), "three.a": to(3, "three.a"), "other": to(1, "other")}),
    "quotes and escapes": (FRONT + r"""
        acl a hdr(host) 'a' # or b
        acl re path_reg ^/\.well-known/ "^/nothing\.here"
        acl sp hdr(host) with\ space "b"
        use_backend two if a re
        use_backend three if sp
        default_backend one""" + BACKENDS, {"a": to(2, "a"), "b": to(3, "b"),
                                            "a/xwell-known/": to(1, "a", "/xwell-known/")}),
    "redirects": (FRONT + """
        http-request redirect scheme https code 301 if { hdr(host) a } !{ ssl_fc }
        http-request redirect location https://%[hdr(host)]:443%[path] if { hdr(host) b }
        http-request redirect prefix https://www.b code 308 drop-query if { hdr(host) c }
        redirect scheme https if { hdr(host) d } !{ path_beg /.well-known/ }
        redirect prefix / code 302 append-slash if { hdr(host) e }
        http-request redirect code 303 location "https://x/?q=%[url,regsub(^/,,)]" if { hdr(host) f }
        http-request redirect location https://y/ unless { hdr(host) -i d g }
        default_backend one""" + BACKENDS,
                  {"a": f"301 https://a{PATH}", "b": f"302 https://b:443{PATH}", "c/x?y=z": "308 https://www.b/x",
                   "d": to(1, "d"), "d/x?y": "302 https://d/x?y", "e": "302 https://y/", "g": to(1, "g"),
                   "f/p": "303 https://x/?q=p", "zz": "302 https://y/"}),
    "redirects to the URI as it came in": (FRONT + """
        http-request set-path /changed
        http-request redirect location https://%[hdr(host)]%[capture.req.uri] if { hdr(host) a }
        http-request redirect location https://b%HU if { hdr(host) b }
        http-request redirect location https://c%HP if { capture.req.method GET }""",
                                           {"a": f"302 https://a{PATH}", "a/x?y=z": "302 https://a/x?y=z",
                                            "b/x?y=z": "302 https://b/x?y=z", "c/x?y=z": "302 https://c/x"}),
    "an address for a name": (FRONT + """
        http-request redirect scheme https if { hdr(host) [2001:db8::1] }
        use_backend two if { req.hdr(host),host_only -i [2001:DB8::2] }
        default_backend one""" + BACKENDS,
                              {"2001:db8::1": f"302 https://[2001:db8::1]{PATH}", "2001:db8::2": to(2, "2001:db8::2"),
                               "192.0.2.1": to(1, "192.0.2.1")}),
    "http-request rules come before redirect rules": (FRONT + """
        redirect location https://late/
        http-request redirect location https://first/ if { hdr(host) a }
        http-request deny if { hdr(host) b }""", {"a": "302 https://first/", "b": "dead end", "c": "302 https://late/"}),
    "answers of its own": (FRONT + """
        acl acme path_beg /.well-known/acme-challenge/
        http-request return status 200 content-type text/plain lf-string "%[path,field(-1,/)].thumb" if acme
        default_backend one""" + BACKENDS, {"a": "dead end", "a/x": to(1, "a", "/x")}),
    "deny, allow": (FRONT + """
        http-request allow if { path_beg /.well-known/acme-challenge/ } { hdr(host) a }
        http-request deny deny_status 404 if { path_sub /. }
        default_backend one""" + BACKENDS, {"a": to(1, "a"), "b": "dead end", "b/x": to(1, "b", "/x")}),
    "allow does not hold for the backend": (FRONT + """
        http-request allow
        http-request deny
        default_backend strict
    backend strict
        http-request deny if { hdr(host) b }
        server s 127.0.0.1:8001""", {"a": to(1, "a"), "b": "dead end"}),
    "changed paths": (FRONT + """
        http-request set-path /one%[path] if { hdr(host) a }
        http-request replace-path ^/\\.well-known(/.*)$ /wk\\1 if { hdr(host) b }
        http-request set-path %[path,regsub(^/.well-known/,/)] if { hdr(host) c }
        http-request replace-uri ([^?]*)(.*) /u\\1?q=1 if { hdr(host) d }
        use_backend two if { path_beg /one/ }
        default_backend one""" + BACKENDS,
                      {"a": to(2, "a", f"/one{PATH}"), "b": to(1, "b", f"/wk/acme-challenge/{TOKEN}"),
                       "c": to(1, "c", f"/acme-challenge/{TOKEN}"), "d": to(1, "d", f"/u{PATH}")}),
    "changed host": (FRONT + """
        http-request set-header Host new.%[hdr(host)] if { hdr(host) a }
        http-request replace-header Host ^b\\.(.*) \\1.b if { hdr_beg(host) b. }
        http-request set-header X-Host other
        use_backend two if { hdr(host) new.a }
        default_backend back
    backend back
        http-request set-header host inner if { hdr(host) c }
        server s 127.0.0.1:8001""" + BACKENDS,
                     {"a": to(2, "new.a"), "b.x": to(1, "x.b"), "c": to(1, "inner"), "d": to(1, "d")}),
    "variables": (FRONT + """
        http-request set-var(txn.host) req.hdr(host),lower
        http-request set-var(txn.part) var(txn.host),field(2,.)
        http-request set-var-fmt(txn.both) %[method]-%[var(txn.host)]
        use_backend three if { var(txn.both) -m str GET-e }
        use_backend two if { var(txn.part) -m str users }
        use_backend three if { var(txn.host) -m beg c }
        default_backend one""" + BACKENDS, {"a.users": to(2, "a.users"), "c": to(3, "c"), "d": to(1, "d"),
                                            "e": to(3, "e")}),
    "converters": (FRONT + """
        use_backend two if { path,url_dec -m beg /.well-known/acme } { hdr(host) a }
        use_backend three if { path,word(2,/) acme-challenge } { hdr(host),length 2 }
        use_backend three if { path,word(-1,/) x } { hdr(host) c }
        use_backend %[path,field(4,/),map({dir}/hosts.map,two)] if { hdr(host) d }
        use_backend %[path,word(3,/),map({dir}/hosts.map,two)] if { hdr(host) e }
        default_backend one""" + BACKENDS, {"a": to(2, "a"), "bb": to(3, "bb"), "c/a/x": to(3, "c", "/a/x"),
                                            "c/a/b": to(1, "c", "/a/b"), "d/a": to(1, "d", "/a"),
                                            "d/a/a/b": to(3, "d", "/a/a/b"), "e/a/b/c": to(2, "e", "/a/b/c")}),
    "an environment of its own": ("""
    global
        setenv HOST 127.0.0.1
        setenv PORT 8001
        setenv PORT 8002
        presetenv PORT 8003
        presetenv END x
    listen l
        bind :80
        server s "${HOST}:${PORT}"
        server t 127.0.0.1:8001 backup
        http-request set-path "%[path]${END}"
        """, {"a": to(2, "a", PATH + "x")}),
    "several servers, all count": (FRONT + """
        default_backend many
    backend many
        balance roundrobin
        server a 127.0.0.1:8001
        server b 127.0.0.1:8002
        server c 127.0.0.1:8003 backup
        server d 127.0.0.1:9 disabled""", {"a": f"to 127.0.0.1:8001,127.0.0.1:8002 a {PATH}"}),
    "use-server": (FRONT + """
        default_backend many
    backend many
        use-server b if { hdr(host) b }
        server a 127.0.0.1:8001
        server b 127.0.0.1:8002 weight 0""", {"b": to(2, "b")}),
    "backup alone": (FRONT + " default_backend b\nbackend b\n server c 127.0.0.1:8003 backup", {"a": to(3, "a")}),
    "no server": (FRONT + " default_backend b\nbackend b\n balance roundrobin", {"a": "dead end"}),
    "kinds of addresses": (FRONT + """
        use_backend six if { hdr(host) six }
        use_backend unix if { hdr(host) unix }
        use_backend unix2 if { hdr(host) unix2 }
        use_backend offset if { hdr(host) offset }
    backend six
        server s [::1]:8004
    backend unix
        server s unix@{dir}/echo.sock
    backend unix2
        server s {dir}/echo.sock
    backend offset
        server s 127.0.0.1:+7921""", {"six": f"to [::1]:8004 six {PATH}", "unix": f"to unix:/echo.sock unix {PATH}",
                                      "unix2": f"to unix:/echo.sock unix2 {PATH}", "offset": to(1, "offset")}),
    "send-proxy": (FRONT + """
        use_backend proxied if { hdr(host) a }
        default_backend plain
    backend proxied
        default-server send-proxy
        server s 127.0.0.1:8005
    backend plain
        default-server send-proxy
        server s 127.0.0.1:8001 no-send-proxy""", {"a": to(5, "a"), "b": to(1, "b")}),
    "tcp mode passes everything": ("""
    listen l
        mode tcp
        bind :80
        server s 127.0.0.1:8001""", {"a": to(1, "a")}),
    "bind to addresses": ("""
    frontend wide
        bind *:80
        default_backend one
    frontend exact
        bind 203.0.113.10:80,203.0.113.11:81
        default_backend two
    frontend six
        bind :::80 v6only
        default_backend three""" + BACKENDS, {"a": to(1, "a"), "a@203.0.113.10": to(2, "a"),
                                              "a@203.0.113.11": to(1, "a"), "a@2001:db8::10": to(3, "a")}),
    "dual stack": ("""
    frontend dual
        bind [::]:80 v4v6
        use_backend two if { dst 203.0.113.0/24 }
        use_backend three if { dst_port ge 1024 }
        default_backend one""" + BACKENDS, {"a": to(1, "a"), "a@203.0.113.10": to(2, "a"),
                                            "a@2001:db8::10": to(1, "a")}),
    "named defaults": ("""
    defaults special from http
        default_backend three
    frontend f from http
        bind :80
        default_backend one
    frontend g from special
        bind :81""" + BACKENDS, {"a": to(1, "a")}),
    "the last defaults before": ("""
    defaults
        mode http
        timeout client 5s
        timeout server 5s
        timeout connect 5s
        default_backend three
    frontend g
        bind :80""" + BACKENDS, {"a": to(3, "a")}),
    "tcp-request": (FRONT + """
        tcp-request inspect-delay 5s
        tcp-request content reject if { hdr(host) b }
        default_backend one""" + BACKENDS, {"a": to(1, "a"), "b": "dead end"}),
    "monitor-uri": (FRONT + f" monitor-uri {PATH}\n default_backend one" + BACKENDS, {"a": "dead end"}),
}
