// The command line as a user meets it: help, exit codes, and what needs neither port nor folder.
#include "cli/cli.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace ottla::cli {
namespace {

using testing::HasSubstr;

struct Outcome {
  int code = 0;
  std::string out, err;
};

Outcome run_command(std::initializer_list<const char*> words) {
  std::vector<const char*> argv{"ottla"};
  argv.insert(argv.end(), words);
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  Outcome outcome;
  outcome.code = run(static_cast<int>(argv.size()), argv.data());
  outcome.out = testing::internal::GetCapturedStdout();
  outcome.err = testing::internal::GetCapturedStderr();
  return outcome;
}

TEST(Cli, HelpNamesEveryCommandInItsGroup) {
  const Outcome help = run_command({"--help"});
  EXPECT_EQ(help.code, 0);
  for (const char* word : {"Nodes:", "Data:", "Files:", "This program:", "serve", "dev", "config",
                           "topic", "produce", "consume", "log", "completion", "version"}) {
    EXPECT_THAT(help.out, HasSubstr(word));
  }
}

TEST(Cli, EveryCommandHasHelp) {
  for (const char* command :
       {"serve", "dev", "config", "topic", "produce", "consume", "log", "completion", "version"}) {
    const Outcome help = run_command({command, "--help"});
    EXPECT_EQ(help.code, 0) << command;
    EXPECT_THAT(help.out, HasSubstr("Usage: ottla")) << command;
  }
}

TEST(Cli, WrongUsageIsTwo) {
  EXPECT_EQ(run_command({}).code, 2);
  EXPECT_EQ(run_command({"nonsense"}).code, 2);
  EXPECT_EQ(run_command({"version", "--nonsense"}).code, 2);
  EXPECT_EQ(run_command({"version", "--output", "yaml"}).code, 2);
  EXPECT_EQ(run_command({"consume"}).code, 2);
  EXPECT_EQ(run_command({"consume", "t", "--offset", "x"}).code, 2);
  EXPECT_EQ(run_command({"consume", "t", "--partition", "x"}).code, 2);
  EXPECT_EQ(run_command({"consume", "t", "--format", "%q"}).code, 2);
  EXPECT_EQ(run_command({"produce", "t", "--compression", "brotli"}).code, 2);
  EXPECT_EQ(run_command({"produce", "t", "--acks", "2"}).code, 2);
}

// One line that names the command, what is wrong, and what to write instead.
void check_usage(std::initializer_list<const char*> words, const std::string& line) {
  const Outcome outcome = run_command(words);
  EXPECT_EQ(outcome.code, 2);
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(outcome.err, line + "\n");
}

TEST(Cli, AnUnknownFlagNamesTheNearest) {
  check_usage({"serve", "--dat-dir", "x"},
              "ottla serve: there is no flag --dat-dir. Did you mean --data-dir? See `ottla serve "
              "--help`.");
  check_usage({"serve", "--prot=3"},
              "ottla serve: there is no flag --prot. See `ottla serve --help`.");
  check_usage({"topic", "create", "a", "--partitons", "3"},
              "ottla topic create: there is no flag --partitons. Did you mean --partitions? See "
              "`ottla topic create --help`.");
  check_usage(
      {"consume", "a", "--isol", "x"},
      "ottla consume: there is no flag --isol. Did you mean --isolation? See `ottla consume "
      "--help`.");
  check_usage({"dev", "--prot", "3"},
              "ottla dev: there is no flag --prot. Did you mean --port? See `ottla dev --help`.");
}

TEST(Cli, AnUnknownCommandNamesTheNearest) {
  check_usage({"topic", "lst"},
              "ottla topic: there is no command lst. Did you mean list? There are create, list, "
              "describe, alter, delete. See `ottla topic --help`.");
  check_usage(
      {"topic"},
      "ottla topic: a command is missing: create, list, describe, alter, delete. See `ottla topic "
      "--help`.");
}

TEST(Cli, AWrongValueNamesTheRightOnes) {
  check_usage({"produce", "t", "--acks", "7"},
              "ottla produce: --acks: \"7\" is none of -1, 0, 1, all. See `ottla produce --help`.");
  check_usage(
      {"dev", "--port", "99999"},
      "ottla dev: --port: \"99999\" is not a number that it takes. See `ottla dev --help`.");
  check_usage({"consume", "t", "--count", "0"},
              "ottla consume: --count: \"0\" is no number of records: write 1 or more. See `ottla "
              "consume --help`.");
  check_usage({"consume", "t", "--count"},
              "ottla consume: --count: its value is missing. See `ottla consume --help`.");
  check_usage({"topic", "create"},
              "ottla topic create: topic is missing. See `ottla topic create --help`.");
  check_usage({"completion", "tcsh"},
              "ottla completion: shell: \"tcsh\" is none of bash, fish, zsh. See `ottla completion "
              "--help`.");
  check_usage({"serve", "extra"},
              "ottla serve: \"extra\" is one word too many; names with blanks stand in quotes. See "
              "`ottla serve --help`.");
}

TEST(Cli, VersionForPeopleAndPrograms) {
  EXPECT_THAT(run_command({"--version"}).out, testing::StartsWith("ottla "));
  EXPECT_THAT(run_command({"version"}).out, testing::StartsWith("ottla "));
  const auto json = nlohmann::json::parse(run_command({"version", "--output", "json"}).out);
  EXPECT_EQ(json["kafka"], "4.3");
}

TEST(Cli, CheckExplainsEveryFaultAtOnce) {
  const Outcome check = run_command({"serve", "--check", "--set", "num.partitions=many", "--set",
                                     "listeners=nonsense", "--node-id", "-3"});
  EXPECT_EQ(check.code, 2);
  EXPECT_EQ(check.out, "");
  EXPECT_THAT(check.err, HasSubstr("ottla: --set: num.partitions: \"many\" is refused"));
  EXPECT_THAT(check.err,
              HasSubstr("ottla: --set: listeners: \"nonsense\" is not NAME://host:port"));
  EXPECT_THAT(check.err, HasSubstr("ottla: --node-id: node.id: \"-3\" is refused"));
}

TEST(Cli, CheckPrintsWhatIsInForceAndWhereItComesFrom) {
  const Outcome text = run_command({"serve", "--check", "--data-dir", "/x"});
  EXPECT_EQ(text.code, 0);
  EXPECT_THAT(text.out, HasSubstr("log.dirs = \"/x\"  # --data-dir\n"));
  const auto json = nlohmann::json::parse(
      run_command({"serve", "--check", "--set", "node.id=4", "--output", "json"}).out);
  EXPECT_EQ(json["node.id"]["value"], "4");
  EXPECT_EQ(json["node.id"]["from"], "--set");
  EXPECT_EQ(json["log.dirs"]["from"], "default");
}

TEST(Cli, AFileThatIsNotThereIsNamed) {
  const Outcome missing = run_command({"serve", "--check", "--config", "/nowhere/node.toml"});
  EXPECT_EQ(missing.code, 2);
  EXPECT_THAT(missing.err, HasSubstr("/nowhere/node.toml: the file can't be read: No such file"));
}

TEST(Cli, ConfigListsSettings) {
  const Outcome found = run_command({"config", "listeners"});
  EXPECT_EQ(found.code, 0);
  EXPECT_THAT(found.out, HasSubstr("advertised.listeners = "));
  EXPECT_THAT(found.out, testing::Not(HasSubstr("num.partitions")));
  EXPECT_EQ(run_command({"config", "zookeeper"}).code, 4);
  EXPECT_THAT(run_command({"config", "--topics", "--output", "jsonl"}).out,
              HasSubstr("\"name\":\"retention.ms\""));
}

TEST(Cli, CompletionKnowsCommandsAndFlags) {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const Outcome script = run_command({"completion", shell});
    EXPECT_EQ(script.code, 0);
    for (const char* word : {"topic create", "partitions", "log drain", "key-separator"})
      EXPECT_THAT(script.out, HasSubstr(word)) << shell;
  }
  EXPECT_EQ(run_command({"completion", "tcsh"}).code, 2);
}

TEST(Cli, FilesThatAreNotThereAreNotFound) {
  EXPECT_EQ(run_command({"log", "dump", "/nowhere"}).code, 4);
  EXPECT_EQ(run_command({"log", "verify", "/nowhere"}).code, 4);
  EXPECT_EQ(run_command({"log", "drain", "/nowhere"}).code, 4);
}

}  // namespace
}  // namespace ottla::cli
