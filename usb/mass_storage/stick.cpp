#include "usb/mass_storage/stick.hpp"

#include <algorithm>
#include <optional>
#include <system_error>

#include "crypto/base/limits.hpp"
#include "crypto/base/text.hpp"
#include "usb/wire/request.hpp"

namespace mass_storage {
namespace {

using base::Errc;
using base::Result;
using usb::Folder;
using usb::ParcelKind;
using usb::ParcelReader;
namespace fs = std::filesystem;

Result<std::vector<std::string>> ids_in(const Folder& stick, std::string_view folder) {
  const Result<Folder> opened = stick.folder(folder);
  if (!opened) {
    if (opened.error().code() == Errc::not_found) return std::vector<std::string>();
    return tl::unexpected<base::Error>(opened.error());
  }
  return opened->names(base::limits::kRequestsOnAStick, wire::is_request_id);
}

Result<Outcome> copy_unless_there(const ParcelReader& parcel, const fs::path& parent, const usb::OnProgress& progress) {
  const bool same = TRY(usb::holds_same_parcel(parcel, parent, progress));
  if (same) return Outcome::already_there;
  TRY(usb::copy_parcel(parcel, parent, usb::IfThere::replace, progress));
  return Outcome::copied;
}

}  // namespace

Result<Stick> Stick::open(const fs::path& mounted_at) {
  Folder folder = TRY(Folder::open(mounted_at));
  return Stick(mounted_at, std::move(folder));
}

Result<std::vector<std::string>> Stick::requests() const { return ids_in(folder_, wire::kRequestsFolder); }
Result<std::vector<std::string>> Stick::responses() const { return ids_in(folder_, wire::kResponsesFolder); }

Result<ParcelReader> Stick::request(const std::string& id) const {
  const Folder parent = TRY(folder_.folder(wire::kRequestsFolder));
  return ParcelReader::open(parent, id, ParcelKind::request);
}

Result<ParcelReader> Stick::response(const std::string& id) const {
  const Folder parent = TRY(folder_.folder(wire::kResponsesFolder));
  return ParcelReader::open(parent, id, ParcelKind::response);
}

// A folder of the layout, made when missing. Its path may then be written to: no part of it is a symbolic link, which
// would lead the writer off the stick.
Result<fs::path> Stick::folder_for_writing(std::string_view relative) const {
  fs::path made;
  for (const fs::path& part : fs::path(relative)) {
    made /= part;
    if (Result<Folder> there = folder_.folder(made.string()); !there) {
      if (there.error().code() != Errc::not_found) return tl::unexpected<base::Error>(there.error());
      TRY(usb::make_folders(mounted_at_ / made));
      TRY(folder_.folder(made.string()));
    }
  }
  return mounted_at_ / made;
}

Result<Outcome> Stick::take_request(const std::string& id, const fs::path& inbox, const usb::OnProgress& progress) const {
  const ParcelReader parcel = TRY(request(id));
  std::error_code error;
  if (fs::exists(fs::symlink_status(inbox / id, error))) return Outcome::already_there;
  TRY(usb::expect_room_in_inbox(inbox, parcel.bytes()));
  TRY(usb::copy_parcel(parcel, inbox, usb::IfThere::refuse, progress));
  return Outcome::copied;
}

Result<Delivered> Stick::deliver_response(const std::string& id, const fs::path& outbox, const usb::OnProgress& progress) const {
  const Folder from = TRY(Folder::open(outbox));
  const ParcelReader parcel = TRY(ParcelReader::open(from, id, ParcelKind::response));
  const fs::path to = TRY(folder_for_writing(wire::kResponsesFolder));
  const base::Bytes receipt = TRY(parcel.document());
  const Outcome outcome = TRY(copy_unless_there(parcel, to, progress));
  return Delivered{outcome, crypto::sha256(receipt)};
}

Result<Outcome> Stick::put_request(const std::string& id, base::ByteView manifest, const fs::path& package,
                                   const std::vector<std::string>& paths, const usb::OnProgress& progress) const {
  const Folder from = TRY(Folder::open(package));
  std::vector<usb::FoundFile> files;
  usb::Progress so_far{id, {}, 0, manifest.size()};
  for (const std::string& path : paths) {
    usb::FoundFile file = TRY(from.stat(path));
    so_far.total += file.size;
    files.push_back(std::move(file));
  }
  std::sort(files.begin(), files.end(), [](const usb::FoundFile& a, const usb::FoundFile& b) {
    return base::lower_ascii(a.path) < base::lower_ascii(b.path);
  });

  const fs::path to = TRY(folder_for_writing(wire::kRequestsFolder));
  if (const Result<ParcelReader> there = request(id)) {
    const Result<base::Bytes> document = there->document();
    const auto same = [](const usb::FoundFile& ours, const usb::FoundFile& theirs) {
      return theirs.path == std::string(wire::kFilesFolder) + "/" + ours.path && theirs.size == ours.size;
    };
    // The last of its files is the document.
    if (document && std::equal(document->begin(), document->end(), manifest.begin(), manifest.end()) &&
        std::equal(files.begin(), files.end(), there->files().begin(), there->files().end() - 1, same))
      return Outcome::already_there;
  }

  usb::ParcelWriter writer = TRY(usb::ParcelWriter::begin(to, id, ParcelKind::request));
  TRY(usb::expect_space(to, so_far.total));
  for (const usb::FoundFile& file : files) {
    const usb::FileSource source = TRY(from.file(file.path));
    TRY(writer.add(std::string(wire::kFilesFolder) + "/" + file.path, source, so_far, progress));
  }
  TRY(writer.add(wire::kManifestName, base::MemorySource(manifest), so_far, progress));
  TRY(writer.commit(usb::IfThere::replace));
  return Outcome::copied;
}

Result<Outcome> Stick::collect_response(const std::string& id, const fs::path& out, const usb::OnProgress& progress) const {
  const ParcelReader parcel = TRY(response(id));
  return copy_unless_there(parcel, out, progress);
}

}  // namespace mass_storage
