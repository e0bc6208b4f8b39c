#include "tpm/audit_anchor.hpp"

#include "tests/unit/tpm/custody_fixture.hpp"
#include "tpm/administration.hpp"
#include "tpm/attestation.hpp"

namespace tpm {
namespace {

using base::Errc;

class AuditAnchorTest : public Custody {
 protected:
  AuditAnchorTest() { must(AuditAnchor(*device, *firmware).begin()); }
};

TEST_F(AuditAnchorTest, GrowsLineByLineThroughPowerCuts) {
  AuditAnchor anchor(*device, *firmware);
  const AnchorState before = must(anchor.state());
  ASSERT_OK(anchor.extend(driver));
  ASSERT_OK(anchor.increment());
  must(anchor.begin());   // does nothing any more
  const AnchorState after = must(anchor.state());
  EXPECT_EQ(after.count, before.count + 1);
  EXPECT_EQ(after.extended, extended_by(before.extended, driver));
  close();
  swtpm.power_cut();
  reopen();
  const AnchorState kept = must(AuditAnchor(*device, *firmware).state());
  EXPECT_EQ(kept.count, after.count);
  EXPECT_EQ(kept.extended, after.extended);
  EXPECT_EQ(must(device->loaded()), 0U);
}

TEST_F(AuditAnchorTest, OnlyApprovedFirmwareWritesIt) {
  const AnchorState before = must(AuditAnchor(*device, *firmware).state());
  // Not with an empty password, not as the owner.
  Context& context = device->context();
  const NvIndex count = must(NvIndex::open(context, world.map().audit_count()));
  EXPECT_NE(Esys_NV_Increment(context.esys(), count.handle(), count.handle(), ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE), TSS2_RC_SUCCESS);
  EXPECT_NE(Esys_NV_Increment(context.esys(), ESYS_TR_RH_OWNER, count.handle(), ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE), TSS2_RC_SUCCESS);
  extend_pcr(11, "malware");
  expect_error(AuditAnchor(*device, *firmware).extend(driver), Errc::refused, "not the approved ones");
  expect_error(AuditAnchor(*device, *firmware).increment(), Errc::refused, "not the approved ones");
  const AnchorState after = must(AuditAnchor(*device, *firmware).state());
  EXPECT_EQ(after.count, before.count);
  EXPECT_EQ(after.extended, before.extended);
}

TEST_F(AuditAnchorTest, ARolledBackTpmShowsItsOlderCount) {
  const tests::TempDir copies;
  close();
  swtpm.kill();
  std::filesystem::copy(swtpm.state(), copies / "old", std::filesystem::copy_options::recursive);
  swtpm.start();
  reopen();
  ASSERT_OK(AuditAnchor(*device, *firmware).extend(driver));
  ASSERT_OK(AuditAnchor(*device, *firmware).increment());
  const AnchorState newest = must(AuditAnchor(*device, *firmware).state());
  close();
  swtpm.kill();
  std::filesystem::copy(copies / "old", swtpm.state(),
                        std::filesystem::copy_options::recursive | std::filesystem::copy_options::overwrite_existing);
  swtpm.start();
  reopen();
  const AnchorState older = must(AuditAnchor(*device, *firmware).state());
  EXPECT_EQ(older.count + 1, newest.count);
  EXPECT_NE(older.extended, newest.extended);
}

TEST_F(AuditAnchorTest, TheBaselineIsWhatAdministratorsWrote) {
  const AnchorState now = must(AuditAnchor(*device, *firmware).state());
  must(establish(*device, attest::baseline_index(), baseline_bytes({now.count, now.extended, driver})));
  const AnchorBaseline baseline = must(AuditAnchor(*device, *firmware).baseline());
  EXPECT_EQ(baseline.count, now.count);
  EXPECT_EQ(baseline.extended, now.extended);
  EXPECT_EQ(baseline.head, driver);
}

}  // namespace
}  // namespace tpm
