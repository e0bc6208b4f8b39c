// Made-up requests and responses in folders, for tests that move them and do not look inside.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "crypto/base/bytes.hpp"

namespace tests {

std::string some_id(char digit);                        // 64 times the same hex digit
base::Bytes some_bytes(std::size_t count, unsigned seed);   // noise with many zeros in it
// parent/<id>/ with that document and files/<path>.
void make_request(const std::filesystem::path& parent, const std::string& id, const std::map<std::string, base::Bytes>& files,
                  const std::string& document = "{a manifest}");
void make_response(const std::filesystem::path& parent, const std::string& id, const std::map<std::string, base::Bytes>& files,
                   const std::string& document = "{a receipt}");
// Every file below the folder with its bytes, by relative path.
std::map<std::string, base::Bytes> all_files(const std::filesystem::path& folder);

}  // namespace tests
