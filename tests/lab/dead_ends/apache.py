"""Dead ends in Apache httpd."""
import sys
from pathlib import Path
from typing import Dict
from typing import Mapping

from certbot_autowebroot import settings
from certbot_autowebroot.servers.apache.snippet import lines
from tests.lab.apache import DEFAULT_MODULES
from tests.lab.apache import Apache
from tests.lab.dead_ends import DeadEnd

#: Debian's libapache2-mod-jk, unpacked by tools/setup.sh, or installed.
_UNPACKED = Path(sys.prefix) / "apache-modules"
_JK = (_UNPACKED if _UNPACKED.is_dir() else Path("/")) / "usr/lib/apache2/modules/mod_jk.so"


def host(text: str) -> str:
    """A virtual host of the name."""
    return f"<VirtualHost *:80>\n    ServerName {{name}}\n{text}\n</VirtualHost>\n"


def site(text: str, directory: str = "Require all granted\n        AllowOverride All") -> str:
    """A virtual host with a document root."""
    return host("    DocumentRoot {dir}/root\n    <Directory {dir}/root>\n        Options FollowSymLinks\n"
                f"        {directory}\n    </Directory>\n{text}")


def make(directory: Path, sites: Mapping[Path, str]) -> Apache:
    """An Apache httpd whose sites are files of their own, as in sites-enabled."""
    for path, text in sites.items():
        path.write_text(text)
    modules = (*DEFAULT_MODULES, "access_compat", "authn_core", "authn_file", "auth_basic", "authz_user", "cgid")
    servlets = f"LoadModule jk_module {_JK}\n" if any("JkMount" in text for text in sites.values()) else ""
    return Apache(directory / "apache", f"{servlets}Listen 80\n<Directory />\nRequire all denied\n</Directory>\n"
                  + "".join(f"Include {path}\n" for path in sites), modules)


_ROOT = "mkdir root && echo shop > root/index.php"


def htaccess(text: str) -> DeadEnd:
    """A site with this .htaccess file."""
    return DeadEnd(site(""), f"{_ROOT} && cat > root/.htaccess << 'END'\n{text}\nEND")


