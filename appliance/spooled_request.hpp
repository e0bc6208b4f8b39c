// A request in the spool: the appliance's own copy, which is what is inspected, shown and signed.
//   spool/<id>/  request.dsse.json  files/...  inspection
#pragma once

#include <filesystem>
#include <string>

#include "appliance/configuration.hpp"
#include "appliance/layout.hpp"
#include "crypto/base/result.hpp"
#include "crypto/package/inspection.hpp"
#include "usb/wire/request.hpp"

namespace appliance {

struct SpooledRequest {
  // The manifest is verified again: Errc::refused when its submitter is not enrolled any more, Errc::mismatch when it is
  // not the one that was received.
  static base::Result<SpooledRequest> load(const Layout& layout, const Configuration& configuration,
                                           const std::string& id);
  std::filesystem::path file(const std::string& path) const { return folder / wire::kFilesFolder / path; }

  std::string id;
  std::filesystem::path folder;
  wire::Request request;
};

// The inspector's answer, kept so that a restart need not inspect again. load: Errc::mismatch when it is not the one whose
// digest the audit log holds.
base::Result<std::string> save_inspection(const SpooledRequest& spooled, base::ByteView answer);   // its digest, hex
base::Result<package::Inspection> load_inspection(const SpooledRequest& spooled, const std::string& digest);

}  // namespace appliance
