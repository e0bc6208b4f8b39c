// Answers on their way out: a folder in the outbox with the receipt, signed by the appliance, and the files. It appears by
// one rename, complete.
#pragma once

#include <filesystem>
#include <string>

#include "appliance/custody.hpp"
#include "appliance/layout.hpp"
#include "crypto/base/result.hpp"
#include "crypto/transparency/receipt.hpp"

namespace appliance {

// Tells the courier whose request coldseald has, so that its submitter can be shown that it waits (usb::kWaitingSuffix).
base::Result<void> mark_waiting(const Layout& layout, const std::string& id, const std::string& keyid);
// outbox/<id>.part, empty: what is put into it is not seen until publish().
base::Result<std::filesystem::path> begin_response(const Layout& layout, const std::string& id);
// Signs the receipt with the TPM's receipt key and writes it beside the files. Returns its SHA-256, for the audit log.
base::Result<crypto::Digest> write_receipt(const Layout& layout, Custody& custody, const transparency::Receipt& receipt);
// Renames outbox/<id>.part to outbox/<id>; an earlier answer (a refusal) is replaced. The request waits no longer.
base::Result<void> publish_response(const Layout& layout, const std::string& id);
void discard_response(const Layout& layout, const std::string& id);

}  // namespace appliance
