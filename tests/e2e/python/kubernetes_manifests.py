"""Says which objects are no longer valid in Kubernetes. Usage: this VERSION [latest], objects on standard input.

Standard input is {"before": [...], "after": [...]}; an object that was valid before has to be valid after. Prints how many were valid.
"""
import json
import sys

import kubernetes_validate

given = json.load(sys.stdin)
version = kubernetes_validate.latest_version() if sys.argv[1] == "latest" else sys.argv[1]


def problem(thing):
    try:
        kubernetes_validate.validate(thing, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        return f"{'.'.join(str(part) for part in error.path)}: {error.message[:200]}"
    return None


valid, bad = 0, []
for before, after in zip(given["before"], given["after"], strict=True):
    if problem(before) is None:
        valid += 1
        wrong = problem(after)
        if wrong:
            bad.append(f"{after['metadata'].get('labels')}: {wrong}")
print(valid)
if bad:
    sys.exit("\n".join(bad))
