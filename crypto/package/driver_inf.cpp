#include "crypto/package/driver_inf.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "crypto/base/limits.hpp"
#include "crypto/base/text.hpp"

namespace package {

using base::Errc;
using base::fail;
using base::Result;
using formats::InfFile;
using formats::InfLine;
using formats::InfSection;
namespace limits = base::limits;

namespace {

// Inf2Cat of the Windows 8 and later kits knows no Itanium: files for it are not looked at (docs/catalogs.md section 5).
constexpr std::array kCatalogued = {Architecture::x86, Architecture::amd64, Architecture::arm, Architecture::arm64};

ArchitectureSet every_architecture() {
  ArchitectureSet all;
  for (const Architecture a : kCatalogued) all.insert(a);
  return all;
}

// "NTamd64.10.0...19041" names amd64; "NT", "NT.5.1" and what is none of these name nothing.
std::optional<Architecture> decorated_architecture(std::string_view decoration) {
  const std::string lower = base::lower_ascii(decoration);
  if (!lower.starts_with("nt")) return std::nullopt;
  const std::string_view name = std::string_view(lower).substr(2, lower.find('.') == std::string::npos ? std::string::npos : lower.find('.') - 2);
  for (std::size_t i = 0; i < kArchitectures; ++i)
    if (architecture_name(static_cast<Architecture>(i)) == name) return static_cast<Architecture>(i);
  return std::nullopt;
}

// A path as INFs write it, under a folder, as packages write it; "." parts and empty ones go, ".." stays.
void append_path(std::string& path, std::string_view part) {
  while (!part.empty()) {
    const std::size_t end = part.find_first_of("\\/");
    const std::string_view name = base::trim(part.substr(0, end));
    if (!name.empty() && name != ".") path += (path.empty() ? "" : "/") + std::string(name);
    part = end == std::string_view::npos ? std::string_view() : part.substr(end + 1);
  }
}

}  // namespace

class DriverInfReader {
 public:
  explicit DriverInfReader(const InfFile& inf) : out_(inf), inf_(inf) {}

  Result<DriverInf> read() {
    TRY(read_catalog_files());
    TRY(read_models());
    for (const InfSection& section : inf_.sections()) {
      const std::string name = base::lower_ascii(section.name);
      if (name == "defaultinstall" || name.starts_with("defaultinstall.nt")) {
        note_install("DefaultInstall");
        if (const auto own = decorated_architecture(section.name.substr(std::min<std::size_t>(15, section.name.size()))))
          declared_.insert(*own);
      }
      if (name == "classinstall32" || name.starts_with("classinstall32.nt")) note_install("ClassInstall32");
    }
    out_.architectures_ = declared_.empty() || declares_all_ ? every_architecture() : declared_ & every_architecture();
    for (const std::string& base_name : installs_) TRY(read_install(base_name));
    if (const InfSection* interfaces = inf_.section("InterfaceInstall32")) TRY(read_interfaces(*interfaces, 0, out_.architectures_));
    return std::move(out_);
  }

 private:
  // Strings replaced; the error names line and section.
  Result<std::string> text(const InfLine& line, std::string_view raw) const {
    Result<std::string> expanded = inf_.expand(raw);
    if (!expanded) return tl::unexpected<base::Error>(expanded.error().within(fmt::format("line {}, [{}]", line.number, base::printable(section_of(line)))));
    return expanded;
  }
  std::string_view section_of(const InfLine& line) const {   // for errors only: it looks through the whole file
    for (const InfSection& section : inf_.sections())
      for (const InfLine& each : section.lines)
        if (&each == &line) return section.name;
    return {};
  }
  static bool has_key(const InfLine& line, std::string_view key) { return line.key && base::equal_ignoring_case(*line.key, key); }

  Result<void> read_catalog_files() {
    for (std::size_t i = 0; i < kArchitectures; ++i) {
      const auto a = static_cast<Architecture>(i);
      for (const std::string& key : {fmt::format("CatalogFile.nt{}", architecture_name(a)), std::string("CatalogFile.nt"), std::string("CatalogFile")}) {
        const std::string value = TRY(out_.version_value(key));
        if (value.empty()) continue;
        out_.catalog_files_[i] = value;
        break;
      }
    }
    return {};
  }

