#include "crypto/formats/catalog_definition.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "crypto/base/limits.hpp"
#include "crypto/base/text.hpp"

namespace formats {

using base::Errc;
using base::fail;
using base::Result;
namespace limits = base::limits;

namespace {

// CRYPTCAT_ATTR_* of mscat.h.
constexpr std::uint32_t kNameIsText = 0x00000001;
constexpr std::uint32_t kValueIsText = 0x00010000;
constexpr std::uint32_t kNoCompatibilityEntry = 0x01000000;   // an instruction to MakeCat: not written
constexpr std::uint32_t kAuthenticated = 0x10000000;
constexpr std::size_t kMemberAttributes = limits::kAttributes - 2;   // member information and the digest are two more

Result<std::string> text_of(ByteView bytes) {
  if (bytes.size() >= 2 && bytes[0] == 0xFF && bytes[1] == 0xFE) return base::utf8_from_utf16le(bytes.subspan(2));
  if (bytes.size() >= 3 && bytes[0] == 0xEF && bytes[1] == 0xBB && bytes[2] == 0xBF) bytes = bytes.subspan(3);
  if (!base::is_utf8(base::as_text(bytes))) return fail(Errc::malformed, "neither UTF-8 nor UTF-16 with a byte order mark");
  return std::string(base::as_text(bytes));
}

std::string with_slashes(std::string_view path) {
  std::string text(path);
  std::replace(text.begin(), text.end(), '\\', '/');
  return text;
}

// "{type}:{name}:{value}", the type in hex with 0x or in decimal.
Result<NameValue> attribute(std::string_view text) {
  const std::size_t first = text.find(':');
  const std::size_t second = first == std::string_view::npos ? first : text.find(':', first + 1);
  if (second == std::string_view::npos)
    return fail(Errc::malformed, fmt::format("attribute \"{}\", type:name:value wanted", base::printable(text)));
  std::string_view digits = base::trim(text.substr(0, first));
  const bool is_hex = digits.starts_with("0x") || digits.starts_with("0X");
  if (is_hex) digits.remove_prefix(2);
  std::uint32_t flags = 0;
  const auto [end, error] = std::from_chars(digits.begin(), digits.end(), flags, is_hex ? 16 : 10);
  if (digits.empty() || error != std::errc() || end != digits.end())
    return fail(Errc::malformed, fmt::format("attribute type \"{}\", a number wanted", base::printable(text.substr(0, first))));
  const bool is_known = (flags & ~(kNameIsText | kValueIsText | kBinaryValue | kNoCompatibilityEntry | kAuthenticated)) == 0;
  const bool has_one_form = ((flags & kValueIsText) != 0) != ((flags & kBinaryValue) != 0);
  if (!is_known || !has_one_form || (flags & kNameIsText) == 0)
    return fail(Errc::unsupported, fmt::format("attribute type {:#010x}: a name in text, its value in text (0x00010000) or base64 (0x00020000) wanted", flags));
  NameValue value;
  value.flags = flags & ~kNoCompatibilityEntry;
  value.name = std::string(base::trim(text.substr(first + 1, second - first - 1)));
  if (value.name.empty()) return fail(Errc::malformed, "attribute without a name");
  value.value = std::string(text.substr(second + 1));
  if ((flags & kBinaryValue) != 0) {
    const Bytes octets = TRY(base::within(base::printable(value.name), base::from_base64(value.value)));
    value.value = base::hex(octets);
  }
  return value;
}

class CdfReader {
 public:
  Result<CatalogDefinition> read(std::string_view text) {
    std::uint32_t number = 0;
    while (!text.empty()) {
      if (++number > limits::kInfLines) return fail(Errc::too_large, fmt::format("more than {} lines", limits::kInfLines));
      const std::size_t end = text.find('\n');
      std::string_view line = text.substr(0, end);
      text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
      if (line.size() > limits::kInfLineBytes)
        return fail(Errc::too_large, fmt::format("line {}: longer than {} bytes", number, limits::kInfLineBytes));
      if (line.ends_with('\r')) line.remove_suffix(1);
      TRY(base::within(fmt::format("line {}", number), read_line(base::trim(line), number)));
    }
    return finish();
  }

 private:
  enum class Section { none, header, files, other };

  Result<void> read_line(std::string_view line, std::uint32_t number) {
    if (line.empty() || line[0] == '#' || line[0] == ';') return {};
    if (line.find('\0') != std::string_view::npos) return fail(Errc::malformed, "NUL character; a CDF is text");
    if (line[0] == '[') {
      if (!line.ends_with(']')) return fail(Errc::malformed, "section heading without ]");
      const std::string name = base::lower_ascii(base::trim(line.substr(1, line.size() - 2)));
      section_ = name == "catalogheader" ? Section::header : name == "catalogfiles" ? Section::files : Section::other;
      return {};
    }
    const std::size_t equals = line.find('=');
    if (equals == std::string_view::npos) return fail(Errc::malformed, fmt::format("\"{}\", key=value wanted", base::printable(line.substr(0, 80))));
    const std::string_view key = base::trim(line.substr(0, equals));
    const std::string_view value = base::trim(line.substr(equals + 1));
    if (section_ == Section::header) return read_header(base::lower_ascii(key), value);
    if (section_ == Section::files) return read_file(key, value, number);
    return {};
  }