DEAD_ENDS: Dict[str, DeadEnd] = {
    # Proxies.
    "application": DeadEnd(host("    ProxyPass / http://{app}/\n    ProxyPassReverse / http://{app}/")),
    "application in a location": DeadEnd(host("    <Location />\n        ProxyPass http://{app}/\n    </Location>")),
    "application by a rewrite": DeadEnd(host("    RewriteEngine On\n    RewriteRule ^/(.*) http://{app}/$1 [P]")),
    "application by a pattern": DeadEnd(host("    ProxyPassMatch ^/(.*)$ http://{app}/$1")),
    "application of several members": DeadEnd(host(
        "    <Proxy balancer://{id}>\n        BalancerMember http://{app}\n    </Proxy>\n    ProxyPass / balancer://{id}/")),
    "application, whose proxy is closed": DeadEnd(host(
        "    ProxyPass / http://{app}/\n    <Proxy *>\n        Require all denied\n    </Proxy>")),
    "servlets": DeadEnd(
        "JkWorkersFile {dir}/workers\nJkLogFile {dir}/jk.log\nJkShmFile {dir}/jk.shm\n" + site("    JkMount /* tomcat"),
        _ROOT + "\nprintf 'worker.list=tomcat\\nworker.tomcat.type=ajp13\\nworker.tomcat.host=127.0.0.1\\n"
        "worker.tomcat.port=8001\\n' > workers", alone=True),
    "handler of all requests": DeadEnd(site('    <Location />\n        SetHandler "proxy:fcgi://127.0.0.1:8001"\n'
                                            "    </Location>"), _ROOT),
    "script for all requests": DeadEnd(site("    ScriptAlias / {dir}/root/index.php/"), _ROOT),
    # Redirects.
    "redirect": DeadEnd(host("    Redirect permanent / https://other.example/")),
    "redirect by a pattern": DeadEnd(host("    RedirectMatch 302 ^/(.*)$ https://other.example/$1")),
    "redirect to https, where no program listens": DeadEnd(host(
        "    RewriteEngine On\n    RewriteCond %{HTTPS} off\n"
        "    RewriteRule ^ https://%{HTTP_HOST}%{REQUEST_URI} [R=301,L]")),
    "redirect in a location": DeadEnd(host(
        "    <Location />\n        Redirect permanent https://other.example/\n    </Location>")),
    "redirect in a location before a directory": DeadEnd(site(
        "    <Location />\n        Redirect permanent https://other.example/\n    </Location>"), _ROOT),
    "redirect in an else": DeadEnd(host(
        "    <If \"%{HTTP_HOST} == 'x'\">\n        Require all granted\n    </If>\n    <Else>\n"
        "        Redirect 301 https://other.example/\n    </Else>")),
    "redirect without a slash": DeadEnd(
        host("    Redirect permanent / http://to.{name}") + site("").replace("{name}", "to.{name}"), _ROOT,
        remote="to.{name}.well-known"),
    "gone": DeadEnd(site("    Redirect gone /.well-known"), _ROOT),
    "dot files are not found": DeadEnd(site("    RedirectMatch 404 /\\."), _ROOT),
    # Access control.
    "location is denied": DeadEnd(host("    <Location />\n        Require all denied\n    </Location>")),
    "location is denied as in 2.2": DeadEnd(site(
        "    <Location />\n        Order allow,deny\n        Deny from all\n    </Location>"), _ROOT),
    "agent is denied as in 2.2": DeadEnd(site(
        "    SetEnvIfNoCase User-Agent encrypt bad\n    <Location />\n        Order allow,deny\n"
        "        Allow from all\n"
        "        Deny from env=bad\n    </Location>"), _ROOT),
    "dot files are denied": DeadEnd(site(
        "    <LocationMatch \"/\\.\">\n        Require all denied\n    </LocationMatch>"), _ROOT),
    "dot directories are denied": DeadEnd(site(
        "    <DirectoryMatch \"/\\.\">\n        Require all denied\n    </DirectoryMatch>"), _ROOT),
    "addresses": DeadEnd(site("", "Require ip 10.0.0.0/8"), _ROOT),
    "password": DeadEnd(site("", "AuthType Basic\n        AuthName members\n        AuthUserFile {dir}/users\n"
                             "        Require valid-user"), _ROOT + " && echo a:b > users"),
    "methods": DeadEnd(site("", "<LimitExcept POST>\n            Require all denied\n        </LimitExcept>"), _ROOT),
    "rule refuses": DeadEnd(site('    RewriteEngine On\n    RewriteRule "(^|/)\\." - [F]'), _ROOT),
    "rule refuses, by the agent": DeadEnd(site(
        "    RewriteEngine On\n    RewriteCond %{HTTP_USER_AGENT} encrypt [NC]\n    RewriteRule ^ - [F]"), _ROOT),
    "rules of an included file": DeadEnd(site("    Include {dir}/rules.inc"),
                                         _ROOT + " && printf 'RewriteEngine On\\nRewriteRule ^ - [F]\\n' > rules.inc"),
    # Directories.
    "directory that is gone": DeadEnd(host("    DocumentRoot {dir}/gone")),
    "alias that is gone": DeadEnd(site("    Alias /.well-known {dir}/gone"), _ROOT),
    "directory that its user may not enter": DeadEnd(site(""), _ROOT + " && chmod 700 root"),
    "symbolic links are off": DeadEnd(
        host("    DocumentRoot {dir}/link\n    <Directory {dir}>\n        Options None\n        Require all granted\n"
             "    </Directory>"), _ROOT + " && ln -s root link"),
    "every path is a page": DeadEnd(site("    AliasMatch ^/ {dir}/root/index.php"), _ROOT),
    "host of a macro": DeadEnd(
        "<Macro Site_{id} $name>\n<VirtualHost *:80>\n    ServerName $name\n    ProxyPass / http://{app}/\n"
        "</VirtualHost>\n</Macro>\nUse Site_{id} {name}\n"),
    # .htaccess files. The owner of such a site has no access to the virtual host.
    "front controller": htaccess("RewriteEngine On\nRewriteRule ^ index.php [L]"),
    "front controller of Drupal 7": htaccess(
        'RewriteEngine on\nRewriteRule "(^|/)\\." - [F]\nRewriteCond %{REQUEST_FILENAME} !-f\n'
        "RewriteCond %{REQUEST_FILENAME} !-d\nRewriteRule ^ index.php [L]"),
    "files are denied": htaccess('<FilesMatch ".">\n    Require all denied\n</FilesMatch>'),
    "all is denied": htaccess("Require all denied"),
    "all is denied as in 2.2": htaccess("Order deny,allow\nDeny from all"),
    "both": htaccess("Require all denied\nRewriteEngine On\nRewriteRule (^|/)\\. - [F]"),
    "both as in 2.2": htaccess("RewriteEngine On\nRewriteRule (^|/)\\. - [F]\nOrder deny,allow\nDeny from all"),
    "redirect of a .htaccess": htaccess("Redirect 301 / https://other.example/"),
    "redirect of a .htaccess by a pattern": htaccess("RedirectMatch 301 ^/(.*)$ https://other.example/$1"),
    "redirect of a .htaccess without a slash": htaccess("Redirect 301 / https://other.example"),
    "https of a .htaccess": htaccess(
        "RewriteEngine On\nRewriteCond %{HTTPS} !=on\nRewriteRule ^ https://%{HTTP_HOST}%{REQUEST_URI} [L,R=301]"),
    "subdirectory": DeadEnd(site(""), _ROOT + " && mkdir -p root/.well-known && echo 'Require all denied'"
                            " > root/.well-known/.htaccess"),
    # The lines are there, in vain.
    "lines behind a refusal": DeadEnd(host(
        "    RewriteEngine On\n    RewriteRule ^ - [F]\n" + "\n".join(lines(settings.SHARED_DIRECTORY))),
        f"install -d -m 755 {settings.SHARED_DIRECTORY}"),
    # The file of a panel that includes files of the owner's.
    "HestiaCP": DeadEnd(
        "#==========================================================================#\n"
        "# DO NOT MODIFY THIS FILE! CHANGES WILL BE LOST WHEN REBUILDING DOMAINS    #\n"
        "#==========================================================================#\n\n"
        + host("    ProxyPass / http://{app}/\n    IncludeOptional {dir}/apache2.conf_*")),
    "Virtualmin": DeadEnd(site(
        "    ScriptAlias /cgi-bin/ {dir}/cgi-bin/\n"
        "    RedirectMatch ^/(?!.well-known/old)(.*)$ https://{name}/$1"), _ROOT),
    # No virtual host of the name.
    "no virtual hosts": DeadEnd("ProxyPass / http://{app}/\n", alone=True),
    "default host": DeadEnd("<VirtualHost *:80>\n    ServerName other.sample.com\n    Redirect / https://other.example/\n"
                            "</VirtualHost>\n", alone=True),
}
