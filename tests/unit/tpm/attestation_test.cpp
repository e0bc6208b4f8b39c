// The identity key and the maker's endorsement key are in one TPM, and nobody can pretend that they are. The TPM's own
// implementation of credentials is the judge of ours.
#include "tpm/attestation.hpp"

#include "crypto/attest/credential.hpp"
#include "crypto/keys/random.hpp"
#include "tests/unit/tpm/custody_fixture.hpp"
#include "tests/unit/tpm/tampering_transport.hpp"
#include "tpm/key_objects.hpp"

namespace tpm {
namespace {

using base::Errc;

class Identity : public Custody {};

TEST_F(Identity, IsProvedToBeInTheTpmOfTheEndorsementKey) {
  for (int i = 0; i < 20; ++i) ASSERT_OK(prove_identity(*device, keys::fill_random));   // coordinates with leading zeros come up too
  EXPECT_EQ(must(device->loaded()), 0U);
}

TEST_F(Identity, CannotBeProvedOnceTheEndorsementHierarchyIsClosed) {
  must(close_hierarchies(*device, keys::fill_random));
  reopen();
  const Result<void> closed = prove_identity(*device, keys::fill_random);
  ASSERT_FALSE(closed.has_value());
  EXPECT_EQ(must(device->loaded()), 0U);
}

TEST_F(Identity, IsNotBelievedWhenTheAnswerIsAnotherSecret) {
  close();
  TamperingTransport transport(swtpm.tcti());
  const auto tapped = must(Device::open(must(Context::over(transport.context()))));
  transport.alter_answer = [](std::uint32_t code, base::Bytes& answer) {
    if (code == TPM2_CC_ActivateCredential && answer.size() > 20) answer[20] ^= 1;   // inside certInfo
  };
  const Result<void> proved = prove_identity(*tapped, keys::fill_random);
  ASSERT_FALSE(proved.has_value());
}

TEST_F(Identity, ACredentialForAnotherObjectIsNotOpened) {
  Context& context = device->context();
  const NvIndex identity(context, must(persistent_key(context, kIdentityKeyHandle)));
  const NvIndex endorsement(context, must(persistent_key(context, kEndorsementKeyHandle)));
  attest::Name name = must(name_of(context, identity.handle()));
  name.back() ^= 1;
  const attest::Credential made = must(attest::make_credential(must(endorsement_public(*device)), name, secret("a secret")));
  const Loaded session = must(policy_session(context));
  const TPM2B_NONCE nothing{};
  ASSERT_EQ(Esys_PolicySecret(context.esys(), ESYS_TR_RH_ENDORSEMENT, session.handle(), ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &nothing,
                              &nothing, &nothing, 0, nullptr, nullptr),
            TSS2_RC_SUCCESS);
  const TPM2B_ID_OBJECT blob_in = sized_from(made.blob, &TPM2B_ID_OBJECT::credential);
  const TPM2B_ENCRYPTED_SECRET seed = sized_from(made.encrypted_seed, &TPM2B_ENCRYPTED_SECRET::secret);
  TPM2B_DIGEST* opened = nullptr;
  const TSS2_RC code = Esys_ActivateCredential(context.esys(), identity.handle(), endorsement.handle(), ESYS_TR_PASSWORD, session.handle(), ESYS_TR_NONE,
                                               &blob_in, &seed, &opened);
  EXPECT_EQ(tpm_error(code), TPM2_RC_INTEGRITY) << std::hex << code;
  EXPECT_EQ(opened, nullptr);
}

TEST_F(Identity, CredentialsAreMadeForStorageKeysAndShortSecretsOnly) {
  const Bytes endorsement = must(endorsement_public(*device));
  const attest::Name name(attest::kNameBytes, 0);
  expect_error(attest::make_credential(must(identity_public(*device)), name, secret("a secret")), Errc::unsupported, "a P-256 storage key wanted");
  expect_error(attest::make_credential(endorsement, name, secret(std::string(33, 'x'))), Errc::usage, "secret of 33 bytes");
  expect_error(attest::make_credential(endorsement, name, base::SecretBytes()), Errc::usage, "secret of 0 bytes");
  Bytes off_curve = endorsement;
  off_curve.back() ^= 1;
  expect_error(attest::make_credential(off_curve, name, secret("a secret")), Errc::malformed, "not a point of P-256");
  EXPECT_FALSE(attest::make_credential({}, name, secret("a secret")));
}

}  // namespace
}  // namespace tpm
