#include "usb/wire/package_path.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "crypto/base/limits.hpp"
#include "crypto/base/text.hpp"

namespace wire {
namespace {

using base::Errc;
using base::fail;
using base::Result;

// "Naming Files, Paths, and Namespaces" (Microsoft): these open a device whatever folder and extension surround them.
// The digits 0 and the names with $ are not reserved by every version of Windows; a driver needs none of them.
bool is_device_name(std::string_view part) {
  constexpr std::array<std::string_view, 7> kDevices = {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "CLOCK$"};
  std::string_view stem = part.substr(0, part.find('.'));
  while (!stem.empty() && stem.back() == ' ') stem.remove_suffix(1);
  const std::string name = base::upper_ascii(stem);
  if (std::find(kDevices.begin(), kDevices.end(), name) != kDevices.end()) return true;
  const bool is_port = name.starts_with("COM") || name.starts_with("LPT");
  return is_port && name.size() == 4 && name[3] >= '0' && name[3] <= '9';
}

Result<void> expect_part(std::string_view part) {
  if (part.empty()) return fail(Errc::refused, "an empty part: no leading, trailing or double '/' is allowed");
  if (part == "." || part == "..") return fail(Errc::refused, fmt::format("the part \"{}\" leads elsewhere", part));
  if (part.back() == ' ' || part.back() == '.')
    return fail(Errc::refused, fmt::format("\"{}\" ends in a {}, which Windows drops", base::printable(part),
                                           part.back() == ' ' ? "space" : "dot"));
  if (is_device_name(part))
    return fail(Errc::refused, fmt::format("\"{}\" is a device name on Windows", base::printable(part)));
  return {};
}

Result<void> expect_path(std::string_view path) {
  if (path.empty()) return fail(Errc::refused, "an empty path");
  if (path.size() > base::limits::kPathBytes)
    return fail(Errc::refused, fmt::format("{} bytes long, at most {}", path.size(), base::limits::kPathBytes));
  for (const char c : path) {
    if (c < 0x20 || c > 0x7E) return fail(Errc::refused, "a character that is not printable ASCII");
    if (std::string_view("<>:\"|?*\\").find(c) != std::string_view::npos)
      return fail(Errc::refused, fmt::format("the character {} is not allowed", c));
  }
  std::size_t depth = 0;
  while (true) {
    const std::size_t slash = path.find('/');
    TRY(expect_part(path.substr(0, slash)));
    if (slash == std::string_view::npos) return {};
    if (++depth > base::limits::kPathDepth)
      return fail(Errc::refused, fmt::format("more than {} folders deep", base::limits::kPathDepth));
    path.remove_prefix(slash + 1);
  }
}

std::string in_quotes(std::string_view path) {
  constexpr std::size_t kShown = 300;
  const bool whole = path.size() <= kShown;
  return fmt::format("path \"{}{}\"", base::printable(path.substr(0, kShown)), whole ? "" : "...");
}

}  // namespace

Result<void> expect_package_path(std::string_view path) {
  const Result<void> expected = expect_path(path);
  if (!expected) return tl::unexpected<base::Error>(expected.error().within(in_quotes(path)));
  return {};
}

Result<void> expect_distinct_paths(const std::vector<std::string>& paths) {
  std::map<std::string, std::string_view> files;   // lower case, as spelled
  for (const std::string& path : paths) {
    TRY(expect_package_path(path));
    const auto [known, is_new] = files.emplace(base::lower_ascii(path), path);
    if (is_new) continue;
    if (known->second == path) return fail(Errc::refused, in_quotes(path) + ": listed twice");
    return fail(Errc::refused, fmt::format("{} and \"{}\" differ only in case", in_quotes(path), known->second));
  }
  // Folders too: on a FAT stick "A/x" and "a/y" would come back under one spelling.
  std::map<std::string, std::string_view> folders;
  for (const std::string& path : paths) {
    for (std::size_t slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1)) {
      const std::string_view folder = std::string_view(path).substr(0, slash);
      std::string lower = base::lower_ascii(folder);
      if (files.contains(lower))
        return fail(Errc::refused, fmt::format("{}: \"{}\" is a file and a folder", in_quotes(path), folder));
      const auto [known, is_new] = folders.emplace(std::move(lower), folder);
      if (!is_new && known->second != folder)
        return fail(Errc::refused,
                    fmt::format("{}: the folders \"{}\" and \"{}\" differ only in case", in_quotes(path), folder,
                                known->second));
    }
  }
  return {};
}

}  // namespace wire
