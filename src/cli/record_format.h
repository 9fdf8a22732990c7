// How `consume` prints a record: as text by a pattern with kcat's tokens, or as a JSON object that
// `produce --input jsonl` takes back. Pure.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"

namespace ottla::cli {

// One record, pointing into its batch.
struct PrintedRecord {
  std::string_view topic;
  PartitionIndex partition = 0;
  Offset offset = 0;
  TimestampMs timestamp = -1;
  std::optional<ByteView> key;
  std::optional<ByteView> value;
  std::vector<std::pair<std::string_view, std::optional<ByteView>>> headers;
};

inline constexpr std::string_view kDefaultPattern = "%s\\n";

// %t topic  %p partition  %o offset  %T timestamp  %k key  %s value  %K %S their lengths (-1: null)
// %h headers as name=value,...  %% a percent sign; \n \t \r \\ \xHH. The error names the place.
class RecordPattern {
 public:
  static std::expected<RecordPattern, std::string> parse(std::string_view pattern);
  void print(const PrintedRecord& record, std::string& into) const;

 private:
  struct Piece {
    char token = 0;  // 0: literal
    std::string literal;
  };
  std::vector<Piece> pieces_;
};

std::string record_as_json(const PrintedRecord& record);

// Backslash sequences alone: what separators are written with. The error names the sequence.
std::expected<std::string, std::string> unescape(std::string_view text);

}  // namespace ottla::cli
