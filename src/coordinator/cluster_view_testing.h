// Views of a cluster for tests. Not part of the library.
#pragma once

#include <map>

#include "coordinator/cluster_view.h"

namespace ottla::coordinator::testing {

class TestTopics final : public ClusterView {
 public:
  // Its id is as good as any, and another one each time.
  Uuid add(const std::string& name, std::int32_t partitions) {
    const Uuid id{7, ++last_id_};
    topics_[name] = {id, partitions};
    return id;
  }
  void put(const std::string& name, GroupTopic topic) { topics_[name] = topic; }
  void remove(const std::string& name) { topics_.erase(name); }

  std::optional<GroupTopic> find(std::string_view name) const override {
    const auto found = topics_.find(name);
    return found == topics_.end() ? std::nullopt : std::optional(found->second);
  }
  std::optional<std::string> name_of(const Uuid& id) const override {
    for (const auto& [name, topic] : topics_) {
      if (topic.id == id) return name;
    }
    return std::nullopt;
  }
  std::vector<std::string> names() const override {
    std::vector<std::string> names;
    for (const auto& [name, topic] : topics_) names.push_back(name);
    return names;
  }
  std::optional<std::int32_t> group_config(std::string_view, std::string_view name) const override {
    const auto found = configs.find(std::string(name));
    return found == configs.end() ? std::nullopt : std::optional(found->second);
  }
  std::map<std::string, std::int32_t> configs;  // of every group

 private:
  std::map<std::string, GroupTopic, std::less<>> topics_;
  std::uint64_t last_id_ = 0;
};

// One topic, whatever its name; none while there is no id.
class OneTopic final : public ClusterView {
 public:
  explicit OneTopic(const std::optional<Uuid>& id) : id_(id) {}
  std::optional<GroupTopic> find(std::string_view) const override {
    return id_ ? std::optional(GroupTopic{*id_, 4}) : std::nullopt;
  }
  std::optional<std::string> name_of(const Uuid&) const override { return std::nullopt; }
  std::vector<std::string> names() const override { return {}; }
  std::optional<std::int32_t> group_config(std::string_view, std::string_view) const override {
    return std::nullopt;
  }

 private:
  const std::optional<Uuid>& id_;
};

}  // namespace ottla::coordinator::testing
