#include "appliance/spooled_request.hpp"

#include <fmt/format.h>

#include "crypto/base/limits.hpp"
#include "crypto/digest.hpp"
#include "crypto/transparency/dsse.hpp"
#include "crypto/transparency/kept_inspection.hpp"
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

Result<std::string> save_inspection(const Layout& layout, base::ByteView answer) {
  std::string digest = crypto::sha256(answer).hex();
  const std::filesystem::path place = layout.inspections() / transparency::kept_inspection_path(digest);
  if (const auto there = usb::read_file(place, base::limits::kInspectionBytes); there && crypto::sha256(*there).hex() == digest) return digest;
  TRY(usb::make_folders(place.parent_path()));
  TRY(usb::write_file(place, answer));
  return digest;
}

Result<package::Inspection> load_inspection(const Layout& layout, const std::string& digest) {
  const base::Bytes answer =
      TRY(usb::read_file(layout.inspections() / transparency::kept_inspection_path(digest), base::limits::kInspectionBytes));
  if (crypto::sha256(answer).hex() != digest)
    return fail(Errc::mismatch, fmt::format("the kept inspection {} is not the one that the audit log names", digest));
  return package::decode_inspection(answer);
}

}  // namespace appliance
