"""A real Prometheus watches the sandbox: on an ordinary day, on a bad one, and when it goes away."""

import os
import signal
import subprocess
import time
import unittest
from pathlib import Path

import requests

import promql
import traffic
from alerts import ALERTS
from dashboards import ALL, DASHBOARDS, TARGETS
from prometheus import JOB, RATE_INTERVAL, Prometheus
from sandbox import TIMEOUT, URL, wait_until

WORK = Path(os.environ["MONITORING_WORK"])
NEEDS_HOURS = {"TollgateItemsWaitTooLong", "TollgateBackupTooOld", "TollgateAuditExportFailing"}
NEEDS_ANOTHER_DISK = {"TollgateAuditCommitSlow", "TollgateStoreNearlyFull"}
"""Alerts that cannot be had here in a minute; that they fire is shown on paper."""

HAPPENED = {
    "a 401": 'tollgate_http_requests_total{status="401"}',
    "a 429": 'tollgate_http_requests_total{status="429"}',
    "a 503": 'tollgate_http_requests_total{status="503"}',
    "a 504": 'tollgate_http_requests_total{status="504"}',
    "a queue that was full": 'tollgate_admission_rejections_total{reason="queue_full"}',
    "a wait that ran out": 'tollgate_admission_rejections_total{reason="queue_timeout"}',
    "a rate that was passed": 'tollgate_admission_rejections_total{reason="rate_limited"}',
    "calls that waited": "tollgate_queue_depth",
    "an attempt that was refused": 'tollgate_upstream_attempts_total{outcome="refused"}',
    "one that was rejected": 'tollgate_upstream_attempts_total{outcome="rejected"}',
    "one that was not sent": 'tollgate_upstream_attempts_total{outcome="not_sent"}',
    "one that nobody knows of": 'tollgate_upstream_attempts_total{outcome="unknown"}',
    **{f"a retry: {reason}": f'tollgate_upstream_retries_total{{reason="{reason}"}}' for reason in (
        "connect", "limited", "failed", "refused",
    )},
    **{f"an account that is {state}": f'tollgate_account_state{{state="{state}"}}' for state in (
        "cooling", "exhausted", "disabled",
    )},
    "a breaker that is open": 'tollgate_breaker_state{state="open"}',
    **{f"a key that is {outcome}": f'tollgate_idempotency_total{{outcome="{outcome}"}}' for outcome in (
        "first", "replayed", "joined", "conflict", "unknown",
    )},
    **{f"an item that is {state}": f'tollgate_jobs{{state="{state}"}}' for state in (
        "ready", "delayed", "retrying", "held", "running", "polling", "succeeded", "failed", "unknown", "dead", "cancelled",
    )},
    **{f"an attempt at an item: {outcome}": f'tollgate_job_attempts_total{{outcome="{outcome}"}}' for outcome in (
        "succeeded", "failed", "unknown", "retried", "dead", "polling",
    )},
    **{f"a webhook that is {outcome}": f'tollgate_webhook_deliveries_total{{outcome="{outcome}"}}' for outcome in (
        "delivered", "retried", "given_up",
    )},
    "streams": "tollgate_streams_open",
    "somebody who followed a job": "tollgate_job_event_streams",
    "tokens": "tollgate_tokens_total",
    "cost": "tollgate_cost_microunits_total",
    "a moment without readiness": "1 - tollgate_ready",
}
"""What the two days must have left in the metrics: each of these was above 0."""


def setUpModule():
    global PROMETHEUS
    PROMETHEUS = Prometheus()
    unittest.addModuleCleanup(PROMETHEUS.stop)


def load_tests(loader, _tests, _pattern):
    """One day comes after the other."""
    days = (AnOrdinaryDay, ABadDay, TheEnd)
    return unittest.TestSuite(loader.loadTestsFromTestCase(day) for day in days)


class Day(unittest.TestCase):
    """Something is driven; then the questions are about that time."""

    @classmethod
    def begin(cls):
        cls.since = time.time()

    @classmethod
    def end(cls):
        # What happened last is scraped, and has a rate.
        PROMETHEUS.scrapes(RATE_INTERVAL)
        cls.until = time.time()
        scrape = requests.get(f"{URL}/metrics", timeout=TIMEOUT)
        scrape.raise_for_status()
        (WORK / "scrape.txt").write_bytes(scrape.content)

    @property
    def span(self):
        return round(self.until - self.since)

    def answers(self, expression):
        return PROMETHEUS.query_range(expression, self.since, self.until)

    def values_of(self, dashboard):
        """What Grafana would offer for each variable of a dashboard."""
        found = {"job": [JOB]}
        for name, (selector, label) in dashboard.questions.items():
            found[name] = PROMETHEUS.values(label, selector.replace("$job", JOB), self.since, self.until)
        return found

    def assert_panels_have_data(self, choices):
        """`choices` makes of a dashboard's values the selections to try."""
        for dashboard in DASHBOARDS:
            values = self.values_of(dashboard)
            for target in dashboard.targets:
                for chosen in choices(values, target):
                    with self.subTest(str(target), **chosen):
                        found = self.answers(target.filled(chosen, RATE_INTERVAL, self.span))
                        self.assertTrue(found, "no data")
                        for labels, _ in found:
                            self.assertLessEqual(set(target.labels), set(labels), "a label of the legend is missing")


