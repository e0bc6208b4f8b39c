// What a receipt may hold, found before anybody is asked to sign: however much was found in a package, what is said of it fits into
// the receipt, so that no request is signed whose answer could not be written. Does not sign and does not touch the disk.
#pragma once

#include <vector>

#include "crypto/base/result.hpp"
#include "crypto/package/inspection.hpp"
#include "crypto/transparency/receipt.hpp"
#include "crypto/verify_signature.hpp"

namespace appliance {

// All of them, in their order. When they are more than a receipt holds (limits::kFindings, and its share of limits::kReceiptBytes) the worst
// come first, and the last one, inspection.findings-left-out, says how many are missing and is as severe as the worst of these. Text that
// is too long or does not show is cut or escaped.
std::vector<transparency::ShownFinding> findings_for_receipt(const std::vector<package::Finding>& findings);

// Errc::too_large, worded for the submitter, when a receipt like this one would be larger than limits::kReceiptBytes; any other error is
// what Receipt::to_json() says of it. `draft` is one of a signed request; what only signing gives (digests, approvals, the line of the
// log) may be anything of the right form, and the log is left out. stand_in: any public key, in place of the receipt key.
base::Result<void> expect_writable(transparency::Receipt draft, const crypto::PublicKey& stand_in);

}  // namespace appliance