  Result<void> read_header(const std::string& key, std::string_view value) {
    if (key == "name") {
      cdf_.name = std::string(value);
    } else if (key == "resultdir") {
      cdf_.result_dir = with_slashes(value);
    } else if (key == "catalogversion") {
      if (value != "1" && value != "2") return fail(Errc::unsupported, fmt::format("CatalogVersion \"{}\", 1 or 2 wanted", base::printable(value)));
      cdf_.version = value == "1" ? 1 : 2;
    } else if (key == "hashalgorithms") {
      algorithms_ = base::upper_ascii(value);
      if (algorithms_ != "SHA1" && algorithms_ != "SHA256")
        return fail(Errc::unsupported, fmt::format("HashAlgorithms \"{}\", SHA1 or SHA256 wanted", base::printable(value)));
    } else if (key == "pagehashes") {
      if (!base::equal_ignoring_case(value, "true") && !base::equal_ignoring_case(value, "false"))
        return fail(Errc::malformed, fmt::format("PageHashes \"{}\", true or false wanted", base::printable(value)));
      cdf_.page_hashes = base::equal_ignoring_case(value, "true");
    } else if (key.starts_with("catattr")) {
      if (cdf_.attributes.size() == kMemberAttributes) return fail(Errc::too_large, fmt::format("more than {} CATATTR lines", kMemberAttributes));
      NameValue read = TRY(attribute(value));
      cdf_.attributes.push_back(std::move(read));
    }   // PublicVersion and EncodingType change nothing, as MakeCat's page says
    return {};
  }

  Result<void> read_file(std::string_view key, std::string_view value, std::uint32_t number) {
    if (!base::upper_ascii(key).starts_with("<HASH>"))
      return fail(Errc::unsupported, fmt::format("label \"{}\" without <HASH>: the member's tag would be the label", base::printable(key.substr(0, 80))));
    // <HASH>labelATTR1 belongs to the file of that label, which stands above it.
    const std::string upper = base::upper_ascii(key);
    if (!label_.empty() && upper.size() > label_.size() && upper.starts_with(label_)) {
      const std::string_view rest = std::string_view(upper).substr(label_.size());
      if (rest.starts_with("ALTSIPID")) return fail(Errc::unsupported, "ALTSIPID");
      if (rest.starts_with("ATTR") && rest.size() > 4 && rest.find_first_not_of("0123456789", 4) == std::string_view::npos) {
        std::vector<NameValue>& attributes = cdf_.files.back().attributes;
        if (attributes.size() == kMemberAttributes) return fail(Errc::too_large, fmt::format("more than {} attributes", kMemberAttributes));
        NameValue read = TRY(attribute(value));
        attributes.push_back(std::move(read));
        return {};
      }
    }
    if (value.empty()) return fail(Errc::malformed, fmt::format("{} names no file", base::printable(key)));
    if (cdf_.files.size() == limits::kCatalogMembers / 2)
      return fail(Errc::too_large, fmt::format("more than {} files", limits::kCatalogMembers / 2));
    label_ = upper;
    cdf_.files.push_back({with_slashes(value), {}, number});
    return {};
  }

  Result<CatalogDefinition> finish() {
    if (cdf_.name.empty()) return fail(Errc::malformed, "[CatalogHeader] Name is missing");
    if (cdf_.files.empty()) return fail(Errc::malformed, "[CatalogFiles] names no file");
    if (cdf_.version == 2 && algorithms_ != "SHA256") return fail(Errc::malformed, "CatalogVersion 2 without HashAlgorithms=SHA256");
    if (cdf_.version == 1 && algorithms_ == "SHA256") return fail(Errc::malformed, "CatalogVersion 1 with HashAlgorithms=SHA256: that needs CatalogVersion=2");
    return std::move(cdf_);
  }

  CatalogDefinition cdf_;
  Section section_ = Section::none;
  std::string algorithms_;
  std::string label_;   // of the last file, upper case
};

}  // namespace

Result<CatalogDefinition> CatalogDefinition::parse(ByteView bytes) {
  if (bytes.size() > limits::kInfBytes) return fail(Errc::too_large, fmt::format("CDF of {} bytes, at most {} are read", bytes.size(), limits::kInfBytes));
  const std::string text = TRY(text_of(bytes));
  return CdfReader().read(text);
}

}  // namespace formats
