#include "wire/compression.h"

#include <algorithm>
#include <cstring>
#include <lz4frame.h>
#include <snappy.h>
#include <zlib.h>
#include <zstd.h>

namespace ottla::wire {
namespace {

constexpr LevelRange kGzipLevels{-1, 9, -1};
constexpr LevelRange kLz4Levels{1, 17, 9};
constexpr int kZstdStandardLevel = 3;

// As the Java client writes them.
constexpr std::size_t kXerialBlockBytes = 32 * 1024;
constexpr std::uint8_t kXerialHeader[] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0,
                                          0,    0,   0,   1,   0,   0,   0,   1};

struct ZstdContext {
  ZSTD_CCtx* context = ZSTD_createCCtx();
  ~ZstdContext() { ZSTD_freeCCtx(context); }
};

// Each takes the room at `out` and says how much of it was used.

std::size_t compress_gzip(int level, ByteView input, MutableByteView out) {
  constexpr int kGzipHeader = 16;
  constexpr int kMemoryLevel = 8;
  z_stream stream{};
  OTTLA_CHECK(deflateInit2(&stream, level, Z_DEFLATED, MAX_WBITS + kGzipHeader, kMemoryLevel,
                           Z_DEFAULT_STRATEGY) == Z_OK);
  stream.next_in = const_cast<std::uint8_t*>(input.data());
  stream.avail_in = static_cast<uInt>(input.size());
  stream.next_out = out.data();
  stream.avail_out = static_cast<uInt>(out.size());
  OTTLA_CHECK(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  deflateEnd(&stream);
  return out.size() - stream.avail_out;
}

std::size_t compress_snappy(ByteView input, MutableByteView out) {
  std::uint8_t* at = std::copy(std::begin(kXerialHeader), std::end(kXerialHeader), out.data());
  for (std::size_t from = 0; from < input.size(); from += kXerialBlockBytes) {
    const ByteView block = input.subspan(from, std::min(kXerialBlockBytes, input.size() - from));
    std::size_t size = 0;
    snappy::RawCompress(as_text(block).data(), block.size(),
                        reinterpret_cast<char*>(at + sizeof(std::int32_t)), &size);
    store_big(at, static_cast<std::int32_t>(size));
    at += sizeof(std::int32_t) + size;
  }
  return static_cast<std::size_t>(at - out.data());
}

LZ4F_preferences_t lz4_preferences(int level) {
  // Java's reader wants independent blocks. Kafka's standard level means the fast coder; the others
  // the strong one, which liblz4 numbers from 3 to 12.
  LZ4F_preferences_t preferences{};
  preferences.frameInfo.blockSizeID = LZ4F_max64KB;
  preferences.frameInfo.blockMode = LZ4F_blockIndependent;
  preferences.compressionLevel = level == kLz4Levels.standard ? 0 : std::clamp(level, 3, 12);
  return preferences;
}

std::size_t compress_lz4(int level, ByteView input, MutableByteView out) {
  const LZ4F_preferences_t preferences = lz4_preferences(level);
  const std::size_t size =
      LZ4F_compressFrame(out.data(), out.size(), input.data(), input.size(), &preferences);
  OTTLA_CHECK(!LZ4F_isError(size));
  return size;
}

std::size_t compress_zstd(int level, ByteView input, MutableByteView out) {
  ZstdContext zstd;
  OTTLA_CHECK(zstd.context != nullptr);
  const std::size_t size =
      ZSTD_compressCCtx(zstd.context, out.data(), out.size(), input.data(), input.size(), level);
  OTTLA_CHECK(!ZSTD_isError(size));
  return size;
}

// The most that compression may make of `size` bytes.
std::size_t bound(Codec codec, int level, std::size_t size) {
  switch (codec) {
    case Codec::none:
      return size;
    case Codec::gzip: {
      constexpr std::size_t kGzipFrameBytes = 18;
      return compressBound(size) + kGzipFrameBytes;
    }
    case Codec::snappy: {
      const std::size_t blocks = (size + kXerialBlockBytes - 1) / kXerialBlockBytes;
      return sizeof kXerialHeader +
             blocks * (sizeof(std::int32_t) + snappy::MaxCompressedLength(kXerialBlockBytes));
    }
    case Codec::lz4: {
      const LZ4F_preferences_t preferences = lz4_preferences(level);
      return LZ4F_compressFrameBound(size, &preferences);
    }
    case Codec::zstd:
      return ZSTD_compressBound(size);
  }
  return 0;
}

}  // namespace

LevelRange level_range(Codec codec) {
  switch (codec) {
    case Codec::gzip:
      return kGzipLevels;
    case Codec::lz4:
      return kLz4Levels;
    case Codec::zstd:
      return {ZSTD_minCLevel(), ZSTD_maxCLevel(), kZstdStandardLevel};
    default:
      return {0, 0, 0};
  }
}

std::expected<Slice, BatchError> compress(Codec codec, std::optional<int> level, ByteView input,
                                          std::size_t headroom_bytes) {
  OTTLA_CHECK(input.size() <= kBatchBytesMax);
  const LevelRange range = level_range(codec);
  const int used_level = level.value_or(range.standard);
  if (used_level < range.lowest || used_level > range.highest) {
    return std::unexpected(BatchError::bad_level);
  }
  // zlib's 0 stores without compressing, and Kafka does not allow it.
  if (codec == Codec::gzip && used_level == 0) return std::unexpected(BatchError::bad_level);

  const Slice scratch = Slice::allocate(headroom_bytes + bound(codec, used_level, input.size()));
  const MutableByteView out = scratch.mutable_view().subspan(headroom_bytes);
  std::size_t size = 0;
  switch (codec) {
    case Codec::none:
      std::copy(input.begin(), input.end(), out.begin());
      size = input.size();
      break;
    case Codec::gzip:
      size = compress_gzip(used_level, input, out);
      break;
    case Codec::snappy:
      size = compress_snappy(input, out);
      break;
    case Codec::lz4:
      size = compress_lz4(used_level, input, out);
      break;
    case Codec::zstd:
      size = compress_zstd(used_level, input, out);
      break;
    default:
      return std::unexpected(BatchError::unknown_codec);
  }
  size += headroom_bytes;
  if (size > kBatchBytesMax) return std::unexpected(BatchError::too_large);
  // The bound is far above the result as a rule; whoever keeps the batch should not keep that too.
  return Slice::copy_of(scratch.view().first(size));
}

}  // namespace ottla::wire
