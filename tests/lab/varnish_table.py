"""Varnish's table: configurations, and for each request its destinations."""
from tests.lab.cases import PATH
from tests.lab.cases import to

BACKENDS = """
backend one { .host = "127.0.0.1"; .port = "8001"; }
backend two {
    .host = "127.0.0.1"; # comment
    .port = "8002";
    .probe = { .url = "/"; .interval = 60s; .initial = 8; }
}
backend unix { .path = "{dir}/echo.sock"; }
backend proxied { .host = "127.0.0.1"; .port = "8005"; .proxy_header = 1; }
backend nowhere none;
"""
#: Starting Varnish compiles its VCL with a C compiler, half a second: many rules in few configurations.
CASES = {
    "backends, hosts, urls, rewrites": (BACKENDS + """
acl everybody { "0.0.0.0"/0; "::"/0; }
sub vcl_recv {
    /* a comment; if (x) { */
    if (req.url ~ "^/\\.well-known/acme-challenge/" && req.http.host == "a") {
        set req.backend_hint = two;
    } elseif (req.http.Host ~ "^(u|unix)$" || req.http.host == "v") {
        set req.backend_hint = unix;
    } else if (!(req.http.host != "p")) {
        set req.backend_hint = proxied;
        return (pass);
    } elsif (req.http.host == "n") {
        set req.backend_hint = nowhere;
    } else {
        std.log("else");
        set req.http.X-Seen = "yes" + req.url;
    }
    if (req.http.host ~ "^www\\.") {
        set req.http.host = regsub(req.http.host, "^www\\.(.*)$", "\\1.inner");
        set req.url = "/prefix" + req.url;
    }
    set req.url = std.querysort(req.url);
    if (req.url == "/sorted?a=1&b=2&b=3") { set req.backend_hint = two; }
    if (req.http.X-Seen == "yes/seen") { set req.backend_hint = two; }
    if (req.method == "PURGE") { return (purge); }
    if (req.restarts > 0 || req.http.host == "synth") { return (synth(404)); }
    if (req.http.host == "[2001:db8::1]") { set req.backend_hint = two; }
    if (req.http.host == "redirect") { return (synth(750, "https://new.test" + req.url)); }
    if (req.http.host == "plain" && std.port(server.ip) == 80) { return (synth(301, "moved")); }
    call more;
}
sub more {
    if (req.http.host.lower() == "dotted") { set req.backend_hint = two; }
    if (req.http.host == "all") { set req.url = regsuball(req.url, "/+", "/x/"); return (hash); }
    if (req.url == "/q?a=b") { set req.http.host = std.tolower("Q" + req.http.host); }
}
sub vcl_backend_fetch {
    if (bereq.http.host == "late") { set bereq.backend = two; set bereq.http.host = "later"; }
}
sub vcl_recv { if (req.http.host == "second") { set req.backend_hint = two; return (pipe); } }
include "./included.vcl";
sub vcl_synth {
    if (resp.status == 750) {
        set resp.http.Location = resp.reason;
        set resp.status = 308;
        return (deliver);
    }
    if (resp.status == 301) { set resp.http.location = "https://" + req.http.host + req.url; }
}
""", {"a": to(2, "a"), "a/x": to(1, "a", "/x"), "u": f"to unix:/echo.sock u {PATH}",
      "v": f"to unix:/echo.sock v {PATH}",
      "p": to(5, "p"), "x/sorted?b=3&&a=1&b=2": to(2, "x", "/sorted"), "2001:db8::1": to(2, "2001:db8::1"),
      "n": "dead end", "www.b": to(1, "b.inner", f"/prefix{PATH}"), "x/seen": to(2, "x", "/seen"),
      "synth": "dead end", "redirect": f"308 https://new.test{PATH}", "plain": f"301 https://plain{PATH}",
      "all/a//b": to(1, "all", "/x/a/x/b"), "x/q?a=b": to(1, "qx", "/q"), "late": to(2, "later"),
      "second": to(2, "second"), "dotted": to(2, "dotted"), "inc": to(2, "inc"), "other": to(1, "other")}),
    "a director": (BACKENDS + """
backend default { .host = "127.0.0.1"; .port = "8001"; }
sub vcl_init {
    new d = directors.round_robin();
    d.add_backend(one);
    d.add_backend(two);
    new f = directors.fallback();
    f.add_backend(unix);
}
sub vcl_recv {
    if (req.http.host == "d") { set req.backend_hint = d.backend(); }
    if (req.http.host == "f") { set req.backend_hint = f.backend(); }
}
""", {"d": f"to 127.0.0.1:8001,127.0.0.1:8002 d {PATH}", "f": f"to unix:/echo.sock f {PATH}", "x": to(1, "x")}),
}
