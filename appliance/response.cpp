#include "appliance/response.hpp"

#include <fmt/format.h>

#include <string_view>

#include "crypto/base/limits.hpp"
#include "crypto/transparency/dsse.hpp"
#include "usb/files/parcel.hpp"
#include "usb/files/safe_write.hpp"
#include "usb/files/shared_folder.hpp"
#include "usb/wire/request.hpp"

namespace appliance {

using base::Result;

namespace {
std::filesystem::path part_of(const Layout& layout, const std::string& id) { return layout.outbox() / (id + ".part"); }
std::filesystem::path waiting_mark(const Layout& layout, const std::string& id) {
  return layout.outbox() / (id + std::string(usb::kWaitingSuffix));
}
}  // namespace

Result<void> mark_waiting(const Layout& layout, const std::string& id, const std::string& keyid) {
  const std::filesystem::path mark = waiting_mark(layout, id);
  if (is_there(mark)) return {};
  TRY(usb::write_file(mark, base::as_bytes(keyid)));
  return usb::give_rights_of_shared_folder(layout.outbox(), mark);   // for the courier
}

Result<std::filesystem::path> begin_response(const Layout& layout, const std::string& id) {
  discard_response(layout, id);
  const std::filesystem::path part = part_of(layout, id);
  TRY(usb::make_folders(part));
  return part;
}

Result<crypto::Digest> write_receipt(const Layout& layout, Custody& custody, const transparency::Receipt& receipt) {
  std::string statement = TRY(receipt.to_json());
  tpm::ReceiptKey* const key = TRY(custody.receipt_key());
  const transparency::Envelope envelope =
      TRY(transparency::Envelope::sign(transparency::kStatementPayloadType, std::move(statement), *key));
  const std::string text = envelope.text();
  if (text.size() > base::limits::kReceiptBytes)   // nobody would read it
    return base::fail(base::Errc::too_large, fmt::format("receipt of {} bytes, at most {}", text.size(), base::limits::kReceiptBytes));
  const std::filesystem::path part = part_of(layout, receipt.request_id);
  // For the courier, which looks into no document: who may fetch this over a serial cable. It stays on the appliance.
  if (receipt.submitter) TRY(usb::write_file(part / usb::kOwnerName, base::as_bytes(receipt.submitter->keyid)));
  return usb::write_file(part / wire::kReceiptName, base::as_bytes(text));
}

Result<void> publish_response(const Layout& layout, const std::string& id) {
  TRY(usb::give_rights_of_shared_folder(layout.outbox(), part_of(layout, id)));
  TRY(usb::rename_durably(part_of(layout, id), layout.outbox() / id, usb::IfThere::replace));
  std::error_code ignored;   // beside a response it says nothing any more
  std::filesystem::remove(waiting_mark(layout, id), ignored);
  return {};
}

void discard_response(const Layout& layout, const std::string& id) {
  std::error_code ignored;
  std::filesystem::remove_all(part_of(layout, id), ignored);
}

}  // namespace appliance
