// The daemon's side of the inspector, with inspectors that misbehave (tests/support/inspector_double.hpp).
#include "appliance/inspector_process.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>

#include "crypto/base/limits.hpp"
#include "tests/support/inspector_double.hpp"
#include "tests/unit/appliance/appliance_fixture.hpp"

namespace appliance {
namespace {

using base::Errc;

class InspectorProcess : public testing::Test {
 protected:
  InspectorProcess() {
    std::filesystem::create_directories(folder / "files/sub");
    tests::write_text(folder / "files/a.inf", "the INF");
    tests::write_text(folder / "files/sub/b.sys", "the driver");
  }
  InspectorJob job() const {
    return {folder / "inspector", folder / "files", {"10_X64", "10_X86"}, must(base::time_from_rfc3339("2026-11-23T16:20:00Z")), std::chrono::seconds(60)};
  }
  base::Result<base::Bytes> run(const std::string& orders, std::chrono::seconds patience = std::chrono::seconds(60)) const {
    tests::write_inspector_double(folder / "inspector", orders);
    InspectorJob patient = job();
    patient.patience = patience;
    return run_inspector(patient);
  }
  static std::string text(const base::Bytes& bytes) { return std::string(base::as_text(bytes)); }
  tests::TempDir folder;
};

TEST_F(InspectorProcess, GetsItsJobAsArgumentsAndItsAnswerIsKept) {
  EXPECT_EQ(text(must(run("show arguments"))), "10_X64,10_X86|2026-11-23T16:20:00Z|");
  EXPECT_EQ(text(must(run("answer an answer"))), "an answer");
}

TEST_F(InspectorProcess, IsGivenThePackagesFilesOpenAndListed) {
  const std::string list = text(must(run("show list")));
  EXPECT_NE(list.find(std::string("\0a.inf\0", 7)), std::string::npos);
  EXPECT_NE(list.find(std::string("\0sub/b.sys\0", 11)), std::string::npos);
  EXPECT_EQ(text(must(run("show first-file"))), "the INF");
}

TEST_F(InspectorProcess, HasNoEnvironmentAndNoOtherOpenFiles) {
  ASSERT_EQ(setenv("COLDSEAL_TEST_WORD", "sesame", 1), 0);
  EXPECT_EQ(text(must(run("show environment"))), "");
  const int leaked = open("/dev/null", O_RDONLY);   // without O_CLOEXEC
  ASSERT_GT(leaked, 2);
  const std::string open_ones = text(must(run("show descriptors")));
  EXPECT_EQ(std::count(open_ones.begin(), open_ones.end(), '\n'), 5) << open_ones;   // its three, and two files
  close(leaked);
}

class ConfinedInspector : public InspectorProcess {
 protected:
  void SetUp() override {
    if (!kConfines) GTEST_SKIP() << "builds with sanitizers confine nothing";
  }
};

// As it is started, before it has looked at anything.
TEST_F(ConfinedInspector, ThatAsksForWhatItMayNotIsEndedAndSaysSo) {
  for (const char* const call : {"socket", "local-socket", "fork", "ptrace", "kill", "write-file", "become-root"})
    expect_error(run(std::string("call ") + call), Errc::refused, "inspector.forbidden-call");
  EXPECT_FALSE(std::filesystem::exists("/tmp/written-by-an-inspector"));
}

// As the real one is when it begins to read: it opens nothing any more.
TEST_F(ConfinedInspector, ThatHasItsFilesMayNotEvenOpenOthers) {
  for (const char* const call : {"socket", "fork", "ptrace", "kill", "signal-parent", "passwd", "execute", "write-file"})
    expect_error(run(std::string("confined call ") + call), Errc::refused, "inspector.forbidden-call");
  EXPECT_EQ(text(must(run("confined answer still answers"))), "still answers");
}

TEST_F(ConfinedInspector, ReachesNoFileOfTheSystemWhileItIsLoaded) {
  if (confinement_in_words().find("no Landlock") != std::string::npos) GTEST_SKIP() << confinement_in_words();
  EXPECT_EQ(text(must(run("call passwd"))), "Permission denied");
  EXPECT_EQ(text(must(run("call execute"))), "Permission denied");
}

TEST_F(ConfinedInspector, GetsNoThread) {
  EXPECT_EQ(text(must(run("confined call thread"))), "Resource temporarily unavailable");
}

TEST_F(ConfinedInspector, ThatWantsTooMuchMemoryIsRefused) {
  tests::write_inspector_double(folder / "inspector", "misbehave allocate");
  InspectorJob small = job();
  small.memory = 256U << 20U;
  expect_error(run_inspector(small), Errc::refused, "inspector.memory: the inspector wanted more than its 256 MiB");
}

TEST_F(ConfinedInspector, RunsAsTheUserItIsGivenWithNothingOfRoot) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can become another";
  // 65534 may not look into this folder, and need not: the files are open already.
  tests::write_inspector_double(folder / "inspector", "show first-file");
  std::filesystem::permissions(folder / "files", std::filesystem::perms::owner_all);
  std::filesystem::permissions(folder.path(), std::filesystem::perms::owner_all | std::filesystem::perms::others_exec);
  InspectorJob as_nobody = job();
  as_nobody.user = UserIds{65534, 65534};
  EXPECT_EQ(text(must(run_inspector(as_nobody))), "the INF");
  std::filesystem::permissions(folder / "inspector", std::filesystem::perms::owner_all);
  expect_error(run_inspector(as_nobody), Errc::unavailable, "could not be run");   // nobody may not execute root's program
}

TEST_F(InspectorProcess, ThatCrashesIsRefusedWithTheSignal) {
  expect_error(run("signal " + std::to_string(SIGSEGV)), Errc::refused, "inspector.crashed: the inspector was ended by signal 11");
  expect_error(run("signal " + std::to_string(SIGKILL)), Errc::refused, "signal 9");
}

TEST_F(InspectorProcess, ThatWasToldToStopIsTriedAgainLater) {
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) expect_error(run("signal " + std::to_string(signal)), Errc::unavailable, "told to stop");
}

TEST_F(InspectorProcess, ThatGivesUpIsRefusedWhateverItAnswered) {
  expect_error(run("exit 3"), Errc::refused, "inspector.gave-up: the inspector gave up with status 3");
}

TEST_F(InspectorProcess, ThatAnswersWithoutEndIsStopped) {
  const auto before = std::chrono::steady_clock::now();
  expect_error(run("misbehave flood"), Errc::too_large, "inspector.output: the inspector answered more than " + std::to_string(base::limits::kInspectionBytes));
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(30));
}

TEST_F(InspectorProcess, ThatDoesNotEndIsStoppedWhenPatienceEnds) {
  for (const char* const how : {"silent", "spin", "drip", "hang-up"}) {
    const auto before = std::chrono::steady_clock::now();
    expect_error(run(std::string("misbehave ") + how, std::chrono::seconds(1)), Errc::refused, "inspector.time: the inspector did not finish within 1 s");
    EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(30)) << how;
  }
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
  for (const std::string& garbage : {std::string(), std::string("garbage"), std::string("INS1"), std::string("INS1\xff\xff\xff\xff"), std::string(100000, '\x55')}) {
    const base::Bytes answer = must(run("answer " + garbage));
    EXPECT_EQ(text(answer), garbage);
    EXPECT_FALSE(package::decode_inspection(answer).has_value()) << garbage.substr(0, 20);
  }
}

}  // namespace
}  // namespace appliance
