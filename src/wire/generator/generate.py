"""Writes C++ for every message of the schema: a header each, the table of APIs, and sources that instantiate the codecs.

    generate.py --schema DIR --out DIR          write what changed
    generate.py --schema DIR --out DIR --list   print the files that it would write
    generate.py --schema DIR --out DIR --check  write nothing but the file DIR/schema.ok

Runs at build time; its output is never committed. Only the Python standard library is used.
"""

import argparse
import sys
from pathlib import Path

import schema
from schema import SchemaError, Versions, VERSION_MAX, snake

MESSAGES_PER_SOURCE = 12  # balances the cost of headers in each source against parallel compilation

CPP_TYPES = {
    "bool": "bool", "int8": "std::int8_t", "int16": "std::int16_t", "uint16": "std::uint16_t", "int32": "std::int32_t",
    "uint32": "std::uint32_t", "int64": "std::int64_t", "float64": "double", "string": "std::string", "uuid": "Uuid",
    "bytes": "Bytes", "records": "Records",
}  # fmt: skip
WIRE_BYTES_MIN = {"bool": 1, "int8": 1, "int16": 2, "uint16": 2, "int32": 4, "uint32": 4, "int64": 8, "float64": 8, "uuid": 16}
KEYWORDS = {"and", "class", "default", "delete", "namespace", "new", "operator", "or", "template", "this", "union", "register"}
RESERVED = {"info", "walk", "unknown_tags"}
KINDS = {
    "request": "kRequest", "response": "kResponse", "header": "kHeader", "data": "kData", "metadata": "kMetadata",
    "coordinator-key": "kCoordinatorKey", "coordinator-value": "kCoordinatorValue",
}  # fmt: skip


def member(name):
    result = snake(name)
    if result in RESERVED:
        raise SchemaError(f"the field name {name} is taken")
    return result + "_" if result in KEYWORDS else result


def value_type(f):
    base = "Slice" if f.zero_copy else CPP_TYPES.get(f.type, f.type)
    return f"std::vector<{base}>" if f.array else base


def cpp_type(f):
    return f"std::optional<{value_type(f)}>" if f.nullable and f.type != "records" else value_type(f)


def number(f):
    if f.type == "float64":
        return f.default or "0"
    value = int(f.default or "0", 0)
    return "std::numeric_limits<std::int64_t>::max()" if value == 2**63 - 1 else str(value)


def is_number(f):
    return not f.array and f.type in schema.INTEGERS + ("float64",)


def initializer(f):
    if f.default == "null" and f.type != "records":
        if not f.nullable:
            raise SchemaError(f"{f.name} is null by default, but not nullable")
        return ""
    if is_number(f):
        return f" = {number(f)}"
    if f.type == "bool" and not f.array:
        return f" = {f.default or 'false'}"
    if f.default not in (None, "null"):
        raise SchemaError(f"{f.name}: the default {f.default!r} is not understood")
    return f" = {value_type(f)}()" if f.nullable and f.type != "records" else ""


def default_argument(f):
    if f.default == "null" or f.type == "records":
        return ", kNull"
    if is_number(f) and number(f) != "0":
        return f", {number(f)}"
    if f.type == "bool" and f.default == "true":
        return ", true"
    return ""


def range_text(versions):
    last = "kVersionMax" if versions.last == VERSION_MAX else str(versions.last)
    return f"{{{versions.first}, {last}}}"


def info_text(f):
    parts = [f'.name = "{f.name}"']
    versions = f.tagged if f.tag is not None else f.versions
    if versions != Versions(0, VERSION_MAX):
        parts.append(f".versions = {range_text(versions)}")
    if f.nullable:
        parts.append(f".nullable = {range_text(f.nullable)}")
    if f.tag is not None:
        parts.append(f".tag = {f.tag}")
    parts += [f".{flag} = true" for flag in ("ignorable", "secret", "never_flexible") if getattr(f, flag)]
    return "{" + ", ".join(parts) + "}"


class Sizes:
    """The fewest bytes that a struct takes on the wire, whatever the version: what bounds a count before memory is taken."""

    def __init__(self, message):
        self.message = message
        self.structs = {s.name: s.fields for s in message.structs_of()}

    def of_fields(self, fields, version):
        flexible = self.message.flexible is not None and version in self.message.flexible
        plain = [f for f in fields if version in f.versions and not (f.tag is not None and version in f.tagged)]
        return sum(self.of(f, version, flexible) for f in plain) + (1 if flexible else 0)

    def of(self, f, version, flexible):
        if f.array:
            return 1 if flexible else 4
        if f.is_struct:
            return 1 if f.nullable else self.of_fields(self.structs[f.type], version)
        if f.type == "string":
            return 1 if flexible and not f.never_flexible else 2
        if f.type in ("bytes", "records"):
            return 1 if flexible else 4
        return WIRE_BYTES_MIN[f.type]

    def least(self, fields):
        v = self.message.versions
        return min((self.of_fields(fields, version) for version in range(v.first, v.last + 1)), default=0)


