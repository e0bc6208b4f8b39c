#include "appliance/embedding.hpp"

#include "appliance/signing_plan.hpp"
#include "crypto/cms/signature_edit.hpp"
#include "crypto/formats/authenticode.hpp"
#include "crypto/package/verification.hpp"
#include "tests/support/cab_builder.hpp"
#include "tests/support/pe_builder.hpp"
#include "tests/support/signing_fixture.hpp"
#include "tests/unit/appliance/appliance_fixture.hpp"

namespace appliance {
namespace {

using base::Errc;
using transparency::OutputOperation;
using wire::Operation;
namespace fs = std::filesystem;

// Requests without catalogs: the key class's key is a software one.
class Embeddings : public SmallAppliance {
 protected:
  Embeddings() { request.files.clear(); }
  SpooledRequest spool(std::vector<Operation> operations) {
    request.manifest.operations = std::move(operations);
    request.describe_files();
    const fs::path to = request.write_below(layout.spool(), submitter);
    return SpooledRequest{request.id(), to, request.manifest};
  }
  base::Result<SigningPlan> make(const SpooledRequest& spooled) const {
    const KeyClass key_class{"release", 0, {}, {2, {}}, base::Bytes(34, 0x0B), must(vendor.leaf().public_key()), {}};
    return SigningPlan::make(spooled, inspection, key_class, vendor.identity(), crypto::sha256({}), form);
  }
  std::map<std::string, OutputOperation> carry_out(const SpooledRequest& spooled) {
    const SigningPlan plan = must(make(spooled));
    slots.clear();
    for (const transparency::SigningItem& item : plan.set().items) slots[item.file] = item.slot;
    std::map<std::string, OutputOperation> done;
    for (const auto& output : must(plan.carry_out(spooled, out, [&](const crypto::Digest& digest) { return vendor.key().sign(digest); })))
      done[output.path] = output.operation;
    return done;
  }
  package::Verdict verdict(const std::string& name) const {
    const base::Bytes bytes = tests::read_file(out / name);
    const base::MemorySource source(bytes);
    const std::vector<crypto::Certificate> roots = {vendor.root()};
    const base::Time now = tests::at("2026-11-23T12:00:00Z");
    return name.ends_with(".cab") ? package::verify_cab(source, roots, now) : package::verify_pe(source, roots, now);
  }
  void expect_good(const std::string& name, std::size_t signatures) const {
    const package::Verdict found = verdict(name);
    for (const package::Finding& finding : found.findings) ADD_FAILURE() << name << ": " << finding.id << ": " << finding.cause;
    EXPECT_EQ(found.signatures, signatures) << name;
  }

