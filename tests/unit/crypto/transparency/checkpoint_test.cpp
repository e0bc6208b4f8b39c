// The signature is judged by openssl in tests/interop; here are the text forms and who is believed.
#include "crypto/transparency/checkpoint.hpp"

#include <gtest/gtest.h>

#include <functional>

#include "crypto/base/limits.hpp"
#include "crypto/base/text.hpp"
#include "crypto/transparency/merkle_tree.hpp"
#include "tests/support/software_key.hpp"

namespace transparency {
namespace {

using base::Errc;

crypto::PublicKey public_part(const tests::SoftwareKey& key) { return *crypto::PublicKey::parse(key.public_key_der()); }

class Checkpoints : public testing::Test {
 protected:
  Checkpoints() {
    for (int i = 0; i < 5; ++i) tree.add(base::as_bytes("line " + std::to_string(i)));
    note = *sign_checkpoint({log_origin("vault-1"), tree.size(), tree.root()}, key);
  }
  tests::SoftwareKey key = tests::SoftwareKey::generate_p256();
  MerkleTree tree;
  std::string note;
};

TEST_F(Checkpoints, AreThreeLinesAndASignatureThatNamesItsKey) {
  const std::string head = "coldseal/vault-1\n5\n" + base::base64(tree.root().bytes()) + "\n\n\xE2\x80\x94 coldseal/vault-1 ";
  ASSERT_TRUE(note.starts_with(head)) << note;
  ASSERT_TRUE(note.ends_with("\n"));
  const base::Bytes bytes = *base::from_base64(note.substr(head.size(), note.size() - head.size() - 1));
  const crypto::Digest id = crypto::sha256(key.public_key_der());
  EXPECT_EQ(base::hex(base::ByteView(bytes).first(4)), id.hex().substr(0, 8));
  const auto read = verify_checkpoint(note, public_part(key));
  ASSERT_TRUE(read) << read.error().text();
  EXPECT_EQ(read->size, 5U);
  EXPECT_EQ(read->root, tree.root());
  EXPECT_EQ(read->origin, "coldseal/vault-1");
}

TEST_F(Checkpoints, OfAnotherKeyOrWithAnythingChangedAreRefused) {
  const tests::SoftwareKey other = tests::SoftwareKey::generate_p256();
  EXPECT_EQ(verify_checkpoint(note, public_part(other)).error().code(), Errc::mismatch);
  for (std::size_t i = 0; i < note.size(); ++i) {
    std::string changed = note;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(verify_checkpoint(changed, public_part(key))) << "byte " << i;
    changed = note;
    changed.erase(i, 1);
    EXPECT_FALSE(verify_checkpoint(changed, public_part(key))) << "byte " << i;
    EXPECT_FALSE(verify_checkpoint(note.substr(0, i), public_part(key))) << "cut at " << i;
  }
}

TEST_F(Checkpoints, SignaturesOfWitnessesAreLetStand) {
  tests::SoftwareKey witness = tests::SoftwareKey::generate_p256();
  const std::string theirs = *sign_checkpoint({"witness.example", tree.size(), tree.root()}, witness);
  EXPECT_TRUE(verify_checkpoint(note + theirs.substr(theirs.find("\n\n") + 2), public_part(key)));
}

TEST_F(Checkpoints, TextsOfOtherFormsAreNamed) {
  const auto expect = [&](const std::string& text, Errc code, std::string_view words) {
    const auto read = parse_checkpoint(text);
    ASSERT_FALSE(read) << words;
    EXPECT_EQ(static_cast<int>(read.error().code()), static_cast<int>(code)) << read.error().text();
    EXPECT_NE(read.error().text().find(words), std::string::npos) << read.error().text();
  };
  const auto with = [&](const std::string& old, const std::string& by) {
    std::string text = note;
    return text.replace(text.find(old), old.size(), by);
  };
  expect("", Errc::malformed, "a line is missing");
  expect(with("coldseal/vault-1\n", "two words\n"), Errc::malformed, "no log's name");
  expect(with("\n5\n", "\n05\n"), Errc::malformed, "not a number");
  expect(with("\n5\n", "\n-5\n"), Errc::malformed, "not a number");
  expect(with("\n5\n", "\n99999999999999999999\n"), Errc::malformed, "not a number");
  expect(with("\n\n", "\nextension\n\n"), Errc::malformed, "an empty line wanted");
  expect(note.substr(0, note.find("\n\n") + 2), Errc::malformed, "no signature");
  expect(note + "- a b\n", Errc::malformed, "is no signature");
  expect(std::string(base::limits::kCheckpointBytes + 1, 'a'), Errc::too_large, "bytes");
  std::string many = note;
  for (int i = 0; i < 16; ++i) many += note.substr(note.find("\n\n") + 2);
  expect(many, Errc::too_large, "more than 16 signatures");
}

TEST_F(Checkpoints, AProofHoldsForItsLineOnly) {
  const TlogProof proof{3, tree.inclusion(3, 5), note};
  const auto read = TlogProof::parse(proof.text());
  ASSERT_TRUE(read) << read.error().text();
  EXPECT_EQ(read->text(), proof.text());
  EXPECT_TRUE(read->expect_leaf(base::as_bytes("line 3")));
  EXPECT_FALSE(read->expect_leaf(base::as_bytes("line 2")));
  TlogProof elsewhere = *read;
  elsewhere.index = 2;
  EXPECT_FALSE(elsewhere.expect_leaf(base::as_bytes("line 3")));
  elsewhere.index = 7;
  EXPECT_FALSE(elsewhere.expect_leaf(base::as_bytes("line 3")));
  for (const auto& [text, words] : std::vector<std::pair<std::string, std::string>>{
           {"c2sp.org/tlog-proof@v2\nindex 0\n\n" + note, "the first line"},
           {"c2sp.org/tlog-proof@v1\nextra AAAA\nindex 0\n\n" + note, "no index"},
           {"c2sp.org/tlog-proof@v1\nindex x\n\n" + note, "not a number"},
           {"c2sp.org/tlog-proof@v1\nindex 0\nAAAA\n\n" + note, ""},
           {"c2sp.org/tlog-proof@v1\nindex 0\n", "a line is missing"},
           {"c2sp.org/tlog-proof@v1\nindex 0\n\n", "a line is missing"}}) {
    const auto refused = TlogProof::parse(text);
    ASSERT_FALSE(refused) << text;
    EXPECT_NE(refused.error().text().find(words), std::string::npos) << refused.error().text();
  }
}

}  // namespace
}  // namespace transparency
