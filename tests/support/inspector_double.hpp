// Inspectors that misbehave, for tests of what surrounds them. The real one may read no file but those it is given, so a
// double carries its orders at the end of its own program file.
//   "answer BYTES"  "show arguments|environment|list|first-file|descriptors"  "call socket|fork|passwd|..."
//   "misbehave flood|spin|silent|drip|hang-up|allocate"  "signal N"  "exit N"; after "confined " as the real one confines itself.
#pragma once

#include <filesystem>
#include <string_view>

namespace tests {

// Writes the program, to be run in place of coldseal-inspector.
void write_inspector_double(const std::filesystem::path& program, std::string_view orders);

}  // namespace tests
