#include "metadata/features.h"

namespace ottla::metadata {
namespace {

// Initial levels are those which Kafka 4.3.1's own formatter writes.
constexpr FeatureRange kFeatures[] = {
    {.name = "eligible.leader.replicas.version",
     .min_level = 0,
     .max_level = 1,
     .initial_level = 1},
    {.name = "group.version", .min_level = 0, .max_level = 1, .initial_level = 1},
    {.name = "kraft.version", .min_level = 0, .max_level = 1, .initial_level = 1},
    {.name = "metadata.version", .min_level = 25, .max_level = 30, .initial_level = 30},
    {.name = "share.version", .min_level = 0, .max_level = 1, .initial_level = 1},
    {.name = "streams.version", .min_level = 0, .max_level = 1, .initial_level = 1},
    {.name = "transaction.version", .min_level = 0, .max_level = 2, .initial_level = 2},
};

}  // namespace

std::span<const FeatureRange> supported_features() { return kFeatures; }

}  // namespace ottla::metadata
