// The commands that administrators approve, each with its cpHash: the digest of the exact command, handles and parameters
// included. An approval that carries it is good for that command and no other.
// Source: TPM 2.0 Library Part 1 section 16.7 (cpHash), Part 3 sections 24.6, 31.3 to 31.7.
#pragma once

#include <string>

#include "crypto/attest/nv_map.hpp"

namespace attest {

struct OwnerCommand {
  CommandCode command = CommandCode::nv_write;
  NvPublic area;           // nv_*: as it stands in the TPM then, WRITTEN included
  Bytes data;              // nv_write: what is written at offset 0; set_clock: 8 bytes big-endian
  std::string purpose;     // for people: "add dan to the officers of release"

  // An index with an empty authorisation value; the person sets the PIN afterwards. A PIN cannot be part of the approval:
  // the cpHash covers the bytes as sent, and a PIN is sent encrypted.
  static OwnerCommand define(const NvPublic& area, std::string purpose);
  static OwnerCommand undefine(const NvPublic& area, std::string purpose);
  static OwnerCommand write(const NvPublic& area, Bytes data, std::string purpose);
  static OwnerCommand clear(std::string purpose);             // TPM2_Clear: every key and index is gone
  static OwnerCommand reset_lockout(std::string purpose);     // TPM2_DictionaryAttackLockReset
  static OwnerCommand set_clock(std::uint64_t milliseconds, std::string purpose);

  crypto::Digest cp_hash() const;
};

// cpHash of TPM2_PolicySecret on that gate for a session, as officers approve it: the outer command binds the inner.
// nonce: of the session, or empty; then the binding is to the session's handle.
crypto::Digest open_gate_cp_hash(const Name& gate, std::uint32_t session, ByteView nonce, const crypto::Digest& inner);

}  // namespace attest
