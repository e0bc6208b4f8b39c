#include "usb/serial/packing.hpp"

#include <fmt/format.h>
#include <zstd.h>

#include <algorithm>

namespace serial {

using base::Bytes;
using base::Errc;
using base::fail;
using base::Result;

namespace {

constexpr int kLevel = 3;
constexpr unsigned kLongestRest = 64;   // blocks: 2 MiB

bool is_worth_it(std::size_t before, std::size_t after) { return after <= before - before / 16; }

}  // namespace

struct Packer::Context {
  struct Free {
    void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  };
  std::unique_ptr<ZSTD_CCtx, Free> zstd{ZSTD_createCCtx()};
};

Packer::Packer() : context_(std::make_unique<Context>()) { base::require(context_->zstd != nullptr, "there is memory to compress with"); }
Packer::~Packer() = default;

std::optional<PackedData> Packer::pack(base::ByteView block) {
  base::require(block.size() <= kBlockBytes, "a block is not larger than a message may be");
  if (not_tried_ > 0) {
    --not_tried_;
    return std::nullopt;
  }
  PackedData data{static_cast<std::uint32_t>(block.size()), Bytes(ZSTD_compressBound(block.size()))};
  const std::size_t size =
      ZSTD_compressCCtx(context_->zstd.get(), data.frame.data(), data.frame.size(), block.data(), block.size(), kLevel);
  if (ZSTD_isError(size) == 0 && is_worth_it(block.size(), size)) {
    data.frame.resize(size);
    in_vain_ = 0;
    return data;
  }
  // What is packed or encrypted already stays so for a while: each try in vain doubles the rest after it.
  not_tried_ = std::min(1U << std::min(in_vain_++, 16U), kLongestRest);
  return std::nullopt;
}

Result<Bytes> unpacked(const PackedData& data) {
  if (data.size > kBlockBytes) return fail(Errc::too_large, fmt::format("a block of {} bytes, at most {}", data.size, kBlockBytes));
  // Both of the frame's own claims are looked at before a byte of it is unpacked: how long it is, and what is in it.
  const std::size_t frame = ZSTD_findFrameCompressedSize(data.frame.data(), data.frame.size());
  if (ZSTD_isError(frame) != 0 || frame != data.frame.size()) return fail(Errc::malformed, "a packed block that is not one whole frame");
  const unsigned long long said = ZSTD_getFrameContentSize(data.frame.data(), data.frame.size());
  if (said != data.size) return fail(Errc::malformed, fmt::format("a packed block says that it holds other than {} bytes", data.size));
  Bytes block(data.size);
  const std::size_t got = ZSTD_decompress(block.data(), block.size(), data.frame.data(), data.frame.size());
  if (ZSTD_isError(got) != 0 || got != block.size())
    return fail(Errc::malformed, fmt::format("a packed block does not hold the {} bytes that it says", data.size));
  return block;
}

}  // namespace serial
