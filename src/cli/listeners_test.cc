#include "cli/listeners.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ottla::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

std::string first_cause(const ListenerSettings& settings) {
  const auto resolved = resolve_listeners(settings);
  return resolved ? "" : resolved.error().front().cause;
}

TEST(Listeners, ParsesNamesHostsAndPorts) {
  const auto parsed =
      parse_listeners("PLAINTEXT://:9092, external://broker.example:1 ,V6://[::1]:0");
  ASSERT_TRUE(parsed) << parsed.error();
  EXPECT_THAT(*parsed, ElementsAre(NamedEndpoint{"PLAINTEXT", {"", 9092}},
                                   NamedEndpoint{"EXTERNAL", {"broker.example", 1}},
                                   NamedEndpoint{"V6", {"::1", 0}}));
}

TEST(Listeners, RefusesWhatIsNone) {
  for (const std::string_view text :
       {"", ",", "nonsense", "PLAINTEXT://host", "PLAINTEXT://host:", "PLAINTEXT://host:65536",
        "PLAINTEXT://host:-1", "PLAINTEXT://::1:9092", "PLAINTEXT://[::1:9092",
        "PLAINTEXT://[::1]x:9092", "A B://:9092", "://:9092", "A://:1,a://:2"}) {
    EXPECT_FALSE(parse_listeners(text)) << text;
  }
}

TEST(Listeners, AnAddressNeedsNoPort) {
  EXPECT_EQ(*parse_address("broker"), (io::Endpoint{"broker", 9092}));
  EXPECT_EQ(*parse_address("broker:19092"), (io::Endpoint{"broker", 19092}));
  EXPECT_EQ(*parse_address("[fe80::1]"), (io::Endpoint{"fe80::1", 9092}));
  EXPECT_FALSE(parse_address("broker:http"));
}

TEST(Listeners, AdvertisedGoesToTheListenerOfItsName) {
  const auto resolved = resolve_listeners({.listeners = "INSIDE://:9092,OUTSIDE://:9094",
                                           .advertised = "OUTSIDE://public.example:443",
                                           .protocol_map = "INSIDE:PLAINTEXT,OUTSIDE:plaintext"});
  ASSERT_TRUE(resolved) << resolved.error().front().cause;
  ASSERT_THAT(*resolved, SizeIs(2));
  EXPECT_FALSE((*resolved)[0].advertised);
  EXPECT_EQ((*resolved)[1].advertised, (io::Endpoint{"public.example", 443}));
}

TEST(Listeners, EveryFaultIsSaid) {
  const auto resolved = resolve_listeners({.listeners = "PLAINTEXT://:9092,SASL_SSL://:9092,X://:1",
                                           .advertised = "Y://host:1,PLAINTEXT://:9092",
                                           .protocol_map = "PLAINTEXT:PLAINTEXT"});
  ASSERT_FALSE(resolved);
  EXPECT_THAT(resolved.error(), SizeIs(5));
}

TEST(Listeners, SaysWhy) {
  EXPECT_THAT(first_cause({.listeners = "SSL://:9093"}), HasSubstr("only PLAINTEXT is served"));
  EXPECT_THAT(first_cause({.listeners = "INSIDE://:9093"}), HasSubstr("what listener INSIDE"));
  EXPECT_THAT(first_cause({.listeners = "A://:1", .protocol_map = "A:SSL"}),
              HasSubstr("would speak SSL"));
  EXPECT_THAT(first_cause({.listeners = "PLAINTEXT://:1", .protocol_map = "A"}),
              HasSubstr("is not NAME:PROTOCOL"));
  EXPECT_THAT(first_cause({.listeners = "PLAINTEXT://:1", .protocol_map = "A:TLS"}),
              HasSubstr("no security protocol"));
  EXPECT_THAT(first_cause({.listeners = "CONTROLLER://:1",
                           .protocol_map = "CONTROLLER:PLAINTEXT",
                           .controller_names = "CONTROLLER"}),
              HasSubstr("none for clients"));
}

}  // namespace
}  // namespace ottla::cli
