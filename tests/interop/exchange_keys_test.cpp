// Keys, envelopes and certificate requests against OpenSSL: what it writes we read, what we write it reads.
#include <gtest/gtest.h>

#include "crypto/base/text.hpp"
#include "crypto/keys/certificate_request.hpp"
#include "crypto/keys/submitter_key.hpp"
#include "crypto/transparency/dsse.hpp"
#include "crypto/transparency/receipt.hpp"
#include "tests/support/process.hpp"
#include "tests/support/sample_receipt.hpp"
#include "tests/support/software_key.hpp"
#include "tests/support/temp_dir.hpp"

namespace {

using base::SecretBytes;
using keys::SubmitterKey;
using tests::run;
using tests::run_well;
using tests::TempDir;

// openssl commands take files as text.
std::string in(const TempDir& folder, std::string_view name) { return (folder / name).string(); }

TEST(OpensslReads, OurPlainAndEncryptedKeys) {
  const TempDir folder;
  const SubmitterKey key = SubmitterKey::generate();
  const SecretBytes pass_phrase = SecretBytes::copy_of(base::as_bytes("pass phrase \xC3\xA9"));
  tests::write_text(folder / "plain.pem", key.pem(nullptr));
  tests::write_text(folder / "encrypted.pem", key.pem(&pass_phrase));
  tests::write_text(folder / "pass", "pass phrase \xC3\xA9\n");
  EXPECT_EQ(run_well({"openssl", "pkey", "-in", in(folder, "plain.pem"), "-pubout"}), key.public_key_pem());
  EXPECT_EQ(run_well({"openssl", "pkey", "-in", in(folder, "encrypted.pem"), "-passin", "file:" + in(folder, "pass"), "-pubout"}),
            key.public_key_pem());
  EXPECT_NE(run({"openssl", "pkey", "-in", in(folder, "encrypted.pem"), "-passin", "pass:wrong", "-noout"}).status, 0);
  run_well({"openssl", "pkey", "-in", in(folder, "plain.pem"), "-check", "-noout"});
}

TEST(WeRead, KeysThatOpensslMade) {
  const TempDir folder;
  const SecretBytes pass_phrase = SecretBytes::copy_of(base::as_bytes("secret word"));
  run_well({"openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", in(folder, "plain.pem")});
  run_well({"openssl", "pkcs8", "-topk8", "-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA256", "-iter", "100000", "-in",
            in(folder, "plain.pem"), "-out", in(folder, "encrypted.pem"), "-passout", "pass:secret word"});
  const std::string public_key = run_well({"openssl", "pkey", "-in", in(folder, "plain.pem"), "-pubout"});
  const base::Result<SubmitterKey> plain = SubmitterKey::from_pem(tests::read_text(folder / "plain.pem"), nullptr);
  ASSERT_TRUE(plain) << plain.error().text();
  EXPECT_EQ(plain->public_key_pem(), public_key);
  const base::Result<SubmitterKey> encrypted = SubmitterKey::from_pem(tests::read_text(folder / "encrypted.pem"), &pass_phrase);
  ASSERT_TRUE(encrypted) << encrypted.error().text();
  EXPECT_EQ(encrypted->public_key_pem(), public_key);
}

TEST(WeRefuse, OpensslKeysOfOtherKinds) {
  const TempDir folder;
  run_well({"openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384", "-out", in(folder, "p384.pem")});
  EXPECT_EQ(SubmitterKey::from_pem(tests::read_text(folder / "p384.pem"), nullptr).error().code(), base::Errc::unsupported);
  run_well({"openssl", "genpkey", "-algorithm", "ED25519", "-out", in(folder, "ed.pem")});
  EXPECT_EQ(SubmitterKey::from_pem(tests::read_text(folder / "ed.pem"), nullptr).error().code(), base::Errc::unsupported);
  run_well({"openssl", "ecparam", "-name", "prime256v1", "-genkey", "-out", in(folder, "sec1.pem")});
  const auto sec1 = SubmitterKey::from_pem(tests::read_text(folder / "sec1.pem"), nullptr);
  ASSERT_FALSE(sec1);
  EXPECT_NE(sec1.error().text().find("openssl pkcs8 -topk8"), std::string::npos) << sec1.error().text();
}

// Takes the envelope apart as an outsider would: base64 and the rule of DSSE's protocol.md, nothing of ours.
TEST(OpensslVerifies, TheSignatureOverAnEnvelopesPayload) {
  const TempDir folder;
  SubmitterKey key = SubmitterKey::generate();
  const std::string payload = *tests::sample_receipt().to_json();
  const std::string text = transparency::Envelope::sign(transparency::kStatementPayloadType, payload, key)->text();
  const std::string marker = "\"sig\":\"";
  const std::size_t at = text.find(marker) + marker.size();
  const base::Bytes signature = *base::from_base64(text.substr(at, text.find('"', at) - at));
  tests::write_file(folder / "sig", signature);
  tests::write_text(folder / "key.pem", key.public_key_pem());
  const std::string type = "application/vnd.in-toto+json";
  const std::string signed_bytes =
      "DSSEv1 " + std::to_string(type.size()) + " " + type + " " + std::to_string(payload.size()) + " " + payload;
  tests::write_text(folder / "pae", signed_bytes);
  run_well({"openssl", "dgst", "-sha256", "-verify", in(folder, "key.pem"), "-signature", in(folder, "sig"), in(folder, "pae")});
  tests::write_text(folder / "pae", signed_bytes + " ");
  EXPECT_NE(run({"openssl", "dgst", "-sha256", "-verify", in(folder, "key.pem"), "-signature", in(folder, "sig"), in(folder, "pae")}).status, 0);
}

TEST(OpensslVerifies, CertificateRequestsForEveryKindOfKey) {
  const TempDir folder;
  const std::vector<std::vector<std::string>> kinds = {
      {"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"},
      {"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"},
      {"-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:3072"}};
  for (const std::vector<std::string>& kind : kinds) {
    tests::Command make = {"openssl", "genpkey", "-out", in(folder, "key.pem")};
    make.insert(make.end(), kind.begin(), kind.end());
    run_well(make);
    base::Result<tests::SoftwareKey> key = tests::SoftwareKey::from_pem(tests::read_text(folder / "key.pem"));
    ASSERT_TRUE(key) << key.error().text();
    const auto request = keys::CertificateRequest::prepare(
        {.common_name = "Example Drivers", .organization = "Ex\xC3\xA4mple", .organizational_unit = "Signing", .country = "DE"},
        key->public_key_der());
    ASSERT_TRUE(request) << request.error().text();
    const base::Result<base::Bytes> der = request->with_signature(*key->sign(request->digest()));
    ASSERT_TRUE(der) << der.error().text();
    tests::write_text(folder / "request.pem", keys::certificate_request_pem(*der));
    const std::string shown = run_well({"openssl", "req", "-verify", "-in", in(folder, "request.pem"), "-noout", "-text", "-nameopt", "utf8"});
    EXPECT_NE(shown.find("verify OK"), std::string::npos) << shown;
    for (const char* const wanted : {"C=DE", "O=Ex\xC3\xA4mple", "OU=Signing", "CN=Example Drivers", "Code Signing", "Digital Signature"})
      EXPECT_NE(shown.find(wanted), std::string::npos) << wanted << "\n" << shown;
  }
}

}  // namespace