  void note_install(std::string_view name) {
    if (!name.empty() && seen_installs_.insert(base::lower_ascii(name)).second) installs_.emplace_back(name);
  }

  // [Manufacturer] %name% = models [, decoration...]; each decoration has a models section of its own.
  Result<void> read_models() {
    const InfSection* manufacturer = inf_.section("Manufacturer");
    if (manufacturer == nullptr) return {};
    std::unordered_set<std::string> seen;
    for (const InfLine& line : manufacturer->lines) {
      // A line without '=' names the models section by the manufacturer's own name.
      std::string models = TRY(text(line, line.field(0)));
      if (models.empty() && line.key) models = TRY(text(line, *line.key));
      bool decorated = false;
      std::vector<std::string> sections{models};
      for (std::size_t i = 1; i < line.fields.size(); ++i) {
        const std::string decoration = TRY(text(line, line.field(i)));
        if (decoration.empty()) continue;
        sections.push_back(models + "." + decoration);
        if (const auto own = decorated_architecture(decoration)) {
          declared_.insert(*own);
          decorated = true;
        }
      }
      for (const std::string& name : sections) {
        const InfSection* section = inf_.section(name);
        if (section == nullptr || !seen.insert(base::lower_ascii(name)).second) continue;
        if (name == models && decorated) declared_.insert(Architecture::x86);   // what is not decorated is for x86
        TRY(read_devices(*section));
      }
      if (!decorated) declares_all_ = true;
    }
    return {};
  }

  // %description% = install-section [, hardware-id [, compatible-id...]]
  Result<void> read_devices(const InfSection& section) {
    for (const InfLine& line : section.lines) {
      if (!line.key) continue;
      if (out_.devices_.size() == limits::kInfDevices)
        return fail(Errc::too_large, fmt::format("line {}: more than {} devices", line.number, limits::kInfDevices));
      Device device;
      device.line = line.number;
      device.description = TRY(text(line, *line.key));
      device.install_section = TRY(text(line, line.field(0)));
      for (std::size_t i = 1; i < line.fields.size(); ++i) {
        std::string id = TRY(text(line, line.field(i)));
        if (++ids_ > limits::kCatalogAttributes)
          return fail(Errc::too_large, fmt::format("line {}: more than {} hardware ids", line.number, limits::kCatalogAttributes));
        if (!id.empty()) device.ids.push_back(std::move(id));
      }
      note_install(device.install_section);
      out_.devices_.push_back(std::move(device));
    }
    return {};
  }

  // Setup takes for each architecture the most decorated of the sections that are there: name.nt<architecture>, name.nt, name.
  // Each section with the architectures that take it.
  std::vector<std::pair<std::string, ArchitectureSet>> chosen_sections(std::string_view name) const {
    std::vector<std::pair<std::string, ArchitectureSet>> chosen;
    for (const Architecture a : kCatalogued) {
      if (!out_.architectures_.contains(a)) continue;
      for (const std::string& candidate : {fmt::format("{}.nt{}", name, architecture_name(a)), fmt::format("{}.nt", name), std::string(name)}) {
        if (inf_.section(candidate) == nullptr) continue;
        const auto same = std::find_if(chosen.begin(), chosen.end(), [&](const auto& other) { return other.first == candidate; });
        if (same == chosen.end()) {
          chosen.emplace_back(candidate, ArchitectureSet());
          chosen.back().second.insert(a);
        } else {
          same->second.insert(a);
        }
        break;
      }
    }
    return chosen;
  }

  Result<void> read_install(const std::string& name) {
    for (const auto& [section, architectures] : chosen_sections(name)) {
      TRY(read_copy_files(section, architectures));
      TRY(read_copy_files(section + ".coinstallers", architectures));
      TRY(read_services(section + ".services"));
      TRY(read_copied_infs(section));
      if (const InfSection* interfaces = inf_.section(section + ".interfaces")) TRY(read_interfaces(*interfaces, 2, architectures));
    }
    return {};
  }

