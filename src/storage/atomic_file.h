// Small files that are replaced as a whole: checkpoints, snapshots, meta.properties, the clean
// marker. After a crash at any point the file has its old or its new content, never a mixture.
#pragma once

#include <cstddef>
#include <string>

#include "base/bytes.h"
#include "io/disk.h"
#include "io/error.h"
#include "io/task.h"

namespace ottla::storage {

// Ends the name of the temporary file; one that a crash left behind is nobody's and is overwritten.
inline constexpr std::string_view kTemporarySuffix = ".tmp";

// Writes `directory`/`name` by way of a temporary file in the same directory: write, sync, rename,
// sync the directory. Durable when it returns. After an error the content is old or new, and
// durable or not: the caller treats the disk as failed (correctness: never retry a sync).
// Two writers of one name at a time are not allowed.
io::Task<io::Result<>> write_file_atomically(io::Disk& disk, std::string directory,
                                             std::string name, Bytes content);

// The whole file. `not_found` if it is not there; `invalid` if it is longer than `bytes_max`, which
// is looked at before memory is taken.
io::Task<io::Result<Bytes>> read_small_file(io::Disk& disk, std::string path,
                                            std::size_t bytes_max);

// Removes `directory`/`name` and makes that durable. Fine if it is not there.
io::Task<io::Result<>> remove_file_durably(io::Disk& disk, std::string directory, std::string name);

}  // namespace ottla::storage
