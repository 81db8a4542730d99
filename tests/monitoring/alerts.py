"""The alerts of the repository, and their tests."""

from dashboards import ROOT

import yaml

FILE = ROOT / "alerts.yml"
TESTS = ROOT / "tests" / "monitoring" / "alerts_test.yml"
RUNBOOKS = ROOT / "docs" / "runbooks.md"
CONFIG = ROOT / "prometheus.yml"

GROUPS = yaml.safe_load(FILE.read_text(encoding="utf-8"))["groups"]
ALERTS = {rule["alert"]: rule for group in GROUPS for rule in group["rules"]}


def verdicts():
    """What the unit tests expect of each alert: `True` where it fires, `False` where it does not."""
    found = {name: set() for name in ALERTS}
    for case in yaml.safe_load(TESTS.read_text(encoding="utf-8"))["tests"]:
        for test in case["alert_rule_test"]:
            found.setdefault(test["alertname"], set()).add(bool(test.get("exp_alerts")))
    return found


def impatient():
    """The same rules for a test of a minute: what is so for a moment fires."""
    return {"groups": [{**group, "rules": [{**rule, "for": "0s"} for rule in group["rules"]]} for group in GROUPS]}
