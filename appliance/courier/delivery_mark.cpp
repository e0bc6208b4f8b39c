#include "appliance/courier/delivery_mark.hpp"

#include "crypto/base/limits.hpp"
#include "crypto/base/text.hpp"
#include "crypto/digest.hpp"
#include "usb/files/parcel.hpp"
#include "usb/files/safe_write.hpp"
#include "usb/files/shared_folder.hpp"
#include "usb/wire/request.hpp"

namespace courier {

base::Result<void> mark_delivered(const Boxes& boxes, const std::string& id) {
  const base::Bytes receipt = TRY(usb::read_file(boxes.outbox / id / wire::kReceiptName, base::limits::kReceiptBytes));
  const std::filesystem::path mark = boxes.inbox / (id + std::string(usb::kDeliveredSuffix));
  TRY(usb::write_file(mark, base::as_bytes(crypto::sha256(receipt).hex())));
  return usb::give_rights_of_shared_folder(boxes.inbox, mark);   // until then coldseald finds that it may not read it, and comes again
}

}  // namespace courier
