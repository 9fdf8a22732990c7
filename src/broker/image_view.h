// What groups see of a shard's image.
#pragma once

#include "coordinator/cluster_view.h"
#include "metadata/image.h"

namespace ottla::broker {

class ImageView final : public coordinator::ClusterView {
 public:
  // `image` is the shard's own pointer, which moves on.
  explicit ImageView(const metadata::ImagePtr& image) : image_(image) {}

  std::optional<coordinator::GroupTopic> find(std::string_view name) const override;
  std::optional<std::string> name_of(const Uuid& id) const override;
  std::vector<std::string> names() const override;
  std::optional<std::int32_t> group_config(std::string_view group,
                                           std::string_view name) const override;

 private:
  const metadata::ImagePtr& image_;
};

}  // namespace ottla::broker
