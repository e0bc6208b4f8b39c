#include <gtest/gtest.h>
#include <zstd.h>

#include "crypto/verify_signature.hpp"
#include "tests/support/parcels.hpp"
#include "tests/support/software_key.hpp"
#include "tests/support/temp_dir.hpp"
#include "usb/serial/message.hpp"
#include "usb/serial/packing.hpp"
#include "usb/serial/transfer.hpp"

namespace serial {
namespace {

using base::Bytes;
using base::Errc;
namespace fs = std::filesystem;

const std::string kRequest = tests::some_id('a');

void fill_random(std::span<std::uint8_t> out) {   // a script asks for one challenge, and answers another
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<std::uint8_t>(i + 1);
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
  EXPECT_EQ(serve(script, boxes, fill_random, [](const Served&) {}).text(), "the script is over");
  Outcome outcome{{}, fs::is_empty(boxes.inbox)};
  for (const Bytes& answer : script.answers) outcome.answers.push_back(*decode_words(answer));
  return outcome;
}

Offer offer(const std::string& document) {
  return {usb::ParcelKind::request, kRequest, 0, crypto::sha256(base::as_bytes(document))};
}

FileEnd end_of(const Bytes& file) { return {crypto::sha256(file)}; }

const Bytes kDocument = base::to_bytes(base::as_bytes("{}"));

TEST(SerialServe, TakesARequestWordByWord) {
  const Outcome outcome = served({offer("{}"), GoOn{}, FileBegin{"files/a.sys", 3, 0}, FileData{{1, 2, 3}}, end_of({1, 2, 3}),
                                  FileBegin{"request.dsse.json", 2, 0}, FileData{kDocument}, end_of(kDocument), Commit{}});
  ASSERT_EQ(outcome.answers.size(), 2U);
  EXPECT_TRUE(std::holds_alternative<Ready>(outcome.answers[0]));
  EXPECT_TRUE(std::holds_alternative<Accepted>(outcome.answers[1]));
  EXPECT_FALSE(outcome.inbox_is_empty);
}

// Many zeros, packed, with a claim of how many.
PackedData bomb(std::size_t bytes, std::uint32_t said) {
  const Bytes zeros(bytes, 0);
  Bytes frame(1000);
  frame.resize(ZSTD_compress(frame.data(), frame.size(), zeros.data(), zeros.size(), 3));
  return {said, std::move(frame)};
}

struct BadCase {
  const char* what;
  std::vector<Words> says;
  Errc code;
};

TEST(SerialServe, RefusesWhatAHostMayNotSendAndKeepsNothing) {
  const std::vector<BadCase> cases = {
      {"out of the folder", {FileBegin{"files/../../x", 1, 0}}, Errc::refused},
      {"absolute", {FileBegin{"/etc/passwd", 1, 0}}, Errc::refused},
      {"beside files/", {FileBegin{"evil", 1, 0}}, Errc::refused},
      {"the folder itself", {FileBegin{"files/", 1, 0}}, Errc::refused},
      {"device name", {FileBegin{"files/con.txt", 1, 0}}, Errc::refused},
      {"the other document", {FileBegin{"receipt.dsse.json", 1, 0}}, Errc::refused},
      {"too long", {FileBegin{"files/a", 5ULL << 30, 0}}, Errc::too_large},
      {"document too long", {FileBegin{"request.dsse.json", 5ULL << 20, 0}}, Errc::too_large},
      {"more bytes than announced", {FileBegin{"files/a", 2, 0}, FileData{{1, 2, 3}}}, Errc::malformed},
      {"fewer bytes than announced", {FileBegin{"files/a", 2, 0}, FileData{{1}}, end_of({})}, Errc::malformed},
      {"two files at once", {FileBegin{"files/a", 2, 0}, FileBegin{"files/b", 2, 0}}, Errc::malformed},
      {"names differing in case", {FileBegin{"files/a", 0, 0}, end_of({}), FileBegin{"files/A", 0, 0}}, Errc::malformed},
      {"out of order", {FileBegin{"files/b", 0, 0}, end_of({}), FileBegin{"files/a", 0, 0}}, Errc::malformed},
      {"a name that a part file has", {FileBegin{"files/a.part", 0, 0}, end_of({}), FileBegin{"files/a", 0, 0}}, Errc::malformed},
      {"file behind the document",
       {FileBegin{"request.dsse.json", 0, 0}, end_of({}), FileBegin{"files/a", 0, 0}}, Errc::malformed},
      {"no document", {FileBegin{"files/a", 0, 0}, end_of({}), Commit{}}, Errc::malformed},
      {"another digest than the file's", {FileBegin{"files/a", 1, 0}, FileData{{1}}, end_of({2})}, Errc::mismatch},
      {"goes on where nothing was", {FileBegin{"files/a", 9, 5}}, Errc::malformed},
      {"a bomb by its declared size", {FileBegin{"files/a", 1U << 30, 0}, bomb(40'000, 40'000)}, Errc::too_large},
      {"a bomb by its real size", {FileBegin{"files/a", 1U << 30, 0}, bomb(1'000'000, 100)}, Errc::malformed},
      {"a packed block that is none", {FileBegin{"files/a", 9, 0}, PackedData{9, {1, 2, 3}}}, Errc::malformed},
      {"2^63 bytes", {FileBegin{"files/a", 1ULL << 63, 0}}, Errc::too_large},
      {"where to go on, twice", {GoOn{}}, Errc::malformed},
      {"an open file", {FileBegin{"request.dsse.json", 1, 0}, Commit{}}, Errc::malformed},
      {"data of no file", {FileData{{1}}}, Errc::malformed},
      {"gives up", {FileBegin{"files/a", 0, 0}, Abort{Errc::refused, "no more"}}, Errc::refused},
  };
  for (const BadCase& bad : cases) {
    std::vector<Words> says = {offer("{}"), GoOn{}};
    says.insert(says.end(), bad.says.begin(), bad.says.end());
    says.emplace_back(end_of({}));   // what is still on its way is dropped without a word
    const Outcome outcome = served(says);
    ASSERT_EQ(outcome.answers.size(), 2U) << bad.what;
    const auto* refused = std::get_if<Refused>(&outcome.answers[1]);
    ASSERT_NE(refused, nullptr) << bad.what;
    EXPECT_EQ(refused->code, bad.code) << bad.what << ": " << refused->reason;
    EXPECT_TRUE(outcome.inbox_is_empty) << bad.what;
  }
}

TEST(SerialServe, RefusesToBeginBeforeItIsSaidWhere) {
  const Outcome outcome = served({offer("{}"), FileBegin{"files/a", 1, 0}});
  ASSERT_EQ(outcome.answers.size(), 2U);
  EXPECT_TRUE(std::holds_alternative<Refused>(outcome.answers[1]));
}

TEST(SerialServe, RefusesAClaimOfMoreBytesThanARequestMayHave) {
  Offer huge = offer("{}");
  huge.bytes = 1ULL << 63;
  const Outcome outcome = served({huge});
  ASSERT_EQ(outcome.answers.size(), 1U);
  ASSERT_TRUE(std::holds_alternative<Refused>(outcome.answers[0]));
  EXPECT_EQ(std::get<Refused>(outcome.answers[0]).code, Errc::too_large);
  EXPECT_TRUE(outcome.inbox_is_empty);
}

TEST(SerialServe, GivesNothingToAHostWithoutAProof) {
  tests::SoftwareKey key = tests::SoftwareKey::generate_p256();
  const Challenge made_up{};
  const Proof replayed{base::to_bytes(key.public_key_der()), *key.sign(proof_digest(made_up))};
  const std::vector<std::vector<Words>> attempts = {
      {ListRequests{}}, {GetResponse{kRequest}}, {replayed, ListRequests{}}, {AskChallenge{}, replayed, ListRequests{}},
      {AskChallenge{}, Proof{{1, 2, 3}, {4}}, GetResponse{kRequest}}};
  for (const std::vector<Words>& says : attempts) {
    const Outcome outcome = served(says);
    ASSERT_FALSE(outcome.answers.empty());
    const auto* refused = std::get_if<Refused>(&outcome.answers.back());
    ASSERT_NE(refused, nullptr);
    EXPECT_EQ(refused->code, Errc::refused) << refused->reason;
  }
}

// A host that answers the challenge as it must: the script's randomness is known.
std::vector<Bytes> proven(tests::SoftwareKey& key, const std::vector<Words>& then) {
  Challenge challenge;
  fill_random(challenge.random);
  std::vector<Bytes> says = {encode_words(AskChallenge{}),
                             encode_words(Proof{base::to_bytes(key.public_key_der()), *key.sign(proof_digest(challenge))})};
  for (const Words& words : then) says.push_back(encode_words(words));
  return says;
}

TEST(SerialServe, HoweverManyResponsesOfOthersThereAreAHostSeesItsOwn) {
  const tests::TempDir dir;
  const Boxes boxes{dir / "inbox", dir / "outbox"};
  tests::SoftwareKey key = tests::SoftwareKey::generate_p256();
  for (int i = 0; i < 1500; ++i) {   // refused at the door: without an owner
    const std::string id = crypto::sha256(base::as_bytes(std::to_string(i))).hex();
    fs::create_directories(boxes.outbox / id);
    tests::write_text(boxes.outbox / (crypto::sha256(base::as_bytes("w" + std::to_string(i))).hex() + ".waiting"), "somebody else");
  }
  const std::string owner = crypto::PublicKey::parse(key.public_key_der())->keyid();
  tests::make_response(boxes.outbox, kRequest, {{"a.cat", {1}}});
  tests::write_text(boxes.outbox / kRequest / usb::kOwnerName, owner);
  tests::write_text(boxes.outbox / (tests::some_id('b') + ".waiting"), owner);
  Script script(proven(key, {ListRequests{}}));
  (void)serve(script, boxes, fill_random, [](const Served&) {});
  const Words last = *decode_words(script.answers.back());
  const auto* list = std::get_if<Requests>(&last);
  ASSERT_NE(list, nullptr);
  ASSERT_EQ(list->requests.size(), 2U);
  EXPECT_EQ(list->requests[0].id, tests::some_id('b'));
  EXPECT_EQ(list->requests[1].id, kRequest);
}

// Whoever learns a request's id before it arrives can send something else under it. That is refused at the door, and must not keep
// the request itself out.
TEST(SerialServe, SomethingElseUnderARequestsIdDoesNotKeepTheRequestOut) {
  const tests::TempDir dir;
  const Boxes boxes{dir / "inbox", dir / "outbox"};
  const auto answer_to = [&](const Offer& offered) {
    Script script({encode_words(offered)});
    (void)serve(script, boxes, fill_random, [](const Served&) {});
    return *decode_words(script.answers.back());
  };
  tests::make_response(boxes.outbox, kRequest, {}, "{refused at the door}");
  EXPECT_TRUE(std::holds_alternative<Ready>(answer_to(offer("{}"))));
  tests::make_request(boxes.inbox, kRequest, {}, "{something else}");
  const Words busy = answer_to(offer("{}"));
  ASSERT_TRUE(std::holds_alternative<Refused>(busy));
  EXPECT_EQ(std::get<Refused>(busy).code, Errc::unavailable);
  EXPECT_TRUE(std::holds_alternative<Accepted>(answer_to(offer("{something else}"))));
  tests::write_text(boxes.outbox / kRequest / usb::kOwnerName, "somebody");   // answered, and verified before
  EXPECT_TRUE(std::holds_alternative<Accepted>(answer_to(offer("{}"))));
}

TEST(SerialServe, KeepsOnlyTheNewestUnfinishedRequests) {
  const tests::TempDir dir;
  const Boxes boxes{dir / "inbox", dir / "outbox"};
  fs::create_directories(boxes.inbox);
  std::vector<Bytes> says;
  for (int i = 0; i < 30; ++i) {
    Offer one = offer("{}");
    one.id = crypto::sha256(Bytes{static_cast<std::uint8_t>(i)}).hex();
    says.push_back(encode_words(one));
  }
  Script script(std::move(says));
  (void)serve(script, boxes, fill_random, [](const Served&) {});
  const auto left = std::distance(fs::directory_iterator(boxes.inbox), fs::directory_iterator());
  EXPECT_LE(left, 9);
}

TEST(SerialServe, PutsARequestThatMakesNoProgressAside) {
  const tests::TempDir dir;
  const Boxes boxes{dir / "inbox", dir / "outbox"};
  Script script({encode_words(offer("{}")), encode_words(GoOn{}), encode_words(FileBegin{"files/a", 3, 0}), {}, {},
                 encode_words(FileData{{1}})});
  (void)serve(script, boxes, fill_random, [](const Served&) {});
  ASSERT_EQ(script.answers.size(), 2U);
  const Words answer = *decode_words(script.answers[1]);
  ASSERT_TRUE(std::holds_alternative<Refused>(answer));
  EXPECT_EQ(std::get<Refused>(answer).code, Errc::unavailable);
  EXPECT_FALSE(fs::exists(boxes.inbox / kRequest));
}

TEST(SerialServe, GoesOnAfterARefusal) {
  const Outcome outcome = served({offer("{}"), GoOn{}, FileBegin{"evil", 1, 0}, FileData{{1}}, offer("{}"), GoOn{},
                                  FileBegin{"request.dsse.json", 2, 0}, FileData{kDocument}, end_of(kDocument), Commit{}});
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
