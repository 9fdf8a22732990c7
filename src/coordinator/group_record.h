// The records of `__consumer_offsets` in Kafka's formats: the key is an int16 type and a message in
// version 0, the value an int16 version and a message; no value is a tombstone (interop.md C.2).
#pragma once

#include <expected>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "coordinator/group_output.h"

namespace ottla::coordinator {

struct EncodedRecord {
  Bytes key;
  std::optional<Bytes> value;
};

// In the versions that Kafka 4.3 writes.
EncodedRecord encode_record(const GroupRecord& record);

// nullopt: a kind that this build does not act on (another kind of group, a newer writer). An error
// names what is wrong with a record of a known kind.
std::expected<std::optional<GroupRecord>, std::string> decode_record(std::optional<ByteView> key,
                                                                     std::optional<ByteView> value);

}  // namespace ottla::coordinator
