#include "tests/support/inspector_double.hpp"

#include <fstream>

#include "tests/support/process.hpp"

namespace tests {

void write_inspector_double(const std::filesystem::path& program_file, std::string_view orders) {
  namespace fs = std::filesystem;
  fs::remove(program_file);   // one that still runs could not be written to
  fs::copy_file(program("inspector-double"), program_file);
  std::ofstream(program_file, std::ios::binary | std::ios::app) << "INSPECTOR-DOUBLE:" << orders;
  fs::permissions(program_file, fs::perms::owner_all | fs::perms::group_exec | fs::perms::others_exec | fs::perms::others_read);
}

}  // namespace tests