  // [InterfaceInstall32] {class guid} = section, and AddInterface = {class guid} [, reference, [section]]
  Result<void> read_interfaces(const InfSection& section, std::size_t field, ArchitectureSet architectures) {
    for (const InfLine& line : section.lines) {
      if (field != 0 && !has_key(line, "AddInterface")) continue;
      const std::string install = TRY(text(line, line.field(field)));
      if (install.empty()) continue;
      for (const auto& [chosen, own] : chosen_sections(install))
        if (const ArchitectureSet both = own & architectures; !both.empty()) TRY(read_copy_files(chosen, both));
    }
    return {};
  }

  // CopyINF = file.inf [, ...]
  Result<void> read_copied_infs(const std::string& install) {
    const InfSection* section = inf_.section(install);
    if (section == nullptr) return {};
    for (const InfLine& line : section->lines) {
      if (!has_key(line, "CopyINF")) continue;
      for (const std::string& field : line.fields) {
        const std::string name = TRY(text(line, field));
        if (!name.empty() && seen_copied_infs_.insert(base::lower_ascii(name)).second) out_.copied_infs_.push_back({name, line.number});
      }
    }
    return {};
  }

  // [DestinationDirs] list = dirid [, subfolder], else DefaultDestDir. A file with @ has the latter.
  Result<std::string> destination_folder(std::string_view list) {
    const Lines* lines = TRY(lines_by_key("destinationdirs"));
    auto found = list.empty() ? lines->end() : lines->find(base::lower_ascii(list));
    if (found == lines->end()) found = lines->find("defaultdestdir");
    if (found == lines->end()) return std::string();
    const std::string id = TRY(text(*found->second, found->second->field(0)));
    const std::string subfolder = TRY(text(*found->second, found->second->field(1)));
    return subfolder.empty() ? id : id + "," + subfolder;
  }

  // CopyFiles = @file | list-section [, ...]
  Result<void> read_copy_files(const std::string& install, ArchitectureSet architectures) {
    const InfSection* section = inf_.section(install);
    if (section == nullptr) return {};
    for (const InfLine& line : section->lines) {
      if (!has_key(line, "CopyFiles")) continue;
      for (const std::string& field : line.fields) {
        const std::string what = TRY(text(line, field));
        if (what.starts_with('@')) {
          const std::string folder = TRY(destination_folder({}));
          TRY(add_copied(what.substr(1), what.substr(1), architectures, line.number, section->name, folder));
        } else if (!what.empty()) {
          // A list is read once for each set of architectures, however often it is named.
          if (lists_.insert(fmt::format("{} {}", architectures.bits(), base::lower_ascii(what))).second) TRY(read_copy_list(what, architectures, line.number));
        }
      }
    }
    return {};
  }

  // destination [, source [, temporary [, flags]]]
  Result<void> read_copy_list(const std::string& name, ArchitectureSet architectures, std::uint32_t named_at) {
    const InfSection* section = inf_.section(name);
    if (section == nullptr) {
      out_.missing_lists_.push_back({name, named_at});
      return {};
    }
    const std::string folder = TRY(destination_folder(name));
    for (const InfLine& line : section->lines) {
      const std::string destination = TRY(text(line, line.field(0)));
      const std::string source = TRY(text(line, line.field(1)));
      if (!destination.empty()) TRY(add_copied(destination, source.empty() ? destination : source, architectures, line.number, section->name, folder));
    }
    return {};
  }

  using Lines = std::unordered_map<std::string, const InfLine*>;   // lower-case key -> first line
  Result<const Lines*> lines_by_key(const std::string& section_name) {
    const auto [place, is_new] = lines_by_key_.try_emplace(section_name);
    if (!is_new) return &place->second;
    const InfSection* section = inf_.section(section_name);
    if (section == nullptr) return &place->second;
    for (const InfLine& line : section->lines)
      if (line.key) {
        const std::string key = TRY(text(line, *line.key));
        place->second.try_emplace(base::lower_ascii(key), &line);
      }
    return &place->second;
  }

  // The line for key in [section.architecture], else in [section].
  Result<const InfLine*> source_line(std::string_view section, Architecture a, std::string_view key) {
    for (const std::string& name : {fmt::format("{}.{}", section, architecture_name(a)), std::string(section)}) {
      const Lines* lines = TRY(lines_by_key(name));
      if (const auto found = lines->find(base::lower_ascii(key)); found != lines->end()) return found->second;
    }
    return nullptr;
  }

