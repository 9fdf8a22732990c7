#include "io/error.h"

namespace ottla::io {

std::string_view to_string(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::not_found:
      return "not found";
    case ErrorKind::exists:
      return "exists";
    case ErrorKind::permission:
      return "permission denied";
    case ErrorKind::no_space:
      return "no space left";
    case ErrorKind::in_use:
      return "in use";
    case ErrorKind::closed:
      return "closed";
    case ErrorKind::refused:
      return "refused";
    case ErrorKind::timed_out:
      return "timed out";
    case ErrorKind::exhausted:
      return "resources exhausted";
    case ErrorKind::invalid:
      return "invalid";
    case ErrorKind::input_output:
      return "input/output error";
  }
  return "unknown";
}

}  // namespace ottla::io
