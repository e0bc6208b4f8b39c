#include "tpm/device.hpp"

#include "tests/unit/tpm/custody_fixture.hpp"
#include "tpm/administration.hpp"
#include "tpm/esys.hpp"

namespace tpm {
namespace {

using base::Errc;

class DeviceTest : public Custody {};

TEST_F(DeviceTest, SaysWhatTpmItIs) {
  EXPECT_EQ(device->manufacturer(), "IBM");   // libtpms
  EXPECT_TRUE(device->is_software());
  EXPECT_NE(device->firmware(), 0U);
}

TEST_F(DeviceTest, KeepsItsStorageRootKeyThroughResetsAndPowerCuts) {
  const Bytes name = device->srk_name();
  EXPECT_EQ(name.size(), attest::kNameBytes);
  close();
  swtpm.power_cut();
  reopen();
  EXPECT_EQ(device->srk_name(), name);
  close();
  swtpm.reset();
  reopen();
  ASSERT_OK(device->expect_srk(name));
}

TEST_F(DeviceTest, RefusesAnotherTpmsStorageRootKey) {
  Bytes name = device->srk_name();
  name.back() ^= 1;
  expect_error(device->expect_srk(name), Errc::mismatch, "not the TPM that was provisioned");
  expect_error(device->expect_srk({}), Errc::mismatch, "not the TPM that was provisioned");
}

TEST_F(DeviceTest, FlushesWhatAKilledProgramLeftBehind) {
  // Sessions that nobody owns: ESYS forgets them without telling the TPM.
  for (int i = 0; i < 2; ++i) {
    Loaded session = must(hmac_session(device->context()));
    ESYS_TR handle = session.handle();
    ASSERT_EQ(Esys_TR_Close(device->context().esys(), &handle), TSS2_RC_SUCCESS);
  }
  EXPECT_EQ(must(device->loaded()), 2U);
  reopen();
  EXPECT_EQ(must(device->loaded()), 0U);
}

// ESYS has one handle for an index: whoever closes it must not close it for those who still hold it.
TEST_F(DeviceTest, AnIndexThatWasReadElsewhereStaysOpenForWhoHoldsIt) {
  Context& context = device->context();
  const NvIndex held = must(NvIndex::open(context, attest::floor_index()));
  ASSERT_OK(read_index(context, attest::floor_index()));   // opens and closes it
  { const NvIndex again = must(NvIndex::open(context, attest::floor_index())); }
  EXPECT_EQ(must(name_of(context, held.handle())), attest::name_of(attest::floor_index()));
  ASSERT_OK(firmware->test());   // the gate holds FLOOR too
  // And who opens it sees its Name as it is now, whatever others hold.
  const attest::NvPublic spare = attest::baseline_index();
  must(run_as_owner(*device, attest::OwnerCommand::define(spare, "an index")));
  const NvIndex unwritten = must(NvIndex::open(context, attest::unwritten(spare)));
  must(establish(*device, spare, Bytes(attest::kBaselineBytes, 1)));
  ASSERT_OK(NvIndex::open(context, spare));
  ASSERT_OK(read_index(context, spare));
}

TEST_F(DeviceTest, ATpmThatIsGoneIsNotReachable) {
  swtpm.kill();
  const auto gone = device->running_ms();
  expect_error(gone, Errc::tpm, "TPM not reachable");
  expect_error(device->running_ms(), Errc::tpm, "TPM not reachable");
  expect_error(officer_state(*device, {"alice", 0x01800001}), Errc::tpm, "TPM not reachable");
  expect_error(Device::open(swtpm.tcti()), Errc::tpm, "TPM not reachable at swtpm:path=");
  close();
  swtpm.start();
  reopen();
  ASSERT_OK(device->running_ms());
}

TEST_F(DeviceTest, RefusesAPlaceWhereNoTpmIs) {
  expect_error(Device::open("swtpm:path=/nonexistent/tpm"), Errc::tpm, "TPM not reachable");
  expect_error(Device::open("no-such-transport:x"), Errc::tpm, "TPM not reachable");
}

TEST_F(DeviceTest, AForeignPersistentKeyIsNotTakenForTheStorageRootKey) {
  // Put a signing key where the storage root key belongs.
  Context& context = device->context();
  ESYS_TR evicted = ESYS_TR_NONE;
  ASSERT_EQ(Esys_EvictControl(context.esys(), ESYS_TR_RH_OWNER, context.storage_root(), ESYS_TR_PASSWORD, ESYS_TR_NONE,
                              ESYS_TR_NONE, 0x81000001, &evicted),
            TSS2_RC_SUCCESS);
  TPM2B_PUBLIC area{};
  area.publicArea.type = TPM2_ALG_ECC;
  area.publicArea.nameAlg = TPM2_ALG_SHA256;
  area.publicArea.objectAttributes = TPMA_OBJECT_SIGN_ENCRYPT | TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                                     TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH;
  TPMS_ECC_PARMS& ecc = area.publicArea.parameters.eccDetail;
  ecc.symmetric.algorithm = TPM2_ALG_NULL;
  ecc.scheme.scheme = TPM2_ALG_NULL;
  ecc.curveID = TPM2_ECC_NIST_P256;
  ecc.kdf.scheme = TPM2_ALG_NULL;
  const TPM2B_SENSITIVE_CREATE no_auth{};
  const TPM2B_DATA no_data{};
  const TPML_PCR_SELECTION no_pcrs{};
  ESYS_TR primary = ESYS_TR_NONE;
  ASSERT_EQ(Esys_CreatePrimary(context.esys(), ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &no_auth,
                               &area, &no_data, &no_pcrs, &primary, nullptr, nullptr, nullptr, nullptr),
            TSS2_RC_SUCCESS);
  ESYS_TR persistent = ESYS_TR_NONE;
  ASSERT_EQ(Esys_EvictControl(context.esys(), ESYS_TR_RH_OWNER, primary, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE,
                              0x81000001, &persistent),
            TSS2_RC_SUCCESS);
  close();
  expect_error(Device::open(swtpm.tcti()), Errc::tpm, "not a P-256 storage root key");
}

}  // namespace
}  // namespace tpm
