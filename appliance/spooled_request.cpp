#include "appliance/spooled_request.hpp"

#include <fmt/format.h>

#include "crypto/base/limits.hpp"
#include "crypto/digest.hpp"
#include "crypto/transparency/dsse.hpp"
#include "usb/files/safe_write.hpp"

namespace appliance {

using base::Errc;
using base::fail;
using base::Result;

Result<SpooledRequest> SpooledRequest::load(const Layout& layout, const Configuration& configuration,
                                            const std::string& id) {
  const std::filesystem::path folder = layout.spool() / id;
  const base::Bytes text = TRY(usb::read_file(folder / wire::kManifestName, base::limits::kManifestBytes));
  const transparency::Envelope envelope =
      TRY(transparency::Envelope::parse(base::as_text(text), base::limits::kManifestBytes));
  if (envelope.payload_digest().hex() != id)
    return fail(Errc::mismatch, fmt::format("spool/{}: the manifest is not the one that was received", id));
  const Submitter* const submitter = TRY(configuration.submitter_of_key(envelope.claimed_keyid()));
  const std::string_view json = TRY(envelope.verify(submitter->key, transparency::kRequestPayloadType));
  wire::Request request = TRY(wire::Request::from_json(json));
  return SpooledRequest{id, folder, std::move(request)};
}

Result<std::string> save_inspection(const SpooledRequest& spooled, base::ByteView answer) {
  TRY(usb::write_file(spooled.folder / "inspection", answer));
  return crypto::sha256(answer).hex();
}

Result<package::Inspection> load_inspection(const SpooledRequest& spooled, const std::string& digest) {
  const base::Bytes answer = TRY(usb::read_file(spooled.folder / "inspection", base::limits::kInspectionBytes));
  if (crypto::sha256(answer).hex() != digest)
    return fail(Errc::mismatch, fmt::format("spool/{}: the inspection is not the one in the audit log", spooled.id));
  return package::decode_inspection(answer);
}

}  // namespace appliance
