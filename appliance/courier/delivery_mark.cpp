#include "appliance/courier/delivery_mark.hpp"

#include "crypto/base/limits.hpp"
#include "crypto/base/text.hpp"
#include "crypto/digest.hpp"
#include "usb/files/parcel.hpp"
#include "usb/files/safe_write.hpp"
#include "usb/wire/request.hpp"

namespace courier {

base::Result<void> mark_delivered(const Boxes& boxes, const std::string& id) {
  const base::Bytes receipt = TRY(usb::read_file(boxes.outbox / id / wire::kReceiptName, base::limits::kReceiptBytes));
  TRY(usb::write_file(boxes.inbox / (id + std::string(usb::kDeliveredSuffix)), base::as_bytes(crypto::sha256(receipt).hex())));
  return {};
}

}  // namespace courier
