// Requests as nobody's host tool would make them: any payload, any key, any files, for the tests of what is refused.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "tests/support/appliance_rig.hpp"

namespace tests {

class ForgedRequest {
 public:
  // Starts as a good request for the package, whatever the package is, made by the host tool and signed by the rig's submitter.
  ForgedRequest(const ApplianceRig& rig, const std::filesystem::path& package, const std::filesystem::path& folder);

  const std::string& id() const { return id_; }
  std::filesystem::path path() const { return folder_ / "coldseal/requests" / id_; }
  std::filesystem::path files() const { return path() / "files"; }
  std::filesystem::path manifest() const { return path() / "request.dsse.json"; }
  const std::string& payload() const { return payload_; }   // the manifest's JSON

  // Signs another payload (with the submitter's key unless one is given) and renames the folder to its id.
  void sign_payload(const std::string& payload, const std::filesystem::path& key = {},
                    std::string_view payload_type = "application/vnd.coldseal.request.v1+json");
  // The payload with the first `what` replaced; it must be there.
  std::string payload_with(std::string_view what, std::string_view by) const;
  // Puts it where the courier would: complete, by one rename.
  void into_inbox() const;

 private:
  const ApplianceRig* rig_;
  std::filesystem::path folder_;
  std::string id_;
  std::string payload_;
};

}  // namespace tests
