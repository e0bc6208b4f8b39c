#include "usb/serial/message.hpp"

#include <gtest/gtest.h>

#include "crypto/base/limits.hpp"
#include "tests/support/parcels.hpp"

namespace serial {
namespace {

using base::Bytes;
using base::Errc;

std::vector<Words> one_of_each() {
  const crypto::Digest digest = crypto::sha256(base::as_bytes("document"));
  return {Offer{usb::ParcelKind::response, tests::some_id('a'), 123456789, digest},
          Ready{},
          Ready{{3, digest, 12345, "files/a/b.sys", 77, {{50, digest}, {20, digest}}}},
          GoOn{true},
          FileBegin{"files/a/b.sys", 77, 50},
          FileData{tests::some_bytes(100, 1)},
          PackedData{200, tests::some_bytes(100, 1)},
          FileEnd{digest},
          Commit{},
          Accepted{true},
          Refused{Errc::no_space, "the disk is full"},
          Abort{Errc::io, "stick pulled"},
          ListRequests{},
          ListRequests{{tests::some_id('7'), tests::some_id('8')}},
          Requests{{{tests::some_id('1'), RequestPlace::answered, 5}, {tests::some_id('2'), RequestPlace::arrived, 1ULL << 63}}, true},
          GetResponse{tests::some_id('b')},
          AskChallenge{},
          Challenge{{1, 2, 3}},
          Proof{{1, 2}, {3, 4, 5}}};
}

bool ends_in_data(const Words& words) { return std::holds_alternative<FileData>(words) || std::holds_alternative<PackedData>(words); }

TEST(Message, OfEveryKindIsReadAsItWasWritten) {
  for (const Words& words : one_of_each()) {
    const Bytes bytes = encode_words(words);
    const auto back = decode_words(bytes);
    ASSERT_TRUE(back) << back.error().text();
    EXPECT_EQ(back->index(), words.index());
    EXPECT_EQ(encode_words(*back), bytes);
  }
  const auto refused = decode_words(encode_words(Refused{Errc::no_space, "full"}));
  EXPECT_EQ(std::get<Refused>(*refused).code, Errc::no_space);
  EXPECT_EQ(std::get<Refused>(*refused).reason, "full");
  const auto file = decode_words(encode_words(FileBegin{"files/x", 5, 0}));
  EXPECT_EQ(std::get<FileBegin>(*file).path, "files/x");
  EXPECT_EQ(std::get<FileBegin>(*file).size, 5U);
}

TEST(Message, CutShortIsRefused) {
  for (const Words& words : one_of_each()) {
    if (ends_in_data(words)) continue;   // any bytes are data
    const Bytes bytes = encode_words(words);
    for (std::size_t length = 0; length < bytes.size(); ++length)
      EXPECT_FALSE(decode_words(base::ByteView(bytes).first(length))) << "kind " << words.index() << " length " << length;
  }
}

TEST(Message, WithBytesBehindItIsRefused) {
  for (const Words& words : one_of_each()) {
    if (ends_in_data(words)) continue;
    Bytes bytes = encode_words(words);
    bytes.push_back(0);
    EXPECT_FALSE(decode_words(bytes)) << "kind " << words.index();
  }
}

TEST(Message, OfUnknownKindIsUnsupported) {
  for (const std::uint8_t kind : Bytes{0, 18, 255}) {
    const auto words = decode_words(Bytes{kind});
    ASSERT_FALSE(words);
    EXPECT_EQ(words.error().code(), Errc::unsupported);
  }
}

TEST(Message, WithALengthBeyondItsLimitIsRefusedBeforeAllocating) {
  Bytes bytes = encode_words(FileBegin{"files/x", 5, 0});
  bytes[17] = bytes[18] = bytes[19] = bytes[20] = 0xFF;   // kind, size, offset, then the length of the path
  EXPECT_FALSE(decode_words(bytes));
}

TEST(Message, OfAPackedBlockLargerThanAnyIsRefused) {
  const auto words = decode_words(encode_words(PackedData{kBlockBytes + 1, {1, 2, 3}}));
  ASSERT_FALSE(words);
  EXPECT_EQ(words.error().code(), Errc::too_large);
}

TEST(Message, WithARequestInNoPlaceThatThereIsIsRefused) {
  Bytes bytes = encode_words(Requests{{{tests::some_id('1'), RequestPlace::arrived, 5}}, false});
  bytes[3 + 32] = 3;   // kind, flag, count, id, then the place
  EXPECT_FALSE(decode_words(bytes));
}

TEST(Message, WithMoreRequestsThanAListHoldsIsRefused) {
  Bytes bytes = encode_words(ListRequests{std::vector<std::string>(kIdsInAMessage, tests::some_id('1'))});
  EXPECT_TRUE(decode_words(bytes));
  bytes[1] = kIdsInAMessage + 1;
  bytes.resize(bytes.size() + 32);
  EXPECT_EQ(decode_words(bytes).error().code(), Errc::too_large);
}

TEST(Message, WithAProofLongerThanAnyKeyIsRefused) {
  EXPECT_FALSE(decode_words(encode_words(Proof{Bytes(kProofBytes + 1, 1), {}})));
  EXPECT_FALSE(decode_words(encode_words(Proof{{}, Bytes(kProofBytes + 1, 1)})));
}

TEST(Message, CutsALongReasonAtACharacter) {
  std::string reason;
  while (reason.size() < 3000) reason += "\xC3\xA9";   // e with acute accent
  const auto words = decode_words(encode_words(Refused{Errc::io, "x" + reason}));
  ASSERT_TRUE(words) << words.error().text();
  EXPECT_LE(std::get<Refused>(*words).reason.size(), base::limits::kNoteBytes);
  EXPECT_TRUE(std::get<Refused>(*words).reason.starts_with("x\xC3\xA9"));
}

}  // namespace
}  // namespace serial
