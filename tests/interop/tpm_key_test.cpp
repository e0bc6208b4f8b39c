// Keys of the TPM in front of other people's programs: OpenSSL verifies what was signed, tpm2-tools reads the key file.
#include <gtest/gtest.h>

#include <cstdlib>

#include "crypto/base/text.hpp"
#include "tests/support/swtpm.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/support/tpm_world.hpp"
#include "tpm/quorum.hpp"

namespace tests {
namespace {

base::SecretBytes secret(const std::string& text) { return base::SecretBytes::copy_of(base::as_bytes(text)); }

bool succeeds(const std::string& command, const TempDir& folder) {
  const std::string quiet = "cd " + folder.path().string() + " && " + command + " >output 2>&1";
  const bool good = std::system(quiet.c_str()) == 0;   // NOLINT(cert-env33-c): a fixed command in a folder of our own
  if (!good) ADD_FAILURE() << command << ": " << read_text(folder / "output");
  return good;
}

class TpmKeyAbroad : public testing::TestWithParam<crypto::KeyAlgorithm> {};

TEST_P(TpmKeyAbroad, IsVerifiedByOpensslAndReadByTpm2Tools) {
  const TempDir folder;
  Swtpm swtpm;
  base::Bytes name;
  {
    auto device = tpm::Device::open(swtpm.tcti());
    ASSERT_TRUE(device) << device.error().text();
    const tpm::Quorum quorum{2, {{"alice", 0x01800001}, {"bob", 0x01800002}, {"carol", 0x01800003}}};
    for (const tpm::Officer& officer : quorum.officers)
      ASSERT_TRUE(tpm::define_officer(**device, officer, secret("123456")));
    TpmWorld world;
    world.found(**device);
    world.set_roster(**device, 0, quorum);
    const auto firmware = tpm::FirmwareGate::load(**device, world.map(), world.approve(**device, 1));
    ASSERT_TRUE(firmware) << firmware.error().text();
    const auto made = tpm::QuorumKey::create(**device, *firmware, 0, GetParam());
    ASSERT_TRUE(made) << made.error().text();
    const tpm::KeyBlob* const blob = &made->blob;
    auto key = tpm::QuorumKey::load(**device, *firmware, 0, *blob, quorum);
    ASSERT_TRUE(key) << key.error().text();
    const std::string message = "the catalog's signed attributes";
    const std::vector<crypto::Digest> digests = {crypto::sha256(base::as_bytes(message))};
    std::vector<tpm::Approval> approvals;
    for (const char* officer : {"carol", "alice"}) {
      auto approval = key->approve(officer, secret("123456"), digests);
      ASSERT_TRUE(approval) << approval.error().text();
      approvals.push_back(std::move(*approval));
    }
    const auto signature = key->sign(digests.front(), approvals);
    ASSERT_TRUE(signature) << signature.error().text();
    name = key->name();
    write_text(folder / "message", message);
    write_text(folder / "key.pem", key->public_key().pem());
    write_file(folder / "signature", *signature);
    write_file(folder / "key.pub", blob->public_part);
    write_file(folder / "key.priv", blob->private_part);
  }
  EXPECT_TRUE(succeeds("openssl dgst -sha256 -verify key.pem -signature signature message", folder));
  const std::string tools = "TPM2TOOLS_TCTI=" + swtpm.tcti() + " ";
  EXPECT_TRUE(succeeds(tools + "tpm2_load -C 0x81000001 -u key.pub -r key.priv -n key.name -c key.ctx", folder));
  EXPECT_EQ(base::hex(read_file(folder / "key.name")), base::hex(name));
}

INSTANTIATE_TEST_SUITE_P(Algorithms, TpmKeyAbroad,
                         testing::Values(crypto::KeyAlgorithm::rsa_pkcs1, crypto::KeyAlgorithm::ecdsa_p256));

}  // namespace
}  // namespace tests
