// The four codecs of record batches, each in the framing that Kafka's own clients write and read:
//   gzip    RFC 1952, one or more members; what follows and is none is ignored, as by Kafka's Java
//   readers snappy  xerial's stream framing (magic, versions, length-prefixed raw blocks), as the
//   Java client writes; reading
//           also takes one raw block without framing, as librdkafka writes
//   lz4     the LZ4 frame format with independent blocks (a frame with dependent blocks is refused:
//   Kafka's Java
//           readers refuse it); header checksum right, as record batch v2 demands; what follows the
//           frame is ignored
//   zstd    one or more frames
// Output is bounded: a caller names the most that it will take, and memory is taken piece by piece
// below that.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>

#include "base/bytes.h"
#include "wire/record_batch.h"

namespace ottla::wire {

// A bound for callers that have no better one: what the records of one batch may take uncompressed.
inline constexpr std::size_t kDecompressedBytesMax = std::size_t{256} << 20;

// zstd frames whose window needs more than 2^27 bytes are refused, as by Kafka's decoder.
inline constexpr int kZstdWindowLogMax = 27;

// A decompressor lets go of its working memory after a stream when it holds more than this.
inline constexpr std::size_t kKeptDecompressorBytes = std::size_t{4} << 20;

struct LevelRange {
  int lowest;
  int highest;
  int standard;  // where a topic or client names none
};
// gzip -1..9, lz4 1..17, zstd -131072..22; {0, 0, 0} where a codec has no levels.
LevelRange level_range(Codec codec);

// Decompresses one stream after the other, piece by piece, keeping the codecs' working memory in
// between: warm, it allocates nothing. One per shard; not for two streams at once. Costs nothing
// until the first stream.
class Decompressor {
 public:
  Decompressor();
  ~Decompressor();
  Decompressor(Decompressor&&) noexcept;
  Decompressor& operator=(Decompressor&&) noexcept;

  // Begins a stream; forgets an unfinished one. `input` must live until the last read().
  // Errors: corrupt_compression for a header that cannot be right.
  std::expected<void, BatchError> start(Codec codec, ByteView input);

  // Fills `out` from its beginning and returns how many bytes; 0 says that the stream has ended as
  // it should. REQUIRES: out is not empty. Errors: corrupt_compression, also when the input ends
  // early or goes on after the end; too_large for a single snappy block that claims more than
  // `kDecompressedBytesMax`.
  std::expected<std::size_t, BatchError> read(MutableByteView out);

  // Working memory of zstd and snappy held now, for budgets; gzip and lz4 hold at most 1 MiB beside
  // it.
  std::size_t held_bytes() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// All of a stream at once. Errors: those of Decompressor; too_large when more than `max_bytes`
// would come out (no more than that is ever allocated).
std::expected<Slice, BatchError> decompress(Codec codec, ByteView input, std::size_t max_bytes);
std::expected<Slice, BatchError> decompress(Decompressor& decompressor, Codec codec, ByteView input,
                                            std::size_t max_bytes);

// Compresses in one piece; `level` nullopt is the codec's standard level. Codec none copies. The
// result begins with `headroom_bytes` uninitialised bytes, for a header. REQUIRES: input.size() <=
// kBatchBytesMax. Errors: bad_level, unknown_codec, too_large (the result would exceed
// kBatchBytesMax).
std::expected<Slice, BatchError> compress(Codec codec, std::optional<int> level, ByteView input,
                                          std::size_t headroom_bytes = 0);

}  // namespace ottla::wire