  TestRequest request = sample_request();
  package::Inspection inspection;
  tests::Vendor vendor{tests::Vendor::Kind::rsa3072};
  SignatureForm form;
  std::map<std::string, std::string> slots;
  const fs::path out = folder / "out";
  const base::Bytes image = tests::build_pe(tests::driver_description());
};

std::optional<formats::PageHashes> pages_in(base::ByteView signature) {
  const auto data = cms::SignedData::parse(signature);
  return must(formats::page_hashes_of(must(formats::IndirectData::parse(data->content_der())).value));
}
base::Bytes first_signature(const base::Bytes& file) {
  const base::MemorySource source(file);
  return must(must(formats::PeImage::parse(source)).certificates(source)).at(0).der;
}

TEST_F(Embeddings, PageHashesAreInTheSignatureWhenAskedFor) {
  request.files["a.sys"] = image;
  carry_out(spool({Operation::embed, Operation::page_hashes}));
  expect_good("a.sys", 1);
  EXPECT_TRUE(pages_in(first_signature(tests::read_file(out / "a.sys"))));
  fs::remove_all(out);
  carry_out(spool({Operation::embed}));
  EXPECT_FALSE(pages_in(first_signature(tests::read_file(out / "a.sys"))));
}

TEST_F(Embeddings, AnImageWhosePageHashesNobodyHasDefinedIsRefusedByName) {
  base::Bytes odd = image;
  odd.at(0x80 + 24 + 33) = 0x02;   // SectionAlignment 0x200
  request.files["odd.sys"] = odd;
  expect_error(make(spool({Operation::embed, Operation::page_hashes})), Errc::unsupported, "odd.sys: page hashes");
  EXPECT_TRUE(make(spool({Operation::embed})));
}

TEST_F(Embeddings, ASignatureIsAppendedToTheOneThatIsThereAndLeavesItAsItWas) {
  const base::Bytes once = vendor.sign_pe(image);
  request.files["signed.sys"] = once;
  request.files["unsigned.sys"] = image;
  const auto done = carry_out(spool({Operation::append, Operation::page_hashes}));
  EXPECT_EQ(done.at("signed.sys"), OutputOperation::appended);
  EXPECT_EQ(done.at("unsigned.sys"), OutputOperation::unchanged);   // embed was not asked for
  EXPECT_EQ(slots, (std::map<std::string, std::string>{{"signed.sys", "nested"}}));
  expect_good("signed.sys", 2);
  const base::Bytes both = first_signature(tests::read_file(out / "signed.sys"));
  EXPECT_EQ(must(cms::with_nested_signatures(both, {})), first_signature(once));
  EXPECT_TRUE(pages_in(must(cms::nested_signatures(both)).at(0)));
}

TEST_F(Embeddings, CabinetsAreSignedAndAppendedTo) {
  request.files["a.cab"] = tests::build_cab();
  request.files["b.bin"] = tests::build_cab({{{"other"}}, 0, {}});   // the name does not matter
  EXPECT_EQ(carry_out(spool({Operation::cabinet})).at("a.cab"), OutputOperation::cabinet_signed);
  expect_good("a.cab", 1);
  EXPECT_NE(tests::read_file(out / "b.bin"), request.files["b.bin"]);
  request.files = {{"a.cab", tests::read_file(out / "a.cab")}};
  fs::remove_all(out);
  expect_error(make(spool({Operation::cabinet})), Errc::refused, "there is nothing to sign");
  EXPECT_EQ(carry_out(spool({Operation::append})).at("a.cab"), OutputOperation::appended);
  expect_good("a.cab", 2);
}

TEST_F(Embeddings, CabinetsStayAsTheyAreWhenNobodyAskedForThem) {
  request.files["a.sys"] = image;
  request.files["a.cab"] = tests::build_cab();
  request.files["set.cab"] = tests::build_cab({{{"x"}}, 2, {}});
  const auto done = carry_out(spool({Operation::embed}));
  EXPECT_EQ(done.at("a.cab"), OutputOperation::unchanged);
  EXPECT_EQ(done.at("set.cab"), OutputOperation::unchanged);
  EXPECT_EQ(tests::read_file(out / "a.cab"), request.files["a.cab"]);
  expect_error(make(spool({Operation::embed, Operation::cabinet})), Errc::unsupported, "set.cab");
}

TEST_F(Embeddings, ACabinetThatACatalogOfTheRequestListsIsNotSigned) {
  request.files["a.cab"] = tests::build_cab();
  inspection.catalogs = {{"a.cat", "_v100_X64", {"root\\a"}, {{"a.cab", "a.cab", "2:10.0"}}}};
  expect_error(make(spool({Operation::catalog, Operation::cabinet})), Errc::refused, "a.cab: a catalog of the same request lists this cabinet");
  EXPECT_TRUE(make(spool({Operation::catalog})));
}

TEST_F(Embeddings, SeveralSignaturesSideBySideAreNotAppendedTo) {
  tests::PeDescription efi = tests::driver_description();
  efi.subsystem = 11;
  const base::Bytes file = tests::build_pe(efi);
  const base::MemorySource source(file);
  const auto parsed = must(formats::PeImage::parse(source));
  const crypto::DigestAlgorithm wanted[] = {crypto::DigestAlgorithm::sha256};
  const auto measured = must(parsed.measure(source, wanted));
  const base::Bytes signature = vendor.sign(formats::pe_content(measured.digest(wanted[0])));
  base::MemorySink twice;
  ASSERT_TRUE(formats::write_with_table(source, parsed, measured, {signature, signature}, twice));
  request.files["two.efi"] = twice.bytes();
  expect_error(make(spool({Operation::append})), Errc::refused, "two.efi: 2 entries in the certificate table");
}

TEST_F(Embeddings, TheProfilesDescriptionAndUrlAreInEverySignatureAndChangeTheSet) {
  request.files["a.sys"] = image;
  const SpooledRequest spooled = spool({Operation::embed});
  const std::string without = must(make(spooled)).set().fingerprint().hex();
  form.attributes = {"Example driver", "https://example.com"};
  EXPECT_NE(must(make(spooled)).set().fingerprint().hex(), without);
  carry_out(spooled);
  expect_good("a.sys", 1);
  const auto data = cms::SignedData::parse(first_signature(tests::read_file(out / "a.sys")));
  const cms::Attribute* const opus = data->signers().at(0).signed_attribute(der::oids::kSpcOpusInfo);
  ASSERT_NE(opus, nullptr);
  EXPECT_NE(std::string(base::as_text(opus->values.at(0))).find("https://example.com"), std::string::npos);
}

TEST_F(Embeddings, ForOldWindowsSha256IsNestedInSha1AndBothAreInTheSet) {
  request.files["a.sys"] = image;
  request.files["b.cab"] = tests::build_cab();
  request.files["signed.dll"] = vendor.sign_pe(image);
  const SpooledRequest spooled = spool({Operation::embed, Operation::cabinet, Operation::append, Operation::page_hashes});
  EXPECT_EQ(must(make(spooled)).sha1(), crypto::Sha1::refused);
  form.sha1 = crypto::Sha1::for_old_windows;
  const SigningPlan plan = must(make(spooled));
  EXPECT_EQ(plan.sha1(), crypto::Sha1::for_old_windows);
  std::vector<std::string> items;
  for (const transparency::SigningItem& item : plan.set().items)
    items.push_back(item.file + " " + item.slot + " " + std::string(crypto::digest_name(item.digest.algorithm())));
  EXPECT_EQ(items, (std::vector<std::string>{"a.sys primary sha1", "a.sys nested sha256", "b.cab primary sha1", "b.cab nested sha256",
                                             "signed.dll nested sha256"}));
  carry_out(spooled);
  for (const char* const name : {"a.sys", "b.cab"}) {
    const package::Verdict found = verdict(name);
    EXPECT_TRUE(found.valid()) << name;
    EXPECT_EQ(found.signatures, 2U) << name;
    EXPECT_EQ(found.file_digest->algorithm(), crypto::DigestAlgorithm::sha1) << name;
    ASSERT_EQ(found.findings.size(), 1U) << name;
    EXPECT_EQ(found.findings[0].id, "signature.sha1") << name;
  }
  expect_good("signed.dll", 2);   // whoever signed it first decided
  const base::Bytes both = first_signature(tests::read_file(out / "a.sys"));
  EXPECT_FALSE(pages_in(both));   // those are SHA-256's
  EXPECT_TRUE(pages_in(must(cms::nested_signatures(both)).at(0)));
}

TEST_F(Embeddings, ForOldWindowsOnlyRsaKeysSign) {
  vendor = tests::Vendor(tests::Vendor::Kind::p256);
  form.sha1 = crypto::Sha1::for_old_windows;
  request.files["a.sys"] = image;
  expect_error(make(spool({Operation::embed})), Errc::unsupported, "a.sys: ECDSA with SHA-1");
}

TEST_F(Embeddings, AFileChangedAfterTheApprovalIsNotDelivered) {
  request.files["a.cab"] = tests::build_cab();
  const SpooledRequest spooled = spool({Operation::cabinet});
  const SigningPlan plan = must(make(spooled));
  base::Bytes altered = request.files["a.cab"];
  altered.back() ^= 1;
  tests::write_file(spooled.file("a.cab"), altered);
  expect_error(plan.carry_out(spooled, out, [&](const crypto::Digest& digest) { return vendor.key().sign(digest); }), Errc::mismatch, "a.cab");
}

}  // namespace
}  // namespace appliance
