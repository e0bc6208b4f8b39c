#include "appliance/signing_plan.hpp"

#include <algorithm>

#include "crypto/formats/catalog.hpp"
#include "tests/support/pe_builder.hpp"
#include "tests/support/signing_fixture.hpp"
#include "tests/unit/appliance/appliance_fixture.hpp"

namespace appliance {
namespace {

using base::Errc;
using transparency::OutputOperation;
namespace fs = std::filesystem;

// A spooled request and a key class whose key is a software one: what the TPM would sign, the test signs.
class Plan : public SmallAppliance {
 protected:
  // Writes the request into the spool and makes its manifest anew from the files.
  SpooledRequest spool() {
    request.describe_files();
    const fs::path to = request.write_below(layout.spool(), submitter);
    return SpooledRequest{request.id(), to, request.manifest};
  }
  KeyClass key_class() const {
    return KeyClass{"release", 0, {}, {2, {}}, base::Bytes(34, 0x0B), must(vendor.leaf().public_key()), {}};
  }
  base::Result<SigningPlan> make(const SpooledRequest& spooled) const {
    return SigningPlan::make(spooled, inspection, key_class(), vendor.identity(), profile);
  }
  std::vector<std::string> paths(const SigningPlan& plan) const {
    std::vector<std::string> all;
    for (const auto& item : plan.set().items) all.push_back(item.file);
    return all;
  }
  base::Result<base::Bytes> sign(const crypto::Digest& digest) {
    asked.push_back(digest);
    return vendor.key().sign(digest);
  }
  base::Result<std::vector<transparency::OutputFile>> carry_out(const SigningPlan& plan, const SpooledRequest& spooled) {
    return plan.carry_out(spooled, out, [this](const crypto::Digest& digest) { return sign(digest); });
  }
  package::PlannedCatalog& catalog() { return inspection.catalogs.at(0); }