class AnOrdinaryDay(Day):
    @classmethod
    def setUpClass(cls):
        cls.begin()
        traffic.an_ordinary_day(12)
        cls.end()

    def test_every_variable_has_the_values_that_it_should_have(self):
        for dashboard in DASHBOARDS:
            values = self.values_of(dashboard)
            self.assertEqual(values["job"], [JOB])
            if "upstream" in dashboard.questions:
                self.assertEqual(set(values["upstream"]), {"volcengine", "openai"})
            if "queue" in dashboard.questions:
                self.assertEqual(set(values["queue"]), set(traffic.QUEUES))

    def test_every_panel_has_data_for_everything_and_for_each_value_of_its_variable(self):
        def everything_and_each(values, target):
            everything = {name: ALL for name in values} | {"job": JOB}
            yield everything
            for name in ("upstream", "queue"):
                if f"${name}" in target.expression:
                    for value in values[name]:
                        yield {**everything, name: value}

        self.assert_panels_have_data(everything_and_each)

    def test_no_alert_fires_that_does_not_depend_on_the_machine(self):
        self.assertLessEqual(PROMETHEUS.fired(self.since, self.until), NEEDS_ANOTHER_DISK)

    def test_promtool_accepts_the_metrics(self):
        with (WORK / "scrape.txt").open("rb") as scrape:
            checked = subprocess.run(
                ["promtool", "check", "metrics"], stdin=scrape, capture_output=True, text=True, timeout=60, check=False
            )
        self.assertEqual((checked.returncode, checked.stdout, checked.stderr), (0, "", ""))


class ABadDay(Day):
    @classmethod
    def setUpClass(cls):
        cls.begin()
        traffic.a_bad_day()
        cls.end()

    def test_everything_has_happened_that_was_to_be_seen(self):
        for what, expression in HAPPENED.items():
            with self.subTest(what):
                # The ordinary day is part of it.
                highest = PROMETHEUS.highest(expression, AnOrdinaryDay.since, self.until)
                self.assertGreater(highest or 0, 0)

    def test_every_panel_has_data(self):
        self.assert_panels_have_data(lambda values, _target: [{name: ALL for name in values} | {"job": JOB}])

    def test_every_series_that_dashboards_and_alerts_name_exists_with_these_labels(self):
        variables = {"job": JOB, "upstream": ALL, "queue": ALL}
        expressions = {target.filled(variables, RATE_INTERVAL, self.span) for target in TARGETS}
        expressions |= {rule["expr"] for rule in ALERTS.values()}
        for selector in sorted({selector for text in expressions for selector in promql.selectors(text)}):
            with self.subTest(selector):
                self.assertTrue(PROMETHEUS.series(selector, AnOrdinaryDay.since, self.until))

    def test_a_typo_in_a_name_that_promtool_cannot_know_is_noticed(self):
        for typo in ("tollgate_redy", 'tollgate_jobs{state="deda"}', 'tollgate_account_state{stat="active"}'):
            with self.subTest(typo):
                self.assertFalse(PROMETHEUS.series(typo, AnOrdinaryDay.since, self.until))

    def test_every_alert_fires_but_those_that_need_hours_or_another_disk(self):
        wanted = set(ALERTS) - NEEDS_HOURS - NEEDS_ANOTHER_DISK - {"TollgateDown"}
        self.assertEqual(wanted - PROMETHEUS.fired(self.since, self.until), set())


class TheEnd(Day):
    def test_a_server_that_is_gone_is_noticed(self):
        since = time.time()
        self.assertNotIn("TollgateDown", PROMETHEUS.fired(AnOrdinaryDay.since, since))
        os.kill(int(os.environ["TOLLGATE_SANDBOX_PID"]), signal.SIGTERM)
        wait_until(lambda: "TollgateDown" in PROMETHEUS.fired(since, time.time()), "TollgateDown fires")


if __name__ == "__main__":
    unittest.main()
