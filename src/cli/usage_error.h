// What is said of a command line that makes no sense: one line that names the command, the cause
// and the nearest thing that does exist.
#pragma once

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace ottla::cli {

// "ottla topic create: there is no flag --partitons. Did you mean --partitions? ..."
std::string describe_usage_error(const CLI::App& app, const CLI::Error& error);

// The nearest of `known`; empty if none is near.
std::string nearest_word(std::string_view word, const std::vector<std::string>& known);

// For Option::transform: a word out of a few, each with its value.
template <class T>
CLI::Validator one_of(std::map<std::string, T> values) {
  return CLI::Validator(
      [values = std::move(values)](std::string& word) {
        const auto found = values.find(word);
        if (found != values.end()) {
          word = std::to_string(static_cast<int>(found->second));
          return std::string();
        }
        std::vector<std::string> words;
        for (const auto& [name, value] : values) words.push_back(name);
        return fmt::format("\"{}\" is none of {}", word, fmt::join(words, ", "));
      },
      "");
}

}  // namespace ottla::cli
