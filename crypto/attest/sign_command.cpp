#include "crypto/attest/sign_command.hpp"

#include <fmt/format.h>

#include "crypto/attest/policy.hpp"
#include "crypto/base/byte_writer.hpp"
#include "crypto/der/reader.hpp"
#include "crypto/der/writer.hpp"

namespace attest {

std::uint16_t algorithm_id(crypto::DigestAlgorithm algorithm) {
  switch (algorithm) {
    case crypto::DigestAlgorithm::sha1:
      return 0x0004;
    case crypto::DigestAlgorithm::sha256:
      return 0x000B;
    case crypto::DigestAlgorithm::sha384:
      return 0x000C;
    case crypto::DigestAlgorithm::sha512:
      return 0x000D;
  }
  base::stop("no such digest algorithm");
}

Result<crypto::Digest> sign_cp_hash(const Name& key, crypto::KeyAlgorithm algorithm, const crypto::Digest& digest, crypto::Sha1 sha1) {
  using crypto::DigestAlgorithm;
  // SHA-512 is missing in common chips (SLB9672).
  const bool is_sha1_wanted = digest.algorithm() == DigestAlgorithm::sha1 && sha1 == crypto::Sha1::for_old_windows &&
                              algorithm == crypto::KeyAlgorithm::rsa_pkcs1;
  if (digest.algorithm() != DigestAlgorithm::sha256 && digest.algorithm() != DigestAlgorithm::sha384 && !is_sha1_wanted)
    return base::fail(base::Errc::unsupported, fmt::format("{} digest given to a TPM key; sha256 or sha384 wanted",
                                                           crypto::digest_name(digest.algorithm())));
  constexpr std::uint16_t kRsassa = 0x0014;
  constexpr std::uint16_t kEcdsa = 0x0018;
  constexpr std::uint16_t kHashCheck = 0x8024;     // TPM_ST_HASHCHECK of the null ticket
  constexpr std::uint32_t kNullHierarchy = 0x40000007;
  base::ByteWriter command;
  command.u32be(static_cast<std::uint32_t>(CommandCode::sign))
      .put(key)
      .u16be(static_cast<std::uint16_t>(digest.bytes().size()))
      .put(digest.bytes())
      .u16be(algorithm == crypto::KeyAlgorithm::rsa_pkcs1 ? kRsassa : kEcdsa)
      .u16be(algorithm_id(digest.algorithm()))
      .u16be(kHashCheck)
      .u32be(kNullHierarchy)
      .u16be(0);
  return crypto::sha256(command.bytes());
}

Bytes ecdsa_signature(ByteView r, ByteView s) {
  return der::sequence({der::integer_from_octets(r), der::integer_from_octets(s)});
}

Result<EcdsaNumbers> ecdsa_numbers(ByteView der_signature) {
  der::Reader outer(der_signature);
  der::Reader in = TRY(outer.expect_inside(der::kSequence));
  TRY(outer.expect_end());
  const auto number = [&]() -> Result<Bytes> {
    ByteView octets = TRY(in.expect(der::kInteger));
    if (!octets.empty() && octets.front() == 0) octets = octets.subspan(1);
    if (octets.empty() || octets.size() > 32)
      return base::fail(base::Errc::malformed, fmt::format("ECDSA number of {} bytes; 1 to 32 wanted", octets.size()));
    return base::ByteWriter().zeros(32 - octets.size()).put(octets).bytes();
  };
  EcdsaNumbers numbers;
  numbers.r = TRY(number());
  numbers.s = TRY(number());
  TRY(in.expect_end());
  return numbers;
}

}  // namespace attest
