#include "appliance/intake.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>

#include "crypto/base/limits.hpp"
#include "crypto/package/os_targets.hpp"
#include "crypto/transparency/dsse.hpp"
#include "usb/files/file_source.hpp"
#include "usb/files/folder.hpp"
#include "usb/files/safe_write.hpp"

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

// The inbox holds exactly the manifest's files. `files` is absent when there is no folder for them.
Result<void> expect_same_files(const std::optional<usb::Folder>& files, const wire::Request& request) {
  std::vector<usb::FoundFile> found;
  if (files) found = TRY(files->files(base::limits::kPackageFiles, base::limits::kPackageBytes));
  std::set<std::string> present;
  for (const usb::FoundFile& file : found) present.insert(file.path);
  for (const wire::FileEntry& entry : request.files)
    if (present.erase(entry.path) == 0)
      return fail(Errc::refused, fmt::format("{}: the manifest names it, but it is missing", entry.path));
  if (!present.empty())
    return fail(Errc::refused, fmt::format("{}: is there, but the manifest does not name it", base::printable(*present.begin())));
  return {};
}

Result<void> copy_file(const usb::Folder& from, const std::filesystem::path& to, const wire::FileEntry& entry) {
  const usb::FileSource source = TRY(from.file(entry.path));
  if (source.size() != entry.size)
    return fail(Errc::mismatch, fmt::format("{}: {} bytes, the manifest says {}", entry.path, source.size(), entry.size));
  const std::filesystem::path target = to / entry.path;
  TRY(usb::make_folders(target.parent_path()));
  const crypto::Digest copied = TRY(base::within(entry.path, usb::copy_file(source, target)));
  if (copied != entry.sha256)
    return fail(Errc::mismatch, fmt::format("{}: SHA-256 {}, the manifest says {}", entry.path, copied.hex(), entry.sha256.hex()));
  return {};
}

// What another may write to is opened once, and nothing in it is reached by a path from outside.
Result<usb::Folder> request_folder(const Layout& layout, const std::string& id) { return usb::Folder::open(layout.inbox() / id, ""); }

Result<void> copy_all(const usb::Folder& from, const std::filesystem::path& to, const wire::Request& request, base::ByteView manifest) {
  TRY(usb::make_folders(to / wire::kFilesFolder));
  std::optional<usb::Folder> files;
  if (Result<usb::Folder> opened = from.folder(wire::kFilesFolder))
    files = std::move(*opened);
  else if (opened.error().code() != Errc::not_found)
    return tl::unexpected<base::Error>(opened.error());
  TRY(expect_same_files(files, request));
  for (const wire::FileEntry& entry : request.files) TRY(copy_file(*files, to / wire::kFilesFolder, entry));
  TRY(usb::write_file(to / wire::kManifestName, manifest));
  return {};
}

}  // namespace

Result<AcceptedRequest> check_manifest(const Layout& layout, const Configuration& configuration, const std::string& id) {
  const usb::Folder folder = TRY(base::within(wire::kManifestName, request_folder(layout, id)));
  base::Bytes text = TRY(folder.read(wire::kManifestName, base::limits::kManifestBytes));
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
  return AcceptedRequest{submitter->name, submitter->key.keyid(), std::move(request), std::move(text)};
}

Result<void> copy_to_spool(const Layout& layout, const std::string& id, const wire::Request& request, base::ByteView manifest) {
  const usb::Folder folder = TRY(request_folder(layout, id));
  const std::filesystem::path part = layout.spool() / (id + ".part");
  std::error_code ignored;
  std::filesystem::remove_all(part, ignored);
  Result<void> copied = copy_all(folder, part, request, manifest);
  if (!copied) std::filesystem::remove_all(part, ignored);
  return copied;
}

}  // namespace appliance
