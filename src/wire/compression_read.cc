#include <algorithm>
#include <array>
#include <cstring>
#include <lz4frame.h>
#include <snappy.h>
#include <zlib.h>
#include <zstd.h>

#include "wire/compression.h"

namespace ottla::wire {
namespace {

using ReadResult = std::expected<std::size_t, BatchError>;

constexpr auto kCorrupt = std::unexpected(BatchError::corrupt_compression);

// xerial's stream framing: 16 bytes of header, then blocks {int32 size, raw snappy}.
constexpr std::array<std::uint8_t, 8> kXerialMagic = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0};
constexpr std::size_t kXerialHeaderBytes = 16;

// A raw snappy block cannot grow by more: its densest element is a copy of 64 bytes in three.
constexpr std::size_t kSnappyGrowthMax = 22;

// The LZ4 frame's first bytes: magic, FLG, BD, header checksum.
constexpr std::uint32_t kLz4Magic = 0x184d2204;
constexpr std::size_t kLz4HeaderBytesMin = 7;
constexpr std::uint8_t kLz4IndependentBlocks = 0x20;
// Version 01; the reserved bit and that of a dictionary id are clear.
constexpr std::uint8_t kLz4FixedBits = 0xc3;  // version, reserved, dictionary
constexpr std::uint8_t kLz4FixedValue = 0x40;

bool has_xerial_magic(ByteView input) {
  return input.size() >= kXerialHeaderBytes &&
         std::equal(kXerialMagic.begin(), kXerialMagic.end(), input.begin());
}

bool has_gzip_magic(ByteView input) {
  return input.size() >= 2 && input[0] == 0x1f && input[1] == 0x8b;
}

}  // namespace

struct Decompressor::State {
  ~State() {
    if (gzip_ready) inflateEnd(&gzip);
    LZ4F_freeDecompressionContext(lz4);
    ZSTD_freeDCtx(zstd);
  }

  ReadResult read_plain(MutableByteView out);
  ReadResult read_gzip(MutableByteView out);
  ReadResult read_snappy(MutableByteView out);
  ReadResult read_lz4(MutableByteView out);
  ReadResult read_zstd(MutableByteView out);

  std::expected<ByteView, BatchError> next_snappy_block();
  void release_excess();

  Codec codec = Codec::none;
  ByteView input;  // what is left of it
  bool has_ended = true;

  z_stream gzip{};
  bool gzip_ready = false;

  LZ4F_dctx* lz4 = nullptr;
  bool lz4_has_big_blocks = false;

  ZSTD_DCtx* zstd = nullptr;

  bool snappy_is_framed = false;
  std::unique_ptr<std::uint8_t[]> block;  // a snappy block larger than what a reader had room for
  std::size_t block_capacity = 0;
  ByteView block_left;
};

Decompressor::Decompressor() = default;
Decompressor::~Decompressor() = default;
Decompressor::Decompressor(Decompressor&&) noexcept = default;
Decompressor& Decompressor::operator=(Decompressor&&) noexcept = default;

std::expected<void, BatchError> Decompressor::start(Codec codec, ByteView input) {
  if (!state_) state_ = std::make_unique<State>();
  State& state = *state_;
  state.codec = codec;
  state.input = input;
  state.has_ended = true;  // until the codec is ready
  state.block_left = {};
  if (codec != Codec::none && input.empty()) return kCorrupt;

  switch (codec) {
    case Codec::none:
      break;
    case Codec::gzip: {
      constexpr int kGzipHeader = 16;
      const int result = state.gzip_ready ? inflateReset(&state.gzip)
                                          : inflateInit2(&state.gzip, MAX_WBITS + kGzipHeader);
      OTTLA_CHECK(result == Z_OK);
      state.gzip_ready = true;
      break;
    }
    case Codec::snappy:
      state.snappy_is_framed = has_xerial_magic(input);
      // The versions in the header are not looked at: Java's reader does not either.
      if (state.snappy_is_framed) state.input = input.subspan(kXerialHeaderBytes);
      break;
    case Codec::lz4: {
      if (input.size() < kLz4HeaderBytesMin) return kCorrupt;
      if (std::byteswap(load_big<std::uint32_t>(input.data())) != kLz4Magic) return kCorrupt;
      const std::uint8_t flags = input[4];
      if ((flags & kLz4FixedBits) != kLz4FixedValue) return kCorrupt;
      if (!(flags & kLz4IndependentBlocks)) return kCorrupt;
      state.lz4_has_big_blocks = ((input[5] >> 4) & 7) >= LZ4F_max1MB;
      if (state.lz4) {
        LZ4F_resetDecompressionContext(state.lz4);
      } else {
        OTTLA_CHECK(!LZ4F_isError(LZ4F_createDecompressionContext(&state.lz4, LZ4F_VERSION)));
      }
      break;
    }
    case Codec::zstd:
      if (!state.zstd) {
        state.zstd = ZSTD_createDCtx();
        OTTLA_CHECK(state.zstd != nullptr);
        ZSTD_DCtx_setParameter(state.zstd, ZSTD_d_windowLogMax, kZstdWindowLogMax);
      }
      ZSTD_DCtx_reset(state.zstd, ZSTD_reset_session_only);
      break;
    default:
      return std::unexpected(BatchError::unknown_codec);
  }
  state.has_ended = false;
  return {};
}

