// Private keys in files: PKCS#8 (RFC 5208), plain or under a pass phrase with PBES2 (RFC 8018): PBKDF2-HMAC-SHA256
// and AES-256-CBC, as `openssl pkey` reads and writes them. Knows nothing of what the key inside is.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "crypto/base/bytes.hpp"
#include "crypto/base/result.hpp"
#include "crypto/base/secret_bytes.hpp"

namespace keys {

inline constexpr std::uint32_t kPbkdf2Iterations = 600000;      // what we write
inline constexpr std::uint32_t kPbkdf2IterationsMost = 10000000;   // what we are willing to compute for a file

// PEM text of a PrivateKeyInfo. The caller wipes the text of a plain one.
std::string plain_pkcs8_pem(base::ByteView private_key_info);
std::string encrypted_pkcs8_pem(base::ByteView private_key_info, const base::SecretBytes& pass_phrase);

// Whether the text holds an "ENCRYPTED PRIVATE KEY" block: whether to ask for a pass phrase.
bool is_encrypted_pkcs8_pem(std::string_view pem);

// The PrivateKeyInfo in DER. Errc::refused for a wrong pass phrase, and for an encrypted key without one;
// Errc::unsupported for another encryption; Errc::too_large for more iterations than kPbkdf2IterationsMost.
base::Result<base::SecretBytes> private_key_info_from_pem(std::string_view pem, const base::SecretBytes* pass_phrase);

// The same on DER: EncryptedPrivateKeyInfo (RFC 5208 section 6) in and out.
base::Bytes encrypt_pkcs8(base::ByteView private_key_info, const base::SecretBytes& pass_phrase,
                          std::uint32_t iterations = kPbkdf2Iterations);
base::Result<base::SecretBytes> decrypt_pkcs8(base::ByteView encrypted_private_key_info,
                                              const base::SecretBytes& pass_phrase,
                                              std::uint32_t iterations_most = kPbkdf2IterationsMost);

}  // namespace keys
