// Log lines to stderr: "2026-01-31 12:00:00.123 WARN  text".
#pragma once

#include <memory>

#include "base/logger.h"

namespace ottla::io::real {

std::unique_ptr<Logger> make_stderr_logger(LogLevel level_min = LogLevel::info);

}  // namespace ottla::io::real
