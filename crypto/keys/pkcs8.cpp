#include "crypto/keys/pkcs8.hpp"

#include <fmt/format.h>
#include <mbedtls/aes.h>
#include <mbedtls/md.h>
#include <mbedtls/pkcs5.h>
#include <mbedtls/version.h>

#include <algorithm>
#include <array>

#include "crypto/base/text.hpp"
#include "crypto/der/reader.hpp"
#include "crypto/der/writer.hpp"
#include "crypto/keys/pem.hpp"
#include "crypto/keys/random.hpp"

namespace keys {
namespace {

using base::Errc;
using base::fail;
using base::SecretBytes;

constexpr std::string_view kPlainLabel = "PRIVATE KEY";
constexpr std::string_view kEncryptedLabel = "ENCRYPTED PRIVATE KEY";
constexpr std::size_t kBlock = 16;          // AES
constexpr std::size_t kKeyBytes = 32;       // AES-256
constexpr std::size_t kSaltBytes = 16;      // RFC 8018 section 4.1 wants at least 8
constexpr std::size_t kSaltBytesMost = 64;

SecretBytes derived_key(const SecretBytes& pass_phrase, ByteView salt, std::uint32_t iterations) {
  SecretBytes key(kKeyBytes);
#if MBEDTLS_VERSION_MAJOR < 3
  mbedtls_md_context_t context;
  mbedtls_md_init(&context);
  int error = mbedtls_md_setup(&context, mbedtls_md_info_from_type(MBEDTLS_MD_SHA256), 1);
  if (error == 0)
    error = mbedtls_pkcs5_pbkdf2_hmac(&context, pass_phrase.reveal().data(), pass_phrase.size(), salt.data(),
                                      salt.size(), iterations, kKeyBytes, key.writable().data());
  mbedtls_md_free(&context);
#else
  const int error = mbedtls_pkcs5_pbkdf2_hmac_ext(MBEDTLS_MD_SHA256, pass_phrase.reveal().data(), pass_phrase.size(),
                                                  salt.data(), salt.size(), iterations, kKeyBytes, key.writable().data());
#endif
  base::require(error == 0, "mbedTLS could not derive a key");
  return key;
}

// AES-256-CBC over whole blocks; iv is used up.
void aes_cbc(int mode, const SecretBytes& key, std::array<std::uint8_t, kBlock> iv, ByteView in,
             std::span<std::uint8_t> out) {
  base::require(in.size() % kBlock == 0 && out.size() == in.size(), "AES-CBC works on whole blocks");
  mbedtls_aes_context aes;
  mbedtls_aes_init(&aes);
  int error = mode == MBEDTLS_AES_ENCRYPT ? mbedtls_aes_setkey_enc(&aes, key.reveal().data(), 8 * kKeyBytes)
                                          : mbedtls_aes_setkey_dec(&aes, key.reveal().data(), 8 * kKeyBytes);
  if (error == 0) error = mbedtls_aes_crypt_cbc(&aes, mode, in.size(), iv.data(), in.data(), out.data());
  mbedtls_aes_free(&aes);
  base::require(error == 0, "mbedTLS could not run AES");
}

struct Encryption {  // PBES2-params (RFC 8018 appendix A.4), of the one kind we take
  base::Bytes salt;
  std::uint32_t iterations = 0;
  std::array<std::uint8_t, kBlock> iv{};
};

base::Result<void> read_pbkdf2(der::Reader parameters, std::uint32_t iterations_most, Encryption& encryption) {
  const ByteView salt = TRY(parameters.expect(der::kOctetString));
  if (salt.empty() || salt.size() > kSaltBytesMost)
    return fail(Errc::malformed, fmt::format("salt of {} bytes, 1 to {} wanted", salt.size(), kSaltBytesMost));
  encryption.salt = base::to_bytes(salt);
  const std::uint64_t iterations = TRY(parameters.expect_unsigned());
  if (iterations == 0) return fail(Errc::malformed, "no iterations");
  if (iterations > iterations_most)
    return fail(Errc::too_large, fmt::format("{} iterations, at most {}", iterations, iterations_most));
  encryption.iterations = static_cast<std::uint32_t>(iterations);
  const auto key_length = TRY(parameters.match(der::kInteger));
  if (key_length) {
    const std::uint64_t length = TRY(der::Reader(key_length->whole).expect_unsigned());
    if (length != kKeyBytes) return fail(Errc::unsupported, fmt::format("key of {} bytes, 32 wanted", length));
  }
  if (parameters.at_end()) return fail(Errc::unsupported, "PBKDF2 with HMAC-SHA1; HMAC-SHA256 wanted");
  der::Reader prf = TRY(parameters.expect_inside(der::kSequence));
  const ByteView function = TRY(prf.expect_any_oid());
  if (!(function == der::oids::kHmacSha256))
    return fail(Errc::unsupported, fmt::format("PBKDF2 with {}; HMAC-SHA256 wanted", der::dotted(function)));
  if (!prf.at_end()) TRY(prf.expect_null());
  TRY(prf.expect_end());
  return parameters.expect_end();
}

base::Result<Encryption> read_pbes2(der::Reader algorithm, std::uint32_t iterations_most) {
  const ByteView scheme = TRY(algorithm.expect_any_oid());
  if (!(scheme == der::oids::kPbes2))
    return fail(Errc::unsupported, fmt::format("encryption {}; PBES2 wanted", der::dotted(scheme)));
  der::Reader parameters = TRY(algorithm.expect_inside(der::kSequence));
  TRY(algorithm.expect_end());
  Encryption encryption;
  der::Reader derivation = TRY(parameters.expect_inside(der::kSequence));
  const ByteView function = TRY(derivation.expect_any_oid());
  if (!(function == der::oids::kPbkdf2))
    return fail(Errc::unsupported, fmt::format("key derivation {}; PBKDF2 wanted", der::dotted(function)));
  const der::Reader pbkdf2 = TRY(derivation.expect_inside(der::kSequence));
  TRY(derivation.expect_end());
  TRY(read_pbkdf2(pbkdf2, iterations_most, encryption));
  der::Reader cipher = TRY(parameters.expect_inside(der::kSequence));
  const ByteView name = TRY(cipher.expect_any_oid());
  if (!(name == der::oids::kAes256Cbc))
    return fail(Errc::unsupported, fmt::format("cipher {}; AES-256-CBC wanted", der::dotted(name)));
  const ByteView iv = TRY(cipher.expect(der::kOctetString));
  if (iv.size() != kBlock) return fail(Errc::malformed, fmt::format("initialisation vector of {} bytes", iv.size()));
  std::copy(iv.begin(), iv.end(), encryption.iv.begin());
  TRY(cipher.expect_end());
  TRY(parameters.expect_end());
  return encryption;
}

// RFC 8018 section 6.1.1 padding, and inside it one SEQUENCE: what a right pass phrase leaves.
bool shorten_to_private_key_info(SecretBytes& decrypted) {
  const ByteView bytes = decrypted.reveal();
  const std::size_t padding = bytes.back();
  if (padding == 0 || padding > kBlock) return false;
  const ByteView tail = bytes.last(padding);
  if (!std::all_of(tail.begin(), tail.end(), [&](std::uint8_t octet) { return octet == padding; })) return false;
  decrypted.shorten(bytes.size() - padding);
  return der::expect_single(decrypted.reveal(), der::kSequence).has_value();
}

}  // namespace

base::Bytes encrypt_pkcs8(ByteView private_key_info, const SecretBytes& pass_phrase, std::uint32_t iterations) {
  base::require(!pass_phrase.empty(), "an empty pass phrase protects nothing");
  std::array<std::uint8_t, kSaltBytes> salt{};
  std::array<std::uint8_t, kBlock> iv{};
  fill_random(salt);
  fill_random(iv);
  const std::size_t padding = kBlock - private_key_info.size() % kBlock;
  SecretBytes padded(private_key_info.size() + padding);
  std::fill(padded.writable().begin(), padded.writable().end(), static_cast<std::uint8_t>(padding));
  std::copy(private_key_info.begin(), private_key_info.end(), padded.writable().begin());
  base::Bytes encrypted(padded.size());
  aes_cbc(MBEDTLS_AES_ENCRYPT, derived_key(pass_phrase, salt, iterations), iv, padded.reveal(), encrypted);

  using namespace der;   // NOLINT(google-build-using-namespace): the nesting below is the structure
  const Bytes derivation = sequence(
      {oid(oids::kPbkdf2), sequence({octet_string(salt), integer(iterations), algorithm(oids::kHmacSha256)})});
  const Bytes cipher = sequence({oid(oids::kAes256Cbc), octet_string(iv)});
  return sequence({sequence({oid(oids::kPbes2), sequence({derivation, cipher})}), octet_string(encrypted)});
}

base::Result<SecretBytes> decrypt_pkcs8(ByteView encrypted_private_key_info, const SecretBytes& pass_phrase,
                                        std::uint32_t iterations_most) {
  const der::Element whole = TRY(der::expect_single(encrypted_private_key_info, der::kSequence));
  der::Reader reader(whole.value);
  const der::Reader algorithm = TRY(reader.expect_inside(der::kSequence));
  const ByteView encrypted = TRY(reader.expect(der::kOctetString));
  TRY(reader.expect_end());
  const Encryption encryption = TRY(read_pbes2(algorithm, iterations_most));
  if (encrypted.empty() || encrypted.size() % kBlock != 0)
    return fail(Errc::malformed, fmt::format("{} encrypted bytes, whole blocks of 16 wanted", encrypted.size()));
  SecretBytes decrypted(encrypted.size());
  aes_cbc(MBEDTLS_AES_DECRYPT, derived_key(pass_phrase, encryption.salt, encryption.iterations), encryption.iv,
          encrypted, decrypted.writable());
  if (!shorten_to_private_key_info(decrypted)) return fail(Errc::refused, "wrong pass phrase");
  return decrypted;
}

std::string plain_pkcs8_pem(ByteView private_key_info) { return pem_block(kPlainLabel, private_key_info); }

std::string encrypted_pkcs8_pem(ByteView private_key_info, const SecretBytes& pass_phrase) {
  return pem_block(kEncryptedLabel, encrypt_pkcs8(private_key_info, pass_phrase));
}

bool is_encrypted_pkcs8_pem(std::string_view pem) {
  return single_pem_block(pem, kEncryptedLabel).has_value();
}

base::Result<SecretBytes> private_key_info_from_pem(std::string_view pem, const SecretBytes* pass_phrase) {
  std::vector<PemBlock> blocks = TRY(pem_blocks(pem));
  if (blocks.size() != 1 || (blocks[0].label != kPlainLabel && blocks[0].label != kEncryptedLabel))
    return fail(Errc::malformed,
                "not a PKCS#8 private key: one PEM block \"PRIVATE KEY\" or \"ENCRYPTED PRIVATE KEY\" wanted; "
                "`openssl pkcs8 -topk8` converts older forms");
  if (blocks[0].label == kEncryptedLabel) {
    if (pass_phrase == nullptr) return fail(Errc::refused, "the key needs its pass phrase");
    return base::within("encrypted private key", decrypt_pkcs8(blocks[0].der, *pass_phrase));
  }
  SecretBytes plain = SecretBytes::copy_of(blocks[0].der);
  base::wipe(blocks[0].der);
  return plain;
}

}  // namespace keys
