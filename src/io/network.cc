#include "io/network.h"

#include <fmt/format.h>

namespace ottla::io {

std::string Endpoint::to_string() const {
  return host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port)
                                             : fmt::format("[{}]:{}", host, port);
}

}  // namespace ottla::io
