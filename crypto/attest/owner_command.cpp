#include "crypto/attest/owner_command.hpp"

#include "crypto/base/byte_writer.hpp"

namespace attest {
namespace {

using base::ByteWriter;

// Names of hierarchies are their handles (Part 1 section 16).
constexpr std::uint32_t kOwner = 0x40000001;
constexpr std::uint32_t kLockout = 0x4000000A;

std::uint16_t size_of(const Bytes& bytes) { return static_cast<std::uint16_t>(bytes.size()); }

}  // namespace

OwnerCommand OwnerCommand::define(const NvPublic& area, std::string purpose) {
  return {CommandCode::nv_define, unwritten(area), {}, std::move(purpose)};
}
OwnerCommand OwnerCommand::undefine(const NvPublic& area, std::string purpose) {
  return {CommandCode::nv_undefine, area, {}, std::move(purpose)};
}
OwnerCommand OwnerCommand::write(const NvPublic& area, Bytes data, std::string purpose) {
  return {CommandCode::nv_write, area, std::move(data), std::move(purpose)};
}
OwnerCommand OwnerCommand::clear(std::string purpose) { return {CommandCode::clear, {}, {}, std::move(purpose)}; }
OwnerCommand OwnerCommand::reset_lockout(std::string purpose) {
  return {CommandCode::lockout_reset, {}, {}, std::move(purpose)};
}
OwnerCommand OwnerCommand::set_clock(std::uint64_t milliseconds, std::string purpose) {
  return {CommandCode::clock_set, {}, ByteWriter().u64be(milliseconds).bytes(), std::move(purpose)};
}

crypto::Digest OwnerCommand::cp_hash() const {
  ByteWriter out;
  out.u32be(static_cast<std::uint32_t>(command));
  switch (command) {
    case CommandCode::nv_define: {
      const Bytes public_area = encode(area);
      out.u32be(kOwner).u16be(0).u16be(size_of(public_area)).put(public_area);
      break;
    }
    case CommandCode::nv_undefine:
      out.u32be(kOwner).put(name_of(area));
      break;
    case CommandCode::nv_write:
      out.u32be(kOwner).put(name_of(area)).u16be(size_of(data)).put(data).u16be(0);
      break;
    case CommandCode::clear:
    case CommandCode::lockout_reset:
      out.u32be(kLockout);
      break;
    case CommandCode::clock_set:
      out.u32be(kOwner).put(data);
      break;
    default:
      base::stop("not a command of the owner");
  }
  return crypto::sha256(out.bytes());
}

crypto::Digest open_gate_cp_hash(const Name& gate, std::uint32_t session, ByteView nonce, const crypto::Digest& inner) {
  return crypto::sha256(ByteWriter()
                            .u32be(static_cast<std::uint32_t>(CommandCode::policy_secret))
                            .put(gate)
                            .u32be(session)
                            .u16be(static_cast<std::uint16_t>(nonce.size()))
                            .put(nonce)
                            .u16be(static_cast<std::uint16_t>(inner.bytes().size()))
                            .put(inner.bytes())
                            .u16be(0)    // no label
                            .u32be(0)    // no expiration
                            .bytes());
}

}  // namespace attest
