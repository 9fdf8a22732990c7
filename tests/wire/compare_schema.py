"""Compares our schema (src/wire/schema) with the message definitions inside Apache Kafka's published jars.

    compare_schema.py FOLDER        the folder that holds the jars

Every definition of every jar must be there with the same facts, field by field, and nothing else. Descriptions are not
compared, and what Kafka derives is derived first: a tagged field has the versions of its tag, JSON null is no default.
The last line is "N passed, M failed", counted in messages.
"""

import json
import re
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "src/wire/generator"))
import schema  # noqa: E402

DEFINITIONS = 281  # Kafka 4.3
KNOWN_MESSAGE = {"apiKey", "type", "listeners", "name", "validVersions", "flexibleVersions", "fields", "commonStructs", "latestVersionUnstable"}
KNOWN_FIELD = {
    "name", "type", "versions", "about", "default", "fields", "nullableVersions", "entityType", "ignorable", "mapKey", "tag",
    "taggedVersions", "zeroCopy", "flexibleVersions",
}  # fmt: skip


def without_comments(text):
    """JSON as Kafka writes it has comments, and now and then a comma too many."""
    text = re.sub(r'("(?:[^"\\]|\\.)*")|//[^\n]*|/\*.*?\*/', lambda m: m[1] or "", text, flags=re.S)
    return re.sub(r",(\s*[\]}])", r"\1", text)


def definitions(folder):
    """Name -> definition, of all jars."""
    found = {}
    for path in sorted(p for p in Path(folder).glob("kafka*.jar") if not p.stem.endswith("-test")):
        with zipfile.ZipFile(path) as jar:
            for name in jar.namelist():
                if re.fullmatch(r"(common/)?(message|metadata)/\w+\.json", name):
                    definition = json.loads(without_comments(jar.read(name).decode()))
                    if definition["name"] in found:
                        raise SystemExit(f"two jars define {definition['name']}")
                    found[definition["name"]] = definition
    return found


def versions(text):
    return schema.parse_versions(text) if text is not None else schema.NONE


def truth(value):
    """Kafka's files write a boolean in quotes here and there."""
    return {"true": True, "false": False}[str(value).lower()]


def default_of(type_, nullable, value):
    """A default in one spelling: None where it is what the type has anyway."""
    if value is None or value == "":
        return None
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if text == "null":
        return text
    if type_ in schema.INTEGERS:
        return int(text, 0) or None
    if type_ == "float64":
        return float(text) or None
    return text if text != "false" else None


def facts_of_kafka_field(f):
    unknown = set(f) - KNOWN_FIELD
    if unknown:
        raise SystemExit(f"{f['name']} has properties that nobody here knows: {unknown}")
    array = f["type"].startswith("[]")
    type_ = f["type"].removeprefix("[]")
    own = versions(f.get("versions", f.get("taggedVersions")))
    return {
        "name": f["name"],
        "type": type_,
        "array": array,
        "versions": own,
        "nullable": versions(f.get("nullableVersions")),
        "tag": f.get("tag"),
        "tagged": versions(f.get("taggedVersions")),
        "default": default_of(None if array else type_, f.get("nullableVersions"), f.get("default")),
        "ignorable": truth(f.get("ignorable", False)),
        "map key": truth(f.get("mapKey", False)),
        "zero copy": truth(f.get("zeroCopy", False)),
        "never flexible": f.get("flexibleVersions") == "none",
        "entity": f.get("entityType"),
        "fields": [facts_of_kafka_field(inner) for inner in f.get("fields", [])],
    }


def facts_of_our_field(f):
    return {
        "name": f.name,
        "type": f.type,
        "array": f.array,
        "versions": f.versions,
        "nullable": f.nullable,
        "tag": f.tag,
        "tagged": f.tagged,
        "default": default_of(None if f.array else f.type, f.nullable, f.default),
        "ignorable": f.ignorable,
        "map key": f.map_key,
        "zero copy": f.zero_copy,
        "never flexible": f.never_flexible,
        "entity": f.entity,
        "fields": [facts_of_our_field(inner) for inner in f.fields],
    }


def facts_of_kafka(d):
    unknown = set(d) - KNOWN_MESSAGE
    if unknown:
        raise SystemExit(f"{d['name']} has properties that nobody here knows: {unknown}")
    return {
        "kind": d["type"],
        "key": d.get("apiKey"),
        "versions": versions(d["validVersions"]),
        "flexible": versions(d["flexibleVersions"]) if "flexibleVersions" in d else None,
        "listeners": d.get("listeners", []),
        "latest version unstable": d.get("latestVersionUnstable", False),
        "fields": [facts_of_kafka_field(f) for f in d.get("fields", [])],
        "structs": {
            s["name"]: {"versions": versions(s["versions"]), "fields": [facts_of_kafka_field(f) for f in s["fields"]]}
            for s in d.get("commonStructs", [])
        },
    }


def facts_of_ours(m):
    return {
        "kind": m.kind,
        "key": m.key,
        "versions": m.versions,
        "flexible": m.flexible,
        "listeners": m.listeners,
        "latest version unstable": m.latest_version_unstable,
        "fields": [facts_of_our_field(f) for f in m.fields],
        "structs": {
            s.name: {"versions": s.versions, "fields": [facts_of_our_field(f) for f in s.fields]} for s in m.structs
        },
    }


def differences(kafka, ours, where):
    """Lines that say where two trees of facts differ."""
    if isinstance(kafka, dict) and isinstance(ours, dict):
        for key in {**kafka, **ours}:
            if key not in ours or key not in kafka:
                yield f"{where}: only {'Kafka' if key in kafka else 'ours'} has {key}"
            else:
                yield from differences(kafka[key], ours[key], f"{where}.{key}" if key != "fields" else where)
    elif isinstance(kafka, list) and isinstance(ours, list) and kafka and ours and isinstance(kafka[0], dict):
        names, our_names = [f["name"] for f in kafka], [f["name"] for f in ours]
        if names != our_names:
            yield f"{where}: Kafka's fields are {names}, ours {our_names}"
        else:
            for k, o in zip(kafka, ours):
                yield from differences(k, o, f"{where}.{k['name']}")
    elif kafka != ours:
        yield f"{where}: Kafka says {kafka}, ours {ours}"


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    kafka = definitions(sys.argv[1])
    ours = {m.name: m for m in schema.load(ROOT / "src/wire/schema")}
    passed = failed = 0
    if len(kafka) != DEFINITIONS:
        failed += 1
        print(f"FAILED the jars hold {len(kafka)} definitions, not {DEFINITIONS}")
    for name in sorted({**kafka, **ours}):
        if name not in ours or name not in kafka:
            found = [f"only {'Kafka' if name in kafka else 'ours'} has it"]
        else:
            found = list(differences(facts_of_kafka(kafka[name]), facts_of_ours(ours[name]), name))
        if found:
            failed += 1
            print(f"FAILED {name}", *found, sep="\n  ")
        else:
            passed += 1
    pairs = sum(m.versions.last - m.versions.first + 1 for m in ours.values())
    print(f"{len(kafka)} definitions in Kafka's jars, {len(ours)} of ours with {pairs} (message, version) pairs")
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
