"""The directory that a web server may serve for every site, and that renewals know without being told.

Nothing else is here: Certbot loads this module with every one of its commands.
"""

#: A document root for challenges alone; files go below ``.well-known/acme-challenge`` in it. Why this one:
#:
#: * The workers of every web server can enter it. Certbot's own ``/var/lib/letsencrypt`` and ``/etc/letsencrypt``, and
#:   the home directories, are shut to them on many systems.
#: * SELinux labels what is made in ``/var/www`` as web content (``httpd_sys_content_t``), and not what is made in
#:   ``/var/lib``; Debian's ``apache2.conf`` grants ``/var/www`` and refuses the rest.
#: * It belongs to the administrator, not to packages (Debian's lintian, ``dir-or-file-in-var-www``): so he makes it
#:   once, and a renewal never does.
#: * ``/var/www/acme``, the default of OpenBSD's acme-client(1), is a name that a customer's site may have.
DIRECTORY = "/var/www/autowebroot"
