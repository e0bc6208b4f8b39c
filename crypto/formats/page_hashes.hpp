// Page hashes of a PE image (SignTool's /ph): a table of one digest for each memory page, with which Windows checks a
// driver page by page. Fed in the pass that digests the image. Reading and writing the SpcSerializedObject that carries
// a table in a signature is authenticode.hpp's.
// Table: for each page its file offset (32-bit little-endian) and its digest, then the end of the last section with a
// digest of zeros. Pages are the processor's, never SectionAlignment; sections are in the order of the section table.
// Source: a genuine MakeCat table, equal byte for byte (docs/verification.md); no specification is published.
#pragma once

#include <cstdint>
#include <vector>

#include "crypto/base/bytes.hpp"
#include "crypto/base/result.hpp"
#include "crypto/digest.hpp"

namespace formats {

using base::Bytes;
using base::ByteView;
using base::Result;

enum class PageHashVersion : std::uint8_t { v1, v2 };   // SHA-1 (read only), SHA-256
crypto::DigestAlgorithm page_hash_algorithm(PageHashVersion version);

// What of an image is divided into pages, as its headers say; see PeImage::page_layout().
struct PageLayout {
  struct Section {
    std::uint64_t offset = 0;   // of the raw data in the file
    std::uint64_t size = 0;     // of the raw data, not 0
  };
  std::uint64_t page_size = 4096;
  std::uint64_t size_of_headers = 0;
  std::uint64_t left_out_of_headers = 12;   // CheckSum and certificate directory entry
  std::vector<Section> sections;            // in the order of the section table, no two overlap
};

class PageHasher {  // one table in the making
 public:
  PageHasher(const PageLayout& layout, PageHashVersion version);
  // The image in file order without CheckSum and certificate directory entry, in pieces of any size. `whole`: a digest that
  // takes the same bytes, which is done on the way: two digests at once take hardly longer than one.
  void update(ByteView piece, crypto::Hasher* whole = nullptr);
  // The table; the whole image must have been given.
  Bytes finish() &&;

 private:
  struct Region {        // of the stream, in its order
    std::uint64_t size;  // bytes in the stream
    std::uint64_t offset;  // in the file
    std::size_t entry;     // of its first page in the table
  };
  void put(std::size_t entry, std::uint64_t offset, const crypto::Digest& digest);
  void end_page(const Region& region);

  PageLayout layout_;
  PageHashVersion version_;
  std::vector<Region> regions_;
  std::size_t region_ = 0;
  std::uint64_t done_ = 0;   // bytes of the region seen
  Bytes partial_;            // of a page whose rest is in the next piece
  std::size_t entry_size_ = 0;
  Bytes table_;
};

}  // namespace formats