std::expected<std::size_t, BatchError> Decompressor::read(MutableByteView out) {
  OTTLA_CHECK(state_ != nullptr && !out.empty());
  State& state = *state_;
  if (state.has_ended) return 0;
  ReadResult count = [&]() -> ReadResult {
    switch (state.codec) {
      case Codec::none:
        return state.read_plain(out);
      case Codec::gzip:
        return state.read_gzip(out);
      case Codec::snappy:
        return state.read_snappy(out);
      case Codec::lz4:
        return state.read_lz4(out);
      case Codec::zstd:
        return state.read_zstd(out);
    }
    return std::unexpected(BatchError::unknown_codec);
  }();
  if (!count || *count == 0) state.has_ended = true;
  if (state.has_ended) state.release_excess();
  return count;
}

ReadResult Decompressor::State::read_plain(MutableByteView out) {
  const std::size_t count = std::min(out.size(), input.size());
  std::copy_n(input.begin(), count, out.begin());
  input = input.subspan(count);
  return count;
}

ReadResult Decompressor::State::read_gzip(MutableByteView out) {
  constexpr std::size_t kPieceMax = std::size_t{1} << 30;  // zlib counts in unsigned int
  const std::size_t room = std::min(out.size(), kPieceMax);
  gzip.next_out = out.data();
  gzip.avail_out = static_cast<uInt>(room);
  while (true) {
    const std::size_t piece = std::min(input.size(), kPieceMax);
    gzip.next_in = const_cast<std::uint8_t*>(input.data());
    gzip.avail_in = static_cast<uInt>(piece);
    const int result = inflate(&gzip, Z_NO_FLUSH);
    input = input.subspan(piece - gzip.avail_in);
    const std::size_t produced = room - gzip.avail_out;
    if (result == Z_STREAM_END) {
      has_ended = !has_gzip_magic(input);
      if (has_ended) return produced;
      inflateReset(&gzip);
      continue;
    }
    if (result != Z_OK && result != Z_BUF_ERROR) return kCorrupt;
    if (produced > 0) return produced;
    if (input.empty() || result == Z_BUF_ERROR) return kCorrupt;
  }
}

// The raw block that comes next, taken off the input; empty at the end.
std::expected<ByteView, BatchError> Decompressor::State::next_snappy_block() {
  if (!snappy_is_framed) return std::exchange(input, {});
  while (has_xerial_magic(input)) input = input.subspan(kXerialHeaderBytes);  // streams in a row
  if (input.empty()) return ByteView();
  if (input.size() < sizeof(std::int32_t)) return kCorrupt;
  const auto size = load_big<std::int32_t>(input.data());
  input = input.subspan(sizeof(std::int32_t));
  if (size <= 0 || static_cast<std::size_t>(size) > input.size()) return kCorrupt;
  const ByteView raw = input.first(static_cast<std::size_t>(size));
  input = input.subspan(raw.size());
  return raw;
}

