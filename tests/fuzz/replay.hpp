// The fuzz targets under their names, for the one program that replays their corpora.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

struct FuzzTarget {
  std::string_view name;
  int (*run)(const std::uint8_t* data, std::size_t size);
};

const std::vector<FuzzTarget>& fuzz_targets();
