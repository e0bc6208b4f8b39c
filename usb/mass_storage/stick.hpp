// A USB stick with the exchange layout (docs/exchange-format.md), seen as the folder where it is mounted. Mounting,
// device watching and write protection are not done here: a folder that vanishes is a pulled stick (Errc::not_found,
// Errc::io). Both sides of the gap use this class; an ordinary folder with the same layout serves as well.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "crypto/base/bytes.hpp"
#include "crypto/base/result.hpp"
#include "crypto/digest.hpp"
#include "usb/files/folder.hpp"
#include "usb/files/parcel.hpp"

namespace mass_storage {

enum class Outcome : std::uint8_t {
  copied,
  already_there,   // the same one; nothing was written
};

struct Delivered {
  Outcome outcome{};
  crypto::Digest receipt;   // SHA-256 of the one that is on the stick now
};

class Stick {
 public:
  // Errc::not_found when there is no such folder.
  static base::Result<Stick> open(const std::filesystem::path& mounted_at);

  // Ids on the stick, sorted; other names are ignored; at most limits::kRequestsOnAStick. Empty when the layout is missing.
  base::Result<std::vector<std::string>> requests() const;
  base::Result<std::vector<std::string>> responses() const;
  base::Result<usb::ParcelReader> request(const std::string& id) const;
  base::Result<usb::ParcelReader> response(const std::string& id) const;

  // On the appliance. take_request() copies requests/<id> to inbox/<id>; nothing is done when the inbox has it.
  base::Result<Outcome> take_request(const std::string& id, const std::filesystem::path& inbox,
                                     const usb::OnProgress& progress = {}) const;
  // Copies outbox/<id> to responses/<id>, replacing an older answer and one that is not the same byte by byte. Errc::no_space
  // when the stick is full: then nothing of it is on the stick, and the outbox is as it was.
  base::Result<Delivered> deliver_response(const std::string& id, const std::filesystem::path& outbox,
                                           const usb::OnProgress& progress = {}) const;

  // On the host. Writes requests/<id> from its manifest and the files of a package: `paths` are relative to `package`
  // (which may be anywhere) and become files/<path>.
  base::Result<Outcome> put_request(const std::string& id, base::ByteView manifest,
                                    const std::filesystem::path& package, const std::vector<std::string>& paths,
                                    const usb::OnProgress& progress = {}) const;
  // Copies responses/<id> to out/<id>; an older answer there is replaced.
  base::Result<Outcome> collect_response(const std::string& id, const std::filesystem::path& out,
                                         const usb::OnProgress& progress = {}) const;

 private:
  Stick(std::filesystem::path mounted_at, usb::Folder folder)
      : mounted_at_(std::move(mounted_at)), folder_(std::move(folder)) {}
  base::Result<std::filesystem::path> folder_for_writing(std::string_view relative) const;
  std::filesystem::path mounted_at_;
  usb::Folder folder_;
};

}  // namespace mass_storage
