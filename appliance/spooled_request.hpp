// A request in the spool: the appliance's own copy, which is what is inspected, shown and signed.
//   spool/<id>/  request.dsse.json  files/...
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

// The inspector's answer, kept for ever under its own SHA-256 beside the audit log, whose lines name it: so a restart need not
// inspect again, and auditors see what officers saw. load: Errc::mismatch when it is not the one of that digest any more.
base::Result<std::string> save_inspection(const Layout& layout, base::ByteView answer);   // its digest, hex
base::Result<package::Inspection> load_inspection(const Layout& layout, const std::string& digest);

}  // namespace appliance
