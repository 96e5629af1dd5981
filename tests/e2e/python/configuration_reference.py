"""Writes docs/configuration-reference.md from what `graylane schema` prints. Usage: graylane schema | this > there"""
import json
import sys

schema = json.load(sys.stdin)
definitions = schema["$defs"]


def cell(text):
    return str(text).replace("|", "\\|").replace("\n", " ")


def link(reference):
    name = reference.rsplit("/", 1)[-1]
    return f"[{name}](#{name.lower()})"


def kind(value):
    if value is True or value == {}:
        return "anything"
    if "$ref" in value:
        return link(value["$ref"])
    if "const" in value:
        return f"`{value['const']}`"
    if "enum" in value:
        return " or ".join(f"`{one}`" for one in value["enum"])
    for way in ("oneOf", "anyOf"):
        if way in value:
            return " or ".join(dict.fromkeys(kind(one) for one in value[way]))
    if value.get("type") == "array":
        return "list of " + kind(value.get("items", {}))
    if value.get("type") == "object":
        more = value.get("additionalProperties")
        return "map to " + kind(more) if isinstance(more, dict) else "map"
    kinds = value.get("type", "anything")
    return " or ".join(kinds) if isinstance(kinds, list) else kinds


def bounds(value):
    words = [("minimum", "at least"), ("maximum", "at most"), ("minItems", "items at least"), ("maxItems", "items at most")]
    said = [f"{word} {value[key]}" for key, word in words if key in value]
    if "pattern" in value:
        said.append(f"`{value['pattern']}`")
    return ", ".join(said)


def section(name, value):
    yield f"## {name}\n"
    if "description" in value:
        yield value["description"] + "\n"
    if "properties" in value:
        yield "| field | what | default | meaning |\n|---|---|---|---|"
        required = value.get("required", [])
        for field, one in value["properties"].items():
            default = "required" if field in required else f"`{json.dumps(one['default'], ensure_ascii=False)}`" if "default" in one else ""
            meaning = " ".join(part for part in (one.get("description", ""), bounds(one)) if part)
            yield f"| `{field}` | {cell(kind(one))} | {cell(default)} | {cell(meaning)} |"
        yield ""
        return
    alternatives = value.get("oneOf", value.get("anyOf"))
    if alternatives:
        for one in alternatives:
            said = one.get("description", "")
            yield f"- {kind(one)}" + (f": {said}" if said else "")
    else:
        yield " ".join(part for part in (kind(value), bounds(value)) if part)
    yield ""


print("# Configuration reference\n")
print("Written from the schema by `make reference`, and checked by a test; [configuration.md](configuration.md) tells how it is meant.")
print(f"A document is a {link('#/$defs/Config')}, a {link('#/$defs/BusinessRule')} of Kubernetes, or what a pod says of its {link('#/$defs/Sidecar')}.\n")
first = ["Config"]
for name in first + sorted(set(definitions) - set(first)):
    print("\n".join(section(name, definitions[name])))
