#include "crypto/attest/credential.hpp"

#include <fmt/format.h>
#include <mbedtls/aes.h>
#include <mbedtls/bignum.h>
#include <mbedtls/ecdh.h>
#include <mbedtls/ecp.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "crypto/base/byte_reader.hpp"
#include "crypto/base/byte_writer.hpp"
#include "crypto/digest.hpp"
#include "crypto/keys/random.hpp"

namespace attest {
namespace {

using base::ByteWriter;
using base::Errc;
using base::fail;
using base::SecretBytes;

constexpr std::size_t kCoordinate = 32;
constexpr std::size_t kAesKey = 16;

int random_for_ecdh(void*, unsigned char* out, std::size_t size) {
  keys::fill_random({out, size});
  return 0;
}

SecretBytes hmac_sha256(ByteView key, std::initializer_list<ByteView> parts) {
  constexpr std::size_t kBlock = 64;
  const auto padded = [&](std::uint8_t with) {
    SecretBytes block(kBlock);
    std::fill(block.writable().begin(), block.writable().end(), with);
    for (std::size_t i = 0; i < key.size(); ++i) block.writable()[i] = static_cast<std::uint8_t>(key[i] ^ with);
    return block;
  };
  base::require(key.size() <= kBlock, "an HMAC key of at most one block");
  crypto::Hasher inner(crypto::DigestAlgorithm::sha256);
  inner.update(padded(0x36).reveal());
  for (const ByteView part : parts) inner.update(part);
  crypto::Hasher outer(crypto::DigestAlgorithm::sha256);
  const crypto::Digest inside = std::move(inner).finish();
  outer.update(padded(0x5c).reveal()).update(inside.bytes());
  const crypto::Digest done = std::move(outer).finish();
  return SecretBytes::copy_of(done.bytes());
}

ByteView with_terminator(std::string_view literal) { return ByteView(base::as_bytes(std::string_view(literal.data(), literal.size() + 1))); }

// KDFa, one round of SHA-256 (Part 1 section 11.4.10.2).
SecretBytes kdf_a(ByteView key, std::string_view use, ByteView context, std::uint32_t bits) {
  const Bytes first = ByteWriter().u32be(1).bytes();
  const Bytes last = ByteWriter().u32be(bits).bytes();
  const SecretBytes whole = hmac_sha256(key, {first, with_terminator(use), context, last});
  return SecretBytes::copy_of(whole.reveal().first(bits / 8));
}

struct Ecdh {
  Ecdh() {
    mbedtls_ecp_group_init(&group);
    mbedtls_ecp_point_init(&theirs);
    mbedtls_ecp_point_init(&ours);
    mbedtls_mpi_init(&scalar);
    mbedtls_mpi_init(&shared);
    base::require(mbedtls_ecp_group_load(&group, MBEDTLS_ECP_DP_SECP256R1) == 0, "mbedTLS has no P-256");
  }
  Ecdh(const Ecdh&) = delete;
  Ecdh& operator=(const Ecdh&) = delete;
  ~Ecdh() {
    mbedtls_mpi_free(&shared);
    mbedtls_mpi_free(&scalar);
    mbedtls_ecp_point_free(&ours);
    mbedtls_ecp_point_free(&theirs);
    mbedtls_ecp_group_free(&group);
  }
  mbedtls_ecp_group group{};
  mbedtls_ecp_point theirs{};
  mbedtls_ecp_point ours{};
  mbedtls_mpi scalar{};
  mbedtls_mpi shared{};
};

}  // namespace

Result<Credential> make_credential(ByteView endorsement, const Name& object, const SecretBytes& secret) {
  const ObjectPublic area = TRY(base::within("endorsement key", ObjectPublic::parse(endorsement)));
  if (area.algorithm() != crypto::KeyAlgorithm::ecdsa_p256 || (area.attributes() & object::kDecrypt) == 0 ||
      (area.attributes() & object::kRestricted) == 0)
    return fail(Errc::unsupported, "endorsement key: a P-256 storage key wanted");
  if (secret.empty() || secret.size() > 32) return fail(Errc::usage, fmt::format("secret of {} bytes; 1 to 32 wanted", secret.size()));
  // SubjectPublicKeyInfo of P-256 ends with the point: 04, X, Y.
  const ByteView spki = area.spki();
  const ByteView point = TRY(base::slice(spki, spki.size() - (2 * kCoordinate + 1), 2 * kCoordinate + 1));
  const ByteView x = TRY(base::slice(point, 1, kCoordinate));

  Ecdh ecdh;
  if (mbedtls_ecp_point_read_binary(&ecdh.group, &ecdh.theirs, point.data(), point.size()) != 0 ||
      mbedtls_ecp_check_pubkey(&ecdh.group, &ecdh.theirs) != 0)
    return fail(Errc::malformed, "endorsement key: not a point of P-256");
  std::array<std::uint8_t, 2 * kCoordinate + 1> ours{};
  SecretBytes shared(kCoordinate);
  std::size_t written = 0;
  const bool agreed = mbedtls_ecdh_gen_public(&ecdh.group, &ecdh.scalar, &ecdh.ours, random_for_ecdh, nullptr) == 0 &&
                      mbedtls_ecdh_compute_shared(&ecdh.group, &ecdh.shared, &ecdh.theirs, &ecdh.scalar, random_for_ecdh, nullptr) == 0 &&
                      mbedtls_mpi_write_binary(&ecdh.shared, shared.writable().data(), shared.size()) == 0 &&
                      mbedtls_ecp_point_write_binary(&ecdh.group, &ecdh.ours, MBEDTLS_ECP_PF_UNCOMPRESSED, &written, ours.data(), ours.size()) == 0;
  base::require(agreed && written == ours.size(), "mbedTLS could not agree on a P-256 secret");
  const ByteView our_x = ByteView(ours).subspan(1, kCoordinate);
  const ByteView our_y = ByteView(ours).subspan(1 + kCoordinate, kCoordinate);

  // KDFe, one round of SHA-256 (Part 1 section 11.4.10.3).
  crypto::Hasher kdf_e(crypto::DigestAlgorithm::sha256);
  kdf_e.update(ByteWriter().u32be(1).bytes()).update(shared.reveal()).update(with_terminator("IDENTITY")).update(our_x).update(x);
  const crypto::Digest seed_digest = std::move(kdf_e).finish();
  const SecretBytes seed = SecretBytes::copy_of(seed_digest.bytes());

  const SecretBytes key = kdf_a(seed.reveal(), "STORAGE", object, 8 * kAesKey);
  const SecretBytes plain = SecretBytes::copy_of(ByteWriter().u16be(static_cast<std::uint16_t>(secret.size())).put(secret.reveal()).bytes());
  Bytes hidden(plain.size());
  mbedtls_aes_context aes;
  mbedtls_aes_init(&aes);
  std::array<std::uint8_t, 16> vector{};
  std::size_t offset = 0;
  const bool encrypted = mbedtls_aes_setkey_enc(&aes, key.reveal().data(), 8 * kAesKey) == 0 &&
                         mbedtls_aes_crypt_cfb128(&aes, MBEDTLS_AES_ENCRYPT, hidden.size(), &offset, vector.data(), plain.reveal().data(), hidden.data()) == 0;
  mbedtls_aes_free(&aes);
  base::require(encrypted, "mbedTLS has no AES-128 in CFB mode");
  const SecretBytes integrity_key = kdf_a(seed.reveal(), "INTEGRITY", {}, 256);
  const SecretBytes integrity = hmac_sha256(integrity_key.reveal(), {hidden, object});
  Credential credential;
  credential.blob = ByteWriter().u16be(static_cast<std::uint16_t>(integrity.size())).put(integrity.reveal()).put(hidden).bytes();
  credential.encrypted_seed = ByteWriter().u16be(kCoordinate).put(our_x).u16be(kCoordinate).put(our_y).bytes();
  return credential;
}

}  // namespace attest
