// The receipt: what the appliance did with one request, as an in-toto Statement v1 with predicate type
// urn:coldseal:receipt:v1, to be signed in a DSSE envelope (payload type kStatementPayloadType) by the receipt key.
// Typed values both ways; docs/exchange-format.md describes the JSON. Nothing here looks at files: comparing the
// outputs with what lies on a disk is the caller's.
//
// Each group of fields carries "proof": "tpm" where the TPM would not have made the signature otherwise (key, number
// of officers, digests), "stated" where the appliance's word is all there is. Only a signed outcome has TPM proofs.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "crypto/base/result.hpp"
#include "crypto/base/text.hpp"
#include "crypto/digest.hpp"
#include "crypto/transparency/signing_set.hpp"

namespace transparency {

inline constexpr std::string_view kStatementType = "https://in-toto.io/Statement/v1";
inline constexpr std::string_view kReceiptPredicateType = "urn:coldseal:receipt:v1";

enum class Outcome : std::uint8_t {
  done,       // "signed": the outputs are there
  refused,    // the appliance refused: a finding, a profile, a limit
  rejected,   // an officer said no
};
std::string_view outcome_name(Outcome outcome);

// The words of "proof": what only the appliance says, and what its TPM enforced before a signature could exist.
inline constexpr std::string_view kStated = "stated";
std::string_view proof_of(Outcome outcome);

enum class OutputOperation : std::uint8_t {
  embedded,           // "embedded": a signature was put into this PE
  catalog_signed,     // "catalog made and signed"
  delivered_catalog_signed,   // "catalog signed as delivered"
  appended,           // "appended": a signature was nested in the one that this PE or cabinet had
  cabinet_signed,     // "cabinet signed"
  already_signed,     // "unchanged: already signed"
  unchanged,          // "unchanged"
};
std::string_view output_operation_name(OutputOperation operation);
bool is_signed_here(OutputOperation operation);   // the file has a signature that the appliance made for this request

struct OutputFile {
  std::string path;
  crypto::Digest sha256;
  OutputOperation operation = OutputOperation::unchanged;
};

// What the log's `signed` line holds of the outputs: the SHA-256 of what `sha256sum` prints of them, "<hex>  <path>\n" each.
crypto::Digest outputs_digest(const std::vector<OutputFile>& outputs);

struct Approval {
  std::string officer;
  std::string method;   // "PIN"
  base::Time at{};
};

struct ShownFinding {
  std::string id;
  std::string severity;   // "note", "warning", "error"
  std::string file;       // may be empty
  std::string cause;
};

struct Receipt {
  // A group that is absent was not reached: a request refused at the door has no key.
  struct Submitter {
    std::string name;
    std::string keyid;   // 64 hex
  };
  struct Key {
    base::Bytes name;               // TPM Name: algorithm and digest
    crypto::Digest spki_sha256;
    std::uint32_t officers = 0;     // the quorum that the key's policy demands
  };
  struct Certificate {
    crypto::Digest sha256;
    std::string subject;
  };
  struct Rejection {
    std::string officer;
    base::Time at{};
  };
  struct Appliance {
    std::string name;
    std::string mode;            // "development" or "production"
    std::string firmware_gate;   // "version 3 approved; image not measured"
    std::string tpm;             // "software", or the manufacturer
    std::string receipt_keyid;   // 64 hex
    std::string version;
  };
  struct Log {
    std::uint64_t index = 0;   // of the line that says what became of the request
    std::string head;          // SHA-256 of that line, 64 hex
    std::string line;          // itself
    std::string tlog_proof;    // C2SP tlog-proof: the line stands in the log of the checkpoint, which the receipt key signed
  };

  // Errc::malformed for anything but the canonical form of the one shape described in docs/exchange-format.md, or
  // when the groups do not agree: a fingerprint that is not its items', fewer approvals than the key's quorum, a log line about
  // something else. The checkpoint's signature is not looked at.
  static base::Result<Receipt> from_json(std::string_view json);
  // RFC 8785. An error is what from_json() would say of it, so no receipt is signed that nobody can read. Strings that
  // are not UTF-8 are escaped first.
  base::Result<std::string> to_json() const;

  std::string request_id;   // 64 hex
  Outcome outcome = Outcome::refused;
  std::string reason;       // for people; empty when done
  base::Time created{};
  std::string profile;
  std::optional<Submitter> submitter;
  std::string key_class;                    // may be empty when not reached
  std::optional<Key> key;
  std::optional<Certificate> certificate;
  std::optional<SigningSet> signing_set;    // its key_name is key->name
  std::vector<Approval> approvals;          // in the order they were given
  std::optional<Rejection> rejection;       // exactly when rejected
  std::vector<ShownFinding> findings;
  std::vector<OutputFile> outputs;          // sorted by path; at least one when done, none otherwise
  std::vector<std::string> catalogs;        // paths of the outputs that are catalogs made, sorted
  Appliance appliance;
  Log log;
};

}  // namespace transparency
