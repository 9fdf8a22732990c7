// What the process says to its caller when it ends. Part of the interface: scripts depend on it.
#pragma once

namespace ottla::cli {

enum class ExitCode : int {
  done = 0,         // did what it was asked; a node: was asked to stop, and stopped cleanly
  failed = 1,       // could not; a node: its disk failed, its folder is damaged ...
  usage = 2,        // flags, environment or file make no sense; nothing was started
  in_use = 3,       // a node: the port or the folder belongs to another process
  not_found = 4,    // the topic, partition or file is not there
  unreachable = 5,  // no broker answers there, or not in time
};

constexpr int to_int(ExitCode code) { return static_cast<int>(code); }

}  // namespace ottla::cli
