// What groups see of the cluster as it is now, topics and their own configs: an interface, so that
// the machines need no image.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"

namespace ottla::coordinator {

struct GroupTopic {
  Uuid id;
  std::int32_t partitions = 0;
};

class ClusterView {
 public:
  virtual ~ClusterView() = default;
  // nullopt: there is no such topic.
  virtual std::optional<GroupTopic> find(std::string_view name) const = 0;
  virtual std::optional<std::string> name_of(const Uuid& id) const = 0;
  // Of all topics but internal ones, in order: what a regular expression may match.
  virtual std::vector<std::string> names() const = 0;
  // A config that was set for the group; nullopt: the node's holds.
  virtual std::optional<std::int32_t> group_config(std::string_view group,
                                                   std::string_view name) const = 0;
};

}  // namespace ottla::coordinator
