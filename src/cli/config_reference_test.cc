#include "cli/config_reference.h"

#include <cstdlib>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sstream>

namespace ottla::cli {
namespace {

constexpr const char* kPage = OTTLA_DOCS "/configuration.md";

// OTTLA_WRITE_DOCS=1 writes the page instead.
TEST(ConfigReference, ThePageInDocsIsThatOfTheTables) {
  const std::string page = configuration_page();
  if (std::getenv("OTTLA_WRITE_DOCS") != nullptr) {
    std::ofstream(kPage) << page;
    return;
  }
  std::ifstream file(kPage);
  std::istringstream wanted(page);
  std::string is_there, should_be;
  for (int line = 1; std::getline(wanted, should_be); ++line) {
    std::getline(file, is_there);
    ASSERT_EQ(is_there, should_be)
        << "docs/configuration.md:" << line
        << " is not current: ottla config --markdown > docs/configuration.md";
  }
  EXPECT_FALSE(std::getline(file, is_there)) << "docs/configuration.md has lines too many";
}

TEST(ConfigReference, DescribesWhatMayBeWritten) {
  EXPECT_EQ(describe_values(*metadata::find_topic_config("cleanup.policy")),
            "list of compact, delete");
  EXPECT_EQ(describe_values(*metadata::find_topic_config("compression.lz4.level")),
            "int32, at least 1, at most 17");
  EXPECT_EQ(describe_values(*metadata::find_broker_config("auto.create.topics.enable")),
            "true or false");
}

TEST(ConfigReference, EverySettingIsOnThePage) {
  const std::string page = configuration_page();
  for (const auto& definition : metadata::broker_configs())
    EXPECT_THAT(page, testing::HasSubstr("| `" + std::string(definition.name) + "` |"));
}

}  // namespace
}  // namespace ottla::cli
