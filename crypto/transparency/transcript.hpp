// The ceremony's transcript: who may do what, every index and key, and the TPM's own words about them, as one canonical JSON
// document that anybody checks without the TPM. The identity key quotes the document's digest, so that it is the TPM's
// own account; what no attestation covers is marked as stated.
#pragma once

#include <string>
#include <vector>

#include "crypto/attest/nv_map.hpp"
#include "crypto/base/result.hpp"
#include "crypto/base/text.hpp"
#include "crypto/certificate.hpp"
#include "crypto/digest.hpp"
#include "crypto/verify_signature.hpp"

namespace transparency {

struct TranscriptPerson {
  std::string name;
  std::uint32_t index = 0;
};
struct TranscriptRoster {
  std::uint64_t quorum = 0;
  std::vector<TranscriptPerson> people;
};
struct TranscriptProof {   // TPMS_ATTEST and the identity key's signature
  base::Bytes statement;
  base::Bytes signature;
};
struct TranscriptKey {
  std::string name;         // of the class, or "receipt"
  std::uint64_t slot = 0;   // of the class
  TranscriptRoster roster;  // empty for the receipt key
  base::Bytes public_part;  // TPM2B_PUBLIC
  TranscriptProof birth;
};
struct TranscriptIndex {
  std::uint32_t index = 0;
  TranscriptProof content;
};

struct Transcript {
  std::string title;
  base::Time at{};
  attest::Mode mode = attest::Mode::development;
  crypto::Digest ceremony_file = crypto::sha256({});
  crypto::Digest configuration = crypto::sha256({});
  std::string manufacturer;
  base::Bytes storage_root_name;
  base::Bytes identity;                 // TPMT_PUBLIC of the AK
  base::Bytes endorsement;              // TPMT_PUBLIC of the EK
  base::Bytes endorsement_certificate;  // DER, or empty
  std::vector<base::Bytes> vendors;     // SubjectPublicKeyInfo, two
  std::uint64_t firmware_version = 0;
  crypto::Digest firmware_policy = crypto::sha256({});
  base::Bytes firmware_signature;
  std::uint64_t floor = 0;
  TranscriptRoster administrators;
  std::vector<TranscriptKey> keys;
  std::vector<TranscriptIndex> indices;
  std::vector<std::string> stated;      // what was tried and done, in order; proved by nobody but those present

  std::string to_json() const;          // canonical
  static base::Result<Transcript> from_json(std::string_view text);
};

// The document with the quote over its digest, as one file.
struct SignedTranscript {
  Transcript transcript;
  TranscriptProof quote;
  std::string to_json() const;
  static base::Result<SignedTranscript> from_json(std::string_view text);
};
inline constexpr std::size_t kTranscriptBytes = 1U << 20;

// The identity key that the transcript names, held against the attributes it must have; what the vendor keys imply.
base::Result<crypto::PublicKey> identity_of(const Transcript& transcript);
base::Result<attest::FirmwareMap> map_of(const Transcript& transcript);

struct TranscriptCheck {
  bool good = false;
  std::string text;   // what was looked at, and what is wrong with it
};
// That the certificate (DER) is for the endorsement key (TPMT_PUBLIC). Errc::mismatch otherwise.
base::Result<void> expect_certificate_of(base::ByteView certificate, base::ByteView endorsement);
// Every check, the good ones too. identity_wanted: SPKI of the AK that the reader trusts, or empty.
// makers: certificate authorities of TPM makers that the reader trusts, or none; then it is not looked at who made the TPM.
std::vector<TranscriptCheck> check_transcript(const SignedTranscript& transcript, base::ByteView identity_wanted,
                                              const std::vector<crypto::Certificate>& makers = {});

}  // namespace transparency
