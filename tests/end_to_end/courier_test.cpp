// The real coldseal-courier between a stick's folder, a serial cable and the appliance's boxes.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <functional>
#include <thread>

#include "crypto/base/text.hpp"
#include "crypto/digest.hpp"
#include "tests/support/parcels.hpp"
#include "tests/support/temp_dir.hpp"

namespace {

using base::Bytes;
namespace fs = std::filesystem;
using namespace std::chrono_literals;

const std::string kId = tests::some_id('a');
const std::string kOther = tests::some_id('b');

class Courier {
 public:
  Courier(const fs::path& log, std::vector<std::string> arguments) : log_(log) {
    arguments.insert(arguments.begin(), COLDSEAL_BIN_DIR "/coldseal-courier");
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    process_ = ::fork();
    if (process_ != 0) return;
    const int output = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    ::dup2(output, 2);
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  ~Courier() {
    if (process_ > 0) (void)stop();
  }
  int wait() {
    int status = 0;
    ::waitpid(std::exchange(process_, -1), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
  }
  int stop() {
    ::kill(process_, SIGTERM);
    return wait();
  }
  std::string log() const { return fs::exists(log_) ? tests::read_text(log_) : ""; }

 private:
  fs::path log_;
  pid_t process_ = -1;
};

bool within_seconds(int seconds, const std::function<bool()>& holds) {
  for (int i = 0; i < seconds * 20; ++i) {
    if (holds()) return true;
    std::this_thread::sleep_for(50ms);
  }
  return holds();
}

struct Box {
  tests::TempDir dir;
  fs::path stick = dir / "stick";
  fs::path requests = stick / "coldseal/requests";
  fs::path responses = stick / "coldseal/responses";
  fs::path inbox = dir / "root/var/lib/coldseal/inbox";
  fs::path outbox = dir / "root/var/lib/coldseal/outbox";
  std::vector<std::string> arguments(std::vector<std::string> more) const {
    more.insert(more.begin(), {"--root", (dir / "root").string()});
    return more;
  }
  std::size_t times(const std::string& text, const std::string& log) const {
    std::size_t count = 0;
    for (std::size_t at = log.find(text); at != std::string::npos; at = log.find(text, at + 1)) ++count;
    return count;
  }
};

const std::map<std::string, Bytes> kFiles = {{"a.inf", tests::some_bytes(1000, 1)}, {"x64/a.sys", tests::some_bytes(90'000, 2)}};

TEST(Courier, TakesARequestFromAStickOnceAndBringsItsResponseBack) {
  const Box box;
  tests::make_request(box.requests, kId, kFiles);
  tests::make_response(box.outbox, kOther, {}, "{not asked for on this stick}");
  Courier courier(box.dir / "log", box.arguments({"--stick", box.stick.string()}));
  ASSERT_TRUE(within_seconds(20, [&] { return fs::exists(box.inbox / kId); })) << courier.log();
  EXPECT_EQ(tests::all_files(box.inbox / kId), tests::all_files(box.requests / kId));

  // coldseald takes it away; the stick stays in, goes and comes back: it is not handed over again.
  fs::rename(box.inbox / kId, box.dir / "spooled");
  fs::rename(box.stick, box.dir / "pulled");
  ASSERT_TRUE(within_seconds(20, [&] { return courier.log().find("stick gone") != std::string::npos; })) << courier.log();
  fs::rename(box.dir / "pulled", box.stick);
  ASSERT_TRUE(within_seconds(20, [&] { return box.times("stick found", courier.log()) == 2; })) << courier.log();
  // The same bytes with other ids prove that a whole round has passed since.
  tests::make_request(box.dir / "new", tests::some_id('c'), kFiles);
  fs::rename(box.dir / "new" / tests::some_id('c'), box.requests / tests::some_id('c'));
  ASSERT_TRUE(within_seconds(20, [&] { return fs::exists(box.inbox / tests::some_id('c')); })) << courier.log();
  EXPECT_FALSE(fs::exists(box.inbox / kId));

  tests::make_response(box.dir / "made", kId, {}, "{refused}");
  fs::rename(box.dir / "made" / kId, box.outbox / kId);
  ASSERT_TRUE(within_seconds(20, [&] { return fs::exists(box.responses / kId); })) << courier.log();
  fs::rename(box.outbox / kId, box.dir / "old");
  tests::make_response(box.dir / "made", kId, kFiles, "{signed}");
  fs::rename(box.dir / "made" / kId, box.outbox / kId);
  ASSERT_TRUE(within_seconds(20, [&] { return tests::all_files(box.responses / kId) == tests::all_files(box.outbox / kId); }))
      << courier.log();
  EXPECT_FALSE(fs::exists(box.responses / kOther));
  // coldseald is told which receipt has arrived.
  const fs::path mark = box.inbox / (kId + ".delivered");
  const std::string receipt = crypto::sha256(tests::read_file(box.outbox / kId / "receipt.dsse.json")).hex();
  EXPECT_TRUE(within_seconds(20, [&] { return fs::exists(mark) && tests::read_text(mark) == receipt; })) << courier.log();
  EXPECT_EQ(courier.stop(), 0);
}

TEST(Courier, TellsOnceWhyARequestIsNotTakenAndTakesTheOthers) {
  const Box box;
  tests::make_request(box.requests, kId, kFiles);
  fs::create_symlink("/etc/passwd", box.requests / kId / "files/link");
  tests::make_request(box.requests, kOther, kFiles);
  Courier courier(box.dir / "log", box.arguments({"--stick", box.stick.string()}));
  ASSERT_TRUE(within_seconds(20, [&] { return fs::exists(box.inbox / kOther); })) << courier.log();
  std::this_thread::sleep_for(1s);   // three more rounds
  EXPECT_EQ(box.times("symbolic link", courier.log()), 1U) << courier.log();
  EXPECT_FALSE(fs::exists(box.inbox / kId));
  // Mended, it is taken.
  fs::remove(box.requests / kId / "files/link");
  tests::write_text(box.requests / kId / "request.dsse.json", "{a new manifest}");
  EXPECT_TRUE(within_seconds(20, [&] { return fs::exists(box.inbox / kId); })) << courier.log();
}

TEST(Courier, LooksOnceWhenAskedAndSaysByItsStatusWhetherAllWasDone) {
  const Box box;
  tests::make_request(box.requests, kId, kFiles);
  Courier good(box.dir / "log", box.arguments({"--once", "--stick", box.stick.string()}));
  EXPECT_EQ(good.wait(), 0) << good.log();
  EXPECT_TRUE(fs::exists(box.inbox / kId));
  fs::rename(box.inbox / kId, box.outbox / kId);
  fs::rename(box.outbox / kId / "request.dsse.json", box.outbox / kId / "receipt.dsse.json");
  Courier answer(box.dir / "log", box.arguments({"--once", "--stick", box.stick.string()}));
  EXPECT_EQ(answer.wait(), 0) << answer.log();
  EXPECT_EQ(tests::all_files(box.responses), tests::all_files(box.outbox));
  // The answer may be to a damaged copy of it, so the request goes in again: coldseald knows what it has answered.
  EXPECT_TRUE(fs::exists(box.inbox / kId));

  fs::create_directories(box.requests / kOther);
  fs::create_symlink("/etc/passwd", box.requests / kOther / "request.dsse.json");
  Courier bad(box.dir / "log", box.arguments({"--once", "--stick", box.stick.string()}));
  EXPECT_EQ(bad.wait(), 1) << bad.log();
  Courier idle(box.dir / "log", box.arguments({}));
  EXPECT_EQ(idle.wait(), 2);
}

TEST(Courier, TellsOfAResponseThatWasOnTheStickOnlyOnceItIsThereWhole) {
  const Box box;
  tests::make_request(box.requests, kId, kFiles);
  tests::make_response(box.outbox, kId, kFiles, "{signed}");
  tests::make_response(box.responses, kId, kFiles, "{signed}");
  Bytes flipped = kFiles.at("x64/a.sys");
  flipped[70'000] ^= 1U;
  tests::write_file(box.responses / kId / "files/x64/a.sys", flipped);
  Courier courier(box.dir / "log", box.arguments({"--stick", box.stick.string()}));
  const fs::path mark = box.inbox / (kId + ".delivered");
  ASSERT_TRUE(within_seconds(20, [&] { return fs::exists(mark); })) << courier.log();
  EXPECT_EQ(tests::all_files(box.responses), tests::all_files(box.outbox));
  EXPECT_EQ(tests::read_text(mark), crypto::sha256(base::as_bytes("{signed}")).hex());
  // Told once for as long as the stick stays in, and again when it is back.
  fs::remove(mark);
  std::this_thread::sleep_for(1s);
  EXPECT_FALSE(fs::exists(mark));
  fs::rename(box.stick, box.dir / "pulled");
  ASSERT_TRUE(within_seconds(20, [&] { return courier.log().find("stick gone") != std::string::npos; })) << courier.log();
  fs::rename(box.dir / "pulled", box.stick);
  EXPECT_TRUE(within_seconds(20, [&] { return fs::exists(mark); })) << courier.log();
  EXPECT_EQ(box.times("response delivered", courier.log()), 1U) << courier.log();
}

TEST(Courier, WaitsForASerialDeviceThatIsNotThere) {
  const Box box;
  Courier courier(box.dir / "log", box.arguments({"--serial", (box.dir / "ttyUSB9").string()}));
  EXPECT_TRUE(within_seconds(20, [&] { return courier.log().find("no such device") != std::string::npos; })) << courier.log();
  EXPECT_EQ(courier.stop(), 0);
}

}  // namespace
