// Why a rule of the controller says no: the code of Kafka's and a sentence for people.
#pragma once

#include <string>

#include "wire/errors.h"

namespace ottla::metadata {

struct Refusal {
  wire::ErrorCode code = wire::ErrorCode::none;
  std::string message;
};

}  // namespace ottla::metadata
