// wire_tool: our half of the comparison with Kafka's own classes (tests/wire/run).
//
//   wire_tool errors                    every error code: number, name, whether it may be retried
//   wire_tool apis                      every API: key, name, versions, header versions
//   wire_tool generate COUNT SEED       COUNT random messages of every (message, version) pair
//   wire_tool verify                    reads what Kafka made of them, compares
//
// A line of generate: name, version, our JSON, our bytes in hex, our bytes with unknown tagged
// fields added ("-" where the version has none). A line that verify reads: name, version, Kafka's
// JSON, Kafka's bytes. Tabs between.
#include <charconv>
#include <cstdio>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "wire/api.h"
#include "wire/errors.h"
#include "wire/testing/any_message.h"
#include "wire/testing/json_reader.h"

namespace {

using namespace ottla;
using namespace ottla::wire;

std::string hex(ByteView bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const std::uint8_t byte : bytes) text.append({kDigits[byte >> 4], kDigits[byte & 15]});
  return text;
}

Slice unhex(std::string_view text) {
  Slice bytes = Slice::allocate(text.size() / 2);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    std::from_chars(text.data() + 2 * i, text.data() + 2 * i + 2, bytes.mutable_data()[i], 16);
  }
  return bytes;
}

std::vector<std::string> split(const std::string& line) {
  std::vector<std::string> parts(1);
  for (const char c : line) {
    if (c == '\t') {
      parts.emplace_back();
    } else {
      parts.back().push_back(c);
    }
  }
  return parts;
}

int errors() {
  for (int code = -1; !error_name(static_cast<ErrorCode>(code)).empty(); ++code) {
    const auto error = static_cast<ErrorCode>(code);
    std::cout << code << '\t' << error_name(error) << '\t'
              << (is_retriable(error) ? "true" : "false") << '\n';
  }
  return 0;
}

int list_apis() {
  for (const ApiInfo& api : apis()) {
    std::cout << static_cast<int>(api.key) << '\t' << api.name << '\t' << api.versions.first << '\t'
              << api.versions.last;
    std::cout << '\t' << ((api.listeners & kOnBroker) ? "B" : "")
              << ((api.listeners & kOnController) ? "C" : "");
    std::cout << '\t' << (api.latest_version_unstable ? "unstable" : "stable") << '\t';
    for (std::int16_t v = api.versions.first; v <= api.versions.last; ++v) {
      std::cout << api.request_header_version(v) << api.response_header_version(v) << ',';
    }
    std::cout << '\n';
  }
  return 0;
}

int generate(std::uint64_t count, std::uint64_t seed) {
  for (const AnyMessage* message : all_messages()) {
    const Versions versions = message->info->versions;
    for (std::int16_t version = versions.first; version <= versions.last; ++version) {
      for (std::uint64_t i = 0; i < count; ++i) {
        const std::uint64_t own_seed = seed * 1'000'003 + i;
        const auto plain = message->random(own_seed, version, {.defaults_only = i == 0});
        const auto tagged = message->random(own_seed, version, {.unknown_tags = true});
        const auto bytes = message->encode(plain.get(), version);
        const auto tagged_bytes = message->encode(tagged.get(), version);
        if (!bytes || !tagged_bytes) {
          std::cerr << "wire_tool: " << (bytes ? tagged_bytes : bytes).error().to_string() << '\n';
          return 1;
        }
        std::cout << message->info->name << '\t' << version << '\t'
                  << message->to_json(plain.get(), version) << '\t' << hex(*bytes) << '\t'
                  << (message->info->is_flexible(version) ? hex(*tagged_bytes) : "-") << '\n';
      }
    }
  }
  return 0;
}

// Empty if Kafka's bytes and JSON mean the same to us, and become the same bytes and JSON again.
std::string judge(const AnyMessage& message, std::int16_t version, const std::string& json,
                  const std::string& bytes) {
  const auto decoded = message.decode(unhex(bytes), version, {});
  if (!decoded) return decoded.error().to_string();
  const auto again = message.encode(decoded->get(), version);
  if (!again) return again.error().to_string();
  if (hex(*again) != bytes) return "our bytes after decoding: " + hex(*again);
  if (json == "-") return "";
  const auto read = message.from_json(json, version);
  if (!read) return "our reading of the JSON: " + read.error();
  const auto from_json = message.encode(read->get(), version);
  if (!from_json) return from_json.error().to_string();
  if (hex(*from_json) != bytes) return "our bytes from the JSON: " + hex(*from_json);
  if (!same_json(message.to_json(decoded->get(), version), json)) {
    return "our JSON: " + message.to_json(decoded->get(), version);
  }
  return "";
}

int verify() {
  std::map<std::string, std::size_t> per_pair;
  std::size_t passed = 0;
  std::size_t failed = 0;
  for (std::string line; std::getline(std::cin, line);) {
    const auto parts = split(line);
    const AnyMessage* message = parts.size() == 4 ? find_message(parts[0]) : nullptr;
    const std::string complaint =
        message
            ? judge(*message, static_cast<std::int16_t>(std::stoi(parts[1])), parts[2], parts[3])
            : "not a line of ours";
    complaint.empty() ? ++passed : ++failed;
    if (!complaint.empty() && failed <= 20)
      std::cerr << "FAILED " << line << "\n  " << complaint << '\n';
    if (complaint.empty()) ++per_pair[parts[0] + '\t' + parts[1]];
  }
  std::cout << per_pair.size() << '\t' << passed << '\t' << failed << '\n';
  return failed == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  std::ios::sync_with_stdio(false);
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.size() == 1 && words[0] == "errors") return errors();
  if (words.size() == 1 && words[0] == "apis") return list_apis();
  if (words.size() == 3 && words[0] == "generate")
    return generate(std::stoull(words[1]), std::stoull(words[2]));
  if (words.size() == 1 && words[0] == "verify") return verify();
  std::cerr << "usage: wire_tool errors | apis | generate COUNT SEED | verify\n";
  return 2;
}
