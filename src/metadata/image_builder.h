// Folds records into an image. What does not change is shared with the image before; what changes
// is copied once per publication, however many records touch it.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "metadata/image.h"
#include "metadata/record.h"

namespace ottla::metadata {

class ImageBuilder {
 public:
  explicit ImageBuilder(ImagePtr base);

  // Applies one record. The error says why it can't be: the log is then not one that this build may
  // follow. Records between BeginTransaction and EndTransaction take effect together at the end, or
  // never.
  std::expected<void, std::string> apply(Record record);

  // Stands in control records, which are not applied here.
  void set_kraft_version(std::int16_t version) { image_.kraft_version = version; }

  // Whether a transaction of records is open: there is nothing to publish until its end.
  bool is_in_transaction() const { return pending_.has_value(); }
  bool has_changes() const { return changed_; }

  // The image with all records applied so far, which becomes the base of what follows.
  ImagePtr publish(Provenance provenance);

 private:
  std::expected<void, std::string> apply_now(const Record& record);
  void fold(const wire::RegisterBrokerRecord& record);
  void fold(const wire::UnregisterBrokerRecord& record);
  void fold(const wire::BrokerRegistrationChangeRecord& record);
  void fold(const wire::FenceBrokerRecord& record);
  void fold(const wire::UnfenceBrokerRecord& record);
  void fold(const wire::TopicRecord& record);
  void fold(const wire::PartitionRecord& record);
  void fold(const wire::PartitionChangeRecord& record);
  void fold(const wire::RemoveTopicRecord& record);
  void fold(const wire::ConfigRecord& record);
  void fold(const wire::FeatureLevelRecord& record);
  void fold(const wire::ProducerIdsRecord& record);
  void fold(const wire::ClearElrRecord& record);
  void fold(const wire::RegisterControllerRecord& record);

  TopicsImage& topics();
  TopicImage* topic(const Uuid& id);  // writable, or null
  void fail(std::string why);

  Image image_;  // what is being made; parts are shared with the base until they are written
  std::shared_ptr<TopicsImage> topics_;                     // own copy, once written
  std::shared_ptr<ConfigsImage> configs_;                   // own copy, once written
  std::map<Uuid, std::shared_ptr<TopicImage>> own_topics_;  // own copies, once written
  std::optional<std::vector<Record>> pending_;
  std::optional<std::string> failure_;
  bool changed_ = false;
};

// The records that make an image from nothing, in the order of Kafka's snapshots: features,
// brokers, controllers, topics each followed by its partitions, configs, the rest, producer ids.
std::vector<Record> records_of(const Image& image);

// An image of nothing.
ImagePtr empty_image(std::string cluster_id = {});

}  // namespace ottla::metadata
