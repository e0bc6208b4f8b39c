// Fingerprints as words people can read aloud and compare: the BIP-39 English list, 11 bits a word.
#pragma once

#include <string>

#include "crypto/base/bytes.hpp"

namespace base {

// The first 88 bits of a digest as 8 words, separated by one space. The digest has at least 11 bytes.
std::string fingerprint_words(ByteView digest);

}  // namespace base
