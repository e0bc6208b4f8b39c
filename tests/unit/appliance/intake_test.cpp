#include "appliance/intake.hpp"

#include <sys/stat.h>

#include "tests/unit/appliance/appliance_fixture.hpp"

namespace appliance {
namespace {

using base::Errc;
namespace fs = std::filesystem;

class Intake : public SmallAppliance {
 protected:
  // Puts the request into the inbox and checks its manifest.
  base::Result<AcceptedRequest> check(const TestRequest& request, keys::SubmitterKey* key = nullptr) {
    request.write_below(layout.inbox(), key == nullptr ? submitter : *key);
    return check_manifest(layout, configuration(), request.id());
  }

  base::Result<void> copy(const TestRequest& request) { return copy_to_spool(layout, request.id(), request.manifest, base::as_bytes("the manifest that was verified")); }

  // Copies from the inbox, and expects that nothing of it stays in the spool.
  void expect_not_copied(const TestRequest& request, Errc code, const std::string& words) {
    SCOPED_TRACE(words);
    expect_error(copy(request), code, words);
    EXPECT_TRUE(fs::is_empty(layout.spool()));
    EXPECT_TRUE(fs::exists(layout.inbox() / request.id()));   // which is not for this function to clear
  }

  fs::path inbox_file(const TestRequest& request, const std::string& path) const {
    return layout.inbox() / request.id() / wire::kFilesFolder / path;
  }
};

TEST_F(Intake, AGoodManifestSaysWhoAndWhat) {
  const TestRequest request = sample_request();
  const AcceptedRequest accepted = must(check(request));
  EXPECT_EQ(accepted.submitter, "build-1");
  EXPECT_EQ(accepted.keyid, must(crypto::PublicKey::parse(submitter.public_key_der())).keyid());
  EXPECT_EQ(accepted.request.to_json(), request.manifest.to_json());
  EXPECT_EQ(accepted.manifest, tests::read_file(layout.inbox() / request.id() / wire::kManifestName));
}

TEST_F(Intake, RefusesAKeyThatIsNotEnrolledAndASignatureThatIsNotItsOwn) {
  keys::SubmitterKey stranger = keys::SubmitterKey::generate();
  expect_error(check(sample_request(), &stranger), Errc::refused, "not enrolled");
  // The stranger claims to be the submitter.
  const TestRequest request = sample_request();
  const fs::path manifest = layout.inbox() / request.id() / wire::kManifestName;
  std::string text = tests::read_text(manifest);
  const std::string theirs = must(crypto::PublicKey::parse(stranger.public_key_der())).keyid();
  text.replace(text.find(theirs), theirs.size(), must(crypto::PublicKey::parse(submitter.public_key_der())).keyid());
  tests::write_text(manifest, text);
  expect_error(check_manifest(layout, configuration(), request.id()), Errc::mismatch, "signature");
}

TEST_F(Intake, RefusesAFolderThatIsNotNamedForItsManifest) {
  const TestRequest request = sample_request();
  request.write_below(layout.inbox(), submitter);
  const std::string other(64, 'b');
  fs::rename(layout.inbox() / request.id(), layout.inbox() / other);
  expect_error(check_manifest(layout, configuration(), other), Errc::mismatch, request.id());
}

TEST_F(Intake, RefusesWhatTheProfileDoesNotAllow) {
  TestRequest request = sample_request();
  request.manifest.profile = "golden";
  expect_error(check(request), Errc::not_found, "no profile \"golden\"");
  request = sample_request();
  request.manifest.os_targets = {"10_X46"};
  EXPECT_FALSE(check(request).has_value());
  request = sample_request();
  request.manifest.os_targets = {"11_Y99"};
  EXPECT_FALSE(check(request).has_value());

  std::string text(kConfigurationText);
  text.replace(text.find("\"embed\", "), 9, "");
  tests::write_text(layout.configuration(), text);
  expect_error(check(sample_request()), Errc::refused, "does not allow the operation \"embed\"");
  text = kConfigurationText;
  text.replace(text.find("[\"build-1\"]"), 11, "[\"build-2\"]");
  tests::write_text(layout.configuration(), text);
  expect_error(check(sample_request()), Errc::refused, "submitter \"build-1\" may not use profile \"release\"");
}

TEST_F(Intake, RefusesSystemsAndSizesThatTheProfileDoesNotAllow) {
  tests::write_text(layout.configuration(), std::string(kConfigurationText) + "os = [\"10_X64\"]\nrequest_mib = 1\n");
  must(check(sample_request()));
  TestRequest request = sample_request();
  request.manifest.os_targets = {"10_X64", "10_RS5_ARM64"};
  expect_error(check(request), Errc::refused, "does not allow the system 10_RS5_ARM64");
  request = sample_request();
  request.files["large.bin"] = base::Bytes(1U << 20);   // with the others it is more than a MiB
  request.describe_files();
  expect_error(check(request), Errc::refused, "the profile allows 1048576");
}

TEST_F(Intake, RefusesAManifestThatIsMissingHugeOrNoFile) {
  const std::string id(64, 'c');
  const fs::path manifest = layout.inbox() / id / wire::kManifestName;
  expect_error(check_manifest(layout, configuration(), id), Errc::not_found, "request.dsse.json");
  fs::create_directories(manifest.parent_path());
  ASSERT_EQ(mkfifo(manifest.c_str(), 0600), 0);
  expect_error(check_manifest(layout, configuration(), id), Errc::refused, "not a regular file");
  fs::remove(manifest);
  fs::create_symlink(layout.configuration(), manifest);
  expect_error(check_manifest(layout, configuration(), id), Errc::refused, "symbolic link");
  fs::remove(manifest);
  tests::write_text(manifest, "{");
  fs::resize_file(manifest, 4ULL << 30);   // sparse: refused by its size alone
  EXPECT_FALSE(check_manifest(layout, configuration(), id).has_value());
}

TEST_F(Intake, CopiesWhatTheManifestNamesAndNothingMore) {
  TestRequest request = sample_request();
  request.files["sub/folder/readme.txt"] = base::to_bytes(base::as_bytes("hello"));
  request.files["empty.bin"] = {};
  request.describe_files();
  request.write_below(layout.inbox(), submitter);
  must(copy(request));
  const fs::path part = layout.spool() / (request.id() + ".part");
  EXPECT_FALSE(fs::exists(layout.spool() / request.id()));   // its name is given after the log was written
  // Not what lies in the inbox now: that may have been changed since.
  EXPECT_EQ(tests::read_text(part / wire::kManifestName), "the manifest that was verified");
  std::size_t found = 0;
  for (const auto& entry : fs::recursive_directory_iterator(part / wire::kFilesFolder)) found += entry.is_regular_file() ? 1U : 0U;
  EXPECT_EQ(found, request.files.size());
  for (const auto& [path, bytes] : request.files) EXPECT_EQ(tests::read_file(part / wire::kFilesFolder / path), bytes) << path;
}

TEST_F(Intake, WhatAnEarlierAttemptLeftIsReplaced) {
  const TestRequest request = sample_request();
  request.write_below(layout.inbox(), submitter);
  tests::write_text(layout.spool() / (request.id() + ".part") / "files/evil.dll", "MZ");
  must(copy(request));
  EXPECT_FALSE(fs::exists(layout.spool() / (request.id() + ".part") / "files/evil.dll"));
}

TEST_F(Intake, FilesThatAreNotTheManifestsAreNotCopied) {
  const TestRequest request = sample_request();
  const base::Bytes driver = request.files.at("coldsample.sys");
  request.write_below(layout.inbox(), submitter);
  const fs::path file = inbox_file(request, "coldsample.sys");

  fs::resize_file(file, driver.size() - 1);
  expect_not_copied(request, Errc::mismatch, "coldsample.sys: " + std::to_string(driver.size() - 1) + " bytes");
  base::Bytes altered = driver;
  altered[100] ^= 1;
  tests::write_file(file, altered);
  expect_not_copied(request, Errc::mismatch, "coldsample.sys: SHA-256");
  fs::remove(file);
  expect_not_copied(request, Errc::refused, "coldsample.sys: the manifest names it, but it is missing");
  tests::write_file(file, driver);
  tests::write_text(inbox_file(request, "zz/extra.dll"), "MZ");
  expect_not_copied(request, Errc::refused, "zz/extra.dll: is there, but the manifest does not name it");
  fs::remove_all(inbox_file(request, "zz"));
  must(copy(request));   // it was all that was wrong
}

TEST_F(Intake, LinksPipesAndSocketsInTheInboxAreNotFollowed) {
  const TestRequest request = sample_request();
  const base::Bytes driver = request.files.at("coldsample.sys");
  request.write_below(layout.inbox(), submitter);
  const fs::path file = inbox_file(request, "coldsample.sys");

  // The very bytes that the manifest names, reached through a link.
  const fs::path elsewhere = folder / "elsewhere";
  tests::write_file(elsewhere / "coldsample.sys", driver);
  fs::remove(file);
  fs::create_symlink(elsewhere / "coldsample.sys", file);
  expect_not_copied(request, Errc::refused, "symbolic link");
  fs::remove(file);
  ASSERT_EQ(mkfifo(file.c_str(), 0600), 0);
  expect_not_copied(request, Errc::refused, "coldsample.sys");
  fs::remove(file);
  fs::create_directories(file);
  expect_not_copied(request, Errc::refused, "coldsample.sys");
  fs::remove(file);
  tests::write_file(file, driver);
  // The whole folder a link.
  fs::rename(layout.inbox() / request.id() / wire::kFilesFolder, folder / "files");
  fs::create_directory_symlink(folder / "files", layout.inbox() / request.id() / wire::kFilesFolder);
  expect_not_copied(request, Errc::refused, "files: a symbolic link");
  // And a folder on the way to a file; what is said of it names no path of the box.
  const fs::path place = layout.inbox() / request.id();
  fs::remove(place / wire::kFilesFolder);
  fs::create_directories(place / wire::kFilesFolder);
  fs::create_directory_symlink(elsewhere, place / wire::kFilesFolder / "sub");
  const auto copied = copy(request);
  ASSERT_FALSE(copied);
  EXPECT_EQ(copied.error().text(), "files/sub: a symbolic link, only regular files and folders are taken");
  EXPECT_TRUE(fs::is_empty(layout.spool()));
}

TEST_F(Intake, APackageWithoutItsFolderIsRefused) {
  const TestRequest request = sample_request();
  request.write_below(layout.inbox(), submitter);
  fs::remove_all(layout.inbox() / request.id() / wire::kFilesFolder);
  expect_not_copied(request, Errc::refused, "the manifest names it, but it is missing");
}

}  // namespace
}  // namespace appliance
