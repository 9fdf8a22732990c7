#include "disk_excuse.h"

#include <algorithm>
#include <set>
#include <string_view>

namespace ottla::sim_campaign {

void DiskExcuse::fault_ends(std::uint64_t start, bool was_felt) {
  if (was_felt) last_felt_ = start;
}

void DiskExcuse::is_well(std::uint64_t start) {
  if (start > last_felt_) is_valid_ = false;
}

bool names_disk_failure(Lines lines) {
  return std::ranges::any_of(lines, [](const auto& line) {
    return line.level >= LogLevel::warning &&
           (line.text.contains("no space left") ||
            line.text.contains("input/output error (simulated)"));
  });
}

bool waits_for_space(Lines lines, std::size_t first) {
  std::set<std::string_view> waiting;  // journals
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::string_view text = lines[i].text;
    const std::string_view journal = text.substr(0, text.find(':'));
    if (text.contains("there is space again")) waiting.erase(journal);
    if (text.contains("no space for another file")) waiting.insert(journal);
    if (i >= first && (!waiting.empty() || text.contains("no space for checkpoints"))) return true;
  }
  return !waiting.empty();
}

}  // namespace ottla::sim_campaign
