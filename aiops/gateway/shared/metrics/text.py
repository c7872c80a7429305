"""Numbers as Prometheus reads them (text format 0.0.4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from aiops.gateway.shared.metrics.series import ALL, OF_PROCESSES, Key
from aiops.gateway.shared.metrics.totals import Totals

if TYPE_CHECKING:
    from prometheus_client.core import Metric

TYPE = b"text/plain; version=0.0.4; charset=utf-8"

Numbers = Mapping[Key, float]


def numbers(totals: Totals, others: Numbers) -> dict[Key, float]:
    """All of it: what processes have counted, from 0 on, and what is known beside."""
    nothing: dict[Key, float] = {key: 0 for family in OF_PROCESSES for key in family.every()}
    known = nothing.keys()
    counted = {key: float(number) for key, number in (*totals.counters.items(), *totals.gauges.items()) if key in known}
    return {**nothing, **counted, **others}


def text(found: Numbers) -> str:
    """Of what no family knows nothing is told: it was counted by another version."""
    from prometheus_client import CollectorRegistry, generate_latest

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(found))
    return generate_latest(registry).decode()


class _Collector:
    def __init__(self, found: Numbers) -> None:
        self._found = found

    def collect(self) -> Iterable[Metric]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        for family in ALL:
            kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
            metric = kind(family.name, family.help, labels=family.labels)
            for key, number in self._found.items():
                if key[0] == family.name:
                    metric.add_metric(list(key[1:]), number)
            if metric.samples:
                yield metric
