#include "crypto/base/result.hpp"

#include <cstdio>
#include <cstdlib>

namespace base {

void stop(std::string_view what, const Where& where) {
  std::fprintf(stderr, "coldseal: internal error: %.*s (%s:%u)\n", static_cast<int>(what.size()), what.data(),
               where.file, where.line);
  std::abort();
}

}  // namespace base
