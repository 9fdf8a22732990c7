// The background task of a store that applies retention to its logs: every
// log.retention.check.interval.ms each log is looked at; what goes is decided by retention.h.
#pragma once

#include "io/task.h"

namespace ottla::storage {

class ShardStore;

// Until the store closes or is fenced.
io::Task<> retain_in_background(ShardStore& store);

}  // namespace ottla::storage
