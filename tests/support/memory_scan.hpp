// Looks for a text in another process's writable memory, as a debugger of root's would.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <optional>
#include <string>

namespace tests {

// How often it is there; nullopt when this user may not look.
std::optional<std::size_t> occurrences_in_memory(pid_t process, const std::string& text);

}  // namespace tests
