// Whether a receipt is an appliance's we trust, and whether files on this disk are the ones it speaks of.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "crypto/package/inspection.hpp"
#include "crypto/transparency/receipt.hpp"
#include "crypto/verify_signature.hpp"
#include "host-tool/package_folder.hpp"
#include "host-tool/package_verdict.hpp"

namespace host_tool {

struct ReceiptVerdict {
  std::optional<transparency::Receipt> receipt;   // only when its signature is good
  std::vector<package::Finding> findings;
};

// Reads nothing out of the receipt before its signature has been verified by one of `keys`.
ReceiptVerdict check_receipt(std::string_view envelope_text, const std::vector<crypto::PublicKey>& keys);

// Appends what does not fit: outputs missing, changed or extra in the folder, or signed with another certificate.
base::Result<void> compare_outputs(const transparency::Receipt& receipt, const PackageFolder& folder,
                                   const PackageVerdict& verdict, std::vector<package::Finding>& findings);

}  // namespace host_tool
