// A TOML file as flat settings: nested tables and dotted keys give the same dotted name, so
// `log.dirs = "x"`, `"log.dirs" = "x"` and `[log]` with `dirs = "x"` are one. Pure.
#pragma once

#include <expected>
#include <string_view>
#include <vector>

#include "cli/settings.h"

namespace ottla::cli {

struct TomlContent {
  std::vector<FileEntry> entries;    // in the order of the file
  std::vector<SettingFault> faults;  // values of a kind that no setting has
};

// The error: the text is no TOML; it names the line. Lists become comma-separated text, as Kafka
// writes them.
std::expected<TomlContent, SettingFault> read_toml(std::string_view file_name,
                                                   std::string_view text);

}  // namespace ottla::cli
