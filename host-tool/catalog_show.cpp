// coldseal catalog show and diff: what a catalog says, and what two of them say differently.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "crypto/base/command_line.hpp"
#include "crypto/base/limits.hpp"
#include "crypto/formats/catalog.hpp"
#include "crypto/package/verification.hpp"
#include "host-tool/catalog_commands.hpp"
#include "host-tool/package_folder.hpp"
#include "host-tool/report.hpp"
#include "usb/files/safe_write.hpp"

namespace host_tool {
namespace {

using base::Bytes;
using base::printable;
using base::Result;
using formats::Catalog;
using formats::CatalogEntry;
using formats::NameValue;

struct CatalogOptions {
  std::string file;
  std::string other;
  std::string package;
  bool json = false;
};

using PathsByDigest = std::multimap<std::string, std::string>;   // digest in hex, of either algorithm

Result<PathsByDigest> paths_by_digest(const std::string& package) {
  PathsByDigest paths;
  if (package.empty()) return paths;
  const PackageFolder folder = TRY(PackageFolder::open(package));
  for (std::size_t i = 0; i < folder.files().size(); ++i) {
    const Result<formats::MemberDigests> digests = formats::member_digests(folder.source(i));
    if (!digests) continue;   // a file no catalog can list
    paths.emplace(digests->sha1.hex(), folder.files()[i].path);
    paths.emplace(digests->sha256.hex(), folder.files()[i].path);
  }
  return paths;
}

// The digest that the tag stands for, in hex; other tags as they are.
std::string tag_text(const CatalogEntry& entry, unsigned version) {
  if (version == 2) return base::hex(entry.tag);
  std::string text = base::utf8_from_utf16le(entry.tag).value_or(base::hex(entry.tag));
  if (text.ends_with('\0')) text.pop_back();
  return base::lower_ascii(text);
}

std::string kind_text(const CatalogEntry& entry) { return entry.kind ? std::string(formats::member_kind_name(*entry.kind)) : "other"; }

std::size_t page_count(const CatalogEntry& entry) {
  constexpr std::size_t kEntryBytes = 4 + 32;
  const std::size_t entries = entry.page_hashes.size() / kEntryBytes;
  return entries == 0 ? 0 : entries - 1;   // the last one only says where the pages end
}

Json attributes_json(const std::vector<NameValue>& attributes) {
  Json list = Json::array();
  for (const NameValue& attribute : attributes)
    list.push_back({{"name", attribute.name}, {"flags", fmt::format("{:#010x}", attribute.flags)}, {"value", attribute.value}});
  return list;
}

Json catalog_json(const Catalog& catalog, const PathsByDigest& paths, const std::string& signer) {
  Json members = Json::array();
  for (const CatalogEntry& entry : catalog.entries()) {
    const std::string tag = tag_text(entry, catalog.version());
    Json files = Json::array();
    for (auto [at, end] = paths.equal_range(tag); at != end; ++at) files.push_back(at->second);
    members.push_back({{"tag", tag},
                       {"kind", kind_text(entry)},
                       {"digest", entry.digest ? Json(entry.digest->hex()) : Json(nullptr)},
                       {"algorithm", entry.digest ? Json(crypto::digest_name(entry.digest->algorithm())) : Json(nullptr)},
                       {"pageHashes", entry.has_page_hashes ? Json(base::hex(entry.page_hashes)) : Json(nullptr)},
                       {"attributes", attributes_json(entry.attributes)},
                       {"packageFiles", std::move(files)}});
  }
  const std::string* const os = catalog.attribute("OS");
  return {{"version", catalog.version()},
          {"listIdentifier", base::hex(catalog.list_identifier())},
          {"time", base::rfc3339(catalog.this_update())},
          {"signed", catalog.is_signed()},
          {"signer", signer},
          {"os", os != nullptr ? Json(*os) : Json(nullptr)},
          {"hardwareIds", catalog.hardware_ids()},
          {"attributes", attributes_json(catalog.attributes())},
          {"members", std::move(members)}};
}

std::string value_text(const NameValue& attribute) {
  const bool is_binary = (attribute.flags & formats::kBinaryValue) != 0;
  return fmt::format("{}={}{}", printable(attribute.name), is_binary ? "hex:" : "", printable(attribute.value));
}

void print_catalog(const Catalog& catalog, const PathsByDigest& paths, const std::string& signer, bool has_package) {
  fmt::print("version      {} ({})\nlist id      {}\ntime         {}\nsigned by    {}\n", catalog.version(),
             catalog.version() == 1 ? "SHA-1" : "SHA-256 with SHA-1 twins", base::hex(catalog.list_identifier()),
             base::rfc3339(catalog.this_update()), !catalog.is_signed() ? "nobody" : signer.empty() ? "unknown" : printable(signer));
  for (const NameValue& attribute : catalog.attributes())
    if (!attribute.name.starts_with("HWID")) fmt::print("{:<12} {}\n", printable(attribute.name), printable(attribute.value));
  for (const std::string& id : catalog.hardware_ids()) fmt::print("hardware id  {}\n", printable(id));
  fmt::print("\n");
  for (const CatalogEntry& entry : catalog.entries()) {
    if (catalog.version() == 2 && !entry.digest) continue;   // the twin of one that is shown
    const std::string tag = tag_text(entry, catalog.version());
    const std::string* const file = entry.attribute("File");
    fmt::print("{:<5} {}  {}\n", kind_text(entry), printable(tag), file != nullptr ? printable(*file) : "-");
    std::string rest;
    for (const NameValue& attribute : entry.attributes)
      if (!base::equal_ignoring_case(attribute.name, "File")) rest += (rest.empty() ? "" : "  ") + value_text(attribute);
    if (entry.has_page_hashes) rest += fmt::format("{}page hashes of {} pages", rest.empty() ? "" : "  ", page_count(entry));
    if (!rest.empty()) fmt::print("      {}\n", rest);
    if (!has_package) continue;
    const auto [first, last] = paths.equal_range(tag);
    if (first == last) fmt::print("      not in the package\n");
    for (auto at = first; at != last; ++at) fmt::print("      is {}\n", printable(at->second));
  }
}

Result<Exit> show(const CatalogOptions& options, base::Time now) {
  const Bytes file = TRY(usb::read_file(options.file, base::limits::kCatalogBytes));
  const Catalog catalog = TRY(base::within(printable(options.file), Catalog::parse(file)));
  const std::string signer = catalog.is_signed() ? package::verify_catalog_signature(file, {}, now).signer : std::string();
  const PathsByDigest paths = TRY(paths_by_digest(options.package));
  if (options.json)
    print_json(catalog_json(catalog, paths, signer));
  else
    print_catalog(catalog, paths, signer, !options.package.empty());
  return Exit::done;
}

// What a maker controls, a line for each thing; list identifier, time and signature are left out.
struct Lines {
  std::vector<std::string> header;
  std::multiset<std::string> members;   // members with equal tags stand in no order
};

Lines lines_of(const Catalog& catalog) {
  Lines lines;
  lines.header.push_back(fmt::format("version {}", catalog.version()));
  for (const NameValue& attribute : catalog.attributes()) lines.header.push_back(fmt::format("attribute {} {:#010x}", value_text(attribute), attribute.flags));
  for (const CatalogEntry& entry : catalog.entries()) {
    std::vector<std::string> attributes;
    for (const NameValue& attribute : entry.attributes) attributes.push_back(fmt::format(" {} {:#010x}", value_text(attribute), attribute.flags));
    std::sort(attributes.begin(), attributes.end());
    std::string line = fmt::format("member {} {} {}", printable(tag_text(entry, catalog.version())), kind_text(entry), entry.digest ? entry.digest->hex() : "-");
    for (const std::string& attribute : attributes) line += attribute;
    if (entry.has_page_hashes) line += fmt::format(" page hashes {}", crypto::sha256(entry.page_hashes).hex());
    lines.members.insert(std::move(line));
  }
  return lines;
}

std::vector<std::string> missing_from(const std::multiset<std::string>& a, const std::multiset<std::string>& b) {
  std::vector<std::string> only;
  std::set_difference(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(only));
  return only;
}

Result<Exit> diff(const CatalogOptions& options) {
  const auto read = [](const std::string& path) -> Result<Catalog> {
    const Bytes file = TRY(usb::read_file(path, base::limits::kCatalogBytes));
    return base::within(printable(path), Catalog::parse(file));
  };
  const Catalog first = TRY(read(options.file));
  const Catalog second = TRY(read(options.other));
  const Lines a = lines_of(first);
  const Lines b = lines_of(second);
  std::vector<std::string> only_a = missing_from({a.header.begin(), a.header.end()}, {b.header.begin(), b.header.end()});
  std::vector<std::string> only_b = missing_from({b.header.begin(), b.header.end()}, {a.header.begin(), a.header.end()});
  const bool order_differs = only_a.empty() && only_b.empty() && a.header != b.header;
  for (std::string& line : missing_from(a.members, b.members)) only_a.push_back(std::move(line));
  for (std::string& line : missing_from(b.members, a.members)) only_b.push_back(std::move(line));
  const bool is_equal = only_a.empty() && only_b.empty() && !order_differs;
  // Encodings that say the same in other bytes: no maker of today writes such.
  const bool is_same_list = first.ctl() == second.ctl();
  if (options.json) {
    print_json({{"equal", is_equal}, {"sameBytes", is_same_list}, {"attributeOrderDiffers", order_differs}, {"onlyInFirst", only_a}, {"onlyInSecond", only_b}});
  } else {
    for (const std::string& line : only_a) fmt::print("- {}\n", line);
    for (const std::string& line : only_b) fmt::print("+ {}\n", line);
    if (order_differs) fmt::print("the catalogs' attributes stand in another order\n");
    if (is_equal) fmt::print("no difference{}\n", is_same_list ? "; the lists have the same bytes" : " but list identifier or time");
  }
  return is_equal ? Exit::done : Exit::refused;
}

}  // namespace

void add_catalog_show(base::Command& catalog, Run& run, base::Time now) {
  base::Command command = catalog.sub("show", "Shows what a catalog says: systems, hardware ids, files, digests, and who signed it.");
  const auto options = std::make_shared<CatalogOptions>();
  command.option("FILE", options->file, "The catalog").required();
  command.option("--package", options->package, "Say of each member which file of this folder it is");
  command.flag("--json", options->json, "One JSON object instead of text");
  command.when_chosen([options, &run, now] { run = [options, now] { return show(*options, now); }; });
}

void add_catalog_diff(base::Command& catalog, Run& run) {
  base::Command command = catalog.sub(
      "diff", "Compares what two catalogs say; list identifier, time and signatures are left out. Exit status 1 when they differ.");
  const auto options = std::make_shared<CatalogOptions>();
  command.option("A", options->file, "A catalog").required();
  command.option("B", options->other, "Another").required();
  command.flag("--json", options->json, "One JSON object instead of text");
  command.when_chosen([options, &run] { run = [options] { return diff(*options); }; });
}

void add_catalog(base::Command& app, Run& run, base::Time now) {
  base::Command catalog = app.sub("catalog", "Catalogs: made as Inf2Cat and MakeCat make them, shown, compared");
  catalog.needs_sub();
  add_catalog_create(catalog, run, now);
  add_catalog_show(catalog, run, now);
  add_catalog_diff(catalog, run);
}

}  // namespace host_tool
