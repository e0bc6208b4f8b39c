// What becomes of a file that can hold a signature, a PE image or a cabinet: whether the operations of a request put one
// in, which content is signed, and how it is written. Every digest is found here, from the spooled file.
#pragma once

#include <filesystem>
#include <optional>
#include <string_view>
#include <vector>

#include "crypto/cms/signed_data.hpp"
#include "crypto/formats/cab_file.hpp"
#include "crypto/formats/pe_image.hpp"
#include "crypto/transparency/receipt.hpp"
#include "usb/files/file_source.hpp"
#include "usb/wire/request.hpp"

namespace appliance {

// How a profile wants its signatures.
struct SignatureForm {
  cms::SignedAttributes attributes;
  // for_old_windows: two signatures in every file that had none, SHA-1 and nested in it SHA-256 (dual signing).
  crypto::Sha1 sha1 = crypto::Sha1::refused;
};

struct EmbedRules {
  static EmbedRules of(const std::vector<wire::Operation>& operations, crypto::Sha1 sha1);
  bool images = false;        // that have no signature
  bool cabinets = false;      // that have no signature
  bool append = false;        // to those images and cabinets that have one
  bool page_hashes = false;   // in the signatures of images; SHA-256 only
  crypto::Sha1 sha1 = crypto::Sha1::refused;   // of files that have no signature
};

class Embedding {
 public:
  struct Found;
  // image and measurement (SHA-1, SHA-256, and with rules.page_hashes the page hashes, if they are defined): of a PE image as it was measured already; none for other files. Errc::refused
  // for an image with several signatures side by side and for what has no defined page hashes, if the rules are about
  // it; Errc::unsupported and Errc::malformed for such cabinets.
  static base::Result<Found> find(const std::filesystem::path& file, const std::optional<formats::PeImage>& image,
                                  const std::optional<formats::PeMeasurement>& measurement, const EmbedRules& rules);

  const cms::Content& content() const { return content_; }
  // Of the SHA-1 signature that the other one is nested in; none when there is to be one signature.
  const std::optional<cms::Content>& sha1_content() const { return sha1_content_; }
  bool is_cabinet() const { return cabinet_.has_value(); }
  std::string_view slot() const;   // of content() in the signing set
  transparency::OutputOperation operation() const;

  // The file with that signature. What was written is read back: Errc::mismatch, and no file, unless its digest is the one
  // that was approved. Returns the SHA-256 of the file.
  base::Result<crypto::Digest> write(const std::filesystem::path& from, base::ByteView signed_data,
                                     const std::filesystem::path& to) const;

 private:
  explicit Embedding(cms::Content content) : content_(std::move(content)) {}
  static base::Result<Found> find_cabinet(const usb::FileSource& source, const EmbedRules& rules);
  base::Result<void> expect_approved(const std::filesystem::path& written) const;

  cms::Content content_;
  std::optional<cms::Content> sha1_content_;
  std::optional<formats::PeImage> image_;   // or
  std::optional<formats::PeMeasurement> measurement_;
  std::optional<formats::CabFile> cabinet_;
  std::optional<crypto::Digest> digest_;    // SHA-256, of either
  base::Bytes first_signature_;             // that the new one is nested in; empty when it is the only one
};

struct Embedding::Found {
  bool is_signed = false;               // as it came
  std::optional<Embedding> embedding;   // none when the rules leave the file as it is
};

}  // namespace appliance
