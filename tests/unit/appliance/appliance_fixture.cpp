#include "tests/unit/appliance/appliance_fixture.hpp"

#include "crypto/transparency/dsse.hpp"
#include "tests/support/pe_builder.hpp"

namespace appliance {

void TestRequest::describe_files() {
  manifest.files.clear();
  for (const auto& [path, bytes] : files) manifest.files.push_back({path, bytes.size(), crypto::sha256(bytes)});
}

std::filesystem::path TestRequest::write_below(const std::filesystem::path& parent, keys::SubmitterKey& key) const {
  const std::filesystem::path to = parent / id();
  for (const auto& [path, bytes] : files) tests::write_file(to / wire::kFilesFolder / path, bytes);
  const auto envelope = must(transparency::Envelope::sign(transparency::kRequestPayloadType, manifest.to_json(), key));
  tests::write_text(to / wire::kManifestName, envelope.text());
  return to;
}

SmallAppliance::SmallAppliance() {
  tests::write_text(layout.configuration(), kConfigurationText);
  tests::write_text(layout.submitters() / "build-1.pem", submitter.public_key_pem());
  for (const auto& needed : {layout.inbox(), layout.spool(), layout.outbox()}) std::filesystem::create_directories(needed);
}

TestRequest SmallAppliance::sample_request() const {
  TestRequest request;
  request.files["coldsample.exe"] = tests::build_pe(tests::program_description());
  request.files["coldsample.inf"] = tests::read_file(std::filesystem::path(COLDSEAL_TEST_DATA_DIR) / "sample/coldsample.inf");
  request.files["coldsample.sys"] = tests::build_pe(tests::driver_description());
  request.manifest.profile = "release";
  request.manifest.os_targets = {"10_X64"};
  request.manifest.operations = {wire::Operation::embed, wire::Operation::catalog};
  request.manifest.created = clock.time;
  request.manifest.nonce = {1, 2, 3};
  request.describe_files();
  return request;
}

}  // namespace appliance
