// A software TPM with officers on it and a key under their quorum, for the tests of this folder.
#pragma once

#include <gtest/gtest.h>

#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "crypto/digest.hpp"
#include "tests/support/swtpm.hpp"
#include "tpm/device.hpp"
#include "tpm/officers.hpp"
#include "tpm/quorum.hpp"

namespace tpm {

#define ASSERT_OK(expression)                                                                   \
  do {                                                                                          \
    const auto& assert_ok_result = (expression);                                                \
    ASSERT_TRUE(assert_ok_result.has_value()) << #expression << ": " << assert_ok_result.error().text(); \
  } while (false)

// Expects a failure with that code whose text contains those words.
template <class T>
void expect_error(const Result<T>& result, base::Errc code, const std::string& words) {
  ASSERT_FALSE(result.has_value()) << "succeeded, but should say: " << words;
  EXPECT_EQ(static_cast<int>(result.error().code()), static_cast<int>(code)) << result.error().text();
  EXPECT_NE(result.error().text().find(words), std::string::npos) << result.error().text();
}

template <class T>
T must(Result<T> result) {
  base::require(result.has_value(), result ? "" : result.error().text());
  return std::move(*result);
}
inline void must(const Result<void>& result) { base::require(result.has_value(), result ? "" : result.error().text()); }

inline base::SecretBytes secret(const std::string& text) { return base::SecretBytes::copy_of(base::as_bytes(text)); }
inline crypto::Digest digest(const std::string& text) { return crypto::sha256(base::as_bytes(text)); }

class Custody : public testing::Test {
 protected:
  Custody() { reopen(); }

  void reopen() {
    device.reset();
    device = must(Device::open(swtpm.tcti()));
  }
  static Quorum quorum_of(unsigned m, unsigned n) {
    Quorum quorum{m, {}};
    for (unsigned i = 0; i < n; ++i) quorum.officers.push_back({"officer-" + std::to_string(i), 0x01800001 + i});
    return quorum;
  }
  static std::string pin(const Officer& officer) { return "pin of " + officer.name; }
  void define(const Quorum& quorum) {
    for (const Officer& officer : quorum.officers) must(define_officer(*device, officer, secret(pin(officer))));
  }
  // The 2-of-3 that most tests use.
  QuorumKey key_of_three(crypto::KeyAlgorithm algorithm = crypto::KeyAlgorithm::ecdsa_p256) {
    define(three);
    blob = must(QuorumKey::create(*device, three, algorithm));
    return must(QuorumKey::load(*device, blob, three));
  }
  static std::vector<Approval> approvals(QuorumKey& key, std::initializer_list<unsigned> who,
                                         const std::vector<crypto::Digest>& digests) {
    std::vector<Approval> all;
    for (const unsigned i : who) {
      const Officer& officer = key.quorum().officers.at(i);
      all.push_back(must(key.approve(officer.name, secret(pin(officer)), digests)));
    }
    return all;
  }

  tests::Swtpm swtpm;
  std::unique_ptr<Device> device;
  Quorum three = quorum_of(2, 3);
  KeyBlob blob;
  const crypto::Digest driver = digest("driver.cat");
  const crypto::Digest other = digest("other.cat");
};

}  // namespace tpm
