// errno -> Error.
#pragma once

#include <string_view>

#include "io/error.h"

namespace ottla::io::real {

ErrorKind kind_of(int error_number);

// "opening /data/x: No such file or directory (ENOENT)"
Error system_error(std::string_view operation, std::string_view object, int error_number);

inline std::unexpected<Error> failed(std::string_view operation, std::string_view object,
                                     int error_number) {
  return std::unexpected(system_error(operation, object, error_number));
}

}  // namespace ottla::io::real
