"""A real Prometheus that scrapes the sandbox every second, with the repository's own configuration and rules."""

import json
import math
import os
import re
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

import requests
import yaml

import alerts
from sandbox import TIMEOUT, URL, wait_until

JOB = "tollgate"
SCRAPE = 1
"""Seconds between two scrapes."""
RATE_INTERVAL = 4 * SCRAPE
"""Seconds; what Grafana makes of it for `$__rate_interval`."""


class Prometheus:
    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.log = Path(os.environ["MONITORING_WORK"]) / "prometheus.log"
        config = Path(self.folder.name) / "prometheus.yml"
        config.write_text(json.dumps(configuration()), encoding="utf-8")
        (config.parent / alerts.FILE.name).write_text(json.dumps(alerts.impatient()), encoding="utf-8")
        command = [
            "prometheus",
            f"--config.file={config}",
            f"--storage.tsdb.path={config.parent / 'data'}",
            "--web.listen-address=127.0.0.1:0",
        ]
        with self.log.open("w", encoding="utf-8") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        self.url = None
        try:
            wait_until(self.is_ready, f"Prometheus is ready (see {self.log})")
        except BaseException:
            self.stop()
            raise

    def is_ready(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"Prometheus ended: see {self.log}")
        listening = re.search(r'msg="?Listening on"? address=(\S+)', self.log.read_text(encoding="utf-8"))
        if not listening:
            return False
        self.url = f"http://{listening[1]}"
        return requests.get(f"{self.url}/-/ready", timeout=TIMEOUT).status_code == 200

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.folder.cleanup()

    def ask(self, path, **parameters):
        answer = requests.get(f"{self.url}/api/v1/{path}", params=parameters, timeout=TIMEOUT)
        body = answer.json()
        if body["status"] != "success":
            raise ValueError(body["error"])
        return body["data"]

    def query_range(self, expression, since, until):
        """The series of the answer that have a number in them: labels to numbers."""
        data = self.ask("query_range", query=expression, start=since, end=until, step=SCRAPE)
        if data["resultType"] != "matrix":
            raise ValueError(f"{expression} is a {data['resultType']}")
        found = []
        for series in data["result"]:
            numbers = [float(value) for _, value in series["values"]]
            numbers = [number for number in numbers if not math.isnan(number)]
            if numbers:
                found.append((series["metric"], numbers))
        return found

    def highest(self, expression, since, until):
        """The highest number of any series, or `None` where there is none."""
        return max((max(numbers) for _, numbers in self.query_range(expression, since, until)), default=None)

    def series(self, selector, since, until):
        return self.ask("series", **{"match[]": selector, "start": since, "end": until})

    def values(self, label, selector, since, until):
        return self.ask(f"label/{label}/values", **{"match[]": selector, "start": since, "end": until})

    def fired(self, since, until):
        """The alerts that fired in between."""
        found = self.query_range('ALERTS{alertstate="firing"}', since, until)
        return {labels["alertname"] for labels, _ in found}

    def scrapes(self, number):
        """Waits until it has scraped so often from now on, or tried to."""
        time.sleep(number * SCRAPE)


def configuration():
    """The repository's, but for where it scrapes, and how often."""
    config = yaml.safe_load(alerts.CONFIG.read_text(encoding="utf-8"))
    config["global"] = dict.fromkeys(("scrape_interval", "scrape_timeout", "evaluation_interval"), f"{SCRAPE}s")
    (scrape,) = config["scrape_configs"]
    scrape["static_configs"] = [{"targets": [urlsplit(URL).netloc]}]
    return config
