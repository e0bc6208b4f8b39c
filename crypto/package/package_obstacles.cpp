// Findings of our own, and Inf2Cat's redistribution warning: what a package may have that Inf2Cat catalogues all the same.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <unordered_map>
#include <unordered_set>

#include "crypto/package/driver_package.hpp"

namespace package {

namespace {

// Part of Windows, and not for others to install. Inf2Cat's own list is not known; only d3d8.dll was seen in its words (22.9.8).
constexpr std::array<std::string_view, 83> kWindowsFiles = {
    "advapi32.dll", "classpnp.sys", "comctl32.dll", "crypt32.dll", "d3d10.dll", "d3d11.dll", "d3d12.dll", "d3d8.dll", "d3d9.dll", "d3dim.dll", "ddraw.dll", "dinput.dll",
    "dinput8.dll", "disk.sys", "drmk.sys", "dsound.dll", "dxgi.dll", "dxgkrnl.sys", "dxgmms1.sys", "fltmgr.sys", "gdi32.dll", "hal.dll", "hid.dll", "hidclass.sys",
    "hidparse.sys", "hidusb.sys", "i8042prt.sys", "kbdclass.sys", "kbdhid.sys", "kernel32.dll", "ks.sys", "ksecdd.sys", "ksuser.dll", "modem.sys", "mouclass.sys", "mouhid.sys",
    "msvcrt.dll", "ndis.sys", "newdev.dll", "ntdll.dll", "ntoskrnl.exe", "ole32.dll", "opengl32.dll", "parport.sys", "pci.sys", "portcls.sys", "rpcrt4.dll", "scsiport.sys",
    "serenum.sys", "serial.sys", "setupapi.dll", "shell32.dll", "storport.sys", "stream.sys", "tcpip.sys", "usb8023.sys", "usbaudio.sys", "usbccgp.sys", "usbd.sys", "usbehci.sys",
    "usbhub.sys", "usbhub3.sys", "usbohci.sys", "usbport.sys", "usbprint.sys", "usbscan.sys", "usbser.sys", "usbstor.sys", "usbuhci.sys", "usbxhci.sys", "user32.dll", "videoprt.sys",
    "volmgr.sys", "wdf01000.sys", "wdfldr.sys", "winmm.dll", "winspool.drv", "wintrust.dll", "winusb.dll", "winusb.sys", "ws2_32.dll", "wudfrd.sys", "wudfx.dll"};
static_assert(std::is_sorted(kWindowsFiles.begin(), kWindowsFiles.end()));

std::string base_name_of(std::string_view path) { return base::lower_ascii(path.substr(std::min(path.find_last_of("/\\") + 1, path.size()))); }

struct Copy {
  const PackageInf* inf;
  const CopiedFile* file;
};
using Copies = std::unordered_map<std::string, Copy>;   // by the source's path, lower case

// Two lines of an INF that put different files in one place, for the same systems.
void find_clashes(const PackageInf& inf, InspectionBuilder& out) {
  std::unordered_map<std::string, std::vector<const CopiedFile*>> by_place;
  for (const CopiedFile& copied : inf.driver.copied_files()) {
    std::vector<const CopiedFile*>& others = by_place[base::lower_ascii(copied.folder + "\n" + copied.destination)];
    // One line may have a source for each architecture; those are no clash.
    const auto clash = std::find_if(others.begin(), others.end(), [&](const CopiedFile* other) {
      return other->line != copied.line && !(other->architectures & copied.architectures).empty() && !base::equal_ignoring_case(other->source, copied.source);
    });
    if (clash != others.end())
      out.finding("inf.name-clash", Severity::warning, inf.path, copied.line,
                  fmt::format("{} and {} (line {}) are both installed as {}", copied.source, (*clash)->source, (*clash)->line, copied.destination),
                  "give one of them another name or folder");
    if (others.size() < 8) others.push_back(&copied);   // more would say nothing new
  }
}

void find_paths_alike(const std::vector<const PackageFile*>& files, InspectionBuilder& out) {
  std::unordered_map<std::string, const PackageFile*> seen;
  for (const PackageFile* file : files) {
    const auto [first, is_new] = seen.try_emplace(base::lower_ascii(file->path), file);
    if (!is_new)
      out.finding("package.name-clash", Severity::warning, file->path, 0, fmt::format("differs from {} in case only: Windows takes them for one file", first->second->path),
                  "rename or remove one of them");
  }
}

void find_windows_files(const std::vector<const PackageFile*>& files, const Copies& copies, std::span<const OsTarget* const> targets, InspectionBuilder& out) {
  const bool is_vista = std::any_of(targets.begin(), targets.end(), [](const OsTarget* target) { return target->os_attr == "2:6.0"; });
  for (const PackageFile* file : files) {
    const std::string name = base_name_of(file->path);
    const auto copied = copies.find(base::lower_ascii(file->path));
    const std::string destination = copied == copies.end() ? name : base_name_of(copied->second.file->destination);
    if (!std::binary_search(kWindowsFiles.begin(), kWindowsFiles.end(), std::string_view(destination))) continue;
    const bool is_copied = copied != copies.end();
    out.finding("inf.redistribution", Severity::warning, is_copied ? copied->second.inf->path : file->path, is_copied ? copied->second.file->line : 0,
                fmt::format("22.9.8: Possible {} file redistribution violation ({} --> {}).{}", is_vista ? "Windows Vista/Windows Server 2008" : "Windows",
                            as_inf2cat_names(file->path), destination, is_copied ? "" : " File not copied by installation inf so this is a warning only."),
                is_copied ? "take Windows' own with Include and Needs, and leave the file out" : "leave the file out of the package");
  }
}

void find_unsigned_boot_drivers(const PackageInf& inf, const DriverPackage& package, InspectionBuilder& out) {
  for (const Service& service : inf.driver.services()) {
    if (!service.is_boot_start()) continue;
    const std::string binary = base_name_of(service.binary);
    std::unordered_set<const PackageFile*> seen;
    for (const CopiedFile& copied : inf.driver.copied_files()) {
      const PackageFile* const source = base_name_of(copied.destination) == binary ? package.file(inf.folder, copied.source) : nullptr;
      if (source == nullptr || !seen.insert(source).second) continue;
      for (const PeFile& image : out.pe_files())
        if (image.path == source->path && !image.is_signed)
          out.finding("inf.boot-start-not-signed", Severity::warning, inf.path, service.line,
                      fmt::format("service {} starts with Windows' boot, and {} has no signature of its own: the boot loader looks for no catalogs", service.name, image.path),
                      "have it signed itself (operation embed) as well as catalogued");
    }
  }
}

// "produces a package signed only for Windows 10"; "Windows Server does not load attestation signed drivers"; no folder names over 40
// characters in the cabinet, and no folders in folders.
void find_limits_of_attestation(const std::vector<const PackageFile*>& files, std::span<const OsTarget* const> targets, InspectionBuilder& out) {
  constexpr std::size_t kFolderName = 40;
  std::string systems;
  for (const OsTarget* target : targets)
    if (target->os_attr != "2:10.0" || target->os.starts_with("Server")) systems += fmt::format("{}{}", systems.empty() ? "" : ", ", target->name);
  if (!systems.empty())
    out.finding("package.beyond-attestation", Severity::note, "", 0, fmt::format("attestation signing covers clients of Windows 10 and newer only, not {}", systems),
                "none needed unless the package is to be signed by attestation: then submit HLK results for these");
  for (const PackageFile* file : files) {
    const std::size_t slash = file->path.find('/');
    if (slash == std::string::npos) continue;
    const bool is_nested = file->path.find('/', slash + 1) != std::string::npos;
    if (!is_nested && slash <= kFolderName) continue;
    out.finding("package.beyond-attestation", Severity::note, file->path, 0,
                is_nested ? "a folder in a folder, which a package for attestation signing may not have" : fmt::format("a folder name of {} characters; a package for attestation signing may have {}", slash, kFolderName),
                "none needed unless the package is to be signed by attestation");
    return;   // once
  }
}

}  // namespace

void DriverPackage::find_obstacles(std::span<const OsTarget* const> targets, InspectionBuilder& out) const {
  find_paths_alike(files_, out);
  if (infs_.empty()) return;
  Copies copies;
  for (const PackageInf& inf : infs_) {
    find_clashes(inf, out);
    find_unsigned_boot_drivers(inf, *this, out);
    for (const CopiedFile& copied : inf.driver.copied_files())
      if (const PackageFile* source = file(inf.folder, copied.source)) copies.try_emplace(base::lower_ascii(source->path), Copy{&inf, &copied});
    for (const CopiedInf& other : inf.driver.copied_infs())
      if (file(inf.folder, other.name) == nullptr)
        out.finding("inf.copyinf-missing", Severity::warning, inf.path, other.line, fmt::format("CopyINF names {}, which is not in the package", other.name),
                    "add the INF with its files, or remove its name");
  }
  find_windows_files(files_, copies, targets, out);
  find_limits_of_attestation(files_, targets, out);
}

}  // namespace package
