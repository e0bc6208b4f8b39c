#include "crypto/attest/attestation.hpp"

#include <fmt/format.h>

#include "crypto/base/byte_reader.hpp"
#include "crypto/base/limits.hpp"

namespace attest {
namespace {

using base::ByteReader;
using base::Errc;
using base::fail;

constexpr std::uint32_t kMagic = 0xFF544347;   // TPM_GENERATED_VALUE: no key signs foreign data that begins like this
constexpr std::uint16_t kNv = 0x8014;
constexpr std::uint16_t kQuote = 0x8018;
constexpr std::uint16_t kCreation = 0x801A;

Result<Name> sha256_name(ByteReader& in) {
  const ByteView name = TRY(tpm2b(in));
  if (name.size() != kNameBytes) return fail(Errc::unsupported, fmt::format("Name of {} bytes; {} wanted", name.size(), kNameBytes));
  return base::to_bytes(name);
}

// TPML_PCR_SELECTION, as it stands.
Result<Bytes> selection(ByteReader& in, ByteView all) {
  const std::size_t start = in.offset();
  const std::uint32_t count = TRY(in.u32be());
  if (count > 16) return fail(Errc::too_large, fmt::format("{} PCR banks in a quote", count));
  for (std::uint32_t i = 0; i < count; ++i) {
    TRY(in.skip(2));
    const std::uint8_t size = TRY(in.u8());
    TRY(in.skip(size));
  }
  return base::to_bytes(TRY(base::slice(all, start, in.offset() - start)));
}

}  // namespace

Result<Attested> parse_attestation(ByteView statement) {
  ByteReader in(statement);
  const std::uint32_t magic = TRY(in.u32be());
  if (magic != kMagic) return fail(Errc::malformed, "attestation does not begin as a TPM's own words do");
  const std::uint16_t type = TRY(in.u16be());
  TRY(tpm2b(in));   // qualified Name of the signer: says in which hierarchy it lies
  Attested attested;
  attested.extra_data = base::to_bytes(TRY(tpm2b(in)));
  attested.clock = TRY(in.u64be());
  attested.resets = TRY(in.u32be());
  TRY(in.skip(4 + 1));   // restarts, safe
  attested.firmware = TRY(in.u64be());
  if (type == kCreation) {
    Birth birth;
    birth.object = TRY(sha256_name(in));
    TRY(tpm2b(in));   // creation hash
    attested.says = std::move(birth);
  } else if (type == kNv) {
    IndexContent index;
    index.index = TRY(sha256_name(in));
    index.offset = TRY(in.u16be());
    index.content = base::to_bytes(TRY(tpm2b(in)));
    attested.says = std::move(index);
  } else if (type == kQuote) {
    Quote quote;
    quote.selection = TRY(selection(in, statement));
    quote.pcr_digest = base::to_bytes(TRY(tpm2b(in)));
    attested.says = std::move(quote);
  } else {
    return fail(Errc::unsupported, fmt::format("attestation of type 0x{:04x}", type));
  }
  TRY(in.expect_end());
  return attested;
}

Result<Attested> verified_attestation(const crypto::PublicKey& identity, ByteView statement, ByteView signature) {
  TRY(base::within("attestation", identity.verify(crypto::sha256(statement), signature)));
  return base::within("attestation", parse_attestation(statement));
}

}  // namespace attest
