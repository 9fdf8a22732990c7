// The background scrub: reads the sealed segments of a store's logs again and compares them with
// their sums, or where there are none judges their batches, so that rot is found before the last
// good copy is gone. Private to storage; a store runs one.
//
// Slow on purpose: StoreLimits::scrub_bytes_per_second for all shards together, whatever it reads,
// and past the page cache where the file system can. What was scrubbed longest ago comes first; one
// that was sealed or scrubbed within scrub_interval_ms is left alone. After an unclean start all is
// due; after a clean one nobody knows, and it is spread over the interval.
//
// Damage is named in the store's log by its offsets, which answer CORRUPT_MESSAGE from then on. A
// segment that is cut or removed meanwhile is left; nothing is ever written.
#pragma once

#include "io/task.h"

namespace ottla::storage {

class ShardStore;

// Until the store closes or is fenced.
io::Task<> scrub_in_background(ShardStore& store);

}  // namespace ottla::storage
