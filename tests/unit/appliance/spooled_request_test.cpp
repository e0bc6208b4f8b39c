#include "appliance/spooled_request.hpp"

#include "tests/unit/appliance/appliance_fixture.hpp"

namespace appliance {
namespace {

using base::Errc;
namespace fs = std::filesystem;

class Spooled : public SmallAppliance {
 protected:
  Spooled() { request.write_below(layout.spool(), submitter); }
  base::Result<SpooledRequest> load() const { return SpooledRequest::load(layout, configuration(), request.id()); }
  TestRequest request = sample_request();
};

TEST_F(Spooled, IsLoadedWithItsManifestVerified) {
  const SpooledRequest loaded = must(load());
  EXPECT_EQ(loaded.id, request.id());
  EXPECT_EQ(loaded.request.to_json(), request.manifest.to_json());
  EXPECT_EQ(loaded.file("coldsample.sys"), layout.spool() / request.id() / "files/coldsample.sys");
}

TEST_F(Spooled, OfASubmitterWhoIsNotEnrolledAnyMoreIsRefused) {
  fs::remove(layout.submitters() / "build-1.pem");
  expect_error(load(), Errc::refused, "not enrolled");
}

TEST_F(Spooled, WithAnotherRequestsManifestIsRefused) {
  TestRequest other = sample_request();
  other.manifest.note = "another";
  const fs::path elsewhere = other.write_below(folder.path(), submitter);
  fs::copy_file(elsewhere / wire::kManifestName, layout.spool() / request.id() / wire::kManifestName, fs::copy_options::overwrite_existing);
  expect_error(load(), Errc::mismatch, "is not the one that was received");
}

TEST_F(Spooled, ThatIsGoneIsNotFound) {
  fs::remove_all(layout.spool() / request.id());
  expect_error(load(), Errc::not_found, "request.dsse.json");
}

TEST_F(Spooled, KeepsTheInspectionThatTheLogNames) {
  package::Inspection inspection;
  inspection.facts.push_back({"coldsample.inf", "Provider", "Coldseal Example"});
  const base::Bytes answer = package::encode_inspection(inspection);
  const std::string digest = must(save_inspection(layout, answer));
  EXPECT_EQ(must(load_inspection(layout, digest)).facts.at(0).value, "Coldseal Example");
  const fs::path kept = layout.inspections() / digest.substr(0, 2) / digest;
  EXPECT_EQ(tests::read_file(kept), answer);
  inspection.facts[0].value = "Somebody Else";
  tests::write_file(kept, package::encode_inspection(inspection));
  expect_error(load_inspection(layout, digest), Errc::mismatch, "is not the one that the audit log names");
  EXPECT_EQ(must(save_inspection(layout, answer)), digest);   // the same said again mends it
  EXPECT_EQ(must(load_inspection(layout, digest)).facts.at(0).value, "Coldseal Example");
  fs::remove(kept);
  expect_error(load_inspection(layout, digest), Errc::not_found, digest);
}

}  // namespace
}  // namespace appliance
