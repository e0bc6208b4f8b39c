#include "crypto/formats/pe_details.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "crypto/base/byte_reader.hpp"
#include "crypto/base/limits.hpp"
#include "crypto/base/text.hpp"

namespace formats {

using base::ByteReader;
using base::Errc;
using base::fail;

namespace {

// Where things are from CheckSum on, the one place in the optional header that PeImage tells.
constexpr std::uint64_t kCheckSumInOptionalHeader = 64;
constexpr std::uint64_t kCoffBeforeOptionalHeader = 20;
constexpr std::uint64_t kFirstDirectoryBeforeFifth = 4 * PeImage::kDirectoryEntrySize;
constexpr std::uint16_t kNxCompat = 0x0100;
constexpr std::uint16_t kGuardCf = 0x4000;
constexpr std::uint32_t kExecutable = 0x20000000;   // IMAGE_SCN_MEM_EXECUTE
constexpr std::uint32_t kWritable = 0x80000000;     // IMAGE_SCN_MEM_WRITE
constexpr std::uint64_t kSectionHeader = 40;
constexpr std::uint64_t kImportDescriptor = 20;
constexpr std::uint32_t kVersionType = 16;          // RT_VERSION
constexpr std::uint32_t kIsFolder = 0x80000000;
constexpr std::uint32_t kFixedInfoMagic = 0xFEEF04BD;
constexpr std::uint32_t kDebugFlag = 1;             // VS_FF_DEBUG

struct MappedSection {
  std::uint64_t address = 0;
  std::uint64_t size = 0;     // in the file
  std::uint64_t offset = 0;
};

struct Directory {
  std::uint64_t address = 0;
  std::uint64_t size = 0;
};

struct Headers {
  std::uint16_t characteristics = 0;   // DllCharacteristics
  std::vector<MappedSection> sections;
  std::vector<std::string> writable_code;
  Directory imports;
  Directory resources;
};

Result<Headers> read_details_headers(const base::ByteSource& file, const PeImage& image) {
  Headers found;
  const std::uint64_t optional_at = image.checksum_at() - kCheckSumInOptionalHeader;
  const Bytes coff = TRY(base::read_region(file, optional_at - kCoffBeforeOptionalHeader, kCoffBeforeOptionalHeader, kCoffBeforeOptionalHeader));
  ByteReader in(coff);   // Machine was read by PeImage
  TRY(in.skip(2));
  const std::uint64_t count = TRY(in.u16le());
  TRY(in.skip(12));
  const std::uint64_t optional_size = TRY(in.u16le());
  const Bytes flags = TRY(base::read_region(file, optional_at + kCheckSumInOptionalHeader + 6, 2, 2));
  found.characteristics = TRY(ByteReader(flags).u16le());
  // Import (second) and resource (third): PeImage made sure that there are five.
  const Bytes directories = TRY(base::read_region(file, image.directory_entry_at() - kFirstDirectoryBeforeFifth, 3 * PeImage::kDirectoryEntrySize,
                                                  3 * PeImage::kDirectoryEntrySize));
  ByteReader entries(directories);
  TRY(entries.skip(PeImage::kDirectoryEntrySize));
  found.imports.address = TRY(entries.u32le());
  found.imports.size = TRY(entries.u32le());
  found.resources.address = TRY(entries.u32le());
  found.resources.size = TRY(entries.u32le());

  if (count > base::limits::kSections) return fail(Errc::too_large, fmt::format("{} sections, at most {}", count, base::limits::kSections));
  const Bytes table = TRY(base::read_region(file, optional_at + optional_size, count * kSectionHeader, base::limits::kPeHeaderBytes));
  ByteReader sections(table);
  while (!sections.at_end()) {
    const ByteView name = TRY(sections.take(8));
    TRY(sections.skip(4));
    MappedSection section;
    section.address = TRY(sections.u32le());
    section.size = TRY(sections.u32le());
    section.offset = TRY(sections.u32le());
    TRY(sections.skip(12));
    const std::uint32_t characteristics = TRY(sections.u32le());
    const std::string_view text = base::as_text(name);
    if ((characteristics & kExecutable) != 0 && (characteristics & kWritable) != 0)
      found.writable_code.emplace_back(base::printable(text.substr(0, std::min(text.find('\0'), text.size()))));
    if (section.size != 0) found.sections.push_back(section);
  }
  return found;
}

// The bytes at an address of the loaded image, as far as they lie in one section; at most `limit` of them.
class MappedImage {
 public:
  MappedImage(const base::ByteSource& file, std::span<const MappedSection> sections) : file_(file), sections_(sections) {}
  Result<Bytes> at(std::uint64_t address, std::uint64_t length) const {
    const MappedSection& section = *TRY(section_of(address));
    TRY(base::expect_region(section.size, address - section.address, length));
    return base::read_region(file_, section.offset + (address - section.address), length, length);
  }
  // Up to `limit` bytes, fewer where the section ends.
  Result<Bytes> up_to(std::uint64_t address, std::uint64_t limit) const {
    const MappedSection& section = *TRY(section_of(address));
    return at(address, std::min(limit, section.size - (address - section.address)));
  }

