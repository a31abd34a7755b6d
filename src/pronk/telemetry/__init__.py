"""Logs, and what is measured: every metric, plain counting for hot paths, outages, and the answer to a scrape."""

from pronk.telemetry.logs import configure_logs
from pronk.telemetry.outages import OUTAGES, Outages, Part
from pronk.telemetry.plain import Counts, Tally, show, shown
from pronk.telemetry.scrape import CONTENT_TYPE, VARIABLE, Folder, render

__all__ = [
    "CONTENT_TYPE",
    "OUTAGES",
    "VARIABLE",
    "Counts",
    "Folder",
    "Outages",
    "Part",
    "Tally",
    "configure_logs",
    "render",
    "show",
    "shown",
]
