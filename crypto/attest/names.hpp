// Names of TPM objects: nameAlg and the digest of the public area, both big-endian as the TPM sends them. A Name is
// what policies and approvals refer to; whoever knows the public area computes it without a TPM.
// Source: TPM 2.0 Library Part 1 section 16 (Names), Part 2 sections 12.2 (TPMT_PUBLIC) and 13.5 (TPMS_NV_PUBLIC).
// Only SHA-256 Names. Nothing in here talks to a TPM.
#pragma once

#include <cstdint>

#include "crypto/base/byte_reader.hpp"
#include "crypto/base/bytes.hpp"
#include "crypto/base/result.hpp"
#include "crypto/digest.hpp"
#include "crypto/signer.hpp"

namespace attest {

using base::Bytes;
using base::ByteView;
using base::Result;

// 0x000B and the SHA-256 of a public area: 34 bytes.
using Name = Bytes;
inline constexpr std::size_t kNameBytes = 34;

Name name_of_public_area(ByteView public_area);

// TPMA_NV (Part 2 section 13.4), the bits that we use.
namespace nv {
inline constexpr std::uint32_t kOwnerWrite = 1U << 1;
inline constexpr std::uint32_t kPolicyWrite = 1U << 3;
inline constexpr std::uint32_t kCounter = 1U << 4;
inline constexpr std::uint32_t kExtend = 4U << 4;
inline constexpr std::uint32_t kPinFail = 8U << 4;
inline constexpr std::uint32_t kOwnerRead = 1U << 17;
inline constexpr std::uint32_t kAuthRead = 1U << 18;
inline constexpr std::uint32_t kPolicyRead = 1U << 19;
inline constexpr std::uint32_t kNoDictionaryAttack = 1U << 25;
inline constexpr std::uint32_t kWritten = 1U << 29;
}  // namespace nv

// TPM2B_*: a 16-bit size and so many bytes.
Result<ByteView> tpm2b(base::ByteReader& in);

struct NvPublic {
  std::uint32_t index = 0;
  std::uint32_t attributes = 0;
  Bytes policy;   // empty, or a SHA-256 digest
  std::uint16_t size = 0;   // of its data, in bytes
};

Bytes encode(const NvPublic& area);   // TPMS_NV_PUBLIC
Name name_of(const NvPublic& area);

Result<NvPublic> parse_nv_public(ByteView area);   // TPMS_NV_PUBLIC with a SHA-256 Name, nothing after it

// TPMA_OBJECT (Part 2 section 8.3), the bits that we use.
namespace object {
inline constexpr std::uint32_t kFixedTpm = 1U << 1;
inline constexpr std::uint32_t kFixedParent = 1U << 4;
inline constexpr std::uint32_t kSensitiveDataOrigin = 1U << 5;
inline constexpr std::uint32_t kUserWithAuth = 1U << 6;
inline constexpr std::uint32_t kAdminWithPolicy = 1U << 7;
inline constexpr std::uint32_t kNoDictionaryAttack = 1U << 10;
inline constexpr std::uint32_t kRestricted = 1U << 16;
inline constexpr std::uint32_t kDecrypt = 1U << 17;
inline constexpr std::uint32_t kSign = 1U << 18;
}  // namespace object

// The public half of an asymmetric key of the TPM: RSA, P-256 or P-384. Errc::unsupported for anything else.
class ObjectPublic {
 public:
  static Result<ObjectPublic> parse(ByteView area);        // TPMT_PUBLIC, nothing after it
  static Result<ObjectPublic> parse_sized(ByteView blob);  // TPM2B_PUBLIC, as key files hold it
  crypto::KeyAlgorithm algorithm() const { return algorithm_; }
  unsigned bits() const { return bits_; }
  std::uint32_t attributes() const { return attributes_; }
  const Bytes& policy() const { return policy_; }
  const Bytes& spki() const { return spki_; }   // SubjectPublicKeyInfo, DER
  const Name& name() const { return name_; }

 private:
  ObjectPublic() = default;
  crypto::KeyAlgorithm algorithm_{};
  unsigned bits_ = 0;
  std::uint32_t attributes_ = 0;
  Bytes policy_;
  Bytes spki_;
  Name name_;
};

}  // namespace attest
