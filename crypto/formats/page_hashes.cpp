#include "crypto/formats/page_hashes.hpp"

#include <algorithm>

#include "crypto/base/byte_writer.hpp"

namespace formats {

using crypto::Digest;
using crypto::DigestAlgorithm;

DigestAlgorithm page_hash_algorithm(PageHashVersion version) {
  return version == PageHashVersion::v1 ? DigestAlgorithm::sha1 : DigestAlgorithm::sha256;
}

PageHasher::PageHasher(const PageLayout& layout, PageHashVersion version) : layout_(layout), version_(version) {
  base::require(!layout_.sections.empty() && layout_.size_of_headers <= layout_.page_size &&
                    layout_.size_of_headers >= layout_.left_out_of_headers,
                "page hashes of an image that has none");
  entry_size_ = 4 + crypto::digest_size(page_hash_algorithm(version));
  regions_.push_back({layout_.size_of_headers - layout_.left_out_of_headers, 0, 0});
  std::size_t entry = 1;
  for (const PageLayout::Section& section : layout_.sections) {
    regions_.push_back({section.size, section.offset, entry});
    entry += static_cast<std::size_t>((section.size + layout_.page_size - 1) / layout_.page_size);
  }
  table_.reserve((entry + 1) * entry_size_ + 16U * 1024);   // and what is put around it in a signature
  table_.resize((entry + 1) * entry_size_);
  const PageLayout::Section& last = layout_.sections.back();
  base::ByteWriter end;
  end.u32le(static_cast<std::uint32_t>(last.offset + last.size));
  std::copy(end.bytes().begin(), end.bytes().end(), table_.end() - static_cast<std::ptrdiff_t>(entry_size_));
  // Tiled sections leave nothing between them: in file order the stream is just one region after the other.
  std::sort(regions_.begin(), regions_.end(), [](const Region& a, const Region& b) { return a.offset < b.offset; });
}

void PageHasher::put(std::size_t entry, std::uint64_t offset, const Digest& digest) {
  auto at = table_.begin() + static_cast<std::ptrdiff_t>(entry * entry_size_);
  for (unsigned shift = 0; shift < 32; shift += 8) *at++ = static_cast<std::uint8_t>(offset >> shift);
  std::ranges::copy(digest.bytes(), at);
}

// A page of which the file has only a part is filled with zeros, as it is in memory.
void PageHasher::end_page(const Region& region) {
  const std::uint64_t page = layout_.page_size;
  const std::uint64_t index = (done_ - 1) / page;
  partial_.resize(static_cast<std::size_t>(region.entry == 0 ? page - layout_.left_out_of_headers : page));
  put(region.entry + static_cast<std::size_t>(index), region.offset + index * page,
      crypto::digest_of(page_hash_algorithm(version_), partial_));
  partial_.clear();
}

void PageHasher::update(ByteView piece, crypto::Hasher* whole) {
  const auto page = static_cast<std::size_t>(layout_.page_size);
  while (!piece.empty() && region_ < regions_.size()) {
    const Region& region = regions_[region_];
    const std::uint64_t left = region.size - done_;
    const bool is_headers = region.entry == 0;
    const bool is_aligned = !is_headers && partial_.empty() && version_ == PageHashVersion::v2;
    if (is_aligned && whole != nullptr && left >= page && piece.size() >= page) {
      put(region.entry + static_cast<std::size_t>(done_ / page), region.offset + done_, whole->update_beside(piece.first(page)));
      done_ += page;
      piece = piece.subspan(page);
    } else if (is_aligned && whole == nullptr && left >= 2 * page && piece.size() >= 2 * page) {
      const auto digests = crypto::sha256_of_two(piece.first(page), piece.subspan(page, page));
      const std::uint64_t index = done_ / page;
      put(region.entry + static_cast<std::size_t>(index), region.offset + done_, digests[0]);
      put(region.entry + static_cast<std::size_t>(index) + 1, region.offset + done_ + page, digests[1]);
      done_ += 2 * page;
      piece = piece.subspan(2 * page);
    } else {
      const std::size_t count =
          static_cast<std::size_t>(std::min<std::uint64_t>({left, piece.size(), page - partial_.size()}));
      base::append(partial_, piece.first(count));
      if (whole != nullptr) whole->update(piece.first(count));
      piece = piece.subspan(count);
      done_ += count;
      if (partial_.size() == page || done_ == region.size) end_page(region);
    }
    if (done_ == region.size) {
      ++region_;
      done_ = 0;
    }
  }
  if (whole != nullptr) whole->update(piece);   // behind the last section
}

Bytes PageHasher::finish() && {
  base::require(region_ == regions_.size(), "page hashes of half an image");
  return std::move(table_);
}

}  // namespace formats