  // Where the file lies for each of the architectures: every one's source goes into the catalog.
  Result<void> add_copied(const std::string& destination, const std::string& source, ArchitectureSet architectures, std::uint32_t line,
                          const std::string& section, const std::string& destination_folder) {
    bool found = false;
    for (const Architecture a : kCatalogued) {
      if (!architectures.contains(a)) continue;
      const InfLine* entry = TRY(source_line("sourcedisksfiles", a, source));   // file = disk [, [subfolder] [, size]]
      if (entry == nullptr) continue;   // a list shared by architectures may name files of one of them
      found = true;
      const std::string disk_id = TRY(text(*entry, entry->field(0)));
      const InfLine* disk = TRY(source_line("sourcedisksnames", a, disk_id));   // id = description [, [tag], unused, path]
      const std::string folder = TRY(disk == nullptr ? Result<std::string>(std::string()) : text(*disk, disk->field(3)));
      const std::string subfolder = TRY(text(*entry, entry->field(1)));
      CopiedFile file{destination, {}, architectures, line, section, destination_folder, true};
      append_path(file.source, folder);
      append_path(file.source, subfolder);
      append_path(file.source, source);
      TRY(keep(std::move(file)));
    }
    if (!found) TRY(keep({destination, source, architectures, line, section, destination_folder, false}));
    return {};
  }

  Result<void> keep(CopiedFile file) {
    const std::string key = fmt::format("{} {}\n{}", file.architectures.bits(), base::lower_ascii(file.source), base::lower_ascii(file.destination));
    if (!seen_copied_.insert(key).second) return {};
    if (out_.copied_.size() == limits::kCatalogMembers)
      return fail(Errc::too_large, fmt::format("line {}: more than {} copied files", file.line, limits::kCatalogMembers));
    out_.copied_.push_back(std::move(file));
    return {};
  }

  // AddService = name, [flags], service-install-section [, ...]
  Result<void> read_services(const std::string& name) {
    const InfSection* section = inf_.section(name);
    if (section == nullptr) return {};
    for (const InfLine& line : section->lines) {
      if (!has_key(line, "AddService")) continue;
      const std::string install = TRY(text(line, line.field(2)));
      Service service;
      service.name = TRY(text(line, line.field(0)));
      service.line = line.number;
      if (service.name.empty() || install.empty()) continue;
      if (!seen_services_.insert(base::lower_ascii(service.name + "\n" + install)).second) continue;
      const Lines* lines = TRY(lines_by_key(base::lower_ascii(install)));
      const auto start = lines->find("starttype");
      const auto binary = lines->find("servicebinary");
      if (start != lines->end()) service.start_type = TRY(text(*start->second, start->second->field(0)));
      if (binary != lines->end()) service.binary = TRY(text(*binary->second, binary->second->field(0)));
      out_.services_.push_back(std::move(service));
    }
    return {};
  }

  DriverInf out_;
  const InfFile& inf_;
  ArchitectureSet declared_;
  bool declares_all_ = false;
  std::size_t ids_ = 0;
  std::vector<std::string> installs_;
  std::unordered_set<std::string> seen_installs_;
  std::unordered_set<std::string> lists_;         // by architectures and name
  std::unordered_set<std::string> seen_copied_;   // by architectures, source and destination
  std::unordered_map<std::string, Lines> lines_by_key_;
  std::unordered_set<std::string> seen_services_;
  std::unordered_set<std::string> seen_copied_infs_;
};

bool Service::is_boot_start() const {
  std::string_view digits = base::trim(start_type);
  if (digits.starts_with("0x") || digits.starts_with("0X")) digits.remove_prefix(2);
  return !digits.empty() && digits.find_first_not_of('0') == std::string_view::npos;
}

Result<DriverInf> DriverInf::read(const InfFile& inf) { return DriverInfReader(inf).read(); }

const std::string& DriverInf::catalog_file(Architecture architecture) const {
  return catalog_files_[static_cast<std::size_t>(architecture)];
}

Result<std::string> DriverInf::version_value(std::string_view key) const {
  const InfLine* line = inf_->line("Version", key);
  if (line == nullptr) return std::string();
  return inf_->expand(line->field(0));
}

}  // namespace package
