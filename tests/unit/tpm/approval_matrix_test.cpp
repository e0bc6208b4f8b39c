// One approval against everything it is not for. Only the diagonal signs.
#include <array>

#include "crypto/attest/sign_command.hpp"
#include "crypto/base/byte_writer.hpp"
#include "tests/unit/tpm/custody_fixture.hpp"
#include "tpm/key_objects.hpp"
#include "tpm/officer_session.hpp"

namespace tpm {
namespace {

using base::Errc;
using crypto::KeyAlgorithm;

enum class Use { as_approved, other_digest, other_key, other_class, other_hash, other_session, same_handle_again, after_expiry, after_reset };

std::string name_of_use(const testing::TestParamInfo<Use>& use) {
  constexpr std::array kNames = {"AsApproved", "OtherDigest", "OtherKey", "OtherClass", "OtherHash", "OtherSession", "SameHandleAgain", "AfterExpiry", "AfterReset"};
  return kNames[static_cast<std::size_t>(use.param)];
}

// Every command by itself, so that nothing of ours stands between the approval and the TPM.
class ApprovalMatrix : public Custody, public testing::WithParamInterface<Use> {
 protected:
  struct World {
    KeyBlob first, twin, of_class_one;
    std::vector<Ticket> tickets;
    std::uint32_t handle = 0;
    Bytes nonce;
  };
  Bytes policy_of(const KeyBlob& key) { return must(attest::ObjectPublic::parse_sized(key.public_part)).policy(); }
  LoadedKey loaded(const KeyBlob& key) { return must(load_key(device->context(), key, kQuorumKeyAttributes, policy_of(key))); }
  crypto::Digest inner(const LoadedKey& key, const crypto::Digest& digest) { return must(attest::sign_cp_hash(key.area.name(), key.area.algorithm(), digest)); }
  crypto::Digest outer(unsigned key_class, const crypto::Digest& command, const World& approved) {
    return attest::open_gate_cp_hash(attest::name_of(attest::quorum_gate(key_class)), approved.handle, approved.nonce, command);
  }
  // Two officers approve: this digest, the first key, class 0, this session.
  void approve(World& approved, const Loaded& main, std::chrono::seconds lifetime) {
    approved.handle = must(tpm_handle_of(device->context(), main));
    approved.nonce = must(nonce_of(device->context(), main));
    crypto::Digest bound = driver;
    {
      const LoadedKey key = loaded(approved.first);
      bound = outer(0, inner(key, driver), approved);
    }
    for (const unsigned i : {0U, 1U}) {
      const auto entry = must(PinEntry::open(*device, three.officers[i], secret(pin(three.officers[i]))));
      approved.tickets.push_back(must(entry->ticket(bound, lifetime)));
    }
  }
  // What software makes of it.
  Result<Bytes> use(const World& approved, const Loaded& main, const KeyBlob& blob_used, unsigned key_class, const crypto::Digest& digest) {
    Context& context = device->context();
    const LoadedKey key = loaded(blob_used);
    const LoadedKey* const meant = &key;
    const crypto::Digest command = inner(*meant, digest);
    const NvIndex roster = must(NvIndex::open(context, attest::roster_index(key_class)));
    const NvIndex gate = must(NvIndex::open(context, attest::quorum_gate(key_class)));
    const auto tree = must(tree_of(three));
    const std::vector<const Ticket*> tickets = {&approved.tickets[0], &approved.tickets[1], nullptr};
    const auto attempt = [&](const crypto::Digest& presented) -> Result<Bytes> {
      const Loaded session = TRY(policy_session(context));
      TRY(satisfy_quorum(context, session, tree, three.officers, tickets, presented));
      TRY(policy_roster(context, session, roster));
      TRY(open_gate(context, gate, main, session, command, approved.nonce));
      TRY(firmware->open_for(main, session, command));
      TRY(policy_command(context, main, attest::CommandCode::sign));
      return sign_digest(context, key, main, digest);
    };
    // Presented for what it is used for, and presented for what it was given for: the TPM must refuse both.
    const Result<Bytes> honest = attempt(outer(key_class, command, approved));
    if (honest) return honest;
    TRY(restart(context, main));
    World as_given = approved;
    crypto::Digest original = driver;
    {
      // The first key's Name is all that is needed, not the key.
      const auto area = must(attest::ObjectPublic::parse_sized(approved.first.public_part));
      original = outer(0, must(attest::sign_cp_hash(area.name(), area.algorithm(), driver)), as_given);
    }
    const Result<Bytes> dressed_up = attempt(original);
    // A TPM that fails has refused nothing: such an error goes to the caller, who wants refusals.
    if (dressed_up || dressed_up.error().code() != Errc::refused) return dressed_up;
    return honest;
  }
};

TEST_P(ApprovalMatrix, OnlyTheDiagonalSigns) {
  World approved;
  { const QuorumKey made = key_of_three(); }
  approved.first = blob;
  approved.twin = must(make_key(three, KeyAlgorithm::ecdsa_p256));
  approved.of_class_one = must(make_key(three, KeyAlgorithm::ecdsa_p256, 1));
  const bool expires = GetParam() == Use::after_expiry;
  std::optional<Loaded> main(must(policy_session(device->context())));
  approve(approved, *main, expires ? std::chrono::seconds(1) : kApprovalLifetime);
  const crypto::Digest longer = crypto::digest_of(crypto::DigestAlgorithm::sha384, base::as_bytes("driver.cat"));
  Result<Bytes> outcome = base::fail(Errc::tpm, "not tried");
  switch (GetParam()) {
    case Use::as_approved: {
      outcome = use(approved, *main, approved.first, 0, driver);
      ASSERT_OK(outcome);
      const auto area = must(attest::ObjectPublic::parse_sized(approved.first.public_part));
      EXPECT_TRUE(must(crypto::PublicKey::parse(area.spki())).verify(driver, *outcome));
      return;
    }
    case Use::other_digest:
      outcome = use(approved, *main, approved.first, 0, other);
      break;
    case Use::other_key:
      outcome = use(approved, *main, approved.twin, 0, driver);
      break;
    case Use::other_class:
      outcome = use(approved, *main, approved.of_class_one, 1, driver);
      break;
    case Use::other_hash:   // ECDSA with SHA-384 instead of SHA-256; the scheme alone is ApprovalOfAScheme below
      outcome = use(approved, *main, approved.first, 0, longer);
      break;
    case Use::other_session: {
      // The first session's handle is taken, so the new one has another.
      const Loaded elsewhere = must(policy_session(device->context()));
      ASSERT_NE(must(tpm_handle_of(device->context(), elsewhere)), approved.handle);
      main.reset();
      outcome = use(approved, elsewhere, approved.first, 0, driver);
      break;
    }
    case Use::same_handle_again: {
      main.reset();
      const Loaded again = must(policy_session(device->context()));
      ASSERT_EQ(must(tpm_handle_of(device->context(), again)), approved.handle);
      outcome = use(approved, again, approved.first, 0, driver);
      break;
    }
    case Use::after_expiry: {
      const std::uint64_t now = must(device->running_ms());
      while (must(device->running_ms()) < now + 1500) {
      }
      outcome = use(approved, *main, approved.first, 0, driver);
      expect_error(outcome, Errc::refused, "approval ran out");
      break;
    }
    case Use::after_reset: {
      main.reset();
      close();
      swtpm.power_cut();
      reopen();
      const Loaded again = must(policy_session(device->context()));
      outcome = use(approved, again, approved.first, 0, driver);
      break;
    }
  }
  ASSERT_FALSE(outcome.has_value()) << "an approval signed something it was not given for";
  EXPECT_EQ(static_cast<int>(outcome.error().code()), static_cast<int>(Errc::refused)) << outcome.error().text();
}
INSTANTIATE_TEST_SUITE_P(Uses, ApprovalMatrix,
                         testing::Values(Use::as_approved, Use::other_digest, Use::other_key, Use::other_class, Use::other_hash, Use::other_session,
                                         Use::same_handle_again, Use::after_expiry, Use::after_reset),
                         name_of_use);

// The scheme alone: one RSA key, one 32-byte digest, one hash. Both orders, so that it shows that the key can sign either way.
struct Schemes {
  const char* name;
  TPMI_ALG_SIG_SCHEME approved;
  TPMI_ALG_SIG_SCHEME other;
};

class ApprovalOfAScheme : public Custody, public testing::WithParamInterface<Schemes> {
 protected:
  // What crypto/attest/sign_command.cpp computes, but for any scheme.
  crypto::Digest inner(const LoadedKey& key, TPMI_ALG_SIG_SCHEME scheme) const {
    base::ByteWriter command;
    command.u32be(TPM2_CC_Sign).put(key.area.name()).u16be(32).put(driver.bytes()).u16be(scheme).u16be(TPM2_ALG_SHA256);
    command.u16be(TPM2_ST_HASHCHECK).u32be(TPM2_RH_NULL).u16be(0);
    return crypto::sha256(command.bytes());
  }
  // Two officers approve a signature with that scheme, and both gates are opened for it. The session may then sign it.
  void approve(const LoadedKey& key, const Loaded& main, TPMI_ALG_SIG_SCHEME scheme) {
    Context& context = device->context();
    const crypto::Digest command = inner(key, scheme);
    const Bytes nonce = must(nonce_of(context, main));
    const crypto::Digest outer =
        attest::open_gate_cp_hash(attest::name_of(attest::quorum_gate(0)), must(tpm_handle_of(context, main)), nonce, command);
    std::vector<Ticket> tickets;
    for (const unsigned i : {0U, 1U}) {
      const auto entry = must(PinEntry::open(*device, three.officers[i], secret(pin(three.officers[i]))));
      tickets.push_back(must(entry->ticket(outer, kApprovalLifetime)));
    }
    const NvIndex roster = must(NvIndex::open(context, attest::roster_index(0)));
    const NvIndex gate = must(NvIndex::open(context, attest::quorum_gate(0)));
    const Loaded session = must(policy_session(context));
    must(satisfy_quorum(context, session, must(tree_of(three)), three.officers, {&tickets[0], &tickets[1], nullptr}, outer));
    must(policy_roster(context, session, roster));
    must(open_gate(context, gate, main, session, command, nonce));
    must(firmware->open_for(main, session, command));
    must(policy_command(context, main, attest::CommandCode::sign));
  }
  TSS2_RC sign(const LoadedKey& key, const Loaded& main, TPMI_ALG_SIG_SCHEME wanted, Owned<TPMT_SIGNATURE>& signature) {
    TPMT_SIG_SCHEME scheme{};
    scheme.scheme = wanted;
    scheme.details.any.hashAlg = TPM2_ALG_SHA256;
    TPMT_TK_HASHCHECK no_ticket{};
    no_ticket.tag = TPM2_ST_HASHCHECK;
    no_ticket.hierarchy = TPM2_RH_NULL;
    const TPM2B_DIGEST input = to_digest(driver.bytes());
    TPMT_SIGNATURE* raw = nullptr;
    const TSS2_RC code =
        Esys_Sign(device->context().esys(), key.object.handle(), main.handle(), kNone, kNone, &input, &scheme, &no_ticket, &raw);
    signature.reset(raw);
    return code;
  }
};

TEST_P(ApprovalOfAScheme, IsRefusedByTheTpmForTheSameDigestInTheOtherScheme) {
  { const QuorumKey made = key_of_three(KeyAlgorithm::rsa_pkcs1); }
  const LoadedKey key = must(load_key(device->context(), blob, kQuorumKeyAttributes, world.map().signing_key_policy(0).bytes()));
  ASSERT_EQ(inner(key, TPM2_ALG_RSASSA), must(attest::sign_cp_hash(key.area.name(), KeyAlgorithm::rsa_pkcs1, driver)));
  const Loaded main = must(policy_session(device->context()));
  Owned<TPMT_SIGNATURE> signature;
  approve(key, main, GetParam().approved);
  const TSS2_RC refused = sign(key, main, GetParam().other, signature);
  EXPECT_EQ(tpm_error(refused), TPM2_RC_POLICY_FAIL) << std::hex << refused;
  EXPECT_EQ(signature, nullptr);

  must(restart(device->context(), main));
  approve(key, main, GetParam().approved);
  ASSERT_EQ(sign(key, main, GetParam().approved, signature), TSS2_RC_SUCCESS);
  ASSERT_NE(signature, nullptr);
  EXPECT_EQ(signature->sigAlg, GetParam().approved);
  // Ours is the PKCS#1 one, and a verifier of that kind can tell.
  const auto verdict = must(crypto::PublicKey::parse(key.area.spki())).verify(driver, bytes_of(signature->signature.rsassa.sig));
  EXPECT_EQ(verdict.has_value(), GetParam().approved == TPM2_ALG_RSASSA);
}
INSTANTIATE_TEST_SUITE_P(Rsa, ApprovalOfAScheme,
                         testing::Values(Schemes{"Pkcs1UsedForPss", TPM2_ALG_RSASSA, TPM2_ALG_RSAPSS},
                                         Schemes{"PssUsedForPkcs1", TPM2_ALG_RSAPSS, TPM2_ALG_RSASSA}),
                         [](const auto& schemes) { return std::string(schemes.param.name); });

using PresentedApprovals = Custody;

// What the ceremony shows its witnesses: a refusal counts only when it is the TPM's own.
TEST_F(PresentedApprovals, AreRefusedForAnotherDigestAndNothingElseCountsAsARefusal) {
  QuorumKey key = key_of_three();
  const std::vector<Approval> two = approvals(key, {0, 2}, {driver});
  ASSERT_OK(key.expect_refused(other, driver, two));
  ASSERT_OK(key.expect_refused(driver, driver, std::span(two).first(1)));
  expect_error(key.expect_refused(driver, driver, two), Errc::tpm, "the TPM has signed what it must not sign");
  const std::vector<Approval> more = approvals(key, {0, 2}, {driver});
  swtpm.kill();
  expect_error(key.expect_refused(other, driver, more), Errc::tpm, "the TPM should have refused the approvals, but");
}

}  // namespace
}  // namespace tpm
