// A container that forbids io_uring and the newer way to wait: everything works by threads, and
// insisting is refused.
#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <optional>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "io/conformance/conformance.h"
#include "io/real/runtime.h"

namespace ottla::io::real {
namespace {

// As container runtimes do it; for the rest of this process's life.
bool forbid() {
  const auto refuse = [](int error_number) {
    return SECCOMP_RET_ERRNO | static_cast<unsigned>(error_number);
  };
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, refuse(EPERM)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_epoll_pwait2, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, refuse(ENOSYS)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{.len = std::size(filter), .filter = filter};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

Task<int> run_case(conformance::Setting& setting, conformance::Case which) {
  co_await which.run(setting);
  co_return 0;
}

// 0: all hold; else the process's exit code.
int run_cases(const std::vector<conformance::Case>& cases) {
  NullLogger logger;
  for (const conformance::Case& which : cases) {
    std::string pattern = "forbidden-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) return 2;
    const std::string folder = std::filesystem::absolute(pattern);
    conformance::Checker checker;
    Runtime runtime({.shards = 1, .handle_signals = false, .logger = &logger});
    if (runtime.uses_io_uring()) return 3;
    std::optional<conformance::Setting> setting;
    runtime.run([&](Env& env) {
      setting.emplace(env, folder, "127.0.0.1", checker);
      return run_case(*setting, which);
    });
    std::filesystem::remove_all(folder);
    for (const std::string& failure : checker.failures())
      std::fprintf(stderr, "%s\n", failure.c_str());
    if (!checker.failures().empty()) return 4;
  }
  return 0;
}

Task<int> succeed() { co_return 0; }

TEST(ForbiddenDeathTest, ThreadsDoTheWorkOfTheRing) {
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(
      {
        if (!forbid()) std::_Exit(1);
        auto cases = conformance::disk_cases();
        for (const auto& which : conformance::time_cases()) cases.push_back(which);
        std::_Exit(run_cases(cases));
      },
      testing::ExitedWithCode(0), "");
}

TEST(ForbiddenDeathTest, InsistingOnTheRingIsRefused) {
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(
      {
        if (!forbid()) std::_Exit(7);
        Runtime runtime(
            {.shards = 1, .disk_backend = DiskBackend::io_uring, .handle_signals = false});
        std::_Exit(runtime.run([](Env&) { return succeed(); }));
      },
      testing::ExitedWithCode(1), "does not allow io_uring");
}

}  // namespace
}  // namespace ottla::io::real
