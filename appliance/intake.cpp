#include "appliance/intake.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "crypto/base/limits.hpp"
#include "crypto/package/os_targets.hpp"
#include "crypto/transparency/dsse.hpp"
#include "usb/files/file_source.hpp"
#include "usb/files/safe_write.hpp"
#include "usb/files/tree_walk.hpp"

namespace appliance {

using base::Errc;
using base::fail;
using base::Result;

namespace {

Result<void> expect_allowed(const Profile& profile, const std::string& submitter, const wire::Request& request) {
  if (std::find(profile.submitters.begin(), profile.submitters.end(), submitter) == profile.submitters.end())
    return fail(Errc::refused, fmt::format("submitter \"{}\" may not use profile \"{}\"", submitter, profile.name));
  for (const wire::Operation operation : request.operations)
    if (std::find(profile.operations.begin(), profile.operations.end(), operation) == profile.operations.end())
      return fail(Errc::refused, fmt::format("profile \"{}\" does not allow the operation \"{}\"", profile.name,
                                             wire::operation_name(operation)));
  TRY(package::os_targets_from_names(request.os_targets));
  return profile.rules.expect_request(request);
}

// The inbox holds exactly the manifest's files.
Result<void> expect_same_files(const std::filesystem::path& folder, const wire::Request& request) {
  std::vector<usb::FoundFile> found;
  if (is_there(folder)) found = TRY(usb::files_below(folder));
  std::set<std::string> present;
  for (const usb::FoundFile& file : found) present.insert(file.path);
  for (const wire::FileEntry& entry : request.files)
    if (present.erase(entry.path) == 0)
      return fail(Errc::refused, fmt::format("{}: the manifest names it, but it is missing", entry.path));
  if (!present.empty())
    return fail(Errc::refused, fmt::format("{}: is there, but the manifest does not name it", base::printable(*present.begin())));
  return {};
}

Result<void> copy_file(const std::filesystem::path& from, const std::filesystem::path& to, const wire::FileEntry& entry) {
  const usb::FileSource source = TRY(usb::FileSource::open(from / entry.path));
  if (source.size() != entry.size)
    return fail(Errc::mismatch, fmt::format("{}: {} bytes, the manifest says {}", entry.path, source.size(), entry.size));
  const std::filesystem::path target = to / entry.path;
  TRY(usb::make_folders(target.parent_path()));
  const crypto::Digest copied = TRY(base::within(entry.path, usb::copy_file(source, target)));
  if (copied != entry.sha256)
    return fail(Errc::mismatch, fmt::format("{}: SHA-256 {}, the manifest says {}", entry.path, copied.hex(), entry.sha256.hex()));
  return {};
}

Result<void> copy_all(const std::filesystem::path& from, const std::filesystem::path& to, const wire::Request& request) {
  TRY(usb::make_folders(to / wire::kFilesFolder));
  TRY(expect_same_files(from / wire::kFilesFolder, request));
  for (const wire::FileEntry& entry : request.files)
    TRY(copy_file(from / wire::kFilesFolder, to / wire::kFilesFolder, entry));
  const usb::FileSource manifest = TRY(usb::FileSource::open(from / wire::kManifestName));
  TRY(usb::copy_file(manifest, to / wire::kManifestName));
  return {};
}

}  // namespace

Result<AcceptedRequest> check_manifest(const Layout& layout, const Configuration& configuration, const std::string& id) {
  const std::filesystem::path file = layout.inbox() / id / wire::kManifestName;
  const base::Bytes text = TRY(base::within(wire::kManifestName, usb::read_file(file, base::limits::kManifestBytes)));
  const transparency::Envelope envelope = TRY(base::within(
      wire::kManifestName, transparency::Envelope::parse(base::as_text(text), base::limits::kManifestBytes)));
  const Submitter* const submitter = TRY(configuration.submitter_of_key(envelope.claimed_keyid()));
  const std::string_view json = TRY(base::within(
      wire::kManifestName, envelope.verify(submitter->key, transparency::kRequestPayloadType)));
  if (envelope.payload_digest().hex() != id)
    return fail(Errc::mismatch, fmt::format("the folder's name is not the manifest's id {}", envelope.payload_digest().hex()));
  wire::Request request = TRY(base::within(wire::kManifestName, wire::Request::from_json(json)));
  const Profile* const profile = TRY(configuration.profile(request.profile));
  TRY(expect_allowed(*profile, submitter->name, request));
  return AcceptedRequest{submitter->name, submitter->key.keyid(), std::move(request)};
}

Result<void> copy_to_spool(const Layout& layout, const std::string& id, const wire::Request& request) {
  const std::filesystem::path part = layout.spool() / (id + ".part");
  std::error_code ignored;
  std::filesystem::remove_all(part, ignored);
  Result<void> copied = copy_all(layout.inbox() / id, part, request);
  if (!copied) std::filesystem::remove_all(part, ignored);
  return copied;
}

}  // namespace appliance
