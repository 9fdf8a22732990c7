#include "verify/history.h"

#include <fmt/format.h>

namespace ottla::verify {
namespace {

std::string_view name(Operation::Kind kind) {
  switch (kind) {
    case Operation::Kind::send:
      return "send";
    case Operation::Kind::poll:
      return "poll";
    case Operation::Kind::assign:
      return "assign";
  }
  return "?";
}

std::string_view name(Outcome outcome) {
  switch (outcome) {
    case Outcome::ok:
      return "ok";
    case Outcome::fail:
      return "fail";
    case Outcome::info:
      return "info";
  }
  return "?";
}

}  // namespace

std::string to_json_line(const Operation& operation) {
  std::string line = fmt::format(
      R"({{"process":{},"f":"{}","type":"{}","invoked":{},"completed":{})", operation.process,
      name(operation.kind), name(operation.outcome), operation.invoked_ns, operation.completed_ns);
  const auto list = [&line](std::string_view label, const auto& items, auto&& print) {
    if (items.empty()) return;
    line += fmt::format(R"(,"{}":[)", label);
    bool first = true;
    for (const auto& item : items) {
      if (!first) line += ',';
      first = false;
      line += print(item);
    }
    line += ']';
  };
  list("send", operation.sends, [](const Sent& sent) {
    return fmt::format("[{},{},{}]", sent.key, sent.value,
                       sent.offset ? fmt::to_string(*sent.offset) : "null");
  });
  if (!operation.polls.empty()) {
    line += R"(,"poll":{)";
    bool first = true;
    for (const auto& [key, seen] : operation.polls) {
      if (!first) line += ',';
      first = false;
      line += fmt::format(R"("{}":[)", key);
      for (std::size_t i = 0; i < seen.size(); ++i) {
        line += fmt::format("{}[{},{}]", i ? "," : "", seen[i].offset, seen[i].value);
      }
      line += ']';
    }
    line += '}';
  }
  list("keys", operation.assigned, [](Key key) { return fmt::to_string(key); });
  return line + '}';
}

}  // namespace ottla::verify
