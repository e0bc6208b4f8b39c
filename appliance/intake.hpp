// From the inbox to the spool: everything that is checked before a request is anything more than bytes somebody left
// there. What passes lies in the spool as the appliance's own copy, every file with the digest that the submitter signed.
#pragma once

#include <string>

#include "appliance/configuration.hpp"
#include "appliance/layout.hpp"
#include "crypto/base/result.hpp"
#include "usb/wire/request.hpp"

namespace appliance {

struct AcceptedRequest {
  std::string submitter;
  std::string keyid;
  wire::Request request;
  base::Bytes manifest;   // the very bytes that were verified
};

// Who signed the manifest in inbox/<id>, and what it asks for: signature, id, form, paths, limits, profile, submitter,
// operations, OS targets. Reads no package file.
base::Result<AcceptedRequest> check_manifest(const Layout& layout, const Configuration& configuration,
                                             const std::string& id);

// Copies the files of inbox/<id> to spool/<id>.part, holding names, sizes and digests against the manifest: nothing missing, nothing
// more, no link or device, no link on the way. The manifest beside them is the one that was verified: whoever may write to the inbox could
// have changed it since. Errors name the file by its path in the request. On error spool/<id>.part is removed.
base::Result<void> copy_to_spool(const Layout& layout, const std::string& id, const wire::Request& request, base::ByteView manifest);

}  // namespace appliance
