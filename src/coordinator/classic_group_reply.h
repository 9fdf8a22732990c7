// The refusals that the parts of ClassicGroup share, and its way to set a time.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

#include "coordinator/classic_group.h"

namespace ottla::coordinator {

inline std::int16_t number(wire::ErrorCode error) { return static_cast<std::int16_t>(error); }

inline wire::JoinGroupResponse refused_join(wire::ErrorCode error, std::string member_id) {
  wire::JoinGroupResponse response;
  response.error_code = number(error);
  response.member_id = std::move(member_id);
  return response;
}

inline wire::SyncGroupResponse refused_sync(wire::ErrorCode error) {
  wire::SyncGroupResponse response;
  response.error_code = number(error);
  return response;
}

// Always later than now, so that a tick does not find again what it just did.
inline TimestampMs after(Now now, std::int32_t timeout_ms) {
  return now.monotonic_ms + std::max(timeout_ms, 1);
}

}  // namespace ottla::coordinator
