// Makes PE images, good ones by default and bad ones on request. Deterministic: the same description gives the same
// bytes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "crypto/base/bytes.hpp"

namespace tests {

struct PeSection {
  std::string name;
  std::uint32_t characteristics = 0;
  base::Bytes content;  // padded with zeros to the file alignment
};

struct PeDescription {
  bool is_pe32_plus = true;
  std::uint16_t machine = 0x8664;
  std::uint16_t subsystem = 1;  // native
  std::uint16_t characteristics = 0x0022;
  std::uint16_t dll_characteristics = 0x4160;  // high-entropy addresses, dynamic base, NX, control flow guard
  std::uint32_t import_directory[2] = {0, 0};   // address and size; resources likewise
  std::uint32_t resource_directory[2] = {0, 0};
  std::uint32_t e_lfanew = 0x80;
  std::uint32_t directories = 16;
  std::uint32_t file_alignment = 0x200;
  std::vector<PeSection> sections;  // the first one holds the entry point at its start
  base::Bytes overlay;              // after the last section
};

base::Bytes build_pe(const PeDescription& description);

// A 64-bit native image whose entry point returns STATUS_SUCCESS: the smallest thing shaped like a driver.
PeDescription driver_description();
// A 64-bit console program that returns 0, PE32+; or 32-bit, PE32.
PeDescription program_description(bool is_pe32_plus = true);
// A driver of at least `size` bytes, made up to it with an overlay when size is not a multiple of 512.
base::Bytes driver_of_size(std::size_t size);

}  // namespace tests
