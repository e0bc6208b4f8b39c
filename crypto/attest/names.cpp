#include "crypto/attest/names.hpp"

#include <fmt/format.h>

#include "crypto/base/byte_writer.hpp"
#include "crypto/der/writer.hpp"

namespace attest {
namespace {

using base::ByteReader;
using base::ByteWriter;
using base::Errc;
using base::fail;

// TPM_ALG_ID, TPM_ECC_CURVE (Part 2 sections 6.3 and 6.4).
constexpr std::uint16_t kRsa = 0x0001;
constexpr std::uint16_t kAes = 0x0006;
constexpr std::uint16_t kSha256 = 0x000B;
constexpr std::uint16_t kNull = 0x0010;
constexpr std::uint16_t kEcc = 0x0023;
constexpr std::uint16_t kCurveP256 = 0x0003;
constexpr std::uint16_t kCurveP384 = 0x0004;

struct KeyType {
  crypto::KeyAlgorithm algorithm{};
  unsigned bits = 0;
  Bytes spki;
};

// TPMT_SYM_DEF_OBJECT: none, or AES with its key size and mode (storage keys).
Result<void> skip_symmetric(ByteReader& in) {
  const std::uint16_t algorithm = TRY(in.u16be());
  if (algorithm == kNull) return {};
  if (algorithm == kAes) return in.skip(4);
  return fail(Errc::unsupported, fmt::format("symmetric algorithm 0x{:04x} in a public area", algorithm));
}

// TPMT_ASYM_SCHEME: none, or a scheme with one hash. RSAES has no hash, and no key of ours has it.
Result<void> skip_scheme(ByteReader& in) {
  constexpr std::uint16_t kRsassa = 0x0014;
  constexpr std::uint16_t kRsapss = 0x0016;
  constexpr std::uint16_t kEcdsa = 0x0018;
  const std::uint16_t scheme = TRY(in.u16be());
  if (scheme == kNull) return {};
  if (scheme == kRsassa || scheme == kRsapss || scheme == kEcdsa) return in.skip(2);
  return fail(Errc::unsupported, fmt::format("scheme 0x{:04x} in a public area", scheme));
}

// TPMS_RSA_PARMS and TPM2B_PUBLIC_KEY_RSA (Part 2 sections 12.2.3.5 and 11.2.4.5).
Result<KeyType> rsa_key(ByteReader& in) {
  TRY(skip_symmetric(in));
  TRY(skip_scheme(in));
  const std::uint16_t bits = TRY(in.u16be());
  const std::uint32_t exponent = TRY(in.u32be());
  const ByteView modulus = TRY(tpm2b(in));
  if (bits < 2048 || bits > 4096)
    return fail(Errc::unsupported, fmt::format("RSA key of {} bits; 2048 to 4096 wanted", bits));
  if (modulus.size() * 8 != bits || (modulus[0] & 0x80) == 0)
    return fail(Errc::malformed, fmt::format("RSA modulus of {} bytes in a key of {} bits", modulus.size(), bits));
  // An exponent of zero stands for 2^16 + 1.
  const Bytes key = der::sequence({der::integer_from_octets(modulus), der::integer(exponent == 0 ? 65537 : exponent)});
  return KeyType{crypto::KeyAlgorithm::rsa_pkcs1, bits,
                 der::sequence({der::algorithm(der::oids::kRsaEncryption), der::bit_string(key)})};
}

// TPMS_ECC_PARMS and TPMS_ECC_POINT (Part 2 sections 12.2.3.6 and 11.2.5.2).
Result<KeyType> ecc_key(ByteReader& in) {
  TRY(skip_symmetric(in));
  TRY(skip_scheme(in));
  const std::uint16_t curve = TRY(in.u16be());
  const std::uint16_t kdf = TRY(in.u16be());
  if (curve != kCurveP256 && curve != kCurveP384)
    return fail(Errc::unsupported, fmt::format("elliptic curve 0x{:04x}; P-256 or P-384 wanted", curve));
  if (kdf != kNull) return fail(Errc::unsupported, fmt::format("key derivation 0x{:04x} in a public area", kdf));
  const unsigned bits = curve == kCurveP256 ? 256 : 384;
  ByteWriter point;
  point.u8(0x04);   // uncompressed, SEC 1 section 2.3.3
  for (int coordinate = 0; coordinate < 2; ++coordinate) {
    const ByteView number = TRY(tpm2b(in));
    if (number.size() > bits / 8)
      return fail(Errc::malformed, fmt::format("coordinate of {} bytes on a curve of {} bits", number.size(), bits));
    point.zeros(bits / 8 - number.size()).put(number);   // some TPMs leave leading zeros out
  }
  const Bytes algorithm = der::sequence({der::oid(der::oids::kEcPublicKey),
                                         der::oid(bits == 256 ? der::oids::kP256 : der::oids::kP384)});
  return KeyType{bits == 256 ? crypto::KeyAlgorithm::ecdsa_p256 : crypto::KeyAlgorithm::ecdsa_p384, bits,
                 der::sequence({algorithm, der::bit_string(point.bytes())})};
}

}  // namespace

Result<ByteView> tpm2b(ByteReader& in) {
  const std::uint16_t size = TRY(in.u16be());
  return in.take(size);
}

Name name_of_public_area(ByteView public_area) {
  return ByteWriter().u16be(kSha256).put(crypto::sha256(public_area).bytes()).bytes();
}

Bytes encode(const NvPublic& area) {
  return ByteWriter()
      .u32be(area.index)
      .u16be(kSha256)
      .u32be(area.attributes)
      .u16be(static_cast<std::uint16_t>(area.policy.size()))
      .put(area.policy)
      .u16be(area.size)
      .bytes();
}

Name name_of(const NvPublic& area) { return name_of_public_area(encode(area)); }

Result<NvPublic> parse_nv_public(ByteView bytes) {
  ByteReader in(bytes);
  NvPublic area;
  area.index = TRY(in.u32be());
  const std::uint16_t name_algorithm = TRY(in.u16be());
  if (name_algorithm != kSha256)
    return fail(Errc::unsupported, fmt::format("index with name algorithm 0x{:04x}; SHA-256 wanted", name_algorithm));
  area.attributes = TRY(in.u32be());
  const ByteView policy = TRY(tpm2b(in));
  if (!policy.empty() && policy.size() != 32)
    return fail(Errc::malformed, fmt::format("policy of {} bytes in an index; none or 32 wanted", policy.size()));
  area.policy = base::to_bytes(policy);
  area.size = TRY(in.u16be());
  TRY(in.expect_end());
  return area;
}

Result<ObjectPublic> ObjectPublic::parse(ByteView area) {
  ByteReader in(area);
  const std::uint16_t type = TRY(in.u16be());
  const std::uint16_t name_algorithm = TRY(in.u16be());
  if (name_algorithm != kSha256)
    return fail(Errc::unsupported, fmt::format("public area with name algorithm 0x{:04x}; SHA-256 wanted", name_algorithm));
  ObjectPublic key;
  key.attributes_ = TRY(in.u32be());
  const ByteView policy = TRY(tpm2b(in));
  if (!policy.empty() && policy.size() != 32)
    return fail(Errc::malformed, fmt::format("policy of {} bytes in a public area; none or 32 wanted", policy.size()));
  key.policy_ = base::to_bytes(policy);
  if (type != kRsa && type != kEcc)
    return fail(Errc::unsupported, fmt::format("public area of type 0x{:04x}; RSA or ECC wanted", type));
  KeyType parsed = TRY(type == kRsa ? rsa_key(in) : ecc_key(in));
  TRY(in.expect_end());
  key.algorithm_ = parsed.algorithm;
  key.bits_ = parsed.bits;
  key.spki_ = std::move(parsed.spki);
  key.name_ = name_of_public_area(area);
  return key;
}

Result<ObjectPublic> ObjectPublic::parse_sized(ByteView blob) {
  ByteReader in(blob);
  const ByteView area = TRY(tpm2b(in));
  TRY(in.expect_end());
  return parse(area);
}

}  // namespace attest
