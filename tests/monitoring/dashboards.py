"""The dashboards of the repository, as Grafana reads them."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "grafana" / "dashboards"
ALL = ".*"


@dataclass(frozen=True)
class Target:
    """One query of a panel."""

    dashboard: str
    panel: str
    kind: str
    unit: str
    expression: str
    legend: str

    def __str__(self):
        return f"{self.dashboard} / {self.panel}: {self.expression}"

    def filled(self, variables, rate_interval, span):
        """The query as Grafana would send it, with its variables and its own intervals in seconds."""
        values = {
            **variables,
            "__rate_interval": f"{rate_interval}s",
            "__interval": "1s",
            "__range": f"{span}s",
        }
        return re.sub(r"\$\{?(\w+)\}?", lambda match: values[match[1]], self.expression)

    @property
    def labels(self):
        """The labels that its legend names."""
        return re.findall(r"\{\{\s*(\w+)\s*\}\}", self.legend)


class Dashboard:
    def __init__(self, path):
        self.name = path.name
        self.json = json.loads(path.read_text(encoding="utf-8"))

    @property
    def panels(self):
        """Every panel but the rows, those inside of rows that are closed among them."""
        for panel in self.json["panels"]:
            yield from panel.get("panels", []) if panel["type"] == "row" else [panel]

    @property
    def targets(self):
        for panel in self.panels:
            for target in panel["targets"]:
                yield Target(
                    dashboard=self.json["title"],
                    panel=panel["title"],
                    kind=panel["type"],
                    unit=panel["fieldConfig"]["defaults"]["unit"],
                    expression=target["expr"],
                    legend=target["legendFormat"],
                )

    @property
    def questions(self):
        """The variables that Prometheus answers: name to (selector, label)."""
        asked = {}
        for variable in self.json["templating"]["list"]:
            if variable["type"] == "query":
                match = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"])
                asked[variable["name"]] = (match[1], match[2])
        return asked


DASHBOARDS = [Dashboard(path) for path in sorted(FOLDER.glob("*.json"))]
TARGETS = [target for dashboard in DASHBOARDS for target in dashboard.targets]
