// Which APIs the broker serves, in which versions, by which handler. What is not in the table is
// not advertised.
#pragma once

#include <cstdint>
#include <span>

#include "broker/request_context.h"
#include "wire/api.h"

namespace ottla::broker {

struct ServedApi {
  wire::ApiKey key;
  wire::Versions served;
  std::int16_t advertised_from;  // below served.first only for Produce
  Handler handler;
};

std::span<const ServedApi> served_apis();        // by key
const ServedApi* find_served(std::int16_t key);  // null if it is not served

}  // namespace ottla::broker
