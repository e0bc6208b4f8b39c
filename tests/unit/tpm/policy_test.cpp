// The policy calculator against the TPM's own, in trial sessions, for random rows of steps.
#include "crypto/attest/policy.hpp"

#include <array>
#include <random>

#include "crypto/base/text.hpp"
#include "tests/unit/tpm/custody_fixture.hpp"
#include "tpm/officer_session.hpp"

namespace tpm {
namespace {

class PolicyOfTheTpm : public Custody {};

// Steps that start from nothing or go on from what is there, PolicyOR over policies that are trees themselves.
class RandomTree {
 public:
  RandomTree(Device& device, ESYS_TR session, const NvIndex& index, const attest::NvPublic& area, std::mt19937& random)
      : device_(device), session_(session), index_(index), index_name_(attest::name_of(area)), random_(random) {}

  // Grows by that many steps in the TPM and in the calculator alike; what was done, one letter a step.
  std::string grow(std::size_t count) {
    std::string steps;
    while (steps.size() < count) {
      const char step = "SAcORVPNHnG"[random_() % 11];
      if (!do_step(step)) continue;
      steps += step;
      TPM2B_DIGEST* digest = nullptr;
      EXPECT_EQ(Esys_PolicyGetDigest(device_.context().esys(), session_, kNone, kNone, kNone, &digest), TSS2_RC_SUCCESS);
      const Owned<TPM2B_DIGEST> owned(digest);
      EXPECT_EQ(base::hex(bytes_of(*digest)), policy_.digest().hex()) << steps;
    }
    return steps;
  }
  const attest::Policy& policy() const { return policy_; }

 private:
  bool expect(TSS2_RC code, char step) {
    EXPECT_EQ(code, TSS2_RC_SUCCESS) << step << std::hex << ' ' << code;
    return true;
  }
  Bytes random_bytes(std::size_t size) {
    Bytes bytes(size);
    for (std::uint8_t& octet : bytes) octet = static_cast<std::uint8_t>(random_());
    return bytes;
  }
  bool do_step(char step) {
    ESYS_CONTEXT* const esys = device_.context().esys();
    const ESYS_TR root = device_.context().storage_root();
    const attest::Name& root_name = device_.srk_name();
    const Bytes label_bytes = random_() % 2 == 0 ? Bytes() : random_bytes(1 + random_() % 32);
    const TPM2B_NONCE label = to_digest(label_bytes);
    const TPM2B_NONCE empty{};
    switch (step) {
      case 'S':
        policy_.secret(root_name, label_bytes);
        return expect(Esys_PolicySecret(esys, root, session_, ESYS_TR_PASSWORD, kNone, kNone, &empty, &empty, &label, 0, nullptr,
                                        nullptr), step);
      case 'A':
        policy_.auth_value();
        return expect(Esys_PolicyAuthValue(esys, session_, kNone, kNone, kNone), step);
      case 'c': {   // a session takes one command code, and one of cpHash and name hash
        if (command_set_) return false;
        command_set_ = true;
        const auto command = std::array{attest::CommandCode::sign, attest::CommandCode::nv_write, attest::CommandCode::clear}[random_() % 3];
        policy_.command(command);
        return expect(Esys_PolicyCommandCode(esys, session_, kNone, kNone, kNone, static_cast<TPM2_CC>(command)), step);
      }
      case 'O': {   // branches: the policy so far, and trees that only the calculator knows, nested
        std::vector<crypto::Digest> branches;
        for (auto others = 1 + random_() % 7; others > 0; --others) branches.push_back(elsewhere(2));
        branches.insert(branches.begin() + static_cast<std::ptrdiff_t>(random_() % (branches.size() + 1)), policy_.digest());
        policy_.any_of(branches);
        TPML_DIGEST list{};
        for (const crypto::Digest& branch : branches) list.digests[list.count++] = to_digest(branch.bytes());
        return expect(Esys_PolicyOR(esys, session_, kNone, kNone, kNone, &list), step);
      }
      case 'R': {
        policy_.authorize(root_name, label_bytes);
        const TPM2B_NAME name = to_name(root_name);
        TPMT_TK_VERIFIED ticket{};
        ticket.tag = TPM2_ST_VERIFIED;
        ticket.hierarchy = TPM2_RH_NULL;
        return expect(Esys_PolicyAuthorize(esys, session_, kNone, kNone, kNone, &empty, &label, &name, &ticket), step);
      }
      case 'V':
        policy_.authorize_nv(index_name_);
        return expect(Esys_PolicyAuthorizeNV(esys, index_.handle(), index_.handle(), session_, ESYS_TR_PASSWORD, kNone, kNone), step);
      case 'P': {
        attest::PcrNumbers pcrs;
        TPML_PCR_SELECTION selection{};
        selection.count = 1;
        selection.pcrSelections[0].hash = TPM2_ALG_SHA256;
        selection.pcrSelections[0].sizeofSelect = 3;
        for (unsigned pcr = 0; pcr < 24; ++pcr)
          if (random_() % 4 == 0) {
            pcrs.push_back(pcr);
            BYTE& octet = selection.pcrSelections[0].pcrSelect[pcr / 8];
            octet = static_cast<BYTE>(octet | (1U << (pcr % 8)));
          }
        if (pcrs.empty()) return false;
        const crypto::Digest values = crypto::sha256(random_bytes(32));   // a trial session believes them
        policy_.pcr(pcrs, values);
        const TPM2B_DIGEST digest = to_digest(values.bytes());
        return expect(Esys_PolicyPCR(esys, session_, kNone, kNone, kNone, &digest, &selection), step);
      }
      case 'N': {
        const auto offset = static_cast<std::uint16_t>(random_() % 8);
        const Bytes operand_bytes = random_bytes(1 + random_() % (8U - offset));
        const auto comparison = std::array{attest::Comparison::equal, attest::Comparison::unsigned_at_least,
                                           attest::Comparison::unsigned_at_most}[random_() % 3];
        policy_.nv(index_name_, operand_bytes, comparison, offset);
        const TPM2B_OPERAND operand = sized_from(operand_bytes, &TPM2B_OPERAND::buffer);
        return expect(Esys_PolicyNV(esys, index_.handle(), index_.handle(), session_, ESYS_TR_PASSWORD, kNone, kNone, &operand, offset,
                                    static_cast<TPM2_EO>(comparison)), step);
      }
      case 'H': {
        if (bound_) return false;
        bound_ = true;
        const crypto::Digest command = crypto::sha256(random_bytes(8));
        policy_.cp_hash(command);
        const TPM2B_DIGEST digest = to_digest(command.bytes());
        return expect(Esys_PolicyCpHash(esys, session_, kNone, kNone, kNone, &digest), step);
      }
      case 'n': {
        if (bound_) return false;
        bound_ = true;
        std::vector<attest::Name> names;
        Bytes all;
        for (auto left = 1 + random_() % 3; left > 0; --left) {
          names.push_back(random_bytes(attest::kNameBytes));
          all.insert(all.end(), names.back().begin(), names.back().end());
        }
        policy_.name_hash(names);
        const crypto::Digest hash = crypto::sha256(all);
        const TPM2B_DIGEST digest = to_digest(hash.bytes());
        return expect(Esys_PolicyNameHash(esys, session_, kNone, kNone, kNone, &digest), step);
      }
      default: {   // signed; a trial session does not look at the signature
        policy_.signed_by(root_name, label_bytes);
        TPMT_SIGNATURE signature{};
        signature.sigAlg = TPM2_ALG_ECDSA;
        signature.signature.ecdsa.hash = TPM2_ALG_SHA256;
        signature.signature.ecdsa.signatureR.size = signature.signature.ecdsa.signatureS.size = 32;
        return expect(Esys_PolicySigned(esys, root, session_, kNone, kNone, kNone, &empty, &empty, &label, 0, &signature, nullptr,
                                        nullptr), step);
      }
    }
  }
  crypto::Digest elsewhere(unsigned depth) {
    attest::Policy policy;
    policy.secret(random_bytes(attest::kNameBytes));
    if (depth > 0 && random_() % 2 == 0) policy.any_of(std::vector{elsewhere(depth - 1), policy.digest(), elsewhere(depth - 1)});
    return policy.digest();
  }

