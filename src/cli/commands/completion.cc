// `ottla completion bash|zsh|fish`: a script that completes commands and flags. Made from the tree
// of commands, so that it can't forget one.
#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <map>
#include <memory>
#include <vector>

#include "cli/commands/commands.h"
#include "cli/exit_code.h"
#include "cli/process.h"

namespace ottla::cli {
namespace {

struct Node {
  std::string path;                                        // "topic create"; empty at the top
  std::vector<std::pair<std::string, std::string>> words;  // commands and flags, and what they are
};

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

void walk(const CLI::App& app, const std::string& path, std::vector<Node>& into) {
  Node node{path, {}};
  const auto commands = app.get_subcommands([](const CLI::App*) { return true; });
  for (const CLI::App* command : commands)
    node.words.emplace_back(command->get_name(), first_line(command->get_description()));
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames())
      node.words.emplace_back("--" + name, first_line(option->get_description()));
  }
  into.push_back(std::move(node));
  for (const CLI::App* command : commands)
    walk(*command, path.empty() ? command->get_name() : path + " " + command->get_name(), into);
}

std::string words_of(const Node& node) {
  std::string words;
  for (const auto& [word, meaning] : node.words) words += (words.empty() ? "" : " ") + word;
  return words;
}

// Values that a flag takes, where they are few.
constexpr std::pair<const char*, const char*> kValues[] = {
    {"--output", "text json jsonl"},
    {"--compression", "none gzip snappy lz4 zstd"},
    {"--acks", "all 1 0"},
    {"--input", "text jsonl raw"},
    {"--isolation", "committed uncommitted"},
    {"--offset", "start end"},
};

// The function is bash's; zsh runs it through bashcompinit.
std::string bash_script(const std::vector<Node>& nodes) {
  std::string script =
      "_ottla() {\n"
      "  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} path= part i\n"
      "  case $before in\n";
  for (const auto& [flag, values] : kValues) {
    script += fmt::format("    {}) COMPREPLY=($(compgen -W '{}' -- \"$word\")); return ;;\n", flag,
                          values);
  }
  script +=
      "    --config|--file|--data-dir) COMPREPLY=($(compgen -f -- \"$word\")); return ;;\n"
      "  esac\n"
      "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
      "    part=${COMP_WORDS[i]}\n"
      "    case \"${path:+$path }$part\" in\n";
  for (const Node& node : nodes) {
    if (!node.path.empty()) script += fmt::format("      '{0}') path='{0}' ;;\n", node.path);
  }
  script += "    esac\n  done\n  case $path in\n";
  for (const Node& node : nodes) {
    const bool takes_files = node.path.starts_with("log ");
    script += fmt::format("    '{}') COMPREPLY=($(compgen -W '{}'{} -- \"$word\")) ;;\n", node.path,
                          words_of(node), takes_files ? " -f" : "");
  }
  script += "  esac\n}\n";
  return script;
}

std::string fish_quoted(const std::string& text) {
  std::string quoted = "'";
  for (const char letter : text) {
    if (letter == '\'' || letter == '\\') quoted += '\\';
    quoted += letter;
  }
  return quoted + "'";
}

// What may follow a flag, in fish's words.
std::string fish_value(const std::string& flag) {
  for (const auto& [name, values] : kValues) {
    if (flag == name) return fmt::format(" -x -a {}", fish_quoted(values));
  }
  const bool takes_file = flag == "--config" || flag == "--file" || flag == "--data-dir";
  return takes_file ? " -r -F" : "";
}

std::string fish_script(const std::vector<Node>& nodes) {
  std::string script =
      "# The commands that stand on the line so far, without flags.\n"
      "function __ottla_at\n"
      "  set -l words (commandline -opc | string match -v -- '-*')\n"
      "  test \"$words[2..]\" = \"$argv\"\n"
      "  or begin; test -n \"$argv\"; and string match -q -- \"$argv *\" \"$words[2..]\"; end\n"
      "end\n"
      "complete -c ottla -f\n"
      "complete -c ottla -n '__ottla_at log dump' -F\n"
      "complete -c ottla -n '__ottla_at log verify' -F\n"
      "complete -c ottla -n '__ottla_at log drain' -F\n";
  for (const Node& node : nodes) {
    for (const auto& [word, meaning] : node.words) {
      const std::string what = word.starts_with("--") ? "-l " + word.substr(2) + fish_value(word)
                                                      : "-a " + fish_quoted(word);
      script += fmt::format("complete -c ottla -n '__ottla_at {}' {} -d {}\n", node.path, what,
                            fish_quoted(meaning));
    }
  }
  return script;
}

int completion(const std::string& shell, const Invocation& invocation) {
  std::vector<Node> nodes;
  walk(*invocation.app, "", nodes);
  if (shell == "bash") print(bash_script(nodes) + "complete -F _ottla ottla\n");
  if (shell == "zsh") {
    print(
        "#compdef ottla\n"
        "(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }\n"
        "autoload -U +X bashcompinit && bashcompinit\n" +
        bash_script(nodes) + "complete -F _ottla ottla\n");
  }
  if (shell == "fish") print(fish_script(nodes));
  return to_int(ExitCode::done);
}

}  // namespace

void add_completion(CLI::App& app, Invocation& invocation) {
  auto shell = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand("completion", "Print a script for shell completion")
                          ->group("This program");
  command->add_option("shell", *shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::Validator(
          [](std::string& name) {
            const bool is_known = name == "bash" || name == "zsh" || name == "fish";
            return is_known ? std::string() : "\"" + name + "\" is none of bash, fish, zsh";
          },
          ""))
      ->type_name("SHELL");
  command->footer(
      "\n  bash   source <(ottla completion bash)\n"
      "  zsh    source <(ottla completion zsh)\n"
      "  fish   ottla completion fish | source\n");
  command->callback([shell, &invocation] {
    invocation.action = [shell, &invocation] { return completion(*shell, invocation); };
  });
}

}  // namespace ottla::cli
