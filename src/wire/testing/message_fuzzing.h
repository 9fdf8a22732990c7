// The bodies of the message fuzzers in fuzz/, also run over seeds by message_fuzzing_test. They
// abort when a property breaks; an error from decode is fine.
#pragma once

#include <initializer_list>

#include "base/bytes.h"
#include "wire/message.h"

namespace ottla::wire::testing {

// The first byte chooses a message among those of these kinds, the second a version of it, the rest
// is decoded. What decodes must print, encode, have the size that was foretold, and decode to the
// same again.
void fuzz_message(ByteView data, std::initializer_list<MessageKind> kinds);

// A frame as it comes from a connection, without its length: header, then body by API and version.
void fuzz_request_frame(ByteView data);

}  // namespace ottla::wire::testing
