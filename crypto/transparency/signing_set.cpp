#include "crypto/transparency/signing_set.hpp"

#include <fmt/format.h>

#include "crypto/base/text.hpp"
#include "crypto/base/words.hpp"
#include "crypto/transparency/canonical_json.hpp"

namespace transparency {

using base::Errc;
using base::fail;

crypto::Digest SigningSet::fingerprint() const {
  Json list = Json::array();
  for (const SigningItem& item : items)
    list.push_back({{"digest", digest_text(item.digest)}, {"file", as_utf8(item.file)}, {"slot", as_utf8(item.slot)}});
  const std::string json = canonical({{"items", std::move(list)},
                                      {"keyName", base::hex(key_name)},
                                      {"profileSha256", profile_sha256.hex()}});
  return crypto::sha256(base::as_bytes(json));
}

std::string SigningSet::words() const { return base::fingerprint_words(fingerprint().bytes()); }

std::string digest_text(const crypto::Digest& digest) {
  return fmt::format("{}:{}", crypto::digest_name(digest.algorithm()), digest.hex());
}

base::Result<crypto::Digest> digest_from_text(std::string_view text) {
  using crypto::DigestAlgorithm;
  for (const DigestAlgorithm algorithm : {DigestAlgorithm::sha1, DigestAlgorithm::sha256, DigestAlgorithm::sha384}) {
    const std::string prefix = fmt::format("{}:", crypto::digest_name(algorithm));
    if (!text.starts_with(prefix)) continue;
    const base::Bytes bytes = TRY(base::from_hex(text.substr(prefix.size())));
    const crypto::Digest digest = TRY(crypto::Digest::from_bytes(algorithm, bytes));
    if (digest_text(digest) != text) return fail(Errc::malformed, "digest in upper-case hex");
    return digest;
  }
  return fail(Errc::malformed, fmt::format("\"{}\" is not a digest such as sha256:<hex>", base::printable(text)));
}

}  // namespace transparency
