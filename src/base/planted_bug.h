// Bugs planted on purpose, for the test of the tests: the simulated campaign must find each of them
// (tests/sim/planted_bugs.md says which rule each breaks). In every build but the one with
// -DOTTLA_PLANTED_BUGS=ON is_planted() is a constant false and costs nothing.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace ottla {

enum class PlantedBug : std::uint8_t {
  none,
  acknowledged_before_sync,
  journal_not_synced,
  failed_sync_ignored,
  journal_name_not_synced,
  torn_tail_kept,
  duplicate_window_lost,
  duplicate_answered_elsewhere,
  any_sequence_accepted,
  high_watermark_is_log_end,
  segment_not_synced,
  journal_end_dropped,
  producers_not_restored,
  segment_border_skipped,
  mark_room_not_kept,
  old_epoch_accepted,
  deletion_not_journaled,
};

inline constexpr std::array<std::string_view, 17> kPlantedBugNames = {
    "none",
    "acknowledged_before_sync",
    "journal_not_synced",
    "failed_sync_ignored",
    "journal_name_not_synced",
    "torn_tail_kept",
    "duplicate_window_lost",
    "duplicate_answered_elsewhere",
    "any_sequence_accepted",
    "high_watermark_is_log_end",
    "segment_not_synced",
    "journal_end_dropped",
    "producers_not_restored",
    "segment_border_skipped",
    "mark_room_not_kept",
    "old_epoch_accepted",
    "deletion_not_journaled"};

#ifdef OTTLA_PLANTED_BUGS
namespace detail {
inline PlantedBug planted_bug = PlantedBug::none;
}
inline bool is_planted(PlantedBug bug) { return detail::planted_bug == bug; }
inline bool plant_bug(std::string_view name) {
  for (std::size_t i = 0; i < kPlantedBugNames.size(); ++i) {
    if (kPlantedBugNames[i] != name) continue;
    detail::planted_bug = static_cast<PlantedBug>(i);
    return true;
  }
  return false;
}
#else
constexpr bool is_planted(PlantedBug) { return false; }
constexpr bool plant_bug(std::string_view) { return false; }  // no such bug here
#endif

}  // namespace ottla