  Device& device_;
  ESYS_TR session_;
  const NvIndex& index_;
  attest::Name index_name_;
  std::mt19937& random_;
  attest::Policy policy_;
  bool command_set_ = false;
  bool bound_ = false;
};

TEST_F(PolicyOfTheTpm, IsTheCalculatedOneForAThousandRandomTrees) {
  ESYS_CONTEXT* const esys = device->context().esys();
  const attest::NvPublic area = attest::floor_index();
  const NvIndex index = must(NvIndex::open(device->context(), area));
  std::mt19937 random(20261123);   // NOLINT(cert-msc32-c,cert-msc51-cpp): the same trees every time, on purpose
  std::string seen;
  for (int tree = 0; tree < 1000; ++tree) {
    TPMT_SYM_DEF symmetric{};
    symmetric.algorithm = TPM2_ALG_NULL;
    ESYS_TR handle = kNone;
    ASSERT_EQ(Esys_StartAuthSession(esys, kNone, kNone, kNone, kNone, kNone, nullptr, TPM2_SE_TRIAL, &symmetric, TPM2_ALG_SHA256,
                                    &handle),
              TSS2_RC_SUCCESS);
    const Loaded trial(device->context(), handle);
    RandomTree both(*device, handle, index, area, random);
    const std::string steps = both.grow(1 + random() % 9);
    ASSERT_EQ(must(policy_digest_of(device->context(), trial)), base::to_bytes(both.policy().digest().bytes())) << tree << ' ' << steps;
    seen += steps;
  }
  for (const char step : std::string("SAcORVPNHnG")) EXPECT_NE(seen.find(step), std::string::npos) << step;
}

// The quorum's tree in a real session, officer by officer, as far as the key's own policy.
TEST_F(PolicyOfTheTpm, IsTheTreesForFourOfSeven) {
  const Quorum seven = quorum_of(4, 7);
  define(seven);
  Context& context = device->context();
  std::vector<attest::Name> names;
  for (const Officer& officer : seven.officers) names.push_back(attest::name_of(attest::person_index(officer.nv_index)));
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
}

}  // namespace
}  // namespace tpm
