"""Reads our schema notation (schema/**/*.msg, described in schema/README.md) into plain objects.

Used by generate.py at build time, and by the comparison with Kafka's own definitions (tests/wire).
Anything that the notation does not know is an error, with file and line.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

VERSION_MAX = 32767
KINDS = ("request", "response", "header", "data", "metadata", "coordinator-key", "coordinator-value")
SCALARS = ("bool", "int8", "int16", "uint16", "int32", "uint32", "int64", "float64", "string", "uuid", "bytes", "records")
INTEGERS = ("int8", "int16", "uint16", "int32", "uint32", "int64")


class SchemaError(Exception):
    pass


@dataclass(frozen=True)
class Versions:
    """An inclusive range; empty if first > last."""

    first: int
    last: int

    def __contains__(self, version):
        return self.first <= version <= self.last

    def __bool__(self):
        return self.first <= self.last


NONE = Versions(0, -1)


def parse_versions(text):
    if text == "none":
        return NONE
    if match := re.fullmatch(r"(\d+)\+", text):
        return Versions(int(match[1]), VERSION_MAX)
    if match := re.fullmatch(r"(\d+)(?:-(\d+))?", text):
        return Versions(int(match[1]), int(match[2] or match[1]))
    raise SchemaError(f"not a range of versions: {text!r}")


@dataclass
class Field:
    name: str
    type: str  # without [] and ?
    array: bool
    versions: Versions
    nullable: Versions = NONE
    tag: int | None = None
    tagged: Versions = NONE
    default: str | None = None
    ignorable: bool = False
    map_key: bool = False
    zero_copy: bool = False
    never_flexible: bool = False
    entity: str | None = None
    secret: bool = False
    fields: list["Field"] = field(default_factory=list)

    @property
    def is_struct(self):
        return self.type[0].isupper()


@dataclass
class Struct:
    name: str
    versions: Versions
    fields: list[Field] = field(default_factory=list)


@dataclass
class Message:
    name: str
    kind: str
    key: int | None
    versions: Versions
    flexible: Versions | None  # None where the definition says nothing
    listeners: list[str]
    latest_version_unstable: bool
    source: str
    fields: list[Field] = field(default_factory=list)
    structs: list[Struct] = field(default_factory=list)  # those that several fields share

    def structs_of(self):
        """Every struct by name, each after those that it uses."""
        shared = {s.name: s for s in self.structs}
        done, busy = {}, set()

        def visit(fields):
            for f in fields:
                if not f.is_struct or f.type in done:
                    continue
                if f.type in busy:
                    raise SchemaError(f"{self.source}: {f.type} contains itself")
                inner = f.fields or (shared[f.type].fields if f.type in shared else None)
                if inner is None:
                    raise SchemaError(f"{self.source}: {self.name}: no struct {f.type}")
                busy.add(f.type)
                visit(inner)
                busy.discard(f.type)
                done[f.type] = Struct(f.type, f.versions, inner)

        visit(self.fields)
        return list(done.values())


def _attribute(f, text):
    word, _, rest = text.partition(" ")
    if word == "tag":
        number, _, versions = rest.partition(" in ")
        f.tag, f.tagged = int(number), parse_versions(versions) if versions else f.versions
    elif word == "null":
        f.nullable = parse_versions(rest)
    elif word == "default":
        f.default = rest
    elif text == "flexible none":
        f.never_flexible = True
    elif word == "entity":
        f.entity = rest
    elif text in ("ignorable", "map key", "zero copy", "secret"):
        setattr(f, text.replace(" ", "_"), True)
    else:
        raise SchemaError(f"unknown attribute {text!r}")


def _field(text):
    match = re.fullmatch(r"(\w+)\s+(\[\])?(\w+)(\?)?\s+(\S+)(?:\s+(.*))?", text)
    if not match:
        raise SchemaError(f"not a field: {text!r}")
    name, array, type_, nullable, versions, attributes = match.groups()
    f = Field(name, type_, bool(array), parse_versions(versions))
    if not f.is_struct and type_ not in SCALARS:
        raise SchemaError(f"unknown type {type_!r}")
    if nullable:
        f.nullable = f.versions
    for attribute in filter(None, (a.strip() for a in (attributes or "").split(","))):
        _attribute(f, attribute)
    return f


def _header(text, source):
    match = re.fullmatch(r"(\w+): ([\w-]+)(?: (\d+))?((?:, [^,]+)*)", text)
    if not match or match[2] not in KINDS:
        raise SchemaError(f"not the head of a message: {text!r}")
    m = Message(match[1], match[2], int(match[3]) if match[3] else None, NONE, None, [], False, source)
    for part in match[4].split(", ")[1:]:
        word, _, rest = part.partition(" ")
        if word == "versions":
            m.versions = parse_versions(rest)
        elif word == "flexible":
            m.flexible = parse_versions(rest)
        elif word == "listeners":
            m.listeners = rest.split()
        elif part == "latest version unstable":
            m.latest_version_unstable = True
        else:
            raise SchemaError(f"unknown property {part!r}")
    return m


def parse(text, source):
    """All messages of one file. Two spaces of indentation are one level."""
    messages = []
    levels = []  # levels[n]: the list that a line indented by n levels adds to
    for number, line in enumerate(text.splitlines(), 1):
        line = line.split("#")[0].rstrip()
        if not line:
            continue
        try:
            indent = len(line) - len(line.lstrip())
            depth, body = indent // 2, line.strip()
            if indent % 2 or depth > len(levels):
                raise SchemaError("wrong indentation")
            if depth == 0:
                messages.append(_header(body, source))
                levels = [None, messages[-1].fields]
            elif depth == 1 and body.startswith("struct "):
                _, name, versions = body.split()
                messages[-1].structs.append(Struct(name, parse_versions(versions)))
                levels = [None, messages[-1].fields, messages[-1].structs[-1].fields]
            else:
                if depth >= len(levels):
                    raise SchemaError("wrong indentation")
                f = _field(body)
                levels[depth].append(f)
                levels = levels[: depth + 1] + ([f.fields] if f.is_struct else [])
        except SchemaError as error:
            raise SchemaError(f"{source}:{number}: {error}") from None
    return messages


def load(folder):
    """All messages of all files below `folder`, in order of file name."""
    folder = Path(folder)
    messages = []
    for path in sorted(folder.rglob("*.msg")):
        messages += parse(path.read_text(), str(path.relative_to(folder)))
    names = [m.name for m in messages]
    for name in names:
        if names.count(name) > 1:
            raise SchemaError(f"{name} is defined twice")
    return messages


def snake(name):
    name = name.replace("KRaft", "Kraft")
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
