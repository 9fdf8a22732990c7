// The background task of a store that compacts its logs (cleanup.policy=compact): one at a time,
// the one with the greatest dirty part first. What becomes of a batch is decided by compaction.h.
//
// A pass reads the dirty part for its keys, then all segments from the log's first, and writes
// groups of them anew under names that end in `.cleaned`. A group takes the place of its segments
// so (each step durable before the next; StoredLog::replace_segments):
//   1. the journal says that it knows nothing below the group's end any more
//   2. `.cleaned` becomes `.swap`: from here on a start finishes the work, before it takes it back
//   3. the old files become `.deleted`     4. `.swap` gets the old names
//
// A batch whose CRC does not hold is never written anew: the segment is named, and its log is left
// alone until the next start.
#pragma once

#include "io/task.h"

namespace ottla::storage {

class ShardStore;

// Until the store closes or is fenced.
io::Task<> compact_in_background(ShardStore& store);

}  // namespace ottla::storage
