#include "io/real/system_error.h"

#include <cerrno>
#include <cstring>
#include <fmt/format.h>

namespace ottla::io::real {

ErrorKind kind_of(int error_number) {
  switch (error_number) {
    case ENOENT:
      return ErrorKind::not_found;
    case EEXIST:
      return ErrorKind::exists;
    case EACCES:
    case EPERM:
    case EROFS:
      return ErrorKind::permission;
    case ENOSPC:
    case EDQUOT:
      return ErrorKind::no_space;
    case EADDRINUSE:
    case EBUSY:
    case EWOULDBLOCK:
    case ETXTBSY:
      return ErrorKind::in_use;
    case EPIPE:
    case ECONNRESET:
    case ECONNABORTED:
    case ENOTCONN:
    case ESHUTDOWN:
    case EBADF:
      return ErrorKind::closed;
    case ECONNREFUSED:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case ENETDOWN:
      return ErrorKind::refused;
    case ETIMEDOUT:
      return ErrorKind::timed_out;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOBUFS:
      return ErrorKind::exhausted;
    case EINVAL:
    case ENOTDIR:
    case EISDIR:
    case ENOTEMPTY:
    case ENAMETOOLONG:
    case ELOOP:
    case EFBIG:
    case EXDEV:
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT:
    case EOPNOTSUPP:
      return ErrorKind::invalid;
    default:
      return ErrorKind::input_output;
  }
}

Error system_error(std::string_view operation, std::string_view object, int error_number) {
  const char* name = ::strerrorname_np(error_number);
  return {kind_of(error_number),
          fmt::format("{} {}: {} ({})", operation, object,
                      ::strerrordesc_np(error_number) != nullptr ? ::strerrordesc_np(error_number)
                                                                 : "unknown cause",
                      name != nullptr ? name : "?")};
}

}  // namespace ottla::io::real