  TestRequest request = sample_request();
  package::Inspection inspection{{}, {}, {{"coldsample.cat", "_v100_X64", {"root\\coldsample"},
                                           {{"coldsample.exe", "coldsample.exe", "2:10.0"},
                                            {"coldsample.inf", "coldsample.inf", "2:10.0"},
                                            {"coldsample.sys", "coldsample.sys", "2:10.0"}}}}, {}};
  tests::Vendor vendor;
  const crypto::Digest profile = crypto::sha256(base::as_bytes("profile"));
  const fs::path out = folder / "out";
  std::vector<crypto::Digest> asked;
};

TEST_F(Plan, EmbedsByPathThenSignsCatalogsByPath) {
  request.files["a/z.sys"] = request.files["coldsample.sys"];
  package::PlannedCatalog second = catalog();
  second.path = "a/second.cat";
  inspection.catalogs.push_back(second);
  const SigningPlan plan = must(make(spool()));
  EXPECT_EQ(paths(plan), (std::vector<std::string>{"a/z.sys", "coldsample.exe", "coldsample.sys", "a/second.cat", "coldsample.cat"}));
  EXPECT_EQ(plan.set().key_name, base::Bytes(34, 0x0B));
  EXPECT_EQ(plan.set().profile_sha256, profile);
  EXPECT_EQ(plan.digests().size(), 5U);
  for (const auto& item : plan.set().items) EXPECT_EQ(item.slot, "primary");
}

TEST_F(Plan, IsTheSameEachTimeAndAnotherForAnotherFileKeyOrProfile) {
  const SpooledRequest spooled = spool();
  const std::string fingerprint = must(make(spooled)).set().fingerprint().hex();
  EXPECT_EQ(must(make(spooled)).set().fingerprint().hex(), fingerprint);
  KeyClass other_key = key_class();
  other_key.key_name = base::Bytes(34, 0x0C);
  EXPECT_NE(must(SigningPlan::make(spooled, inspection, other_key, vendor.identity(), profile)).set().fingerprint().hex(), fingerprint);
  EXPECT_NE(must(SigningPlan::make(spooled, inspection, key_class(), vendor.identity(), crypto::sha256({}))).set().fingerprint().hex(),
            fingerprint);
  request.files["coldsample.inf"].push_back('\n');
  EXPECT_NE(must(make(spool())).set().fingerprint().hex(), fingerprint);   // through the catalog
}

TEST_F(Plan, CarriedOutGivesEveryFileAndTheirDigests) {
  request.files["sub/readme.txt"] = base::to_bytes(base::as_bytes("hello"));
  const SpooledRequest spooled = spool();
  const SigningPlan plan = must(make(spooled));
  const auto outputs = must(carry_out(plan, spooled));
  EXPECT_EQ(asked, plan.digests());   // once each, in order
  const std::map<std::string, OutputOperation> expected{{"coldsample.cat", OutputOperation::catalog_signed},
                                                        {"coldsample.exe", OutputOperation::embedded},
                                                        {"coldsample.inf", OutputOperation::unchanged},
                                                        {"coldsample.sys", OutputOperation::embedded},
                                                        {"sub/readme.txt", OutputOperation::unchanged}};
  ASSERT_EQ(outputs.size(), expected.size());
  EXPECT_TRUE(std::is_sorted(outputs.begin(), outputs.end(), [](const auto& a, const auto& b) { return a.path < b.path; }));
  for (const transparency::OutputFile& output : outputs) {
    EXPECT_EQ(output.operation, expected.at(output.path)) << output.path;
    EXPECT_EQ(crypto::sha256(tests::read_file(out / output.path)), output.sha256) << output.path;
  }
  // The catalog covers the files as they are delivered: embedding did not change what it says of them.
  const auto made = must(formats::Catalog::parse(tests::read_file(out / "coldsample.cat")));
  EXPECT_TRUE(made.is_signed());
  for (const char* const name : {"coldsample.exe", "coldsample.inf", "coldsample.sys"}) {
    const base::Bytes delivered = tests::read_file(out / name);
    EXPECT_NE(made.covering(must(formats::member_digests(base::MemorySource(delivered)))), nullptr) << name;
  }
  EXPECT_EQ(made.hardware_ids(), std::vector<std::string>{"root\\coldsample"});
  const base::Bytes driver = tests::read_file(out / "coldsample.sys");
  EXPECT_TRUE(must(formats::PeImage::parse(base::MemorySource(driver))).is_signed());
}

TEST_F(Plan, AFileThatIsSignedAlreadyStaysAsItIs) {
  request.files["coldsample.exe"] = vendor.sign_pe(request.files["coldsample.exe"]);
  const SpooledRequest spooled = spool();
  const SigningPlan plan = must(make(spooled));
  EXPECT_EQ(paths(plan), (std::vector<std::string>{"coldsample.sys", "coldsample.cat"}));
  const auto outputs = must(carry_out(plan, spooled));
  const auto kept = std::find_if(outputs.begin(), outputs.end(), [](const auto& output) { return output.path == "coldsample.exe"; });
  ASSERT_NE(kept, outputs.end());
  EXPECT_EQ(kept->operation, OutputOperation::already_signed);
  EXPECT_EQ(tests::read_file(out / "coldsample.exe"), request.files["coldsample.exe"]);
}

TEST_F(Plan, DoesOnlyWhatWasAsked) {
  request.manifest.operations = {wire::Operation::catalog};
  EXPECT_EQ(paths(must(make(spool()))), std::vector<std::string>{"coldsample.cat"});
  request.manifest.operations = {wire::Operation::embed};
  EXPECT_EQ(paths(must(make(spool()))), (std::vector<std::string>{"coldsample.exe", "coldsample.sys"}));
  request.files.erase("coldsample.exe");
  request.files.erase("coldsample.sys");
  expect_error(make(spool()), Errc::refused, "there is nothing to sign");
}

TEST_F(Plan, ACatalogMemberThatIsNotInTheManifestIsRefused) {
  catalog().members.push_back({"other.sys", "other.sys", "2:10.0"});
  expect_error(make(spool()), Errc::refused, "other.sys: the member is not a file of the request");
  catalog().members.back().path = "../../etc/passwd";
  expect_error(make(spool()), Errc::refused, "is not a file of the request");
  catalog().members.clear();
  expect_error(make(spool()), Errc::refused, "the catalog would have no members");
}

TEST_F(Plan, ACatalogOfThePackageIsMadeAnew) {
  request.files["ColdSample.CAT"] = base::to_bytes(base::as_bytes("an old catalog"));
  const SpooledRequest spooled = spool();
  const auto outputs = must(carry_out(must(make(spooled)), spooled));
  std::vector<std::string> catalogs;
  for (const auto& output : outputs)
    if (base::lower_ascii(output.path).ends_with(".cat")) catalogs.push_back(output.path);
  EXPECT_EQ(catalogs, std::vector<std::string>{"coldsample.cat"});
  EXPECT_FALSE(fs::exists(out / "ColdSample.CAT"));
}

TEST_F(Plan, ACatalogWhereNoneMayGoIsRefused) {
  for (const char* const path : {"../coldsample.cat", "/coldsample.cat", "con.cat", "coldsample.sys", "coldsample.inf/x.cat", ""}) {
    SCOPED_TRACE(path);
    catalog().path = path;
    expect_error(make(spool()), Errc::refused, path);
  }
  catalog().path = "a.cat";
  inspection.catalogs.push_back(catalog());
  expect_error(make(spool()), Errc::refused, "a.cat");   // twice
  inspection.catalogs.back().path = "A.cat";
  expect_error(make(spool()), Errc::refused, "differ only in case");
}

TEST_F(Plan, AFileChangedInTheSpoolIsRefused) {
  const SpooledRequest spooled = spool();
  base::Bytes altered = request.files["coldsample.inf"];
  altered[0] ^= 1;
  tests::write_file(spooled.file("coldsample.inf"), altered);
  expect_error(make(spooled), Errc::mismatch, "coldsample.inf: the spooled file is not what the manifest says");
  fs::remove(spooled.file("coldsample.inf"));
  EXPECT_FALSE(make(spooled).has_value());
}

TEST_F(Plan, AFileChangedBetweenPlanAndSigningIsNotDelivered) {
  for (const char* const name : {"coldsample.inf", "coldsample.sys"}) {
    fs::remove_all(out);
    const SpooledRequest spooled = spool();
    const SigningPlan plan = must(make(spooled));
    base::Bytes altered = request.files[name];
    altered[altered.size() - 1] ^= 1;
    tests::write_file(spooled.file(name), altered);
    expect_error(carry_out(plan, spooled), Errc::mismatch, name);   // and the workflow discards the folder
  }
}

TEST_F(Plan, AWrongSignatureIsRefusedAndNothingIsWritten) {
  const SpooledRequest spooled = spool();
  const SigningPlan plan = must(make(spooled));
  const auto expect_nothing = [&](const auto& signer, Errc code) {
    const auto outputs = plan.carry_out(spooled, out, signer);
    ASSERT_FALSE(outputs.has_value());
    EXPECT_EQ(static_cast<int>(outputs.error().code()), static_cast<int>(code)) << outputs.error().text();
    EXPECT_FALSE(fs::exists(out));
  };
  // Over something else; of another key; no signature at all; none given. The last of the set, so that the others were good.
  std::size_t calls = 0;
  const auto last_one = [&](const std::function<base::Result<base::Bytes>(const crypto::Digest&)>& wrong) {
    calls = 0;
    return [&, wrong](const crypto::Digest& digest) -> base::Result<base::Bytes> {
      return ++calls == plan.digests().size() ? wrong(digest) : vendor.key().sign(digest);
    };
  };
  expect_nothing(last_one([&](const crypto::Digest&) { return vendor.key().sign(crypto::sha256({})); }), Errc::mismatch);
  tests::SoftwareKey other = tests::SoftwareKey::generate_p256();
  expect_nothing(last_one([&](const crypto::Digest& digest) { return other.sign(digest); }), Errc::mismatch);
  expect_nothing(last_one([&](const crypto::Digest&) { return base::Result<base::Bytes>(base::Bytes{}); }), Errc::mismatch);
  expect_nothing(last_one([&](const crypto::Digest&) { return base::Result<base::Bytes>(base::fail(Errc::tpm, "gone")); }), Errc::tpm);
}

// A file is written as "<path>.part" before it gets its name, and packages may hold such names.
TEST_F(Plan, FilesNamedLikeTheOnesBeingWrittenAllArrive) {
  request.manifest.operations = {wire::Operation::embed};
  request.files = {{"b.txt", base::to_bytes(base::as_bytes("text"))},
                   {"b.txt.part", tests::build_pe(tests::driver_description())},
                   {"c", base::to_bytes(base::as_bytes("c"))},
                   {"c.part/d.sys", tests::build_pe(tests::driver_description())}};
  const SpooledRequest spooled = spool();
  const auto outputs = must(carry_out(must(make(spooled)), spooled));
  ASSERT_EQ(outputs.size(), 4U);
  for (const auto& output : outputs) EXPECT_EQ(crypto::sha256(tests::read_file(out / output.path)), output.sha256) << output.path;
}

TEST_F(Plan, APeThatTwoReadersReadDifferentlyIsRefused) {
  base::Bytes& driver = request.files["coldsample.sys"];
  const std::size_t pe = driver[0x3C];
  const std::size_t section = pe + 24 + driver[pe + 20];
  driver[section + 17] = static_cast<std::uint8_t>(driver[section + 17] - 2);   // SizeOfRawData: 512 bytes less
  const auto refused = make(spool());
  ASSERT_FALSE(refused.has_value());
  EXPECT_NE(refused.error().text().find("coldsample.sys"), std::string::npos) << refused.error().text();
}

}  // namespace
}  // namespace appliance
