// A software TPM with officers on it and a key under their quorum, for the tests of this folder.
#pragma once

#include <gtest/gtest.h>

#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "crypto/digest.hpp"
#include "tests/support/results.hpp"
#include "tests/support/swtpm.hpp"
#include "tests/support/tpm_world.hpp"
#include "tpm/device.hpp"
#include "tpm/esys.hpp"
#include "tpm/officers.hpp"
#include "tpm/quorum.hpp"

namespace tpm {

using tests::expect_error;
using tests::must;

#define ASSERT_OK(expression)                                                                   \
  do {                                                                                          \
    const auto& assert_ok_result = (expression);                                                \
    ASSERT_TRUE(assert_ok_result.has_value()) << #expression << ": " << assert_ok_result.error().text(); \
  } while (false)

inline base::SecretBytes secret(const std::string& text) { return base::SecretBytes::copy_of(base::as_bytes(text)); }
inline crypto::Digest digest(const std::string& text) { return crypto::sha256(base::as_bytes(text)); }

class Custody : public testing::Test {
 protected:
  Custody() {
    device = must(Device::open(swtpm.tcti()));
    world.found(*device);
    approved_firmware = world.approve(*device, 1);
    reopen();
  }

  void close() {
    firmware.reset();
    device.reset();
  }
  void reopen() {
    close();
    device = must(Device::open(swtpm.tcti()));
    firmware.emplace(must(FirmwareGate::load(*device, world.map(), *approved_firmware)));
  }
  // A key of that class, whose officers these are from now on.
  Result<KeyBlob> make_key(const Quorum& quorum, crypto::KeyAlgorithm algorithm, unsigned key_class = 0) {
    world.set_roster(*device, key_class, quorum);
    NewKey made = TRY(QuorumKey::create(*device, *firmware, key_class, algorithm));
    return std::move(made.blob);
  }
  Result<QuorumKey> load(const KeyBlob& key_blob, const Quorum& quorum, unsigned key_class = 0) {
    return QuorumKey::load(*device, *firmware, key_class, key_blob, quorum);
  }
  // What a boot that measures something else leaves behind.
  void extend_pcr(unsigned pcr, const std::string& what) {
    TPML_DIGEST_VALUES values{};
    values.count = 1;
    values.digests[0].hashAlg = TPM2_ALG_SHA256;
    const crypto::Digest measured = digest(what);
    std::copy(measured.bytes().begin(), measured.bytes().end(), std::begin(values.digests[0].digest.sha256));
    base::require(Esys_PCR_Extend(device->context().esys(), ESYS_TR_PCR0 + pcr, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
                                  &values) == TSS2_RC_SUCCESS, "PCR not extended");
  }
  static Quorum quorum_of(unsigned m, unsigned n) {
    Quorum quorum{m, {}};
    for (unsigned i = 0; i < n; ++i) quorum.officers.push_back({"officer-" + std::to_string(i), attest::kFirstOfficer + i});
    return quorum;
  }
  static std::string pin(const Officer& officer) { return "pin of " + officer.name; }
  void define(const Quorum& quorum) {
    for (const Officer& officer : quorum.officers) must(define_officer(*device, officer, secret(pin(officer))));
  }
  // The 2-of-3 that most tests use.
  QuorumKey key_of_three(crypto::KeyAlgorithm algorithm = crypto::KeyAlgorithm::ecdsa_p256) {
    define(three);
    blob = must(make_key(three, algorithm));
    return must(load(blob, three));
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
  tests::TpmWorld world;
  std::unique_ptr<Device> device;
  std::optional<FirmwareApproval> approved_firmware;
  std::optional<FirmwareGate> firmware;   // after device: it goes first
  Quorum three = quorum_of(2, 3);
  KeyBlob blob;
  const crypto::Digest driver = digest("driver.cat");
  const crypto::Digest other = digest("other.cat");
};

}  // namespace tpm
