// What the appliance says of its log as a whole: how many lines, and their Merkle root, signed by the receipt key. Forms:
// C2SP tlog-checkpoint in a C2SP signed-note (signature type 0x02, ECDSA P-256 with SHA-256; the key's id is the first four
// bytes of the SHA-256 of its SubjectPublicKeyInfo), and C2SP tlog-proof v1 for one line. Untrusted text when read.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "crypto/base/result.hpp"
#include "crypto/digest.hpp"
#include "crypto/signer.hpp"
#include "crypto/verify_signature.hpp"

namespace transparency {

struct Checkpoint {
  std::string origin;   // "coldseal/<appliance>"; also the signing key's name in the note
  std::uint64_t size = 0;
  crypto::Digest root = crypto::sha256({});
};

std::string log_origin(std::string_view appliance);

// The note: three lines, an empty one, one signature.
base::Result<std::string> sign_checkpoint(const Checkpoint& checkpoint, crypto::Signer& key);
// Errc::malformed for text of another form (extension lines, no signature), Errc::too_large over the limits; nothing is verified.
base::Result<Checkpoint> parse_checkpoint(std::string_view note);
// Errc::mismatch unless a signature of that key stands on the note and is good; those of other keys are passed over.
base::Result<Checkpoint> verify_checkpoint(std::string_view note, const crypto::PublicKey& key);

struct TlogProof {
  std::uint64_t index = 0;
  std::vector<crypto::Digest> path;
  std::string checkpoint;   // the note

  std::string text() const;
  static base::Result<TlogProof> parse(std::string_view text);   // Errc::malformed, unsupported, too_large; extra data is refused
  // Errc::mismatch unless the leaf is at `index` of the tree that the checkpoint names.
  base::Result<void> expect_leaf(base::ByteView leaf) const;
};

}  // namespace transparency
