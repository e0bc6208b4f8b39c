#include "tests/support/version_resource.hpp"

#include "crypto/base/byte_writer.hpp"
#include "crypto/base/text.hpp"
#include "tests/support/pe_builder.hpp"

namespace tests {

using base::Bytes;
using base::ByteWriter;

namespace {

// The builder puts sections at pages from 0x1000 on; of the driver's four the fifth comes here.
constexpr std::uint32_t kFifthSection = 0x5000;

void pad_to_4(ByteWriter& out) { out.zeros((4 - out.size() % 4) % 4); }

// wLength, wValueLength, wType, szKey, padding, value, padding, children.
Bytes node(const std::string& key, std::uint16_t type, std::uint16_t value_length, const Bytes& value, const std::vector<Bytes>& children) {
  ByteWriter body;
  body.u16le(0).u16le(value_length).u16le(type).put(*base::utf16le_from_utf8(key)).u16le(0);
  pad_to_4(body);
  body.put(value);
  for (const Bytes& child : children) {
    pad_to_4(body);
    body.put(child);
  }
  Bytes bytes = std::move(body).bytes();
  bytes[0] = static_cast<std::uint8_t>(bytes.size() & 0xFF);
  bytes[1] = static_cast<std::uint8_t>(bytes.size() >> 8);
  return bytes;
}

Bytes text_node(const std::string& key, const std::string& text) {
  Bytes value = *base::utf16le_from_utf8(text);
  value.resize(value.size() + 2);
  return node(key, 1, static_cast<std::uint16_t>(value.size() / 2), value, {});
}

PeDescription driver_with_section(const std::string& name, const Bytes& content) {
  PeDescription pe = driver_description();
  pe.sections.push_back({name, 0x40000040, content});   // readable data
  return pe;
}

}  // namespace

Bytes version_resource(const std::string& original_name, std::uint64_t version, bool is_debug) {
  ByteWriter fixed;
  fixed.u32le(0xFEEF04BD).u32le(0x00010000);                                                                   // dwSignature, dwStrucVersion
  fixed.u32le(static_cast<std::uint32_t>(version >> 32)).u32le(static_cast<std::uint32_t>(version & 0xFFFFFFFF));   // dwFileVersionMS, LS
  fixed.u32le(0).u32le(0);                                                                                     // product version
  fixed.u32le(0x3F).u32le(is_debug ? 1 : 0).u32le(0x40004).u32le(3).u32le(0).u32le(0).u32le(0);                // mask, flags, OS, type: driver
  const Bytes table = node("040904b0", 1, 0, {}, {text_node("ProductName", "Sample"), text_node("OriginalFilename", original_name)});
  const Bytes strings = node("StringFileInfo", 1, 0, {}, {table});
  return node("VS_VERSION_INFO", 0, static_cast<std::uint16_t>(fixed.size()), fixed.bytes(), {strings});
}

Bytes driver_with_version(const std::string& original_name, std::uint64_t version, bool is_debug) {
  const Bytes resource = version_resource(original_name, version, is_debug);
  ByteWriter tree;
  const auto level = [&](std::uint32_t id, std::uint32_t target) { tree.zeros(12).u16le(0).u16le(1).u32le(id).u32le(target); };   // 24 bytes
  level(16, 0x80000000 | 24);   // RT_VERSION
  level(1, 0x80000000 | 48);    // its name
  level(0x409, 72);             // English, and where the data entry is
  tree.u32le(kFifthSection + 88).u32le(static_cast<std::uint32_t>(resource.size())).u32le(0).u32le(0);
  tree.put(resource);
  PeDescription pe = driver_with_section(".rsrc", tree.bytes());
  pe.resource_directory[0] = kFifthSection;
  pe.resource_directory[1] = static_cast<std::uint32_t>(tree.size());
  return build_pe(pe);
}

Bytes driver_with_imports(const std::vector<std::string>& dlls) {
  ByteWriter descriptors;
  ByteWriter names;
  const auto names_at = static_cast<std::uint32_t>(kFifthSection + 20 * (dlls.size() + 1));
  for (const std::string& dll : dlls) {
    descriptors.u32le(0).u32le(0).u32le(0).u32le(names_at + static_cast<std::uint32_t>(names.size())).u32le(1);
    names.put(base::as_bytes(dll)).u8(0);
  }
  descriptors.zeros(20).put(names.bytes());
  PeDescription pe = driver_with_section(".idata", descriptors.bytes());
  pe.import_directory[0] = kFifthSection;
  pe.import_directory[1] = static_cast<std::uint32_t>(20 * (dlls.size() + 1));
  return build_pe(pe);
}

}  // namespace tests
