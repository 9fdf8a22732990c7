// The reference of all settings, from the table that the node itself reads by. Pure.
#pragma once

#include <string>
#include <string_view>

#include "metadata/config_definitions.h"

namespace ottla::cli {

// "int32, at least 1"; "one of a, b"
std::string describe_values(const metadata::ConfigDefinition& definition);

// docs/configuration.md, whole.
std::string configuration_page();

}  // namespace ottla::cli
