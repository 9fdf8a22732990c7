// Each good and bad batch that a real Kafka 4.3.1 was sent
// (tests/vectors/record_batch/validation_cases.txt): we answer the same error and the same record
// indexes, and what we would store is what stood in its segment. Where we differ on purpose, the
// difference is listed here.
#include <charconv>
#include <fstream>
#include <gtest/gtest.h>
#include <map>
#include <sstream>

#include "wire/record_testing.h"
#include "wire/record_validation.h"

namespace ottla::wire {
namespace {

struct Case {
  std::string name;
  std::string settings;
  std::int16_t produce_version = 0;
  TimestampMs now_ms = 0;
  Bytes sent;
  std::int16_t error = 0;
  std::vector<std::int32_t> faulty;
  Bytes stored;
};

std::int64_t number(std::string_view text) {
  std::int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

std::vector<std::string> split(const std::string& line, char by) {
  std::vector<std::string> parts;
  std::stringstream stream(line + by);
  for (std::string part; std::getline(stream, part, by);) parts.push_back(part);
  return parts;
}

std::vector<Case> read_cases() {
  std::vector<Case> cases;
  std::ifstream file(testing::vector_folder() / "validation_cases.txt");
  for (std::string line; std::getline(file, line);) {
    const std::vector<std::string> parts = split(line, '|');
    EXPECT_EQ(parts.size(), 8u) << line;
    Case c{.name = parts[0],
           .settings = parts[1],
           .produce_version = static_cast<std::int16_t>(number(parts[2])),
           .now_ms = number(parts[3]),
           .sent = testing::from_hex(parts[4]),
           .error = static_cast<std::int16_t>(number(parts[5])),
           .faulty = {},
           .stored = testing::from_hex(parts[7])};
    if (!parts[6].empty()) {
      for (const std::string& index : split(parts[6], ',')) {
        c.faulty.push_back(static_cast<std::int32_t>(number(index)));
      }
    }
    cases.push_back(std::move(c));
  }
  return cases;
}

ValidationSettings parse_settings(const std::string& text) {
  ValidationSettings settings;
  if (text.empty()) return settings;
  for (const std::string& setting : split(text, ',')) {
    const std::vector<std::string> pair = split(setting, '=');
    const std::string& value = pair[1];
    if (pair[0] == "max.message.bytes") {
      settings.max_message_bytes = static_cast<std::int32_t>(number(value));
    } else if (pair[0] == "cleanup.policy") {
      settings.is_compacted = value == "compact";
    } else if (pair[0] == "message.timestamp.type") {
      settings.message_timestamp_type = TimestampType::log_append_time;
    } else if (pair[0] == "message.timestamp.before.max.ms") {
      settings.message_timestamp_before_max_ms = number(value);
    } else if (pair[0] == "compression.type") {
      settings.compression_type = parse_codec_name(value);
      EXPECT_TRUE(settings.compression_type) << value;
    } else {
      ADD_FAILURE() << "unknown setting " << pair[0];
    }
  }
  return settings;
}

constexpr auto kUnknown = static_cast<std::int16_t>(ErrorCode::unknown_server_error);

// Where we answer otherwise than Kafka 4.3.1, and why.
const std::map<std::string, ErrorCode>& differences() {
  using enum ErrorCode;
  static const std::map<std::string, ErrorCode> differences = {
      // Kafka's exception has no code of its own here: UNKNOWN_SERVER_ERROR. Ours names the fault.
      {"length-20", corrupt_message},
      {"codec-5", unsupported_compression_type},
      {"codec-6", unsupported_compression_type},
      {"codec-7", unsupported_compression_type},
      // Kafka means to encode these anew and fails at it (it skipped keys and values); ours does.
      {"deltas-disorder-gzip", none},
      {"deltas-from-5-gzip", none},
      {"deltas-disorder-lz4", none},
      {"deltas-from-5-lz4", none},
      {"deltas-negative-zstd", none},
      // A producer id without an epoch names no producer that could be fenced.
      {"pid-no-epoch", invalid_record},
      // TRANSACTIONAL_ID_AUTHORIZATION_FAILED for the whole request is the handler's to say.
      {"control-transactional", invalid_record},
      {"transactional-without-pid", none},
  };
  return differences;
}

// Kafka stores these as they came, though the records' offsets then lie outside the batch; ours
// encodes them anew.
bool is_stored_otherwise(const std::string& name) {
  return name == "deltas-disorder-none" || name == "deltas-from-5-none";
}

ErrorCode expected_error(const Case& c) {
  if (auto it = differences().find(c.name); it != differences().end()) return it->second;
  // Damage inside compressed records is an unknown error in Kafka 4.3.1, as is a number that is too
  // long.
  if (c.error == kUnknown) return ErrorCode::invalid_record;
  return static_cast<ErrorCode>(c.error);
}

TEST(ValidationCases, AreAnsweredAsByKafka) {
  const std::vector<Case> cases = read_cases();
  ASSERT_GT(cases.size(), 150u);
  ValidationScratch scratch;
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    auto result = validate_batch(Slice::copy_of(c.sent), parse_settings(c.settings),
                                 c.produce_version, c.now_ms, scratch);
    const ErrorCode expected = expected_error(c);
    const ErrorCode code = result ? ErrorCode::none : result.error().code;
    EXPECT_EQ(error_name(code), error_name(expected)) << (result ? "" : result.error().message);
    if (!result) {
      std::vector<std::int32_t> faulty;
      for (const RecordFault& fault : result.error().records) faulty.push_back(fault.batch_index);
      EXPECT_EQ(faulty, c.faulty);
      EXPECT_FALSE(result.error().message.empty());
      continue;
    }
    EXPECT_TRUE(crc_matches(result->bytes));
    EXPECT_EQ(result->header, load_batch_header(result->bytes.data()));
    const auto records = testing::read_records(parse_batch(result->bytes).value());
    for (std::size_t i = 0; i < records.size(); ++i) {
      EXPECT_EQ(records[i].offset, static_cast<Offset>(i));
    }
    if (c.stored.empty() || is_stored_otherwise(c.name)) continue;

    // The log gives offset and epoch.
    const BatchHeader theirs = load_batch_header(c.stored.data());
    set_base_offset(result->bytes.mutable_data(), theirs.base_offset);
    set_leader_epoch(result->bytes.mutable_data(), theirs.leader_epoch);
    BatchHeader ours = load_batch_header(result->bytes.data());
    if (!result->was_rewritten) {
      EXPECT_TRUE(std::ranges::equal(result->bytes.view(), c.stored));
      continue;
    }
    // Encoded anew: the codec's output may differ, the rest not.
    ours.batch_length = theirs.batch_length;
    ours.crc = theirs.crc;
    if (ours.timestamp_type() == TimestampType::create_time) {
      EXPECT_EQ(ours, theirs);
    } else {
      EXPECT_EQ(ours.max_timestamp, theirs.max_timestamp);
      EXPECT_EQ(ours.attributes, theirs.attributes);
    }
    EXPECT_EQ(testing::read_records(parse_batch(result->bytes).value()),
              testing::read_records(parse_batch(c.stored).value()));
  }
}

}  // namespace
}  // namespace ottla::wire