ReadResult Decompressor::State::read_snappy(MutableByteView out) {
  while (block_left.empty()) {
    auto raw = next_snappy_block();
    if (!raw) return std::unexpected(raw.error());
    if (raw->empty()) return 0;
    const char* compressed = as_text(*raw).data();
    std::size_t size = 0;
    if (!snappy::GetUncompressedLength(compressed, raw->size(), &size)) return kCorrupt;
    if (size / kSnappyGrowthMax > raw->size()) return kCorrupt;
    if (size > kDecompressedBytesMax) return std::unexpected(BatchError::too_large);

    const bool fits = size <= out.size();
    if (!fits && size > block_capacity) {
      block = std::make_unique_for_overwrite<std::uint8_t[]>(size);
      block_capacity = size;
    }
    std::uint8_t* target = fits ? out.data() : block.get();
    if (!snappy::RawUncompress(compressed, raw->size(), reinterpret_cast<char*>(target))) {
      return kCorrupt;
    }
    if (fits && size > 0) return size;
    if (!fits) block_left = ByteView(block.get(), size);
  }
  const std::size_t count = std::min(out.size(), block_left.size());
  std::copy_n(block_left.begin(), count, out.begin());
  block_left = block_left.subspan(count);
  return count;
}

ReadResult Decompressor::State::read_lz4(MutableByteView out) {
  while (true) {
    std::size_t produced = out.size();
    std::size_t consumed = input.size();
    const std::size_t result =
        LZ4F_decompress(lz4, out.data(), &produced, input.data(), &consumed, nullptr);
    if (LZ4F_isError(result)) return kCorrupt;
    input = input.subspan(consumed);
    if (result == 0) {
      has_ended = true;
      return produced;
    }
    if (produced > 0) return produced;
    if (input.empty() || consumed == 0) return kCorrupt;
  }
}

ReadResult Decompressor::State::read_zstd(MutableByteView out) {
  ZSTD_outBuffer to{out.data(), out.size(), 0};
  while (true) {
    ZSTD_inBuffer from{input.data(), input.size(), 0};
    const std::size_t result = ZSTD_decompressStream(zstd, &to, &from);
    if (ZSTD_isError(result)) return kCorrupt;
    input = input.subspan(from.pos);
    if (result == 0 && input.empty()) {
      has_ended = true;
      return to.pos;
    }
    if (to.pos > 0) return to.pos;
    if (input.empty() || from.pos == 0) return kCorrupt;
  }
}

void Decompressor::State::release_excess() {
  if (zstd && ZSTD_sizeof_DCtx(zstd) > kKeptDecompressorBytes) {
    ZSTD_freeDCtx(zstd);
    zstd = nullptr;
  }
  if (lz4 && lz4_has_big_blocks) {
    LZ4F_freeDecompressionContext(lz4);
    lz4 = nullptr;
  }
  if (block_capacity > kKeptDecompressorBytes) {
    block.reset();
    block_capacity = 0;
    block_left = {};
  }
}

std::size_t Decompressor::held_bytes() const {
  if (!state_) return 0;
  return state_->block_capacity + (state_->zstd ? ZSTD_sizeof_DCtx(state_->zstd) : 0);
}

std::expected<Slice, BatchError> decompress(Codec codec, ByteView input, std::size_t max_bytes) {
  Decompressor decompressor;
  return decompress(decompressor, codec, input, max_bytes);
}

std::expected<Slice, BatchError> decompress(Decompressor& decompressor, Codec codec, ByteView input,
                                            std::size_t max_bytes) {
  constexpr std::size_t kFirstPiece = 16 * 1024;
  constexpr std::size_t kGuessedRatio = 4;
  if (auto started = decompressor.start(codec, input); !started) {
    return std::unexpected(started.error());
  }
  // One byte beyond the bound tells a stream that ends there from one that goes on.
  const std::size_t room_max = max_bytes + 1;
  Slice output =
      Slice::allocate(std::min(room_max, std::max(kFirstPiece, kGuessedRatio * input.size())));
  std::size_t size = 0;
  while (true) {
    auto count = decompressor.read(output.mutable_view().subspan(size));
    if (!count) return std::unexpected(count.error());
    if (*count == 0) break;
    size += *count;
    if (size > max_bytes) return std::unexpected(BatchError::too_large);
    if (size < output.size()) continue;
    Slice larger = Slice::allocate(std::min(room_max, 2 * output.size()));
    std::memcpy(larger.mutable_data(), output.data(), size);
    output = std::move(larger);
  }
  if (size < output.size() / 2) return Slice::copy_of(output.view().first(size));
  return output.subslice(0, size);
}

}  // namespace ottla::wire
