#include "crypto/base/result.hpp"

#include <cstdio>
#include <cstdlib>

namespace base {

void stop(std::string_view what, const std::source_location& where) {
  std::fprintf(stderr, "coldseal: internal error: %.*s (%s:%u)\n", static_cast<int>(what.size()), what.data(),
               where.file_name(), static_cast<unsigned>(where.line()));
  std::abort();
}

}  // namespace base
