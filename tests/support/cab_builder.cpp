#include "tests/support/cab_builder.hpp"

#include "crypto/base/byte_writer.hpp"

namespace tests {

base::Bytes build_cab(const CabDescription& description) {
  base::ByteWriter files;
  std::vector<base::Bytes> data;
  std::uint16_t count = 0;
  for (std::size_t folder = 0; folder < description.folders.size(); ++folder) {
    base::Bytes content;
    for (const std::string& text : description.folders[folder]) {
      files.u32le(static_cast<std::uint32_t>(text.size())).u32le(static_cast<std::uint32_t>(content.size()));
      files.u16le(static_cast<std::uint16_t>(folder)).u16le(0x5A77).u16le(0).u16le(0x20);
      files.put(base::as_bytes("file" + std::to_string(count++))).u8(0);
      base::append(content, base::as_bytes(text));
    }
    base::ByteWriter block;   // checksum 0: none
    block.u32le(0).u16le(static_cast<std::uint16_t>(content.size())).u16le(static_cast<std::uint16_t>(content.size()));
    data.push_back(std::move(block.put(content)).bytes());
  }
  const std::size_t reserve = description.reserve.empty() ? 0 : 4 + description.reserve.size();
  const std::size_t files_at = 36 + reserve + 8 * data.size();
  std::size_t size = files_at + files.size();
  base::ByteWriter folders;
  for (const base::Bytes& block : data) {
    folders.u32le(static_cast<std::uint32_t>(size)).u16le(1).u16le(0);
    size += block.size();
  }
  base::ByteWriter out;
  out.put(base::as_bytes("MSCF")).u32le(0).u32le(static_cast<std::uint32_t>(size)).u32le(0);
  out.u32le(static_cast<std::uint32_t>(files_at)).u32le(0).u8(3).u8(1);
  out.u16le(static_cast<std::uint16_t>(data.size())).u16le(count);
  out.u16le(static_cast<std::uint16_t>(description.flags | (reserve > 0 ? 4 : 0))).u16le(0x1234).u16le(0);
  if (reserve > 0) out.u16le(static_cast<std::uint16_t>(description.reserve.size())).u16le(0).put(description.reserve);
  out.put(folders.bytes()).put(files.bytes());
  for (const base::Bytes& block : data) out.put(block);
  return std::move(out).bytes();
}

}  // namespace tests
