// What the courier's parts share: the two folders it works with, and how it tells what it did.
#pragma once

#include <filesystem>
#include <functional>
#include <string_view>

namespace courier {

struct Boxes {
  std::filesystem::path inbox;
  std::filesystem::path outbox;
};

// One line for people: which cable or stick, which request (may be empty), what happened.
using Say = std::function<void(std::string_view where, std::string_view id, std::string_view what)>;

}  // namespace courier
