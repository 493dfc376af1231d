"""Packaging of certbot-autowebroot."""
import re
from pathlib import Path

from setuptools import find_packages
from setuptools import setup

HERE = Path(__file__).parent
VERSION = re.search(r'__version__ = "([^"]+)"', (HERE / "certbot_autowebroot" / "__init__.py").read_text())[1]

setup(
    name="certbot-autowebroot",
    version=VERSION,
    description="Certbot authenticator that renews whether port 80 is free or taken",
    long_description=(HERE / "README.rst").read_text(encoding="utf-8"),
    long_description_content_type="text/x-rst",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.9",
    packages=find_packages(include=["certbot_autowebroot", "certbot_autowebroot.*"]),
    package_data={"certbot_autowebroot": ["py.typed"]},
    # No upper bounds, and lower ones only where something older is known to fail: up to Certbot 2.7 a requirement
    # that is not met stops every certbot command of the user, whatever plugin he uses.
    install_requires=["certbot>=1.21", "acme>=1.21", "josepy", "zope.interface"],
    entry_points={"certbot.plugins": ["autowebroot = certbot_autowebroot.authenticator:Authenticator"]},
    classifiers=[
        "Development Status :: 4 - Beta",
        "Environment :: Plugins",
        "Intended Audience :: System Administrators",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Topic :: Internet :: WWW/HTTP",
        "Topic :: Security",
        "Topic :: System :: Systems Administration",
    ],
)
