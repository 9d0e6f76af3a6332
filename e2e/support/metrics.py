"""A server's numbers, read with Prometheus' own parser."""

import urllib.request

from prometheus_client.parser import text_string_to_metric_families


class Numbers:
    """What one scrape gave."""

    def __init__(self, server):
        with urllib.request.urlopen(f"{server.url}/_hearth/metrics") as answer:
            assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
            self.families = list(text_string_to_metric_families(answer.read().decode()))
        self.samples = [sample for family in self.families for sample in family.samples]

    def of(self, name, **labels):
        """The value of a sample; none where there is no such one."""
        found = [sample.value for sample in self.samples if sample.name == name and sample.labels == labels]
        assert len(found) <= 1, f"{name}{labels} is there {len(found)} times"
        return found[0] if found else None
