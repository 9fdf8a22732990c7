#include "cli/offset_spec.h"

#include <fmt/format.h>

#include "cli/text.h"

namespace ottla::cli {

std::expected<OffsetSpec, std::string> parse_offset_spec(std::string_view text) {
  using Kind = OffsetSpec::Kind;
  if (text == "start" || text == "beginning") return OffsetSpec{Kind::start, 0};
  if (text == "end") return OffsetSpec{Kind::end, 0};
  Kind kind = Kind::absolute;
  std::string_view number = text;
  if (number.starts_with('@')) kind = Kind::timestamp;
  if (number.starts_with('-')) kind = Kind::last;
  if (kind != Kind::absolute) number.remove_prefix(1);
  const auto parsed = parse_number<std::int64_t>(number);
  if (parsed && *parsed >= 0) return OffsetSpec{kind, *parsed};
  return std::unexpected(fmt::format(
      "\"{}\" is no offset: write start, end, N, -N for the last N, or @MS for a time", text));
}

}  // namespace ottla::cli
