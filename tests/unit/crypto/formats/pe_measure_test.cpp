#include <gtest/gtest.h>

#include "crypto/formats/pe_image.hpp"
#include "tests/support/pe_builder.hpp"
#include "tests/support/signing_fixture.hpp"

namespace {

using base::Bytes;
using base::MemorySource;
using crypto::DigestAlgorithm;
using formats::PeImage;

// Counts what is read of it.
class CountingSource final : public base::ByteSource {
 public:
  explicit CountingSource(base::ByteView bytes) : bytes_(bytes) {}
  std::uint64_t size() const override { return bytes_.size(); }
  base::Result<void> read_at(std::uint64_t offset, std::span<std::uint8_t> out) const override {
    bytes_read += out.size();
    return bytes_.read_at(offset, out);
  }
  mutable std::uint64_t bytes_read = 0;

 private:
  MemorySource bytes_;
};

TEST(PeMeasure, FindsEveryDigestOfAFileInOneReadOfIt) {
  for (const std::size_t size : {std::size_t{64} << 10, std::size_t{6} << 20}) {   // the larger one is worth a second thread
    tests::Vendor vendor(tests::Vendor::Kind::rsa3072);
    for (const Bytes& file : {tests::driver_of_size(size), vendor.sign_pe(tests::driver_of_size(size))}) {
      const CountingSource source(file);
      const auto image = PeImage::parse(source);
      ASSERT_TRUE(image.has_value());
      source.bytes_read = 0;
      constexpr DigestAlgorithm kBoth[] = {DigestAlgorithm::sha1, DigestAlgorithm::sha256};
      const auto measured =
          image->measure(source, formats::PeMeasuring{.algorithms = kBoth, .page_hashes_v2 = true, .flat = true});
      ASSERT_TRUE(measured.has_value());
      EXPECT_EQ(source.bytes_read, file.size());
      EXPECT_EQ(measured->flat(), crypto::sha256(file));
      for (const DigestAlgorithm algorithm : kBoth) {
        const DigestAlgorithm alone[] = {algorithm};
        EXPECT_EQ(measured->digest(algorithm), image->measure(source, alone)->digest(algorithm));
      }
      EXPECT_TRUE(measured->has_page_hashes(formats::PageHashVersion::v2));
      EXPECT_FALSE(measured->has_page_hashes(formats::PageHashVersion::v1));
    }
  }
}

}  // namespace
