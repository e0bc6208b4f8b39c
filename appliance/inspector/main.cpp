// coldseal-inspector OS-LIST TODAY: reads an untrusted package and writes what it learned to standard output, as
// encode_inspection() puts it. Started by coldseald only, one per request, with the package's files already open and listed on
// standard input ("number NUL path NUL"). Before it looks at the first byte of them it gives up opening anything, so that a
// crash or a takeover here costs that request, nothing more.
#include <sys/prctl.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <deque>
#include <exception>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include "appliance/inspector_process.hpp"
#include "crypto/base/text.hpp"
#include "crypto/package/inspection.hpp"
#include "usb/files/file_source.hpp"

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

struct GivenFile {
  int number = -1;
  std::string path;
};

// What coldseald wrote, up to its end.
base::Result<std::vector<GivenFile>> given_files() {
  std::string text;
  std::array<char, 65536> piece{};
  for (ssize_t count = 0; (count = read(STDIN_FILENO, piece.data(), piece.size())) > 0;) text.append(piece.data(), static_cast<std::size_t>(count));
  std::vector<GivenFile> files;
  std::string_view left = text;
  while (!left.empty()) {
    const std::size_t number_end = left.find('\0');
    const std::size_t path_end = number_end == std::string_view::npos ? number_end : left.find('\0', number_end + 1);
    GivenFile file;
    if (path_end == std::string_view::npos || files.size() == base::limits::kPackageFiles)
      return base::fail(base::Errc::malformed, "the list of files on standard input is not one of coldseald's");
    const std::string_view number = left.substr(0, number_end);
    if (std::from_chars(number.begin(), number.end(), file.number).ptr != number.end() || file.number <= STDERR_FILENO)
      return base::fail(base::Errc::malformed, "the list of files on standard input names no open file");
    file.path = left.substr(number_end + 1, path_end - number_end - 1);
    files.push_back(std::move(file));
    left.remove_prefix(path_end + 1);
  }
  return files;
}

base::Result<base::Bytes> inspect_given(std::string_view os_list, std::string_view today) {
  const base::Time date = TRY(base::time_from_rfc3339(today));
  const std::vector<GivenFile> given = TRY(given_files());
  std::deque<usb::FileSource> sources;   // a deque: the package holds pointers to its elements
  std::vector<package::PackageFile> files;
  for (const GivenFile& file : given) {
    sources.push_back(TRY(usb::FileSource::adopt(file.number, file.path)));
    files.push_back({file.path, &sources.back()});
  }
  // Dates of certificates are held against UTC; the C library would look for a time zone's file at the first of them.
  setenv("TZ", "UTC0", 1);
  tzset();
  TRY(appliance::confine_inspector());
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

// _exit: what would run at an ordinary end needs more of the system than is left.
int main(int argc, char** argv) {
  (void)prctl(PR_SET_DUMPABLE, 0);
  if (argc != 3) {
    std::fputs("usage: coldseal-inspector OS-LIST TODAY   (started by coldseald)\n", stderr);
    return 2;
  }
  std::set_new_handler([] { _exit(appliance::kInspectorOutOfMemory); });
  std::set_terminate([] { std::abort(); });
  const base::Result<base::Bytes> answer = inspect_given(argv[1], argv[2]);
  if (answer) _exit(write_all(*answer) ? 0 : 1);
  const std::string complaint = "coldseal-inspector: " + base::printable(answer.error().text()) + "\n";
  (void)!write(STDERR_FILENO, complaint.data(), complaint.size());
  _exit(1);
}
