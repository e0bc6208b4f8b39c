// coldseal-inspector FILES OS-LIST TODAY: reads an untrusted package and writes what it learned to standard output,
// as encode_inspection() puts it. Started by coldseald only, one per request; it is given no keys and nothing
// but one pipe, and its limits let it write no file. A crash here costs that request, nothing more.
#include <fmt/format.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cstdio>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "crypto/base/text.hpp"
#include "crypto/package/inspection.hpp"
#include "usb/files/file_source.hpp"
#include "usb/files/tree_walk.hpp"

namespace {

std::vector<std::string> split(std::string_view list) {
  std::vector<std::string> parts;
  while (!list.empty()) {
    const std::size_t end = std::min(list.find(','), list.size());
    parts.emplace_back(list.substr(0, end));
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return parts;
}

base::Result<base::Bytes> inspect_folder(const std::string& folder, std::string_view os_list, std::string_view today) {
  const base::Time date = TRY(base::time_from_rfc3339(today));
  const std::vector<usb::FoundFile> found = TRY(usb::files_below(folder));
  std::deque<usb::FileSource> sources;   // a deque: the package holds pointers to its elements
  std::vector<package::PackageFile> files;
  for (const usb::FoundFile& file : found) {
    sources.push_back(TRY(usb::FileSource::open(folder + "/" + file.path)));
    files.push_back({file.path, &sources.back()});
  }
  return package::encode_inspection(package::inspect(files, split(os_list), date));
}

bool write_all(base::ByteView bytes) {
  while (!bytes.empty()) {
    const ssize_t count = write(STDOUT_FILENO, bytes.data(), bytes.size());
    if (count <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  (void)prctl(PR_SET_DUMPABLE, 0);
  if (argc != 4) {
    fmt::print(stderr, "usage: coldseal-inspector FILES OS-LIST TODAY   (started by coldseald)\n");
    return 2;
  }
  const base::Result<base::Bytes> answer = inspect_folder(argv[1], argv[2], argv[3]);
  if (!answer) {
    fmt::print(stderr, "coldseal-inspector: {}\n", base::printable(answer.error().text()));
    return 1;
  }
  return write_all(*answer) ? 0 : 1;
}
