// Makes small cabinets without compression. Deterministic. Source: Microsoft "[MS-CAB]" section 2.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "crypto/base/bytes.hpp"

namespace tests {

struct CabDescription {
  std::vector<std::vector<std::string>> folders = {{"first"}};   // contents of the files; at most 32 KiB in one folder
  std::uint16_t flags = 0;
  base::Bytes reserve;   // of the header; flag 4 is set when there is any
};

base::Bytes build_cab(const CabDescription& description = {});

}  // namespace tests
