// A broker that keeps nothing: one bare epoll loop that receives produce requests, counts offsets
// and answers, without a look at the records. What it costs, any broker pays on this machine; the
// rest of a broker's figure is its own. Serves just what the generator asks for.
#pragma once

#include "options.h"

namespace ottla::load {

// Listens on options.port until the process is killed.
[[noreturn]] void run_null_broker(const Options& options);

}  // namespace ottla::load
