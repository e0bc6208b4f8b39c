#include "usb/serial/transfer.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "tests/support/parcels.hpp"
#include "tests/support/serial_cable.hpp"
#include "tests/support/temp_dir.hpp"
#include "usb/serial/message.hpp"

namespace serial {
namespace {

using base::Bytes;
using base::Errc;
namespace fs = std::filesystem;
using namespace std::chrono_literals;

// The appliance's end, on a thread of its own, serving one host after the other.
class Appliance {
 public:
  Appliance(const fs::path& device, const fs::path& root) : boxes_{root / "inbox", root / "outbox"} {
    fs::create_directories(boxes_.inbox);
    fs::create_directories(boxes_.outbox);
    thread_ = std::thread([this, device] { run(device); });
  }
  ~Appliance() {
    stop_ = true;
    thread_.join();
  }
  const Boxes& boxes() const { return boxes_; }

 private:
  void run(const fs::path& device) {
    while (!stop_) {
      auto link = Link::open(device, Role::appliance, 0, [this] { return stop_.load(); });
      if (!link) return;
      const auto connected = (*link)->connect(60s);
      if (connected && *connected) (void)serve(**link, boxes_, [](const Served&) {});
      if (!connected && connected.error().code() == Errc::io) return;   // the cable was cut
    }
  }
  Boxes boxes_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

const std::string kId = tests::some_id('a');

std::map<std::string, Bytes> five_megabytes() {
  return {{"driver.sys", tests::some_bytes(5'000'000, 1)}, {"amd64/driver.dll", tests::some_bytes(70'000, 2)},
          {"DRIVER.INF", tests::some_bytes(3000, 3)},      {"empty.txt", {}}};
}

TEST(SerialTransfer, CarriesARequestInAndItsResponseBack) {
  const tests::TempDir dir;
  tests::SerialCable cable;
  const Appliance appliance(cable.appliance_end(), dir.path());
  tests::make_request(dir / "out", kId, five_megabytes());

  const auto began = std::chrono::steady_clock::now();
  const auto sent = send_requests(cable.host_end(), {dir / "out" / (kId + "/")});
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  ASSERT_TRUE(sent) << sent.error().text();
  RecordProperty("megabytes_per_second", std::to_string(5.0 / took.count()));
  EXPECT_FALSE(sent->at(0).was_there);
  EXPECT_EQ(tests::all_files(appliance.boxes().inbox / kId), tests::all_files(dir / "out" / kId));

  const auto again = send_requests(cable.host_end(), {dir / "out" / kId});
  ASSERT_TRUE(again) << again.error().text();
  EXPECT_TRUE(again->at(0).was_there);

  tests::make_response(appliance.boxes().outbox, kId, five_megabytes());
  tests::make_response(appliance.boxes().outbox, tests::some_id('b'), {}, "{refused}");
  const auto collected = collect_responses(cable.host_end(), dir / "in", {});
  ASSERT_TRUE(collected) << collected.error().text();
  ASSERT_EQ(collected->size(), 2U);
  EXPECT_EQ(tests::all_files(dir / "in"), tests::all_files(appliance.boxes().outbox));
  const auto same = collect_responses(cable.host_end(), dir / "in", {kId});
  ASSERT_TRUE(same) << same.error().text();
  EXPECT_TRUE(same->at(0).was_there);
}

TEST(SerialTransfer, SurvivesADamagingCable) {
  const tests::TempDir dir;
  tests::SerialCable cable({.damage_every = 50'000});
  const Appliance appliance(cable.appliance_end(), dir.path());
  tests::make_request(dir / "out", kId, {{"a.sys", tests::some_bytes(600'000, 1)}});
  const auto sent = send_requests(cable.host_end(), {dir / "out" / kId});
  ASSERT_TRUE(sent) << sent.error().text();
  EXPECT_EQ(tests::all_files(appliance.boxes().inbox / kId), tests::all_files(dir / "out" / kId));
}

TEST(SerialTransfer, CutInTheMiddleLeavesNothingAndWorksTheSecondTime) {
  const tests::TempDir dir;
  tests::make_request(dir / "out", kId, five_megabytes());
  {
    tests::SerialCable cable({.cut_after = 2'000'000});
    const Appliance appliance(cable.appliance_end(), dir.path());
    const auto sent = send_requests(cable.host_end(), {dir / "out" / kId});
    ASSERT_FALSE(sent);
    EXPECT_EQ(sent.error().code(), Errc::io) << sent.error().text();
    EXPECT_GE(cable.carried(), 2'000'000U);
  }
  EXPECT_TRUE(fs::is_empty(dir / "inbox"));
  tests::SerialCable cable;
  const Appliance appliance(cable.appliance_end(), dir.path());
  const auto sent = send_requests(cable.host_end(), {dir / "out" / kId});
  ASSERT_TRUE(sent) << sent.error().text();
  EXPECT_EQ(tests::all_files(appliance.boxes().inbox / kId), tests::all_files(dir / "out" / kId));
}

TEST(SerialTransfer, SaysWhenAResponseIsNotThereYet) {
  const tests::TempDir dir;
  tests::SerialCable cable;
  const Appliance appliance(cable.appliance_end(), dir.path());
  const auto collected = collect_responses(cable.host_end(), dir / "in", {kId});
  ASSERT_FALSE(collected);
  EXPECT_EQ(collected.error().code(), Errc::not_found) << collected.error().text();
  EXPECT_FALSE(fs::exists(dir / "in"));
}

TEST(SerialTransfer, OfADeviceThatDoesNotExistSaysSo) {
  const tests::TempDir dir;
  tests::make_request(dir / "out", kId, {});
  const auto sent = send_requests("/dev/ttyNotThere", {dir / "out" / kId});
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().code(), Errc::not_found) << sent.error().text();
}

TEST(SerialTransfer, StopsWhenTheProgressSaysSoAndLeavesNothing) {
  const tests::TempDir dir;
  tests::SerialCable cable;
  const Appliance appliance(cable.appliance_end(), dir.path());
  tests::make_response(appliance.boxes().outbox, kId, five_megabytes());
  const auto collected = collect_responses(cable.host_end(), dir / "in", {kId}, [](const usb::Progress& progress) {
    if (progress.done < 1'000'000) return base::Result<void>();
    return base::Result<void>(base::fail(Errc::unavailable, "enough"));
  });
  ASSERT_FALSE(collected);
  EXPECT_NE(collected.error().text().find("enough"), std::string::npos);
  EXPECT_TRUE(fs::is_empty(dir / "in"));
}

// A host that says what it is told to, and remembers the answers.
class Script final : public Channel {
 public:
  // An empty message stands for a pause as long as the other end waits.
  explicit Script(std::vector<Bytes> says) : says_(std::move(says)) {}
  base::Result<void> send(Bytes message) override {
    answers.push_back(std::move(message));
    return {};
  }
  base::Result<std::optional<Bytes>> receive(Duration wait) override {
    if (wait == Duration::zero()) return std::optional<Bytes>();
    if (at_ == says_.size()) return base::fail(Errc::unavailable, "the script is over");
    if (says_[at_].empty()) {
      ++at_;
      return std::optional<Bytes>();
    }
    return std::optional<Bytes>(says_[at_++]);
  }
  std::vector<Bytes> answers;

 private:
  std::vector<Bytes> says_;
  std::size_t at_ = 0;
};

struct Outcome {
  std::vector<Words> answers;
  bool inbox_is_empty;
};

Outcome served(const std::vector<Words>& says) {
  const tests::TempDir dir;
  const Boxes boxes{dir / "inbox", dir / "outbox"};
  fs::create_directories(boxes.inbox);
  std::vector<Bytes> messages;
  for (const Words& words : says) messages.push_back(encode_words(words));
  Script script(std::move(messages));
  EXPECT_EQ(serve(script, boxes, [](const Served&) {}).text(), "the script is over");
  Outcome outcome{{}, fs::is_empty(boxes.inbox)};
  for (const Bytes& answer : script.answers) outcome.answers.push_back(*decode_words(answer));
  return outcome;
}

Offer offer(const std::string& document) {
  return {usb::ParcelKind::request, kId, 0, crypto::sha256(base::as_bytes(document))};
}

const Bytes kDocument = base::to_bytes(base::as_bytes("{}"));

TEST(SerialServe, TakesARequestWordByWord) {
  const Outcome outcome = served({offer("{}"), FileBegin{"files/a.sys", 3}, FileData{{1, 2, 3}}, FileEnd{},
                                  FileBegin{"request.dsse.json", 2}, FileData{kDocument}, FileEnd{}, Commit{}});
  ASSERT_EQ(outcome.answers.size(), 2U);
  EXPECT_TRUE(std::holds_alternative<Ready>(outcome.answers[0]));
  EXPECT_TRUE(std::holds_alternative<Accepted>(outcome.answers[1]));
  EXPECT_FALSE(outcome.inbox_is_empty);
}

struct BadCase {
  const char* what;
  std::vector<Words> says;
  Errc code;
};

TEST(SerialServe, RefusesWhatAHostMayNotSendAndKeepsNothing) {
  const std::vector<BadCase> cases = {
      {"out of the folder", {FileBegin{"files/../../x", 1}}, Errc::refused},
      {"absolute", {FileBegin{"/etc/passwd", 1}}, Errc::refused},
      {"beside files/", {FileBegin{"evil", 1}}, Errc::refused},
      {"the folder itself", {FileBegin{"files/", 1}}, Errc::refused},
      {"device name", {FileBegin{"files/con.txt", 1}}, Errc::refused},
      {"the other document", {FileBegin{"receipt.dsse.json", 1}}, Errc::refused},
      {"too long", {FileBegin{"files/a", 5ULL << 30}}, Errc::too_large},
      {"document too long", {FileBegin{"request.dsse.json", 5ULL << 20}}, Errc::too_large},
      {"more bytes than announced", {FileBegin{"files/a", 2}, FileData{{1, 2, 3}}}, Errc::malformed},
      {"fewer bytes than announced", {FileBegin{"files/a", 2}, FileData{{1}}, FileEnd{}}, Errc::malformed},
      {"two files at once", {FileBegin{"files/a", 2}, FileBegin{"files/b", 2}}, Errc::malformed},
      {"names differing in case", {FileBegin{"files/a", 0}, FileEnd{}, FileBegin{"files/A", 0}}, Errc::malformed},
      {"out of order", {FileBegin{"files/b", 0}, FileEnd{}, FileBegin{"files/a", 0}}, Errc::malformed},
      {"a name that a part file has", {FileBegin{"files/a.part", 0}, FileEnd{}, FileBegin{"files/a", 0}}, Errc::malformed},
      {"file behind the document",
       {FileBegin{"request.dsse.json", 0}, FileEnd{}, FileBegin{"files/a", 0}}, Errc::malformed},
      {"no document", {FileBegin{"files/a", 0}, FileEnd{}, Commit{}}, Errc::malformed},
      {"an open file", {FileBegin{"request.dsse.json", 1}, Commit{}}, Errc::malformed},
      {"data of no file", {FileData{{1}}}, Errc::malformed},
      {"gives up", {FileBegin{"files/a", 0}, Abort{Errc::io, "no more"}}, Errc::io},
  };
  for (const BadCase& bad : cases) {
    std::vector<Words> says = {offer("{}")};
    says.insert(says.end(), bad.says.begin(), bad.says.end());
    says.emplace_back(FileEnd{});   // what is still on its way is dropped without a word
    const Outcome outcome = served(says);
    ASSERT_EQ(outcome.answers.size(), 2U) << bad.what;
    const auto* refused = std::get_if<Refused>(&outcome.answers[1]);
    ASSERT_NE(refused, nullptr) << bad.what;
    EXPECT_EQ(refused->code, bad.code) << bad.what << ": " << refused->reason;
    EXPECT_TRUE(outcome.inbox_is_empty) << bad.what;
  }
}

TEST(SerialServe, ForgetsARequestThatMakesNoProgress) {
  const tests::TempDir dir;
  const Boxes boxes{dir / "inbox", dir / "outbox"};
  Script script({encode_words(offer("{}")), encode_words(FileBegin{"files/a", 3}), {}, {}, encode_words(FileData{{1}})});
  (void)serve(script, boxes, [](const Served&) {});
  ASSERT_EQ(script.answers.size(), 2U);
  const Words answer = *decode_words(script.answers[1]);
  ASSERT_TRUE(std::holds_alternative<Refused>(answer));
  EXPECT_EQ(std::get<Refused>(answer).code, Errc::unavailable);
  EXPECT_TRUE(fs::is_empty(boxes.inbox));
}

TEST(SerialServe, GoesOnAfterARefusal) {
  const Outcome outcome = served({offer("{}"), FileBegin{"evil", 1}, FileData{{1}}, offer("{}"),
                                  FileBegin{"request.dsse.json", 2}, FileData{kDocument}, FileEnd{}, Commit{}});
  ASSERT_EQ(outcome.answers.size(), 4U);
  EXPECT_TRUE(std::holds_alternative<Accepted>(outcome.answers[3]));
}

TEST(SerialServe, RefusesAResponseFromAHost) {
  Offer response = offer("{}");
  response.kind = usb::ParcelKind::response;
  const Outcome outcome = served({response});
  ASSERT_EQ(outcome.answers.size(), 1U);
  EXPECT_TRUE(std::holds_alternative<Refused>(outcome.answers[0]));
}

}  // namespace
}  // namespace serial
