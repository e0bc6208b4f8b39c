#include "tests/support/plain_sha256.hpp"

#include <mbedtls/md.h>

#include "crypto/base/result.hpp"

namespace tests {

base::Bytes plain_sha256(base::ByteView bytes) {
  base::Bytes digest(32);
  base::require(
      mbedtls_md(mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), bytes.data(), bytes.size(), digest.data()) == 0,
      "mbedTLS did not digest");
  return digest;
}

}  // namespace tests
