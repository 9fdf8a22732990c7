#include "io/conformance/conformance.h"

#include <fmt/format.h>

namespace ottla::io::conformance {

void Checker::expect(bool holds, std::string_view what, std::source_location where) {
  if (!holds) failures_.push_back(fmt::format("{}:{}: {}", where.file_name(), where.line(), what));
}

std::vector<Case> all_cases() {
  std::vector<Case> all;
  for (const auto& cases : {disk_cases(), network_cases(), channel_cases(), time_cases()}) {
    all.insert(all.end(), cases.begin(), cases.end());
  }
  return all;
}

}  // namespace ottla::io::conformance
