// The policy calculator against the TPM's own, in trial sessions, for random rows of steps.
#include "crypto/attest/policy.hpp"

#include <random>

#include "tests/unit/tpm/custody_fixture.hpp"
#include "tpm/officer_session.hpp"

namespace tpm {
namespace {

constexpr ESYS_TR kNone = ESYS_TR_NONE;

class PolicyOfTheTpm : public Custody {};

TEST_F(PolicyOfTheTpm, IsTheCalculatedOneForRandomRowsOfSteps) {
  define(three);
  ESYS_CONTEXT* const esys = device->context().esys();
  const ESYS_TR root = device->context().storage_root();
  const attest::Name& root_name = device->srk_name();
  const attest::Name first = attest::name_of(attest::officer_index(0x01800001));
  const NvIndex index = must(NvIndex::open(device->context(), attest::officer_index(0x01800001)));
  const Bytes label_bytes = {'f', 'w'};
  const TPM2B_NONCE label = to_digest(label_bytes);
  const TPM2B_NONCE empty{};
  std::mt19937 random(20261123);   // NOLINT(cert-msc32-c,cert-msc51-cpp): the same rows every time, on purpose
  for (int row = 0; row < 40; ++row) {
    TPMT_SYM_DEF symmetric{};
    symmetric.algorithm = TPM2_ALG_NULL;
    ESYS_TR handle = kNone;
    ASSERT_EQ(Esys_StartAuthSession(esys, kNone, kNone, kNone, kNone, kNone, nullptr, TPM2_SE_TRIAL, &symmetric,
                                    TPM2_ALG_SHA256, &handle),
              TSS2_RC_SUCCESS);
    const Loaded trial(device->context(), handle);
    attest::Policy policy;
    std::string steps;
    bool command_set = false;
    for (std::uint_fast32_t count = 1 + random() % 6; count > 0; --count) {
      TSS2_RC code = TSS2_RC_SUCCESS;
      const auto kind = random() % 7;
      steps += std::to_string(kind);
      if (kind == 0) {
        policy.secret(root_name, label_bytes);
        code = Esys_PolicySecret(esys, root, handle, ESYS_TR_PASSWORD, kNone, kNone, &empty, &empty, &label, 0, nullptr,
                                 nullptr);
      } else if (kind == 1) {
        policy.auth_value();
        code = Esys_PolicyAuthValue(esys, handle, kNone, kNone, kNone);
      } else if (kind == 2 && !command_set) {   // a session takes one command code only
        command_set = true;
        policy.command(attest::CommandCode::nv_write);
        code = Esys_PolicyCommandCode(esys, handle, kNone, kNone, kNone, TPM2_CC_NV_Write);
      } else if (kind == 3) {
        std::vector<crypto::Digest> branches = {policy.digest()};
        for (auto others = 1 + random() % 7; others > 0; --others) branches.push_back(digest(std::to_string(random())));
        policy.any_of(branches);
        ASSERT_OK(policy_or(device->context(), trial, branches));
      } else if (kind == 4) {
        policy.authorize(root_name, label_bytes);
        const TPM2B_NAME name = to_name(root_name);
        TPMT_TK_VERIFIED ticket{};
        ticket.tag = TPM2_ST_VERIFIED;
        ticket.hierarchy = TPM2_RH_NULL;
        code = Esys_PolicyAuthorize(esys, handle, kNone, kNone, kNone, &empty, &label, &name, &ticket);
      } else if (kind == 5) {
        policy.authorize_nv(first);
        code = Esys_PolicyAuthorizeNV(esys, ESYS_TR_RH_OWNER, index.handle(), handle, ESYS_TR_PASSWORD, kNone, kNone);
      } else if (kind == 6) {
        policy.signed_by(root_name, label_bytes);   // in a trial session the signature is not looked at
        TPMT_SIGNATURE signature{};
        signature.sigAlg = TPM2_ALG_ECDSA;
        signature.signature.ecdsa.hash = TPM2_ALG_SHA256;
        signature.signature.ecdsa.signatureR.size = signature.signature.ecdsa.signatureS.size = 32;
        code = Esys_PolicySigned(esys, root, handle, kNone, kNone, kNone, &empty, &empty, &label, 0, &signature, nullptr,
                                 nullptr);
      }
      ASSERT_EQ(code, TSS2_RC_SUCCESS) << steps << std::hex << ' ' << code;
    }
    EXPECT_EQ(must(policy_digest_of(device->context(), trial)), base::to_bytes(policy.digest().bytes())) << steps;
  }
}

TEST_F(PolicyOfTheTpm, IsTheCalculatedOneForANameHash) {
  ESYS_CONTEXT* const esys = device->context().esys();
  const Loaded session = must(policy_session(device->context()));
  const std::vector<attest::Name> names = {device->srk_name()};
  const crypto::Digest hash = crypto::sha256(names.front());
  const TPM2B_DIGEST name_hash = to_digest(hash.bytes());
  ASSERT_EQ(Esys_PolicyNameHash(esys, session.handle(), kNone, kNone, kNone, &name_hash), TSS2_RC_SUCCESS);
  EXPECT_EQ(must(policy_digest_of(device->context(), session)),
            base::to_bytes(attest::Policy().name_hash(names).digest().bytes()));
}

// The quorum's tree in a real session, officer by officer, as far as the key's own policy.
TEST_F(PolicyOfTheTpm, IsTheTreesForFourOfSeven) {
  const Quorum seven = quorum_of(4, 7);
  define(seven);
  Context& context = device->context();
  std::vector<attest::Name> names;
  for (const Officer& officer : seven.officers) names.push_back(attest::name_of(attest::officer_index(officer.nv_index)));
  const auto tree = must(attest::QuorumTree::build(4, names));
  const std::vector<std::size_t> present = {1, 3, 4, 6};
  const crypto::Digest bound = digest("any cpHash");
  const Loaded session = must(policy_session(context));
  for (const std::size_t i : present) {
    const auto entry = must(PinEntry::open(*device, seven.officers[i], secret(pin(seven.officers[i]))));
    ASSERT_OK(redeem(context, session, names[i], bound, must(entry->ticket(bound, kApprovalLifetime))));
  }
  const auto path = must(tree.path(present));
  EXPECT_EQ(path.size(), 2U);
  for (const auto& list : path) ASSERT_OK(policy_or(context, session, list));
  EXPECT_EQ(must(policy_digest_of(context, session)), base::to_bytes(tree.digest().bytes()));
  ASSERT_OK(policy_command(context, session, attest::CommandCode::sign));
  EXPECT_EQ(must(policy_digest_of(context, session)), base::to_bytes(tree.signing_policy().bytes()));
}

}  // namespace
}  // namespace tpm
