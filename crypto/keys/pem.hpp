// PEM (RFC 7468): text armour around DER.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "crypto/base/bytes.hpp"
#include "crypto/base/result.hpp"

namespace keys {

using base::Bytes;
using base::ByteView;
using base::Result;

struct PemBlock {
  std::string label;   // "CERTIFICATE", "PUBLIC KEY", ...
  Bytes der;
};

// Every block of the text in order; text between blocks is skipped. Errc::malformed for a damaged block.
Result<std::vector<PemBlock>> pem_blocks(std::string_view text);

// The DER of the only block, which must have that label.
Result<Bytes> single_pem_block(std::string_view text, std::string_view label);

std::string pem_block(std::string_view label, ByteView der);

}  // namespace keys
