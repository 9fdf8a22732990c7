#include "wire/api.h"

namespace ottla::wire {

const ApiInfo* find_api(std::int16_t key) {
  // Keys have no gaps; api_test checks that.
  return key >= 0 && static_cast<std::size_t>(key) < kApiCount ? &kApis[key] : nullptr;
}

}  // namespace ottla::wire
