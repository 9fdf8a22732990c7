#include "wire/record_skim.h"

#include <algorithm>
#include <cstring>

#include "wire/record.h"
#include "wire/record_varint.h"

namespace ottla::wire {

RecordSkimmer::RecordSkimmer(Decompressor& decompressor, MutableByteView window, Codec codec,
                             ByteView compressed, std::int32_t record_count,
                             std::size_t output_bytes_max)
    : decompressor_(decompressor),
      window_(window),
      at_(window.data()),
      end_(window.data()),
      output_left_(output_bytes_max),
      records_left_(record_count) {
  OTTLA_CHECK(window.size() >= kSkimWindowBytesMin);
  auto started = decompressor_.start(codec, compressed);
  if (!started) error_ = started.error();
}

bool RecordSkimmer::fail(BatchError error) {
  if (!error_) error_ = error;
  return false;
}

// Makes room and unpacks more; false when nothing more came, with or without error.
bool RecordSkimmer::refill() {
  if (has_ended_) return false;
  const std::size_t kept = held();
  if (kept > 0) std::memmove(window_.data(), at_, kept);
  at_ = window_.data();
  end_ = at_ + kept;
  if (kept == window_.size()) return false;
  auto count = decompressor_.read(window_.subspan(kept));
  if (!count) return fail(count.error());
  if (*count == 0) {
    has_ended_ = true;
    return false;
  }
  if (*count > output_left_) return fail(BatchError::too_large);
  output_left_ -= *count;
  end_ += *count;
  return true;
}

// Tries to hold `count` bytes; fewer at the end of the stream.
bool RecordSkimmer::ensure(std::size_t count) {
  while (held() < count && refill()) {
  }
  return !error_;
}

bool RecordSkimmer::next(SkimmedRecord& record) {
  if (error_) return false;
  if (!ensure(kVarintBytesMax)) return false;
  if (records_left_ <= 0) return held() == 0 ? false : fail(BatchError::bad_count);
  if (held() == 0) return fail(BatchError::bad_count);

  std::int32_t length = 0;
  const std::uint8_t* body = read_varint(at_, end_, length);
  if (!body || length < 0) return fail(BatchError::bad_record);
  const std::size_t size = static_cast<std::size_t>(body - at_) + static_cast<std::size_t>(length);
  if (size > window_.size()) return next_in_pieces(record);
  if (!ensure(size)) return false;
  if (held() < size) return fail(BatchError::bad_record);

  RecordCursor cursor(ByteView(at_, size), 1);
  Record whole;
  if (!cursor.next(whole)) return fail(*cursor.error());
  record = {whole.timestamp_delta, whole.offset_delta, whole.key.has_value()};
  at_ += size;
  --records_left_;
  return true;
}

bool RecordSkimmer::skip(std::int64_t count) {
  while (true) {
    const auto step = std::min(count, static_cast<std::int64_t>(held()));
    at_ += step;
    count -= step;
    if (count == 0) return true;
    if (!refill()) return fail(BatchError::bad_record);
  }
}

// Both read a number of a record of which `left` bytes are left.
bool RecordSkimmer::read_number(std::int64_t& left, std::int32_t& number) {
  if (!ensure(kVarintBytesMax)) return false;
  const std::uint8_t* limit = at_ + std::min<std::int64_t>(left, end_ - at_);
  const std::uint8_t* after = read_varint(at_, limit, number);
  if (!after) return fail(BatchError::bad_record);
  left -= after - at_;
  at_ += after - at_;
  return true;
}

bool RecordSkimmer::read_long_number(std::int64_t& left, std::int64_t& number) {
  if (!ensure(kVarlongBytesMax)) return false;
  const std::uint8_t* limit = at_ + std::min<std::int64_t>(left, end_ - at_);
  const std::uint8_t* after = read_varlong(at_, limit, number);
  if (!after) return fail(BatchError::bad_record);
  left -= after - at_;
  at_ += after - at_;
  return true;
}

bool RecordSkimmer::skip_nullable(std::int64_t& left, bool& is_null) {
  std::int32_t length = 0;
  if (!read_number(left, length)) return false;
  is_null = length < 0;
  if (is_null) return true;
  if (length > left) return fail(BatchError::bad_record);
  left -= length;
  return skip(length);
}

// A record larger than the window, number by number. The same grammar as RecordCursor's, checked as
// strictly.
bool RecordSkimmer::next_in_pieces(SkimmedRecord& record) {
  std::int32_t length = 0;
  std::int64_t left = kVarintBytesMax;
  if (!read_number(left, length)) return false;
  left = length;

  constexpr std::int64_t kAttributesBytes = 1;
  if (!skip(kAttributesBytes)) return false;
  left -= kAttributesBytes;
  if (!read_long_number(left, record.timestamp_delta)) return false;
  if (!read_number(left, record.offset_delta)) return false;
  bool is_null = false;
  if (!skip_nullable(left, is_null)) return false;
  record.has_key = !is_null;
  if (!skip_nullable(left, is_null)) return false;
  std::int32_t header_count = 0;
  if (!read_number(left, header_count)) return false;
  if (header_count < 0) return fail(BatchError::bad_record);
  for (std::int32_t i = 0; i < header_count; ++i) {
    if (!skip_nullable(left, is_null)) return false;
    if (is_null) return fail(BatchError::bad_record);
    if (!skip_nullable(left, is_null)) return false;
  }
  if (left != 0) return fail(BatchError::bad_record);
  --records_left_;
  return true;
}

}  // namespace ottla::wire
