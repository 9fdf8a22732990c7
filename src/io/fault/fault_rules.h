// Which operations of a FaultDisk go wrong, as text:
//
//   rules  = rule *( (";" | newline) rule )           "#" starts a comment up to the end of its
//   line rule   = effect SP operation *( SP key "=" value ) effect = "fail"      the operation does
//   nothing and fails
//          | "short"     write only: the first half is written, then the operation fails
//          | "delay"     the operation succeeds, `ms` later
//   operation = "open" | "read" | "write" | "sync" | "truncate" | "reserve" | "rename" | "remove" |
//   "list" | "status"
//             | "make_directory" | "sync_directory" | "lock" | "any"
//   key    = "path"      a part of the file's path (of rename: of either path); default: every path
//          | "from"      the first matching call that is concerned, from 1; default 1
//          | "count"     how many calls are concerned; default: all from there on
//          | "after"     bytes that matching files may take before a write fails; the write that
//          goes beyond is cut | "error"     input_output (default), no_space, permission,
//          exhausted, not_found | "ms"        of a delay, also parts such as 0.1
//
// `write_synced` is a write and a sync: rules for either apply. Example, a disk that flushes in 1
// ms, and whose third flush of a journal fails:
//
//   delay sync ms=1; fail sync path=.journal from=3
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "io/clock.h"
#include "io/error.h"

namespace ottla::io::fault {

enum class Effect { fail, cut_short, delay };

struct FaultRule {
  Effect effect = Effect::fail;
  std::string operation;
  std::string path_part;
  std::uint64_t from = 1;
  std::uint64_t count = UINT64_MAX;
  std::uint64_t after_bytes = UINT64_MAX;  // UINT64_MAX: the calls are counted instead
  ErrorKind error = ErrorKind::input_output;
  Duration delay{0};
};

// The rules, or what is wrong with the text.
std::expected<std::vector<FaultRule>, std::string> parse_fault_rules(std::string_view text);

}  // namespace ottla::io::fault