def struct_body(fields, pad):
    lines = [f"{pad}{cpp_type(f)} {member(f.name)}{initializer(f)};" for f in fields]
    lines.append(f"{pad}UnknownTags unknown_tags;")
    return lines


def walk_body(fields, pad):
    plain = [f for f in fields if f.tag is None]
    tagged = sorted((f for f in fields if f.tag is not None), key=lambda f: f.tag)
    for f in tagged:
        if f.tagged != f.versions:
            raise SchemaError(f"{f.name} is tagged in only some of its versions, which no walk supports yet")
    lines = [f"{pad}static void walk(auto& io, auto& m) {{"]
    lines += [f"{pad}  io.field(m.{member(f.name)}, {info_text(f)}{default_argument(f)});" for f in plain]
    lines.append(f"{pad}  io.begin_tags(m.unknown_tags);")
    lines += [f"{pad}  io.tagged(m.{member(f.name)}, {info_text(f)}{default_argument(f)});" for f in tagged]
    lines += [f"{pad}  io.end_tags(m.unknown_tags);", f"{pad}}}"]
    return lines


def struct_text(name, fields, sizes, pad, head=()):
    inner = pad + "  "
    lines = [f"{pad}struct {name} {{", *(inner + h if h else h for h in head)]
    lines += struct_body(fields, inner)
    lines.append("")
    lines.append(f"{inner}static constexpr std::size_t kWireBytesMin = {sizes.least(fields)};")
    lines.append(f"{inner}friend bool operator==(const {name}&, const {name}&) = default;")
    lines += walk_body(fields, inner)
    lines.append(f"{pad}}};")
    return lines


def check_tags(m):
    """Tagged fields exist only in flexible versions, each with a number of its own."""
    for fields in [m.fields] + [s.fields for s in m.structs_of()]:
        tagged = [f for f in fields if f.tag is not None]
        if sorted(f.tag for f in tagged) != list(range(len(tagged))):
            raise SchemaError(f"{m.name}: tags are not numbered from 0 without gaps")
        for f in tagged:
            for version in range(m.versions.first, m.versions.last + 1):
                if version in f.tagged and (m.flexible is None or version not in m.flexible):
                    raise SchemaError(f"{m.name}.{f.name} is tagged in version {version}, which is not flexible")


def message_header(m):
    check_tags(m)
    flexible = range_text(m.flexible) if m.flexible else "{}"
    versions = range_text(m.versions) if m.versions else "{}"
    info = (
        f'static constexpr MessageInfo info{{.name = "{m.name}", .kind = MessageKind::{KINDS[m.kind]}, '
        f".key = {-1 if m.key is None else m.key}, .versions = {versions}, .flexible = {flexible}}};"
    )
    sizes = Sizes(m)
    structs = m.structs_of()
    if m.name in [s.name for s in structs]:
        raise SchemaError(f"{m.name}: a struct has the message's name")
    # Structs of a message stand in a namespace of its own, not in the message: a class that is not complete yet cannot
    # have members of type std::optional<nested class with default values>.
    space = f"{snake(m.name)}_types"
    body = []
    for s in structs:
        body += struct_text(s.name, s.fields, sizes, "") + [""]
    if structs:
        body = [f"namespace {space} {{", "", *body, f"}}  // namespace {space}", ""]
    head = [info] + [f"using {s.name} = {space}::{s.name};" for s in structs] + [""]
    body += struct_text(m.name, m.fields, sizes, "", head)
    lines = [f"// From schema/{m.source}.", "#pragma once", ""]
    lines += ["#include <limits>", ""] if any("numeric_limits" in line for line in body) else []
    lines += ['#include "wire/message.h"', "", "namespace ottla::wire {", "", *body, ""]
    return "\n".join(lines + ["}  // namespace ottla::wire", ""])


def api_names(messages):
    return {m.key: m.name.removesuffix("Request") for m in messages if m.kind == "request"}


