// What the parsers of files on disk answer when the bytes are not what the format allows.
#pragma once

#include <expected>
#include <string>

namespace ottla::storage {

struct FormatError {
  std::string message;  // which rule is broken and where, for people; without the file's name
};

template <class T = void>
using Parsed = std::expected<T, FormatError>;

inline std::unexpected<FormatError> format_error(std::string message) {
  return std::unexpected(FormatError{std::move(message)});
}

}  // namespace ottla::storage