 private:
  Result<const MappedSection*> section_of(std::uint64_t address) const {
    for (const MappedSection& section : sections_)
      if (address >= section.address && address - section.address < section.size) return &section;
    return fail(Errc::malformed, fmt::format("address {:#x} is in no section", address));
  }
  const base::ByteSource& file_;
  std::span<const MappedSection> sections_;
};

Result<std::vector<std::string>> read_imports(const MappedImage& image, const Directory& directory) {
  std::vector<std::string> names;
  if (directory.size == 0) return names;
  for (std::uint64_t at = directory.address;; at += kImportDescriptor) {
    const Bytes bytes = TRY(image.at(at, kImportDescriptor));
    if (std::all_of(bytes.begin(), bytes.end(), [](std::uint8_t octet) { return octet == 0; })) return names;
    if (names.size() == base::limits::kImports) return fail(Errc::too_large, fmt::format("more than {} DLLs", base::limits::kImports));
    ByteReader in(bytes);
    TRY(in.skip(12));
    const std::uint64_t name_at = TRY(in.u32le());
    const Bytes name = TRY(image.up_to(name_at, base::limits::kImportNameBytes));
    const std::string_view text = base::as_text(name);
    const std::size_t end = text.find('\0');
    if (end == std::string_view::npos) return fail(Errc::malformed, fmt::format("name of a DLL at {:#x} has no end within {} bytes", name_at, name.size()));
    names.emplace_back(text.substr(0, end));
  }
}

// One level of the resource tree: the target of the entry with that id, or of the first entry. Targets are offsets from the tree's start.
Result<std::optional<std::uint32_t>> resource_entry(const MappedImage& image, std::uint64_t root, std::uint64_t offset, std::optional<std::uint32_t> wanted) {
  const Bytes header = TRY(image.at(root + offset, 16));
  ByteReader in(header);
  TRY(in.skip(12));
  const std::uint64_t named = TRY(in.u16le());
  const std::uint64_t numbered = TRY(in.u16le());
  if (named + numbered > base::limits::kResourceEntries)
    return fail(Errc::too_large, fmt::format("{} entries in one level, at most {}", named + numbered, base::limits::kResourceEntries));
  const Bytes table = TRY(image.at(root + offset + 16, 8 * (named + numbered)));
  ByteReader entries(table);
  while (!entries.at_end()) {
    const std::uint32_t id = TRY(entries.u32le());
    const std::uint32_t target = TRY(entries.u32le());
    if (!wanted || id == *wanted) return std::optional(target);
  }
  return std::optional<std::uint32_t>();
}

// Type, name, language: RT_VERSION, then whatever comes first.
Result<std::optional<VersionResource>> read_version(const MappedImage& image, const Directory& directory) {
  if (directory.size == 0) return std::optional<VersionResource>();
  const std::uint64_t root = directory.address;
  const std::optional<std::uint32_t> type = TRY(resource_entry(image, root, 0, kVersionType));
  if (!type) return std::optional<VersionResource>();
  std::uint32_t target = *type;
  for (int level = 0; level < 2; ++level) {
    if ((target & kIsFolder) == 0) return fail(Errc::malformed, "a level of the tree is missing");
    const std::optional<std::uint32_t> first = TRY(resource_entry(image, root, target & ~kIsFolder, std::nullopt));
    if (!first) return fail(Errc::malformed, "a level of the tree is empty");
    target = *first;
  }
  if ((target & kIsFolder) != 0) return fail(Errc::malformed, "a fourth level in the tree");
  const Bytes entry = TRY(image.at(root + target, 16));
  ByteReader in(entry);
  const std::uint64_t address = TRY(in.u32le());
  const std::uint64_t size = TRY(in.u32le());
  if (size > base::limits::kVersionResourceBytes)
    return fail(Errc::too_large, fmt::format("{} bytes, at most {}", size, base::limits::kVersionResourceBytes));
  const Bytes content = TRY(image.at(address, size));
  VersionResource parsed = TRY(parse_version_resource(content));
  return std::optional(std::move(parsed));
}

// One node of the resource: u16 length, u16 value length, u16 type, key in UTF-16 with its zero, padding to 4, value, padding, children.
struct VersionNode {
  std::string key;
  ByteView value;
  ByteView children;
};

Result<VersionNode> version_node(ByteReader& in) {
  const std::size_t start = in.offset();
  const std::uint64_t length = TRY(in.u16le());
  const std::uint64_t value_length = TRY(in.u16le());
  const std::uint16_t type = TRY(in.u16le());
  if (length < 6) return fail(Errc::malformed, fmt::format("a node of {} bytes at {}", length, start));
  const ByteView rest = TRY(in.take(length - 6));
  std::uint64_t at = 0;
  for (;; at += 2) {
    const ByteView unit = TRY(base::slice(rest, at, 2));
    if (unit[0] == 0 && unit[1] == 0) break;
  }
  VersionNode node;
  const ByteView key = TRY(base::slice(rest, 0, at));
  node.key = TRY(base::utf8_from_utf16le(key));
  // Nodes begin at multiples of 4 and their header is 6 bytes long.
  const auto padded = [](std::uint64_t offset) { return (offset + 6 + 3) / 4 * 4 - 6; };
  at = std::min<std::uint64_t>(padded(at + 2), rest.size());
  // Text is counted in characters (and by some compilers in bytes), all else in bytes.
  const std::uint64_t value_bytes = std::min<std::uint64_t>(type == 1 ? 2 * value_length : value_length, rest.size() - at);
  node.value = TRY(base::slice(rest, at, value_bytes));
  at = std::min<std::uint64_t>(padded(at + value_bytes), rest.size());
  node.children = TRY(base::slice(rest, at, rest.size() - at));
  // What lies between this node and the next multiple of 4 is padding.
  TRY(in.skip(std::min<std::uint64_t>((length + 3) / 4 * 4 - length, in.remaining())));
  return node;
}

template <class Use>
Result<void> for_each_node(ByteView nodes, std::size_t& budget, Use use) {
  ByteReader in(nodes);
  while (in.remaining() >= 6) {
    if (budget-- == 0) return fail(Errc::too_large, fmt::format("more than {} entries", base::limits::kVersionEntries));
    const VersionNode node = TRY(version_node(in));
    TRY(use(node));
  }
  return {};
}

Result<std::string> node_text(ByteView value) {
  std::string text = TRY(base::utf8_from_utf16le(value.size() % 2 == 0 ? value : value.first(value.size() - 1)));
  text.erase(std::find(text.begin(), text.end(), '\0'), text.end());
  return text;
}

}  // namespace

std::string version_text(FileVersion version) {
  return fmt::format("{}.{}.{}.{}", version >> 48, (version >> 32) & 0xFFFF, (version >> 16) & 0xFFFF, version & 0xFFFF);
}

Result<FileVersion> version_from_text(std::string_view text) {
  FileVersion version = 0;
  unsigned parts = 0;
  for (std::string_view rest = text;; ++parts) {
    const std::size_t end = std::min(rest.find('.'), rest.size());
    // Leading zeros are usual in versions.
    const std::string_view digits = rest.substr(0, end);
    const std::size_t first = std::min(digits.find_first_not_of('0'), digits.empty() ? 0 : digits.size() - 1);
    const auto number = base::whole_number(digits.substr(first));
    if (parts == 4 || !number || *number > 0xFFFF)
      return fail(Errc::malformed, fmt::format("version \"{}\", four numbers up to 65535 wanted", base::printable(text)));
    version |= *number << (48 - 16 * parts);
    if (end == rest.size()) return version;
    rest.remove_prefix(end + 1);
  }
}

Result<VersionResource> parse_version_resource(ByteView bytes) {
  if (bytes.size() > base::limits::kVersionResourceBytes)
    return fail(Errc::too_large, fmt::format("{} bytes, at most {}", bytes.size(), base::limits::kVersionResourceBytes));
  ByteReader in(bytes);
  const VersionNode root = TRY(version_node(in));
  if (root.key != "VS_VERSION_INFO") return fail(Errc::malformed, fmt::format("\"{}\" at its start, VS_VERSION_INFO wanted", base::printable(root.key)));
  VersionResource found;
  if (!root.value.empty()) {
    ByteReader fixed(root.value);
    const std::uint32_t magic = TRY(fixed.u32le());
    if (magic != kFixedInfoMagic) return fail(Errc::malformed, fmt::format("VS_FIXEDFILEINFO begins with {:#010x}", magic));
    TRY(fixed.skip(4));
    const std::uint64_t high = TRY(fixed.u32le());
    const std::uint64_t low = TRY(fixed.u32le());
    found.file_version = high << 32 | low;
    TRY(fixed.skip(8));   // the product's version
    const std::uint32_t mask = TRY(fixed.u32le());
    const std::uint32_t flags = TRY(fixed.u32le());
    found.is_debug = (flags & mask & kDebugFlag) != 0;
  }
  std::size_t budget = base::limits::kVersionEntries;
  TRY(for_each_node(root.children, budget, [&](const VersionNode& block) -> Result<void> {
    if (block.key != "StringFileInfo") return {};
    return for_each_node(block.children, budget, [&](const VersionNode& table) {
      return for_each_node(table.children, budget, [&](const VersionNode& entry) -> Result<void> {
        for (const auto& [name, text] : {std::pair("OriginalFilename", &found.original_name), {"ProductName", &found.product_name}})
          if (base::equal_ignoring_case(entry.key, name) && text->empty()) *text = TRY(node_text(entry.value));
        return {};
      });
    });
  }));
  return found;
}

Result<PeDetails> PeDetails::read(const base::ByteSource& file, const PeImage& image) {
  const Headers headers = TRY(read_details_headers(file, image));
  PeDetails details;
  details.has_nx = (headers.characteristics & kNxCompat) != 0;
  details.has_cfg = (headers.characteristics & kGuardCf) != 0;
  details.writable_code = headers.writable_code;
  const MappedImage mapped(file, headers.sections);
  details.imports = base::within("imports", read_imports(mapped, headers.imports));
  details.version = base::within("version resource", read_version(mapped, headers.resources));
  return details;
}

}  // namespace formats
