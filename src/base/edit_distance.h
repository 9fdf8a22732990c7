// How many letters must be added, removed or replaced to get from one word to the other
// (Levenshtein): for "did you mean".
#pragma once

#include <cstddef>
#include <string_view>

namespace ottla {

// Takes time in proportion to the product of the lengths: bound words from outside first.
std::size_t edit_distance(std::string_view from, std::string_view to);

}  // namespace ottla
