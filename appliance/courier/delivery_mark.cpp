#include "appliance/courier/delivery_mark.hpp"

#include "crypto/base/text.hpp"
#include "usb/files/parcel.hpp"
#include "usb/files/safe_write.hpp"
#include "usb/files/shared_folder.hpp"

namespace courier {

base::Result<void> mark_delivered(const Boxes& boxes, const std::string& id, const crypto::Digest& receipt) {
  const std::filesystem::path mark = boxes.inbox / (id + std::string(usb::kDeliveredSuffix));
  // coldseald takes away what it finds under the final name: it must be able to read it by then.
  std::filesystem::path beside = mark;
  beside += ".new";
  TRY(usb::write_file(beside, base::as_bytes(receipt.hex())));
  TRY(usb::give_rights_of_shared_folder(boxes.inbox, beside));
  return usb::rename_durably(beside, mark, usb::IfThere::replace);
}

}  // namespace courier
