#include "crypto/package/deny_list.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "crypto/base/limits.hpp"

namespace package {

using base::Errc;
using base::fail;
using base::Result;

namespace {

std::string_view next_word(std::string_view& line) {
  const std::size_t end = std::min(line.find(' '), line.size());
  const std::string_view word = line.substr(0, end);
  line.remove_prefix(std::min(end + 1, line.size()));
  return word;
}

bool is_denied_name(std::string_view name) {
  return !name.empty() && name.size() <= base::limits::kImportNameBytes && base::is_utf8(name) && base::trim(name) == name &&
         std::none_of(name.begin(), name.end(), [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '/' || c == '\\'; });
}

Result<std::string> digest_word(std::string_view word, crypto::DigestAlgorithm algorithm) {
  const base::Bytes octets = TRY(base::from_hex(word));
  const crypto::Digest digest = TRY(crypto::Digest::from_bytes(algorithm, octets));
  return digest.hex();
}

}  // namespace

Result<DenyList> DenyList::parse(std::string_view text) {
  if (text.size() > base::limits::kDenyListBytes)
    return fail(Errc::too_large, fmt::format("deny list of {} bytes, at most {}", text.size(), base::limits::kDenyListBytes));
  DenyList list;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || line.starts_with('#')) continue;
    const std::string where = fmt::format("deny list: line {}", number);
    if (list.size() == base::limits::kDenyListRules) return fail(Errc::too_large, fmt::format("{}: more than {} rules", where, base::limits::kDenyListRules));
    const std::string_view kind = next_word(line);
    if (kind == "sha256" || kind == "sha1") {
      const auto algorithm = kind == "sha1" ? crypto::DigestAlgorithm::sha1 : crypto::DigestAlgorithm::sha256;
      std::string digest = TRY(base::within(where, digest_word(line, algorithm)));
      list.digests_.emplace(std::move(digest), number);
    } else if (kind == "name") {
      DeniedName name;
      name.lowest = TRY(base::within(where, formats::version_from_text(next_word(line))));
      name.highest = TRY(base::within(where, formats::version_from_text(next_word(line))));
      if (name.lowest > name.highest) return fail(Errc::malformed, where + ": the lowest version is above the highest");
      if (!is_denied_name(line)) return fail(Errc::malformed, where + ": the name of a file wanted");
      name.file = std::string(line);
      list.names_.emplace(base::lower_ascii(line), std::move(name));
    } else {
      return fail(Errc::malformed, fmt::format("{}: \"{}\"; sha256, sha1 or name wanted", where, base::printable(kind.substr(0, 20))));
    }
  }
  return list;
}

std::vector<Finding> DenyList::findings(const std::vector<FileDigests>& files, const std::vector<PeFile>& images) const {
  constexpr std::string_view kRemedy = "take the file out of the package, or ask the administrators why it is on their deny list";
  std::vector<Finding> found;
  std::map<std::string_view, const PeFile*> by_path;
  for (const PeFile& image : images) by_path.emplace(image.path, &image);
  for (const FileDigests& file : files) {
    for (const crypto::Digest* const digest : {&file.flat, file.image_sha256 ? &*file.image_sha256 : nullptr, file.image_sha1 ? &*file.image_sha1 : nullptr}) {
      const auto rule = digest == nullptr ? digests_.end() : digests_.find(digest->hex());
      if (rule == digests_.end()) continue;
      found.push_back({"deny-list.digest", Severity::warning, file.path, 0, fmt::format("its digest {} is on the deny list, line {}", digest->hex(), rule->second),
                       std::string(kRemedy)});
      break;
    }
    const auto image = by_path.find(file.path);
    const std::string own = base::lower_ascii(std::string_view(file.path).substr(file.path.rfind('/') + 1));
    const std::string original = image == by_path.end() ? std::string() : base::lower_ascii(image->second->original_name);
    const formats::FileVersion version = image == by_path.end() ? 0 : image->second->file_version;
    const auto is_denied = [&](const std::string& name) -> const DeniedName* {
      const auto [first, last] = names_.equal_range(name);
      const auto rule = std::find_if(first, last, [&](const auto& each) { return each.second.lowest <= version && version <= each.second.highest; });
      return rule == last ? nullptr : &rule->second;
    };
    const DeniedName* rule = original.empty() ? nullptr : is_denied(original);
    if (rule == nullptr) rule = is_denied(own);
    if (rule != nullptr)
      found.push_back({"deny-list.name", Severity::warning, file.path, 0,
                       fmt::format("version {} of {} is on the deny list: {} to {}", formats::version_text(version), base::printable(rule->file),
                                   formats::version_text(rule->lowest), formats::version_text(rule->highest)),
                       std::string(kRemedy)});
  }
  return found;
}

std::string deny_line(const crypto::Digest& digest) {
  return fmt::format("{} {}\n", digest.algorithm() == crypto::DigestAlgorithm::sha1 ? "sha1" : "sha256", digest.hex());
}

std::string deny_line(const DeniedName& name) {
  if (!is_denied_name(name.file) || name.lowest > name.highest) return {};
  return fmt::format("name {} {} {}\n", formats::version_text(name.lowest), formats::version_text(name.highest), name.file);
}

}  // namespace package
