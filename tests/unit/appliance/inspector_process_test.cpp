// The daemon's side of the inspector, with inspectors that misbehave: small shell scripts.
#include "appliance/inspector_process.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>

#include "crypto/base/limits.hpp"
#include "tests/unit/appliance/appliance_fixture.hpp"

namespace appliance {
namespace {

using base::Errc;

class InspectorProcess : public testing::Test {
 protected:
  base::Result<base::Bytes> run(const std::string& script, std::chrono::seconds patience = std::chrono::seconds(60)) {
    const std::filesystem::path program = folder / "inspector";
    tests::write_text(program, "#!/bin/sh\n" + script);
    std::filesystem::permissions(program, std::filesystem::perms::owner_all);
    return run_inspector({program, folder / "files", {"10_X64", "10_X86"}, must(base::time_from_rfc3339("2026-11-23T16:20:00Z")), patience});
  }
  static std::string text(const base::Bytes& bytes) { return std::string(base::as_text(bytes)); }
  tests::TempDir folder;
};

TEST_F(InspectorProcess, GetsItsJobAsArgumentsAndItsAnswerIsKept) {
  EXPECT_EQ(text(must(run("printf '%s|' \"$@\""))), (folder / "files").string() + "|10_X64,10_X86|2026-11-23T16:20:00Z|");
}

// exec: a jailed inspector that is not root may not even fork.
TEST_F(InspectorProcess, HasNoEnvironmentNoInputAndNoOpenFiles) {
  ASSERT_EQ(setenv("COLDSEAL_TEST_WORD", "sesame", 1), 0);
  EXPECT_EQ(text(must(run("exec /usr/bin/env"))).find("sesame"), std::string::npos);
  EXPECT_EQ(text(must(run("exec /bin/cat"))), "");
  const int leaked = open("/dev/null", O_RDONLY);   // without O_CLOEXEC
  ASSERT_GT(leaked, 2);
  EXPECT_EQ(text(must(run("exec /bin/ls /proc/self/fd"))), "0\n1\n2\n3\n");   // 3: the folder that ls lists
  close(leaked);
}

TEST_F(InspectorProcess, CannotWriteFiles) {
  const auto answered = run("echo x > " + (folder / "written").string() + " && echo done");
  EXPECT_FALSE(answered.has_value() && text(*answered) == "done\n");
  EXPECT_TRUE(!std::filesystem::exists(folder / "written") || std::filesystem::file_size(folder / "written") == 0);
}

TEST_F(InspectorProcess, ThatCrashesIsRefusedWithTheSignal) {
  expect_error(run("echo half an answer; kill -SEGV $$"), Errc::refused, "signal 11");
  expect_error(run("kill -KILL $$"), Errc::refused, "signal 9");
}

TEST_F(InspectorProcess, ThatWasToldToStopIsTriedAgainLater) {
  for (const char* const signal : {"TERM", "INT", "HUP"})
    expect_error(run(std::string("kill -") + signal + " $$; exit 1"), Errc::unavailable, "told to stop");
}

TEST_F(InspectorProcess, ThatGivesUpIsRefusedWhateverItAnswered) {
  expect_error(run("echo an answer; exit 3"), Errc::refused, "status 3");
}

TEST_F(InspectorProcess, ThatAnswersWithoutEndIsStopped) {
  const auto before = std::chrono::steady_clock::now();
  expect_error(run("exec /bin/cat /dev/zero"), Errc::too_large, std::to_string(base::limits::kInspectionBytes));
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(30));
}

TEST_F(InspectorProcess, ThatSaysNothingIsStoppedWhenPatienceEnds) {
  const auto before = std::chrono::steady_clock::now();
  expect_error(run("exec /bin/sleep 600", std::chrono::seconds(1)), Errc::refused, "did not finish within 1 s");
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(30));
}

TEST_F(InspectorProcess, ThatDripsItsAnswerIsStoppedToo) {
  const std::string silence = (folder / "silence").string();
  ASSERT_EQ(mkfifo(silence.c_str(), 0600), 0);
  expect_error(run("exec /bin/bash -c 'exec 9<>" + silence + "; while :; do echo x; read -t 0.1 -u 9; done'", std::chrono::seconds(1)),
               Errc::refused, "did not finish within 1 s");
}

TEST_F(InspectorProcess, ThatIsNotThereOrNoProgramIsSaid) {
  expect_error(run_inspector({folder / "nowhere", folder / "files", {"10_X64"}, {}, std::chrono::seconds(10)}), Errc::unavailable,
               "nowhere could not be run");
  tests::write_text(folder / "data", "not a program");
  std::filesystem::permissions(folder / "data", std::filesystem::perms::owner_all);
  expect_error(run_inspector({folder / "data", folder / "files", {"10_X64"}, {}, std::chrono::seconds(10)}), Errc::unavailable,
               "could not be run");
}

TEST_F(InspectorProcess, GarbageIsNotAnInspection) {
  for (const char* const script : {"exit 0", "echo garbage", "printf 'INS1'", "printf 'INS1\\377\\377\\377\\377'", "exec /bin/head -c 100000 /dev/urandom"}) {
    const base::Bytes answer = must(run(script));
    EXPECT_FALSE(package::decode_inspection(answer).has_value()) << script;
  }
}

}  // namespace
}  // namespace appliance
