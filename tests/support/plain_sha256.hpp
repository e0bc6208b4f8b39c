// SHA-256 by mbedTLS, whatever the processor can do: the second opinion on crypto/digest.cpp's fast one.
#pragma once

#include "crypto/base/bytes.hpp"

namespace tests {

base::Bytes plain_sha256(base::ByteView bytes);

}  // namespace tests
