// The submitter's private key, from the file that `coldseal key create` wrote.
#pragma once

#include <string>

#include "crypto/base/result.hpp"
#include "crypto/keys/submitter_key.hpp"

namespace host_tool {

// Asks for the pass phrase on the terminal when the key is encrypted and pass_phrase_file is empty.
base::Result<keys::SubmitterKey> submitter_key_from(const std::string& file, const std::string& pass_phrase_file);

}  // namespace host_tool
