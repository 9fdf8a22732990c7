// From settings to the typed configuration of a node. Pure.
#pragma once

#include <expected>
#include <vector>

#include "broker/node_config.h"
#include "cli/settings.h"

namespace ottla::cli {

// How the process runs, beside what the node is.
struct ProcessSettings {
  enum class DiskBackend { automatic, io_uring, threads };
  unsigned shards = 0;  // 0: one a core
  DiskBackend disk_backend = DiskBackend::automatic;
  bool direct_io = true;
};

struct NodeSettings {
  broker::NodeConfig node;
  ProcessSettings process;
};

// The faults are those of the settings themselves and those that only their meaning shows.
std::expected<NodeSettings, std::vector<SettingFault>> resolve_node(const Settings& settings);

}  // namespace ottla::cli