def api_key_header(messages):
    lines = ["// The numbers of Kafka's APIs, from schema/api.", "#pragma once", "", "#include <cstdint>", ""]
    lines += ["namespace ottla::wire {", "", "enum class ApiKey : std::int16_t {"]
    lines += [f"  k{name} = {key}," for key, name in sorted(api_names(messages).items())]
    return "\n".join(lines + ["};", "", "}  // namespace ottla::wire", ""])


def api_table(messages):
    requests = {m.key: m for m in messages if m.kind == "request"}
    responses = {m.key: m for m in messages if m.kind == "response"}
    lines = ['#include "wire/api.h"', "", "namespace ottla::wire {", "", "const ApiInfo kApis[] = {"]
    for key, name in sorted(api_names(messages).items()):
        m, r = requests[key], responses[key]
        if m.versions != r.versions or (m.flexible or schema.NONE) != (r.flexible or schema.NONE):
            raise SchemaError(f"{name}: request and response disagree about versions")
        flexible = m.flexible.first if m.flexible else VERSION_MAX
        listeners = " | ".join(f"kOn{word.capitalize()}" for word in m.listeners) or "0"
        lines.append(
            f'    {{.key = ApiKey::k{name}, .name = "{name}", .versions = {range_text(m.versions) if m.versions else "{}"}, '
            f".flexible_from = {flexible}, .listeners = {listeners}, "
            f".latest_version_unstable = {str(m.latest_version_unstable).lower()}}},"
        )
    lines += ["};", f"const std::size_t kApiCount = {len(requests)};", "", "}  // namespace ottla::wire", ""]
    return "\n".join(lines)


def include_line(m):
    return f'#include "wire/messages/{snake(m.name)}.h"'


def instantiation(messages):
    lines = ['#include "wire/codec_impl.h"', *sorted(include_line(m) for m in messages), "", "namespace ottla::wire {", ""]
    for m in messages:
        lines.append(f"OTTLA_WIRE_MESSAGE({m.name})")
        if m.kind in ("request", "response"):
            lines.append(f"OTTLA_WIRE_{m.kind.upper()}({m.name})")
    return "\n".join(lines + ["", "}  // namespace ottla::wire", ""])


def any_message_part(index, messages):
    lines = ['#include "wire/testing/any_message_impl.h"', *sorted(include_line(m) for m in messages), "", "namespace ottla::wire {", ""]
    lines += [f"extern const AnyMessage kAnyMessages{index}[] = {{"]
    lines += [f"    any_message<{m.name}>()," for m in messages]
    return "\n".join(lines + ["};", f"extern const std::size_t kAnyMessageCount{index} = {len(messages)};", "", "}  // namespace ottla::wire", ""])


def any_message_table(groups):
    lines = ['#include "wire/testing/any_message.h"', "", "namespace ottla::wire {", ""]
    for i in range(len(groups)):
        lines += [f"extern const AnyMessage kAnyMessages{i}[];", f"extern const std::size_t kAnyMessageCount{i};"]
    lines += ["", "std::vector<const AnyMessage*> all_messages() {", "  std::vector<const AnyMessage*> all;"]
    for i in range(len(groups)):
        lines.append(f"  for (std::size_t i = 0; i < kAnyMessageCount{i}; ++i) all.push_back(&kAnyMessages{i}[i]);")
    return "\n".join(lines + ["  return all;", "}", "", "}  // namespace ottla::wire", ""])


def outputs(messages):
    """Path below the output folder -> text."""
    files = {"wire/api_key.h": api_key_header(messages), "wire/api_table.cc": api_table(messages)}
    for m in messages:
        files[f"wire/messages/{snake(m.name)}.h"] = message_header(m)
    groups = [messages[i : i + MESSAGES_PER_SOURCE] for i in range(0, len(messages), MESSAGES_PER_SOURCE)]
    for i, group in enumerate(groups):
        files[f"wire/codec_{i:02}.cc"] = instantiation(group)
        files[f"wire/testing/any_{i:02}.cc"] = any_message_part(i, group)
    files["wire/testing/any_table.cc"] = any_message_table(groups)
    return files


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--schema", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    try:
        files = outputs(schema.load(arguments.schema))
    except SchemaError as error:
        sys.exit(f"generate.py: {error}")
    if arguments.check:
        Path(arguments.out).mkdir(parents=True, exist_ok=True)
        (Path(arguments.out) / "schema.ok").write_text("")
        return
    for name, text in files.items():
        path = Path(arguments.out) / name
        if arguments.list:
            print(path)
        elif not path.exists() or path.read_text() != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)


if __name__ == "__main__":
    main()
