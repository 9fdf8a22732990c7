// What clients did and saw: the input of the checker. Recorded by the simulator's clients, later by
// adapters of real ones. After Jepsen's kafka workload.
//
// A key stands for one partition. Values are unique per key for the whole history; without that
// nothing can be inferred.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"

namespace ottla::verify {

using Key = std::int32_t;
using Value = std::int64_t;
using Process = std::int32_t;  // one logical client; a new number after it crashed

enum class Outcome {
  ok,    // happened
  fail,  // certainly did not happen
  info,  // unknown
};

struct Sent {
  Key key = 0;
  Value value = 0;
  std::optional<Offset> offset;  // as acknowledged
};

struct Seen {
  Offset offset = 0;
  Value value = 0;
};

// One operation from its call to its end. Sends and polls of one operation are in the order in
// which they were made.
struct Operation {
  enum class Kind { send, poll, assign };
  Kind kind = Kind::send;
  Process process = 0;
  Outcome outcome = Outcome::ok;
  std::int64_t invoked_ns = 0;
  std::int64_t completed_ns = 0;
  std::vector<Sent> sends;
  std::map<Key, std::vector<Seen>> polls;
  std::vector<Key> assigned;  // of an assign: the keys that the process reads from now on
};

// In the order of completion.
using History = std::vector<Operation>;

// One JSON line an operation, as docs/formats/history.md says.
std::string to_json_line(const Operation& operation);

}  // namespace ottla::verify
