"""A Caddyfile with sites of every kind of address."""

CADDYFILE = """\
{
\tadmin off
}

(snippet) {
\trespond no
}

www.sample.com:8080, # a comment {
\thttps://www.sample.com/path {
\thandle {
\t\trespond "}" # {
\t}
}
*.sample.org {
}
import sites/*.caddy
:80 {
}
"""
