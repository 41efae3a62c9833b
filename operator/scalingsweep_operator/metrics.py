"""What Prometheus is told of the operator. `server` shows it; `api`, `look` and `reconcile` count.

Labels are bounded: names of sweeps and trials are in none of them.
"""

from collections import Counter as Tally
from collections.abc import Iterator, Mapping

import prometheus_client
from prometheus_client.core import CollectorRegistry, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from scalingsweep.api.outcome import Class
from scalingsweep.api.status import Phase, TrialCounts

_UNKNOWN = "Pending"
_SWEEPS = (_UNKNOWN, *map(str, Phase))
_TRIALS = tuple(name for name in TrialCounts.model_fields if name != "planned")
_SECONDS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)


class Metrics:
    """All of one process, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._reconciles = prometheus_client.Counter(
            "scalingsweep_reconciles", "Looks at a sweep.", ["result"], registry=self.registry
        )
        self._duration = prometheus_client.Histogram(
            "scalingsweep_reconcile_seconds",
            "How long a look at a sweep takes.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._calls = prometheus_client.Counter(
            "scalingsweep_api_calls",
            "Calls of the API server; code error: no answer.",
            ["verb", "code"],
            registry=self.registry,
        )
        self._attempts = prometheus_client.Counter(
            "scalingsweep_attempts",
            "Attempts at trials that have ended.",
            ["class"],
            registry=self.registry,
        )
        self._gpu_seconds = prometheus_client.Counter(
            "scalingsweep_gpu_seconds",
            "GPU time of trials, as far as this process has counted it.",
            registry=self.registry,
        )
        self._leads = prometheus_client.Gauge(
            "scalingsweep_leads", "Whether this process holds the Lease.", registry=self.registry
        )
        self._sweeps = _Sweeps()
        self.registry.register(self._sweeps)

    def api_call(self, verb: str, code: str) -> None:
        """The API server has answered, or (`error`) has not."""
        self._calls.labels(verb, code).inc()

    def reconciled(self, result: str, seconds: float) -> None:
        """A look is over: `done`, `later` or `error`."""
        self._reconciles.labels(result).inc()
        self._duration.observe(seconds)

    def attempt_ended(self, klass: Class) -> None:
        """An attempt at a trial has ended."""
        self._attempts.labels(str(klass)).inc()

    def gpu_seconds(self, added: float) -> None:
        """GPU time was counted."""
        self._gpu_seconds.inc(added)

    def leads(self, *, leads: bool) -> None:
        """Whether this process holds the Lease."""
        self._leads.set(1.0 if leads else 0.0)

    def sweep(
        self, namespace: str, name: str, phase: str | None, trials: Mapping[str, int]
    ) -> None:
        """Where a sweep and its trials stand now."""
        self._sweeps.known[namespace, name] = phase or _UNKNOWN, dict(trials)

    def forgotten(self, namespace: str, name: str) -> None:
        """A sweep is gone."""
        self._sweeps.known.pop((namespace, name), None)

    def text(self) -> bytes:
        """Everything, in Prometheus' text format."""
        return prometheus_client.generate_latest(self.registry)


class _Sweeps(Collector):
    """Counts by phase, made when they are asked for."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, str], tuple[str, dict[str, int]]] = {}

    def collect(self) -> Iterator[Metric]:
        # a series that ends at its last value is no zero: every phase is always there
        sweeps, trials = Tally(dict.fromkeys(_SWEEPS, 0)), Tally(dict.fromkeys(_TRIALS, 0))
        for phase, counts in self.known.values():
            sweeps[phase] += 1
            trials.update(counts)
        for name, text, tally in (
            ("scalingsweep_sweeps", "Sweeps by phase.", sweeps),
            ("scalingsweep_trials", "Trials by phase.", trials),
        ):
            family = GaugeMetricFamily(name, text, labels=["phase"])
            for phase, count in sorted(tally.items()):
                family.add_metric([phase], count)
            yield family
