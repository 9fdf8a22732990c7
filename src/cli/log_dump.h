// Files of a log dir as JSON lines: segments, indexes, snapshots, checkpoints, the metadata log's
// records, journals. Reads only; used by `ottla log dump`.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "io/env.h"

namespace ottla::cli {

struct DumpSettings {
  bool with_records = false;  // a line a record, too
};
using OnLine = std::function<void(std::string_view json)>;

// One file, told apart by its name, or all files of a folder and of the folders in it. Every line
// says of which file it is. What can't be read becomes a line with an "error"; then the result is
// false. Errors: the path itself can't be opened.
io::Task<io::Result<bool>> dump_path(io::Env& env, std::string path, DumpSettings settings,
                                     OnLine on_line);

}  // namespace ottla::cli
