// What the tests of this folder share: a clock that stands still, expectations on results, and a small appliance in a
// temporary folder with one submitter, one profile and no TPM.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>

#include "appliance/clock.hpp"
#include "appliance/configuration.hpp"
#include "appliance/layout.hpp"
#include "crypto/keys/submitter_key.hpp"
#include "tests/support/results.hpp"
#include "tests/support/temp_dir.hpp"
#include "usb/wire/request.hpp"

namespace appliance {

using tests::expect_error;
using tests::must;

class StillClock final : public Clock {
 public:
  base::Time now() const override { return time; }
  std::chrono::steady_clock::time_point steady() const override { return steady_time; }
  base::Time time = must(base::time_from_rfc3339("2026-11-23T16:20:00Z"));
  std::chrono::steady_clock::time_point steady_time{};
};

inline constexpr std::string_view kConfigurationText = R"([appliance]
name = "vault-1"
tpm = "swtpm:path=/nowhere"
mode = "development"

[[profile]]
name = "release"
key_class = "release"
operations = ["embed", "catalog"]
submitters = ["build-1"]
)";

// A request as a submitter makes it: files, manifest, signature. Change what should be wrong, then put it somewhere.
struct TestRequest {
  std::map<std::string, base::Bytes> files;   // what lies there; the manifest is made from it by describe_files()
  wire::Request manifest;

  void describe_files();
  std::string id() const { return manifest.id(); }
  // Writes parent/<id>; its path.
  std::filesystem::path write_below(const std::filesystem::path& parent, keys::SubmitterKey& key) const;
};

class SmallAppliance : public testing::Test {
 protected:
  SmallAppliance();
  // The sample package: coldsample.inf, .sys, .exe; both operations, for 10_X64.
  TestRequest sample_request() const;
  Configuration configuration() const { return must(Configuration::load(layout)); }

  tests::TempDir folder;
  Layout layout{folder.path()};
  StillClock clock;
  keys::SubmitterKey submitter = keys::SubmitterKey::generate();
};

}  // namespace appliance
