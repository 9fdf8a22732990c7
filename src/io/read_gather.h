// The bytes of a Gather in memory, read from files where that is where they are.
#pragma once

#include "base/gather.h"
#include "io/disk.h"

namespace ottla::io {

// Without copying if it is one piece of memory already. `input_output` if a file has become shorter
// than a range.
Task<Result<Slice>> read_gather(Gather gather);

}  // namespace ottla::io
