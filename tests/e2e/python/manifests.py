"""Validates every manifest below a folder. Usage: manifests.py CRDS FOLDER... ; manifests.py --configs FOLDER INTO

Kinds of Kubernetes go to kubernetes-validate, strictly, for the oldest version that is supported and the newest that it
knows. Resources of ours go to the schemas of the CustomResourceDefinitions in the folder CRDS, and may have no field that
an API server would drop. Kinds of other projects are listed here by name, and only their outer form is looked at. Every
problem is a line; the exit code is 1 if there is one.

`--configs` writes what the ConfigMaps of a folder hold, a folder INTO/NAME for each, and names them.
"""
import json
import pathlib
import sys

import jsonschema
import kubernetes_validate
import yaml

VERSIONS = ["1.29", kubernetes_validate.latest_version()]
FOREIGN = {("cert-manager.io/v1", "Issuer"), ("cert-manager.io/v1", "Certificate"), ("monitoring.coreos.com/v1", "PodMonitor")}
PATCHES = ("-patch.yaml",)


def documents(path):
    with open(path, encoding="utf-8") as file:
        return [document for document in yaml.safe_load_all(file) if document is not None]


def closed(schema):
    """The schema with every object closed, as `kubectl apply --validate=strict` sees it."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: closed(one) for name, one in schema.items()}
    if schema.get("type") == "object" and isinstance(schema.get("properties"), dict):
        made["additionalProperties"] = False
    return made


def definitions(folder):
    found = {}
    for path in sorted(pathlib.Path(folder).glob("*.yaml")):
        for crd in documents(path):
            if crd.get("kind") != "CustomResourceDefinition":
                continue
            spec = crd["spec"]
            for version in spec["versions"]:
                schema = closed(version["schema"]["openAPIV3Schema"])
                schema["properties"]["metadata"] = {"type": "object", "required": ["name"]}
                found[f"{spec['group']}/{version['name']}", spec["names"]["kind"]] = schema
    return found


def problems_of(document, ours):
    kind = document.get("apiVersion"), document.get("kind")
    if kind in ours:
        for error in jsonschema.Draft202012Validator(ours[kind]).iter_errors(document):
            yield f"{'.'.join(str(part) for part in error.absolute_path)}: {error.message}"
        return
    if kind in FOREIGN:
        if not document.get("metadata", {}).get("name") or not isinstance(document.get("spec"), dict):
            yield "a resource has a name and a spec"
        return
    for version in VERSIONS:
        try:
            kubernetes_validate.validate(document, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            yield f"{version}: {'.'.join(str(part) for part in error.path)}: {error.message}"
        except kubernetes_validate.SchemaNotFoundError as error:
            yield f"{version}: {error}"


def kustomization(path, document, listed):
    named = document.get("resources", []) + document.get("components", [])
    for name in named + [one["path"] for one in document.get("patches", []) if "path" in one]:
        target = (path.parent / name).resolve()
        listed.add(target)
        if not target.exists():
            yield f"`{name}` is not there"
        if target.is_dir() and not (target / "kustomization.yaml").exists():
            yield f"`{name}` has no kustomization.yaml"


def check(crds, folders):
    ours, listed, seen, count = definitions(crds), set(), set(), 0
    problems = []
    for folder in folders:
        for path in sorted(pathlib.Path(folder).rglob("*.yaml")):
            for document in documents(path):
                count += 1
                if path.name == "kustomization.yaml":
                    problems += [f"{path}: {one}" for one in kustomization(path, document, listed)]
                    continue
                if (pathlib.Path(folder) / "base").is_dir():
                    seen.add(path.resolve())
                if not path.name.endswith(PATCHES):
                    problems += [f"{path}: {document.get('kind')}: {one}" for one in problems_of(document, ours)]
    problems += [f"{path}: no kustomization.yaml lists it" for path in sorted(seen - listed)]
    print("\n".join(problems) or f"{count} documents, Kubernetes {' and '.join(VERSIONS)}")
    return 1 if problems else 0


def configs(folder, into):
    for path in sorted(pathlib.Path(folder).rglob("*.yaml")):
        for document in documents(path):
            if document.get("kind") != "ConfigMap":
                continue
            target = pathlib.Path(into, document["metadata"]["name"])
            target.mkdir(parents=True)
            for name, text in document["data"].items():
                (target / name).write_text(text, encoding="utf-8")
            print(target)
    return 0


if __name__ == "__main__":
    arguments = sys.argv[1:]
    sys.exit(configs(*arguments[1:]) if arguments[0] == "--configs" else check(arguments[0], arguments[1:]))
