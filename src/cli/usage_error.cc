#include "cli/usage_error.h"

#include <algorithm>

#include "base/edit_distance.h"

namespace ottla::cli {
namespace {

constexpr std::size_t kWordBytesMax = 100;  // what is longer is near nothing
constexpr std::size_t kNearMax = 3;

// The command that was being parsed, its whole name, and the words that it has no use for.
struct Place {
  const CLI::App* command;
  std::string name;
  std::vector<std::string> extras;
};

Place find_place(const CLI::App& app) {
  Place place{&app, app.get_name(), app.remaining()};
  while (!place.command->get_subcommands().empty()) {
    place.command = place.command->get_subcommands().front();
    place.name += " " + place.command->get_name();
    for (std::string& word : place.command->remaining()) place.extras.push_back(std::move(word));
  }
  return place;
}

std::vector<std::string> flags_of(const CLI::App& command) {
  std::vector<std::string> flags;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) flags.push_back("--" + name);
  }
  return flags;
}

std::vector<std::string> commands_of(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::App* one : command.get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(one->get_name());
  return names;
}

std::string did_you_mean(std::string_view word, const std::vector<std::string>& known) {
  const std::string nearest = nearest_word(word, known);
  return nearest.empty() ? "" : fmt::format(" Did you mean {}?", nearest);
}

std::string describe_extra(const Place& place) {
  const std::vector<std::string>& extras = place.extras;
  const auto flag = std::ranges::find_if(
      extras, [](const std::string& word) { return word.size() > 1 && word.front() == '-'; });
  if (flag != extras.end()) {
    const std::string name = flag->substr(0, flag->find('='));
    return fmt::format("there is no flag {}.{}", name,
                       did_you_mean(name, flags_of(*place.command)));
  }
  const auto commands = commands_of(*place.command);
  if (commands.empty())
    return fmt::format("\"{}\" is one word too many; names with blanks stand in quotes.",
                       extras.front());
  return fmt::format("there is no command {}.{} There are {}.", extras.front(),
                     did_you_mean(extras.front(), commands), fmt::join(commands, ", "));
}

std::string describe(const Place& place, const CLI::Error& error) {
  const auto commands = commands_of(*place.command);
  // Without a known command, nothing else that is said would be of use.
  const bool lacks_command = !commands.empty();
  if (!place.extras.empty() &&
      (lacks_command || dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr))
    return describe_extra(place);
  if (lacks_command) return fmt::format("a command is missing: {}.", fmt::join(commands, ", "));
  const std::string said = error.what();
  if (dynamic_cast<const CLI::RequiredError*>(&error) != nullptr) {
    // A flag that is misspelt may be why something is missing.
    std::string cause = said.substr(0, said.find(" is required")) + " is missing.";
    if (!place.extras.empty()) cause += " And " + describe_extra(place);
    return cause;
  }
  if (dynamic_cast<const CLI::ConversionError*>(&error) != nullptr) {
    constexpr std::string_view kPrefix = "Could not convert: ";
    if (said.starts_with(kPrefix)) {
      const std::string rest = said.substr(kPrefix.size());
      const std::size_t equals = rest.find(" = ");
      if (equals != std::string::npos)
        return fmt::format("{}: \"{}\" is not a number that it takes.", rest.substr(0, equals),
                           rest.substr(equals + 3));
    }
  }
  if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) != nullptr &&
      said.find("required") != std::string::npos)
    return said.substr(0, said.find(':')) + ": its value is missing.";
  return said + ".";
}

}  // namespace

std::string nearest_word(std::string_view word, const std::vector<std::string>& known) {
  if (word.size() > kWordBytesMax) return "";
  std::string best;
  const std::size_t letters = word.size() - std::min(word.find_first_not_of('-'), word.size());
  std::size_t best_distance = std::min(kNearMax, std::max<std::size_t>(1, letters / 2)) + 1;
  for (const std::string& candidate : known) {
    if (letters > 2 && candidate.starts_with(word)) return candidate;
    const std::size_t distance = edit_distance(word, candidate);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

std::string describe_usage_error(const CLI::App& app, const CLI::Error& error) {
  const Place place = find_place(app);
  return fmt::format("{}: {} See `{} --help`.", place.name, describe(place, error), place.name);
}

}  // namespace ottla::cli
