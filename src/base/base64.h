// Bytes as text, base64 with padding (RFC 4648, section 4): in JSON, Kafka's and ours.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace ottla {

std::string to_base64(ByteView bytes);

// nullopt if `text` has another letter, or is not a multiple of four of them.
std::optional<Bytes> from_base64(std::string_view text);

}  // namespace ottla
