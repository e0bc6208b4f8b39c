#include "crypto/keys/submitter_key.hpp"

#include <fmt/format.h>
#include <mbedtls/bignum.h>
#include <mbedtls/ecdsa.h>
#include <mbedtls/ecp.h>

#include <algorithm>
#include <array>

#include "crypto/der/reader.hpp"
#include "crypto/der/writer.hpp"
#include "crypto/keys/pem.hpp"
#include "crypto/keys/pkcs8.hpp"
#include "crypto/keys/random.hpp"

namespace keys {
namespace {

using base::Errc;
using base::fail;
using base::Result;
using base::SecretBytes;

constexpr std::size_t kScalarBytes = 32;
constexpr std::size_t kPointBytes = 65;   // 04, x, y

int random_for_mbedtls(void*, unsigned char* out, std::size_t size) {
  fill_random({out, size});
  return 0;
}

class Mpi {  // wiped by mbedtls_mpi_free
 public:
  Mpi() { mbedtls_mpi_init(&number_); }
  Mpi(const Mpi&) = delete;
  Mpi& operator=(const Mpi&) = delete;
  ~Mpi() { mbedtls_mpi_free(&number_); }
  mbedtls_mpi* get() { return &number_; }

 private:
  mbedtls_mpi number_;
};

class P256 {
 public:
  P256() {
    mbedtls_ecp_group_init(&group_);
    mbedtls_ecp_point_init(&point_);
    base::require(mbedtls_ecp_group_load(&group_, MBEDTLS_ECP_DP_SECP256R1) == 0, "mbedTLS has no P-256");
  }
  P256(const P256&) = delete;
  P256& operator=(const P256&) = delete;
  ~P256() {
    mbedtls_ecp_point_free(&point_);
    mbedtls_ecp_group_free(&group_);
  }
  mbedtls_ecp_group* group() { return &group_; }
  mbedtls_ecp_point* point() { return &point_; }

