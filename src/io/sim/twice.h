// Whether a run is decided by its seed alone: runs it twice and compares.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "io/sim/world.h"

namespace ottla::io::sim {

// Runs `body` in two worlds of the same options, with the heap in different states, so that an
// order of addresses shows. Nothing if the traces agree; else where they part, in words: the first
// line that differs, of two more runs.
std::optional<std::string> find_nondeterminism(const WorldOptions& options,
                                               const std::function<void(World&)>& body);

}  // namespace ottla::io::sim
