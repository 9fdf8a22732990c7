#include "io/read_gather.h"

namespace ottla::io {

Task<Result<Slice>> read_gather(Gather gather) {
  if (gather.in_memory()) co_return gather.flatten();
  Slice whole = Slice::allocate(gather.size_bytes());
  std::size_t at = 0;
  for (const Gather::Part& part : gather.parts()) {
    if (const auto* slice = std::get_if<Slice>(&part)) {
      std::memcpy(whole.mutable_data() + at, slice->data(), slice->size());
      at += slice->size();
      continue;
    }
    const auto& range = std::get<FileRange>(part);
    auto* file = static_cast<File*>(range.file.get());  // only io makes FileSources
    const auto got =
        co_await file->read(range.position, whole.mutable_view().subspan(at, range.size_bytes));
    if (!got) co_return std::unexpected(got.error());
    if (*got != range.size_bytes) {
      co_return std::unexpected(
          Error{ErrorKind::input_output, "a file has become shorter than what it should hold"});
    }
    at += range.size_bytes;
  }
  co_return whole;
}

}  // namespace ottla::io
