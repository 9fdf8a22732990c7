// Follows the metadata log as an observer (KIP-595): fetches it from the controller, applies what
// lies below the high watermark, and publishes an image after each fetch that brought something.
// Starts from a snapshot when it is told to.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "consensus/snapshot.h"
#include "io/env.h"
#include "metadata/controller_link.h"
#include "metadata/image_builder.h"
#include "wire/messages/fetch_response.h"

namespace ottla::metadata {

struct ObserverOptions {
  std::string cluster_id;
  NodeId node_id = 1;
  Uuid directory_id;
  std::int32_t fetch_bytes = 8 << 20;  // of one answer, and of one part of a snapshot
};

class Observer {
 public:
  // Takes each new image; the next fetch waits until it is done. An error ends the following: the
  // node must stop.
  using Publish = std::function<io::Task<io::Result<>>(ImagePtr image)>;

  Observer(io::Env& env, ControllerLink& link, ObserverOptions options, Publish publish);

  // Follows until stop(); ends early with an error when the log can't be followed (an unknown
  // record), which must stop the node.
  io::Task<io::Result<>> run();
  io::Task<void> stop();

  // Of the last record that was applied and published.
  Offset applied_offset() const { return applied_offset_; }
  const ImagePtr& image() const { return image_; }
  // Set once the log has been read to the high watermark of the first answer.
  io::Event& advanced() { return advanced_; }

 private:
  io::Task<io::Result<>> fetch_once();
  io::Task<io::Result<>> load_snapshot(rpc::Client& client, Offset end_offset, LeaderEpoch epoch);
  io::Task<io::Result<>> take(const wire::FetchResponse::PartitionData& data);
  io::Result<> apply(const Slice& batches, Offset high_watermark);
  io::Task<io::Result<>> publish_now();

  io::Env& env_;
  ObserverOptions options_;
  Publish publish_;
  ControllerChannel channel_;
  ImageBuilder builder_;
  consensus::VoterSet voters_{.kraft_version = 0, .voters = {}};  // as the log has told so far
  ImagePtr image_;
  Provenance last_;
  Offset fetch_offset_ = 0;
  LeaderEpoch fetched_epoch_ = 0;
  LeaderEpoch leader_epoch_ = 0;
  Offset high_watermark_ = -1;
  Offset applied_offset_ = -1;
  io::Event advanced_;
  io::Event stop_;
  bool stopping_ = false;
};

}  // namespace ottla::metadata
