#include "metadata/record.h"

#include <fmt/format.h>
#include <optional>
#include <utility>

#include "wire/codec.h"

namespace ottla::metadata {
namespace {

constexpr std::uint32_t kFrameVersion = 1;

// Fields that came later are written only when they say something, so that the bytes are Kafka's.
std::int16_t version_of(const wire::BrokerRegistrationChangeRecord& record) {
  if (record.cordoned_log_dirs) return 3;
  if (!record.log_dirs.empty()) return 2;
  return record.in_controlled_shutdown != 0 ? 1 : 0;
}
std::int16_t version_of(const wire::RegisterBrokerRecord&) { return 4; }
std::int16_t version_of(const wire::PartitionRecord&) { return 2; }
std::int16_t version_of(const wire::PartitionChangeRecord&) { return 2; }
template <class R>
std::int16_t version_of(const R&) {
  return 0;
}

template <std::size_t... I>
std::expected<Record, std::string> decode_as(std::uint32_t type, std::int16_t version,
                                             wire::Reader& reader, std::index_sequence<I...>) {
  std::expected<Record, std::string> result = std::unexpected(
      fmt::format("metadata record type {} is not known to this version of Ottla", type));
  const auto attempt = [&]<class R>(std::type_identity<R>) {
    if (type != static_cast<std::uint32_t>(R::info.key)) return;
    if (!R::info.versions.contains(version)) {
      result = std::unexpected(fmt::format("version {} of {} is not known to this version of Ottla",
                                           version, R::info.name));
      return;
    }
    auto decoded = wire::decode_next<R>(reader, version);
    if (decoded && reader.remaining() != 0) {
      result = std::unexpected(fmt::format("{} is followed by {} bytes that belong to nothing",
                                           R::info.name, reader.remaining()));
    } else if (decoded) {
      result = Record(std::move(*decoded));
    } else {
      result = std::unexpected(decoded.error().to_string());
    }
  };
  (attempt(std::type_identity<std::variant_alternative_t<I, Record>>{}), ...);
  return result;
}

}  // namespace

Bytes encode_record(const Record& record) {
  return std::visit(
      [](const auto& message) {
        using R = std::decay_t<decltype(message)>;
        const std::int16_t version = version_of(message);
        wire::Writer writer;
        writer.unsigned_varint(kFrameVersion);
        writer.unsigned_varint(static_cast<std::uint32_t>(R::info.key));
        writer.unsigned_varint(static_cast<std::uint32_t>(version));
        const auto written = wire::encode(message, version, writer);
        OTTLA_CHECK(written.has_value());
        const Slice whole = std::move(writer).finish().flatten();
        return Bytes(whole.view().begin(), whole.view().end());
      },
      record);
}

std::expected<Record, std::string> decode_record(const Slice& value) {
  wire::Reader reader(value);
  const std::uint32_t frame_version = reader.unsigned_varint();
  const std::uint32_t type = reader.unsigned_varint();
  const std::uint32_t version = reader.unsigned_varint();
  if (reader.failed()) return std::unexpected("a metadata record is shorter than its frame");
  if (frame_version != kFrameVersion) {
    return std::unexpected(fmt::format("metadata frame version {} is not known", frame_version));
  }
  if (version > wire::kVersionMax)
    return std::unexpected("a metadata record has an impossible version");
  return decode_as(type, static_cast<std::int16_t>(version), reader,
                   std::make_index_sequence<std::variant_size_v<Record>>());
}

std::string_view record_name(const Record& record) {
  return std::visit([](const auto& message) { return std::decay_t<decltype(message)>::info.name; },
                    record);
}

}  // namespace ottla::metadata
