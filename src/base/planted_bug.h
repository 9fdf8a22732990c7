// Bugs planted on purpose, for the test of the tests: the simulated campaign must find each of them
// (tests/sim/planted_bugs.md says which rule each breaks). In every build but the one with
// -DOTTLA_PLANTED_BUGS=ON is_planted() is a constant false and costs nothing.
#pragma once

#include <cstdint>
#include <string_view>

namespace ottla {

enum class PlantedBug : std::uint8_t {
  none,
};

#ifdef OTTLA_PLANTED_BUGS
#else
constexpr bool is_planted(PlantedBug) { return false; }
constexpr bool plant_bug(std::string_view) { return false; }  // no such bug here
#endif

}  // namespace ottla