 private:
  mbedtls_ecp_group group_;
  mbedtls_ecp_point point_;
};

// The SubjectPublicKeyInfo of a private scalar; Errc::malformed when it is not one of the group's.
Result<base::Bytes> public_key_of(const SecretBytes& scalar) {
  P256 curve;
  Mpi d;
  base::require(mbedtls_mpi_read_binary(d.get(), scalar.reveal().data(), scalar.size()) == 0, "no memory for a number");
  if (mbedtls_ecp_check_privkey(curve.group(), d.get()) != 0)
    return fail(Errc::malformed, "private key is outside the P-256 group");
  std::array<std::uint8_t, kPointBytes> point{};
  std::size_t length = 0;
  int error = mbedtls_ecp_mul(curve.group(), curve.point(), d.get(), &curve.group()->G, random_for_mbedtls, nullptr);
  if (error == 0)
    error = mbedtls_ecp_point_write_binary(curve.group(), curve.point(), MBEDTLS_ECP_PF_UNCOMPRESSED, &length,
                                           point.data(), point.size());
  base::require(error == 0 && length == kPointBytes, "mbedTLS could not compute a public key");
  return der::sequence(
      {der::sequence({der::oid(der::oids::kEcPublicKey), der::oid(der::oids::kP256)}), der::bit_string(point)});
}

// The scalar out of PrivateKeyInfo (RFC 5208 section 5) around ECPrivateKey (RFC 5915 section 3).
Result<SecretBytes> scalar_of(const SecretBytes& private_key_info) {
  const der::Element whole = TRY(der::expect_single(private_key_info.reveal(), der::kSequence));
  der::Reader info(whole.value);
  const std::uint64_t version = TRY(info.expect_unsigned());
  if (version > 1) return fail(Errc::unsupported, fmt::format("PKCS#8 version {}", version));
  der::Reader algorithm = TRY(info.expect_inside(der::kSequence));
  const base::ByteView kind = TRY(algorithm.expect_any_oid());
  if (!(kind == der::oids::kEcPublicKey))
    return fail(Errc::unsupported, fmt::format("key algorithm {}; ECDSA P-256 wanted", der::dotted(kind)));
  const base::ByteView curve = TRY(algorithm.expect_any_oid());
  if (!(curve == der::oids::kP256))
    return fail(Errc::unsupported, fmt::format("elliptic curve {}; P-256 wanted", der::dotted(curve)));
  TRY(algorithm.expect_end());
  const base::ByteView inside = TRY(info.expect(der::kOctetString));   // attributes may follow; nothing in them matters

  const der::Element key = TRY(der::expect_single(inside, der::kSequence));
  der::Reader ec(key.value);
  const std::uint64_t ec_version = TRY(ec.expect_unsigned());
  if (ec_version != 1) return fail(Errc::unsupported, fmt::format("ECPrivateKey version {}", ec_version));
  const base::ByteView scalar = TRY(ec.expect(der::kOctetString));
  if (scalar.size() != kScalarBytes)
    return fail(Errc::malformed, fmt::format("private key of {} bytes, {} wanted", scalar.size(), kScalarBytes));
  return SecretBytes::copy_of(scalar);
}

// PrivateKeyInfo with everything before, between and after the secret constant in size, so that it is built in one
// locked place.
SecretBytes private_key_info(const SecretBytes& scalar, base::ByteView spki) {
  constexpr std::array<std::uint8_t, 36> kBefore = {
      0x30, 0x81, 0x87, 0x02, 0x01, 0x00,                                            // PrivateKeyInfo, version 0
      0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01,              // ecPublicKey
      0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07,                    // P-256
      0x04, 0x6D, 0x30, 0x6B, 0x02, 0x01, 0x01, 0x04, 0x20};                         // ECPrivateKey, version 1
  constexpr std::array<std::uint8_t, 5> kBetween = {0xA1, 0x44, 0x03, 0x42, 0x00};   // [1] BIT STRING
  const base::ByteView point = spki.last(kPointBytes);
  SecretBytes info(kBefore.size() + kScalarBytes + kBetween.size() + kPointBytes);
  auto at = std::copy(kBefore.begin(), kBefore.end(), info.writable().begin());
  at = std::copy(scalar.reveal().begin(), scalar.reveal().end(), at);
  at = std::copy(kBetween.begin(), kBetween.end(), at);
  std::copy(point.begin(), point.end(), at);
  return info;
}

}  // namespace

SubmitterKey SubmitterKey::generate() {
  while (true) {   // a random number outside the group is rarer than 1 in 2^32
    SecretBytes scalar(kScalarBytes);
    fill_random(scalar.writable());
    Result<base::Bytes> public_key = public_key_of(scalar);
    if (public_key) return {std::move(scalar), std::move(*public_key)};
  }
}

Result<SubmitterKey> SubmitterKey::from_pem(std::string_view pem, const SecretBytes* pass_phrase) {
  const SecretBytes info = TRY(private_key_info_from_pem(pem, pass_phrase));
  SecretBytes scalar = TRY(base::within("private key", scalar_of(info)));
  base::Bytes public_key = TRY(public_key_of(scalar));
  return SubmitterKey(std::move(scalar), std::move(public_key));
}

std::string SubmitterKey::pem(const SecretBytes* pass_phrase) const {
  const SecretBytes info = private_key_info(scalar_, public_key_);
  return pass_phrase == nullptr ? plain_pkcs8_pem(info.reveal()) : encrypted_pkcs8_pem(info.reveal(), *pass_phrase);
}

std::string SubmitterKey::public_key_pem() const { return pem_block("PUBLIC KEY", public_key_); }

Result<base::Bytes> SubmitterKey::sign(const crypto::Digest& digest) {
  if (digest.algorithm() != crypto::DigestAlgorithm::sha256)
    return fail(Errc::unsupported, "submitter keys sign SHA-256 digests only");
  P256 curve;
  Mpi d, r, s;
  base::require(mbedtls_mpi_read_binary(d.get(), scalar_.reveal().data(), scalar_.size()) == 0, "no memory for a number");
  // RFC 6979: no random number to get wrong. The generator only blinds the computation.
  const int error =
      mbedtls_ecdsa_sign_det_ext(curve.group(), r.get(), s.get(), d.get(), digest.bytes().data(), digest.bytes().size(),
                                 MBEDTLS_MD_SHA256, random_for_mbedtls, nullptr);
  std::array<std::uint8_t, kScalarBytes> r_bytes{};
  std::array<std::uint8_t, kScalarBytes> s_bytes{};
  const bool written = error == 0 && mbedtls_mpi_write_binary(r.get(), r_bytes.data(), r_bytes.size()) == 0 &&
                       mbedtls_mpi_write_binary(s.get(), s_bytes.data(), s_bytes.size()) == 0;
  base::require(written, "mbedTLS could not sign");
  return der::sequence({der::integer_from_octets(r_bytes), der::integer_from_octets(s_bytes)});
}

}  // namespace keys
