"""Reads an OpenMetrics text on standard input by the reference reader, and prints what it found as JSON."""
import json
import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families

families = {}
for family in text_string_to_metric_families(sys.stdin.read()):
    exemplars = [
        {"le": sample.labels.get("le"), "labels": sample.exemplar.labels, "value": sample.exemplar.value, "at": float(sample.exemplar.timestamp)}
        for sample in family.samples
        if sample.exemplar
    ]
    families[family.name] = {"type": family.type, "unit": family.unit, "help": family.documentation, "samples": len(family.samples), "exemplars": exemplars}
json.dump(families, sys.stdout)
