#include "wire/testing/any_message.h"

namespace ottla::wire {

const AnyMessage* find_message(std::string_view name) {
  for (const AnyMessage* message : all_messages()) {
    if (message->info->name == name) return message;
  }
  return nullptr;
}

}  // namespace ottla::wire
