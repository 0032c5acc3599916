"""Every job that has keys in the configuration file; a new job's class is added here."""

from __future__ import annotations

from redirector.settings.clouds import Clouds
from redirector.settings.crawl import Crawl
from redirector.settings.joining import Joining
from redirector.settings.mail import Telling
from redirector.settings.masters import Masters
from redirector.settings.network import Network
from redirector.settings.oidc import LoggingIn
from redirector.settings.registry import Registry, RegistryAtTop
from redirector.settings.scanning import Scanning
from redirector.settings.serving import Config
from redirector.settings.statistics import Statistics
from redirector.settings.web import Web

JOBS: tuple[type, ...] = (
    Config,
    Network,
    Telling,
    Masters,
    Scanning,
    Crawl,
    Statistics,
    Registry,
    RegistryAtTop,
    Web,
    Joining,
    LoggingIn,
    Clouds,
)


def section_of(job: type) -> str:
    """The name below which the keys of *job* stand; "": at the top of the file."""
    section: str = getattr(job, "SECTION", "")
    return section
