"""What can be said of dashboards and alerts without running them."""

import json
import re
import subprocess
import tempfile
import unittest
from pathlib import Path
from urllib.parse import urlsplit

import jsonschema
import yaml

import alerts
import promql
from alerts import ALERTS
from dashboards import DASHBOARDS, ROOT, TARGETS


def promtool(*arguments, **options):
    return subprocess.run(
        ["promtool", *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False, **options
    )


def read(path):
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


class Dashboards(unittest.TestCase):
    def test_there_are_five_and_each_is_a_dashboard_as_grafana_defines_it(self):
        schema = json.loads((ROOT / "tests/monitoring/grafana-dashboard.schema.json").read_text(encoding="utf-8"))
        validator = jsonschema.Draft7Validator(schema)
        names = {dashboard.name for dashboard in DASHBOARDS}
        self.assertEqual(names, {"overview.json", "queues.json", "upstreams.json", "jobs.json", "store.json"})
        for dashboard in DASHBOARDS:
            with self.subTest(dashboard.name):
                wrong = jsonschema.exceptions.best_match(validator.iter_errors(dashboard.json))
                self.assertIsNone(wrong and f"{wrong.json_path}: {wrong.message}")

    def test_uids_and_titles_are_unique_and_ids_are_within_a_dashboard(self):
        for field in ("uid", "title"):
            self.assertEqual(len({dashboard.json[field] for dashboard in DASHBOARDS}), len(DASHBOARDS), field)
        for dashboard in DASHBOARDS:
            ids = [panel["id"] for panel in dashboard.json["panels"]]
            self.assertEqual(len(set(ids)), len(ids), dashboard.name)
            titles = [panel["title"] for panel in dashboard.panels]
            self.assertEqual(sorted(set(titles)), sorted(titles), dashboard.name)

    def test_every_panel_says_what_it_shows(self):
        for dashboard in DASHBOARDS:
            for panel in dashboard.panels:
                with self.subTest(f"{dashboard.name}: {panel['title']}"):
                    self.assertGreater(len(panel["description"]), 10)
                    self.assertRegex(panel["description"], r"[.]$")
                    self.assertTrue(panel["targets"])

    def test_panels_lie_on_the_grid_and_not_on_each_other(self):
        for dashboard in DASHBOARDS:
            taken = set()
            for panel in dashboard.json["panels"]:
                at = panel["gridPos"]
                cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
                with self.subTest(f"{dashboard.name}: {panel['title']}"):
                    self.assertLessEqual(at["x"] + at["w"], 24)
                    self.assertFalse(cells & taken)
                taken |= cells

    def test_the_unit_of_every_panel_is_that_of_its_queries(self):
        for target in TARGETS:
            with self.subTest(str(target)):
                expression = target.filled(dict.fromkeys(("job", "upstream", "queue"), "x"), 4, 60)
                if target.kind == "heatmap":
                    # Its axis is that of the buckets.
                    bucket = promql.selectors(expression)[0]
                    unit = promql.of_metric(re.sub(r"_bucket\b.*", "", bucket))
                else:
                    unit = promql.unit(expression)
                self.assertIn(target.unit, promql.GRAFANA[unit], unit)

    def test_a_dashboard_has_the_variables_that_its_queries_name_and_no_other(self):
        for dashboard in DASHBOARDS:
            text = " ".join([target.expression for target in dashboard.targets])
            used = {name for name in re.findall(r"\$\{?(\w+)", text) if not name.startswith("__")}
            with self.subTest(dashboard.name):
                self.assertEqual(set(dashboard.questions), used)
        asked = {name for dashboard in DASHBOARDS for name in dashboard.questions}
        self.assertEqual(asked, {"job", "upstream", "queue"})


class Deployment(unittest.TestCase):
    """`docker compose --profile metrics up`: what one file names must be where another puts it."""

    @classmethod
    def setUpClass(cls):
        cls.services = read("docker-compose.yml")["services"]

    def inside(self, service, path):
        """Where a path inside of a container comes from."""
        for volume in self.services[service]["volumes"]:
            source, place = volume.split(":")[:2]
            if source.startswith("./") and (path == place or path.startswith(f"{place}/")):
                return ROOT / source / path.removeprefix(place).lstrip("/")
        self.fail(f"{service} has no {path}")

    def test_grafana_finds_the_dashboards_and_begins_with_the_overview(self):
        provisioning = self.inside("grafana", "/etc/grafana/provisioning/dashboards")
        (provider,) = read(next(provisioning.glob("*.yml")))["providers"]
        self.assertEqual(self.inside("grafana", provider["options"]["path"]), ROOT / "grafana/dashboards")
        home = self.services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
        self.assertEqual(self.inside("grafana", home), ROOT / "grafana/dashboards/overview.json")

    def test_grafana_asks_prometheus_and_knows_how_often_it_scrapes(self):
        provisioning = self.inside("grafana", "/etc/grafana/provisioning/datasources")
        (source,) = read(next(provisioning.glob("*.yml")))["datasources"]
        self.assertIn(urlsplit(source["url"]).hostname, self.services)
        scraped_every = read("prometheus.yml")["global"]["scrape_interval"]
        self.assertEqual(source["jsonData"]["timeInterval"], scraped_every)

    def test_prometheus_finds_the_rules_and_the_relay(self):
        config = read("prometheus.yml")
        self.assertEqual(self.inside("prometheus", "/etc/prometheus/prometheus.yml"), alerts.CONFIG)
        self.assertEqual([self.inside("prometheus", f"/etc/prometheus/{file}") for file in config["rule_files"]], [alerts.FILE])
        (scrape,) = config["scrape_configs"]
        (target,) = scrape["static_configs"][0]["targets"]
        self.assertIn(target.split(":")[0], self.services)


class Rules(unittest.TestCase):
    def test_promtool_accepts_configuration_and_rules(self):
        for kind, file in (("config", alerts.CONFIG), ("rules", alerts.FILE)):
            with self.subTest(file.name):
                checked = promtool("check", kind, file)
                self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)

    def test_what_wakes_somebody_says_why_and_where_to_read_on(self):
        headings = re.findall(r"^## (\w+)$", alerts.RUNBOOKS.read_text(encoding="utf-8"), re.MULTILINE)
        self.assertEqual(headings, list(ALERTS), "docs/runbooks.md has a heading for each alert, in their order")
        for name, rule in ALERTS.items():
            with self.subTest(name):
                self.assertIn(rule["labels"]["severity"], ("critical", "warning"))
                self.assertEqual(set(rule["annotations"]), {"summary", "description", "runbook_url"})
                link = rule["annotations"]["runbook_url"]
                self.assertTrue(link.endswith(f"/docs/runbooks.md#{name.lower()}"), link)

    def test_every_alert_has_a_test_that_it_fires_and_one_that_it_does_not(self):
        self.assertEqual(alerts.verdicts(), {name: {True, False} for name in ALERTS})
        tested = promtool("test", "rules", alerts.TESTS)
        self.assertEqual(tested.returncode, 0, tested.stdout + tested.stderr)

    def test_the_tests_of_each_alert_notice_when_it_always_fires_and_when_it_never_does(self):
        for spoiled in ("vector(1)", "vector(1) < 0"):
            with self.subTest(spoiled):
                told = self.with_condition(spoiled)
                self.assertEqual(set(re.findall(r"alertname: (\w+)", told)), set(ALERTS))

    def test_a_rule_with_a_typo_is_refused(self):
        text = alerts.FILE.read_text(encoding="utf-8")
        for was, typo in (
            ("expr: tollgate_ready == 0", "expr: tollgate_ready = 0"),
            ("sum by (job, instance, le)", "summ by (job, instance, le)"),
            ("[30m]", "[30 minutes]"),
            ("for: 2m", "for: two minutes"),
            ("annotations:", "anotations:"),
            ("expr: up{", "exprr: up{"),
            ("{{ $labels.class }}", "{{ $labels.class }"),
            ("humanizePercentage", "humanisePercentage"),
        ):
            with self.subTest(typo):
                self.assertIn(was, text)
                self.assertNotEqual(self.checked(text.replace(was, typo, 1)).returncode, 0)
        self.assertEqual(self.checked(text).returncode, 0)

    @staticmethod
    def checked(text):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "alerts.yml"
            file.write_text(text, encoding="utf-8")
            return promtool("check", "rules", file)

    @staticmethod
    def with_condition(expression):
        """What promtool says of the unit tests when every alert has this condition."""
        rules = [{**rule, "expr": expression} for rule in ALERTS.values()]
        with tempfile.TemporaryDirectory() as folder:
            spoiled = json.dumps({"groups": [{"name": "spoiled", "rules": rules}]})
            Path(folder, alerts.FILE.name).write_text(spoiled, encoding="utf-8")
            tests = alerts.TESTS.read_text(encoding="utf-8").replace("../../alerts.yml", alerts.FILE.name)
            file = Path(folder, alerts.TESTS.name)
            file.write_text(tests, encoding="utf-8")
            tested = promtool("test", "rules", file)
            return tested.stdout + tested.stderr


if __name__ == "__main__":
    unittest.main()
