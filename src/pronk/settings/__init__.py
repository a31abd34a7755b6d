"""Settings: one definition for flags, environment and file. The only place that reads the environment."""

from pronk.settings.client import ClientSettings, child_environment, client_settings, names_server
from pronk.settings.load import load
from pronk.settings.secret import Secret
from pronk.settings.tree import Settings

__all__ = [
    "ClientSettings",
    "Secret",
    "Settings",
    "child_environment",
    "client_settings",
    "load",
    "names_server",
]
