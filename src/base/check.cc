#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace ottla {

void check_failed(std::string_view condition, std::source_location where) {
  std::fprintf(stderr, "invariant broken: %.*s (%s:%u)\n", static_cast<int>(condition.size()),
               condition.data(), where.file_name(), static_cast<unsigned>(where.line()));
  std::fflush(stderr);
  std::abort();
}

}  // namespace ottla
