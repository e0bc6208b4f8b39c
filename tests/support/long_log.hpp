// Audit logs as long as one likes: requests that were received, inspected, approved by two, signed and answered, with the very lines
// that coldseald writes. Only the text; nothing of it is kept in memory.
#pragma once

#include <cstdint>
#include <filesystem>

namespace tests {

// Until there are so many requests or so many bytes, whichever comes first; how many requests there are. The last `open` of them
// are not answered but wait.
std::uint64_t write_long_log(const std::filesystem::path& file, std::uint64_t requests, std::uint64_t bytes, std::uint64_t open = 3);

}  // namespace tests
