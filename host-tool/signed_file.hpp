// A file that carries signatures, of any kind that Coldseal signs: PE image, cabinet, catalog. Reads its signatures and
// writes the file anew with others, without a key. What was signed keeps its digest; that is checked in the file as it
// lies on the disk, before it gets its name. Says nothing about trust.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "crypto/base/byte_sink.hpp"
#include "crypto/cms/signed_data.hpp"
#include "crypto/formats/cab_file.hpp"
#include "crypto/formats/pe_image.hpp"
#include "usb/files/file_source.hpp"

namespace host_tool {

class SignedFile {
 public:
  // Errc::unsupported for a file of another kind; else the errors of PeImage, CabFile and SignedData.
  static base::Result<SignedFile> open(const std::filesystem::path& file);
  // The same for a source that the caller keeps for as long as this lives; replace() is not for it.
  static base::Result<SignedFile> of(const base::ByteSource& source, const std::filesystem::path& name);
  // Whether open() would take it for one of the three, by its first bytes. Only Errc::io fails.
  static base::Result<bool> is_of_a_known_kind(const base::ByteSource& source);

  enum class Kind : std::uint8_t { pe, cabinet, catalog };
  Kind kind() const { return kind_; }
  // Complete ContentInfos: of an EFI image one for each PKCS#7 entry of its table, else at most one.
  const std::vector<base::Bytes>& signatures() const { return signatures_; }
  // The first one; Errc::not_found for an unsigned file.
  base::Result<const base::Bytes*> first_signature() const;
  // What else a table holds (type of entry, bytes); it cannot be written again.
  struct OtherEntry {
    std::uint16_t type = 0;
    std::size_t bytes = 0;
  };
  const std::vector<OtherEntry>& other_entries() const { return other_entries_; }
  // Errc::mismatch unless that SignedData is over this file: its digest, or the catalog's very content.
  base::Result<void> expect_signature_for(base::ByteView signed_data_der) const;

  // The file with those signatures in place of its own; none makes it unsigned. Errc::refused when the file cannot hold so
  // many, or other_entries() would be lost.
  // Returns the SHA-256 of what is signed, as signed_digest().
  base::Result<crypto::Digest> write_with(const std::vector<base::Bytes>& signatures, base::ByteSink& out) const;
  // The same into a file: written beside, read back, compared with this one in all but signatures, then renamed. The
  // file that was there keeps its permissions. A failure leaves everything as it was.
  base::Result<void> replace(const std::filesystem::path& out, const std::vector<base::Bytes>& signatures) const;
  // As the appliance left it: no timestamps in any signature. Errors of write_with().
  base::Result<crypto::Digest> digest_without_timestamps() const;

 private:
  SignedFile(const base::ByteSource& source, std::filesystem::path path) : source_(&source), path_(std::move(path)) {}
  base::Result<void> read_signatures();
  base::Result<crypto::Digest> signed_digest(crypto::DigestAlgorithm algorithm) const;

  std::unique_ptr<usb::FileSource> own_source_;
  const base::ByteSource* source_;
  std::filesystem::path path_;
  Kind kind_{};
  std::optional<formats::PeImage> image_;
  std::optional<formats::CabFile> cabinet_;
  std::optional<cms::SignedData> catalog_;
  std::vector<base::Bytes> signatures_;
  std::vector<OtherEntry> other_entries_;
};

}  // namespace host_tool
