#include "tests/support/pe_builder.hpp"

#include "crypto/base/byte_writer.hpp"
#include "crypto/base/result.hpp"

namespace tests {
namespace {

using base::Bytes;
using base::ByteWriter;

constexpr std::uint32_t kPage = 0x1000;

std::uint32_t round_up(std::size_t value, std::uint32_t step) {
  return static_cast<std::uint32_t>((value + step - 1) / step * step);
}

// The words of the file with CheckSum as zero, carries folded in, plus the length: written the plain way, so that it is
// another opinion than crypto/formats/pe_image.cpp.
std::uint32_t image_checksum(const Bytes& file) {
  std::uint32_t sum = 0;
  for (std::size_t at = 0; at < file.size(); at += 2) {
    const std::uint32_t high = at + 1 < file.size() ? file[at + 1] : 0U;
    sum += file[at] | (high << 8);
    sum = (sum & 0xFFFF) + (sum >> 16);
  }
  return sum + static_cast<std::uint32_t>(file.size());
}

void put_u32(Bytes& file, std::size_t at, std::uint32_t value) {
  for (std::size_t i = 0; i < 4; ++i) file.at(at + i) = static_cast<std::uint8_t>(value >> (8 * i));
}

Bytes padded(Bytes bytes, std::uint32_t alignment) {
  bytes.resize(round_up(bytes.size(), alignment));
  return bytes;
}

// Bytes that do not repeat soon, so that swapped or missing blocks change a digest.
Bytes filler(std::size_t size, std::uint32_t seed) {
  Bytes bytes(size);
  std::uint32_t state = seed * 2654435761U + 1;
  for (std::uint8_t& octet : bytes) {
    state = state * 1664525U + 1013904223U;
    octet = static_cast<std::uint8_t>(state >> 24);
  }
  return bytes;
}

Bytes code(std::initializer_list<std::uint8_t> instructions) {
  Bytes bytes(instructions);
  bytes.resize(0x200, 0xCC);
  return bytes;
}

constexpr std::uint32_t kCode = 0x60000020;          // code, execute, read
constexpr std::uint32_t kReadOnlyData = 0x40000040;  // initialised data, read
constexpr std::uint32_t kData = 0xC0000040;          // initialised data, read, write

}  // namespace

Bytes build_pe(const PeDescription& pe) {
  base::require(!pe.sections.empty() && pe.e_lfanew >= 0x40, "a PE image needs a section and a DOS header");
  const std::uint32_t fixed = pe.is_pe32_plus ? 112 : 96;
  const std::uint32_t optional_size = fixed + 8 * pe.directories;
  const std::size_t headers_end = pe.e_lfanew + 24U + optional_size + 40 * pe.sections.size();
  const std::uint32_t size_of_headers = round_up(headers_end, pe.file_alignment);
  const std::uint32_t entry = round_up(size_of_headers, kPage);

  ByteWriter sections;
  ByteWriter raw;
  std::uint32_t address = entry;
  std::uint32_t code_size = 0;
  std::uint32_t data_size = 0;
  for (const PeSection& section : pe.sections) {
    const Bytes content = padded(section.content, pe.file_alignment);
    Bytes name(section.name.begin(), section.name.end());
    name.resize(8);
    const auto raw_size = static_cast<std::uint32_t>(content.size());
    // An empty section stands for uninitialised data, which has a size in memory only.
    const std::size_t virtual_size = section.content.empty() ? 0x100 : section.content.size();
    sections.put(name).u32le(static_cast<std::uint32_t>(virtual_size)).u32le(address).u32le(raw_size);
    sections.u32le(raw_size == 0 ? 0 : size_of_headers + static_cast<std::uint32_t>(raw.size()));
    sections.zeros(12).u32le(section.characteristics);  // no relocations, no line numbers
    ((section.characteristics & 0x20U) != 0 ? code_size : data_size) += raw_size;
    raw.put(content);
    address = round_up(address + virtual_size, kPage);
  }

  ByteWriter file;
  file.u16le(0x5A4D).u16le(0x90).u16le(3).u16le(0).u16le(4).u16le(0).u16le(0xFFFF).u16le(0).u16le(0xB8);
  file.zeros(0x3C - file.size()).u32le(pe.e_lfanew).zeros(pe.e_lfanew - 0x40);
  file.u32le(0x4550).u16le(pe.machine).u16le(static_cast<std::uint16_t>(pe.sections.size())).u32le(0).u32le(0).u32le(0);
  file.u16le(static_cast<std::uint16_t>(optional_size)).u16le(pe.characteristics);
  file.u16le(pe.is_pe32_plus ? 0x20B : 0x10B)
      .u8(14)
      .u8(0)
      .u32le(code_size)
      .u32le(data_size)
      .u32le(0)
      .u32le(entry)
      .u32le(entry);
  if (pe.is_pe32_plus)
    file.u64le(0x140000000);
  else
    file.u32le(entry).u32le(0x400000);  // BaseOfData, ImageBase
  file.u32le(kPage).u32le(pe.file_alignment).u16le(10).u16le(0).u16le(0).u16le(0).u16le(10).u16le(0).u32le(0);
  file.u32le(address).u32le(size_of_headers);
  const std::size_t checksum_at = file.size();
  file.u32le(0).u16le(pe.subsystem).u16le(pe.dll_characteristics);
  for (const std::uint32_t size : {0x100000U, 0x1000U, 0x100000U, 0x1000U})  // stack and heap
    pe.is_pe32_plus ? file.u64le(size) : file.u32le(size);
  file.u32le(0).u32le(pe.directories);
  const std::size_t directories_at = file.size();
  file.zeros(8U * pe.directories);
  file.put(sections.bytes()).zeros(size_of_headers - file.size());
  file.put(raw.bytes()).put(pe.overlay);
  Bytes bytes = std::move(file).bytes();
  for (std::size_t half = 0; half < 2 && pe.directories > 2; ++half) {
    put_u32(bytes, directories_at + 8 + 4 * half, pe.import_directory[half]);
    put_u32(bytes, directories_at + 16 + 4 * half, pe.resource_directory[half]);
  }
  put_u32(bytes, checksum_at, image_checksum(bytes));
  return bytes;
}

PeDescription driver_description() {
  PeDescription pe;
  pe.sections = {
      {".text", kCode | 0x08000000, code({0x33, 0xC0, 0xC3})},  // xor eax, eax; ret: STATUS_SUCCESS
      {".rdata", kReadOnlyData | 0x08000000, filler(0x400, 1)},
      {".data", kData | 0x08000000, filler(0x200, 2)},
      {"INIT", 0x62000020, code({0xC3})},
  };
  return pe;
}

PeDescription program_description(bool is_pe32_plus) {
  PeDescription pe;
  pe.is_pe32_plus = is_pe32_plus;
  pe.machine = is_pe32_plus ? 0x8664 : 0x014C;
  pe.characteristics = is_pe32_plus ? 0x0022 : 0x0103;  // executable; large addresses, or 32-bit without relocations
  pe.subsystem = 3;                                     // console
  pe.sections = {
      {".text", kCode, code({0x33, 0xC0, 0xC3})},
      {".rdata", kReadOnlyData, filler(0x600, 3)},
      {".bss", 0xC0000080, {}},
      {".data", kData, filler(0x200, 4)},
  };
  return pe;
}

Bytes driver_of_size(std::size_t size) {
  PeDescription pe = driver_description();
  const std::size_t smallest = build_pe(pe).size();
  base::require(size >= smallest, "a driver image cannot be that small");
  const std::size_t more = size - smallest;
  pe.sections[1].content = filler(0x400 + more / 0x200 * 0x200, 5);
  pe.overlay = filler(more % 0x200, 6);
  return build_pe(pe);
}

}  // namespace tests
