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

TEST(Cli, VersionForPeopleAndPrograms) {
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
