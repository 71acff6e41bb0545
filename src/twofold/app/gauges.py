"""What the stores hold and have lost, for `/metrics`: with the receivers' counts it shows that nothing is missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from twofold.app.stores import Stores
from twofold.records.entity import DEFAULT_TENANT

OUTCOMES: Final = ("taken", "stored", "duplicate", "replayed", "unreadable")


class StoreMetrics:
    """A collector of `prometheus_client`; asked once a scrape, costs no disk access.

    `twofold_history_rows_total{outcome}`: taken = stored + duplicate + those still in memory; replayed rows stood
    there before, unreadable ones stand in frames that cannot be decoded.
    """

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    def collect(self) -> Sequence[Metric]:
        """Everything as of now."""
        journal, history, catalog = self._stores.journal, self._stores.history, self._stores.catalog
        rows = CounterMetricFamily("twofold_history_rows", "Rows by what the history did with them", labels=["outcome"])
        for outcome in OUTCOMES:
            rows.add_metric([outcome], history.counts[outcome])
        return [
            GaugeMetricFamily("twofold_journal_bytes", "Bytes that the journal keeps", journal.size_bytes()),
            GaugeMetricFamily(
                "twofold_journal_unread_bytes", "Bytes that the slowest consumer has not taken", journal.unread_bytes()
            ),
            CounterMetricFamily(
                "twofold_journal_damaged_bytes",
                "Bytes that readers met and that fail their check",
                journal.damaged_bytes(),
            ),
            rows,
            GaugeMetricFamily(
                "twofold_history_damaged_files",
                "Files that are not what was written; their rows are left out",
                history.damaged_files(),
            ),
            GaugeMetricFamily(
                "twofold_history_unindexed_files",
                "Files that searches read as a whole: of an earlier version, or with a damaged index",
                history.unindexed_files(),
            ),
            GaugeMetricFamily("twofold_catalog_series", "Series known", catalog.count(tenant=DEFAULT_TENANT)),
            GaugeMetricFamily(
                "twofold_catalog_damaged_lines",
                "Definitions that fail their check and were left out",
                catalog.damaged_lines(),
            ),
        ]
