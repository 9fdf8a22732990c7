#include "broker/image_view.h"

#include <charconv>

#include "broker/topic_answer.h"

namespace ottla::broker {

std::optional<coordinator::GroupTopic> ImageView::find(std::string_view name) const {
  const metadata::TopicImage* topic = image_->topics->find(name);
  if (!topic) return std::nullopt;
  return coordinator::GroupTopic{topic->id, static_cast<std::int32_t>(topic->partitions.size())};
}

std::optional<std::string> ImageView::name_of(const Uuid& id) const {
  const metadata::TopicImage* topic = image_->topics->find(id);
  return topic ? std::optional(topic->name) : std::nullopt;
}

std::vector<std::string> ImageView::names() const {
  std::vector<std::string> names;
  for (const auto& [name, topic] : image_->topics->by_name()) {
    if (!is_internal_topic(name)) names.push_back(name);
  }
  return names;
}

std::optional<std::int32_t> ImageView::group_config(std::string_view group,
                                                    std::string_view name) const {
  const auto& configs = image_->configs->of(metadata::ResourceType::group, group);
  const auto found = configs.find(name);
  if (found == configs.end()) return std::nullopt;
  std::int32_t value = 0;
  const std::string& text = found->second;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  return parsed.ec == std::errc() ? std::optional(value) : std::nullopt;
}

}  // namespace ottla::broker
