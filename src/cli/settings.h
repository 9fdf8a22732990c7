// A node's settings in layers: defaults, file, environment, flags; the later layer wins. Pure: the
// texts come from the caller. Names are those of metadata/config_definitions.h.
//
// Every fault is collected, none stops the reading, so that `ottla serve --check` explains a file
// in one go.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ottla::cli {

// One thing that is wrong, for people: "node.toml:3: num.partitions: cause. remedy"
struct SettingFault {
  std::string place;  // "node.toml:3", "OTTLA_NUM_PARTITIONS", "--set"
  std::string key;    // empty if the whole file is meant
  std::string cause;
  std::string remedy;
  std::string to_string() const;
  bool operator==(const SettingFault&) const = default;
};

struct Setting {
  std::string value;
  std::string place;
  bool operator==(const Setting&) const = default;
};

// A key as it stands in a file.
struct FileEntry {
  std::string key;  // dotted
  std::string value;
  unsigned line = 0;
};

class Settings {
 public:
  // Each checks names and values; what is refused becomes a fault and is left out.
  void add_file(std::string_view file_name, const std::vector<FileEntry>& entries);
  // Of the process's variables, those that are settings: OTTLA_LOG_DIRS is log.dirs, and
  // OTTLA_SHARDS is ottla.shards. Other OTTLA_ variables are left alone unless they look misspelt.
  void add_environment(const std::vector<std::pair<std::string, std::string>>& variables);
  // A flag that stands for one key.
  void add_flag(std::string_view flag, std::string_view key, std::string value);
  // KEY=VALUE of --set.
  void add_assignment(std::string_view assignment);
  void add_fault(SettingFault fault) { faults_.push_back(std::move(fault)); }

  // What was set, and by whom; null if only the default is there.
  const Setting* find(std::string_view key) const;
  std::string value_or_default(std::string_view key) const;
  // Where the value in force comes from: for faults that are found later.
  std::string place_of(std::string_view key) const;
  const std::map<std::string, Setting, std::less<>>& all() const { return settings_; }

  const std::vector<SettingFault>& faults() const { return faults_; }

 private:
  void add(std::string_view key, std::string value, std::string place);

  std::map<std::string, Setting, std::less<>> settings_;
  std::vector<SettingFault> faults_;
};

// The variable that sets a key: "OTTLA_LOG_DIRS".
std::string environment_name(std::string_view key);

// Every setting in force, as a TOML file whose comments say where each value comes from.
std::string effective_as_toml(const Settings& settings);

}  // namespace ottla::cli
