#include "tpm/provisioning.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "crypto/base/byte_writer.hpp"
#include "tpm/administration.hpp"
#include "tpm/key_objects.hpp"

namespace tpm {
namespace {

using attest::OwnerCommand;
using base::Errc;
using base::fail;

constexpr std::uint32_t kProbe = 0x018000FE;   // an index nobody uses

Result<std::uint32_t> property(Device& device, TPM2_PT wanted) {
  const auto data = TRY(answer<TPMS_CAPABILITY_DATA>(Step::open, [&](TPMS_CAPABILITY_DATA** out) {
    TPMI_YES_NO more = TPM2_NO;
    return Esys_GetCapability(device.context().esys(), kNone, kNone, kNone, TPM2_CAP_TPM_PROPERTIES, wanted, 1, &more, out);
  }));
  const TPML_TAGGED_TPM_PROPERTY& list = data->data.tpmProperties;
  if (list.count != 1 || list.tpmProperty[0].property != wanted)
    return fail(Errc::tpm, fmt::format("TPM does not say its property 0x{:x}", wanted));
  return UINT32{list.tpmProperty[0].value};
}

// All handles of one type (their first octet), in as many answers as the TPM needs for them.
Result<std::vector<TPM2_HANDLE>> handles_of_type(Device& device, TPM2_HANDLE first) {
  constexpr std::size_t kMost = 4096;   // no TPM has room for as many
  std::vector<TPM2_HANDLE> found;
  for (TPM2_HANDLE next = first; found.size() < kMost; next = found.back() + 1) {
    TPMI_YES_NO more = TPM2_NO;
    const auto data = TRY(answer<TPMS_CAPABILITY_DATA>(Step::open, [&](TPMS_CAPABILITY_DATA** out) {
      return Esys_GetCapability(device.context().esys(), kNone, kNone, kNone, TPM2_CAP_HANDLES, next, TPM2_MAX_CAP_HANDLES, &more, out);
    }));
    const TPML_HANDLE& list = data->data.handles;
    const std::size_t count = std::min<std::size_t>(list.count, TPM2_MAX_CAP_HANDLES);
    for (std::size_t i = 0; i < count; ++i) {
      if (list.handle[i] >> 24 != first >> 24) return found;
      found.push_back(list.handle[i]);
    }
    if (count == 0 || more == TPM2_NO) return found;
  }
  return fail(Errc::too_large, fmt::format("TPM lists more than {} handles from 0x{:08x} on", kMost, first));
}

// TCG, "Registry of Reserved TPM 2.0 Handles and Localities": who may use which range. It is a convention that no TPM enforces, so
// an owner's index may be anywhere; only the attribute that TPM2_NV_DefineSpace holds against the hierarchy says who made it.
bool is_between(TPM2_HANDLE handle, TPM2_HANDLE first, TPM2_HANDLE last) { return handle >= first && handle <= last; }
bool is_makers_certificate(TPM2_HANDLE index) { return is_between(index, 0x01C00000, 0x01C0FFFF); }
bool is_owners_index(TPM2_HANDLE index) { return is_between(index, 0x01800000, 0x01BFFFFF); }
bool is_ours_or_the_makers_key(TPM2_HANDLE key) { return key == kStorageRootHandle || is_between(key, 0x81010000, 0x8101FFFF); }
bool is_platforms_key(TPM2_HANDLE key) { return is_between(key, 0x81800000, 0x81FFFFFF); }   // Part 2, PLATFORM_PERSISTENT: the TPM enforces it

Result<bool> is_made_by_the_platform(Device& device, TPM2_HANDLE handle) {
  const NvIndex index = TRY(NvIndex::open(device.context(), handle));
  const auto area = TRY(answer<TPM2B_NV_PUBLIC>(Step::nv, [&](TPM2B_NV_PUBLIC** out) {
    return Esys_NV_ReadPublic(device.context().esys(), index.handle(), kNone, kNone, kNone, out, nullptr);
  }));
  return (area->nvPublic.attributes & TPMA_NV_PLATFORMCREATE) != 0;
}

Result<void> new_password(Device& device, ESYS_TR hierarchy, const FillRandom& fill_random) {
  Context& context = device.context();
  const Loaded session = TRY(hmac_session(context, Encrypt::first_parameter));
  base::SecretBytes random(32);
  fill_random(random.writable());
  for (std::uint8_t& octet : random.writable()) octet = static_cast<std::uint8_t>(octet | 1U);   // TPMs strip zeros from the end
  const Auth value(random);
  return check(Esys_HierarchyChangeAuth(context.esys(), hierarchy, session.handle(), kNone, kNone, value.get()), Step::owner);
}

Result<void> set_policy(Device& device, ESYS_TR hierarchy) {
  Context& context = device.context();
  const Loaded session = TRY(hmac_session(context));
  const crypto::Digest policy = attest::owner_policy();
  const TPM2B_DIGEST wanted = to_digest(policy.bytes());
  return check(Esys_SetPrimaryPolicy(context.esys(), hierarchy, session.handle(), kNone, kNone, &wanted, TPM2_ALG_SHA256),
               Step::owner);
}

}  // namespace

namespace {

// CVE-2019-16863 (TPM-FAIL): the time of ECDSA signatures gives the key away, and ours are the identity and the receipt key.
// STMicroelectronics, "Information on ST's TPM firmware update - ECDSA signature generation": versions affected.
constexpr std::pair<unsigned, unsigned> kTpmFail[] = {{71, 0}, {71, 4}, {71, 12}, {73, 0}, {73, 4}, {73, 5}, {73, 8},
                                                      {73, 9}, {74, 0}, {74, 4},  {74, 5}, {74, 8}, {74, 9}, {74, 16}};

// CVE-2023-1017: a command can make the TPM unreachable until the power is cut. Nuvoton, advisory SA-003: NPCT65x with these.
constexpr std::uint64_t kOutOfBounds[] = {0x0001'0003'0000'0001, 0x0001'0003'0001'0000, 0x0001'0003'0002'0008};

}  // namespace

std::string known_flaw(const std::string& manufacturer, std::uint64_t firmware) {
  const auto major = static_cast<unsigned>(firmware >> 48);
  const auto minor = static_cast<unsigned>(firmware >> 32 & 0xffff);
  if (manufacturer == "STM" && std::find(std::begin(kTpmFail), std::end(kTpmFail), std::pair(major, minor)) != std::end(kTpmFail))
    return fmt::format("STMicroelectronics firmware {}.{} tells ECDSA keys by the time its signatures take (TPM-FAIL, CVE-2019-16863); "
                       "update it", major, minor);
  if (manufacturer == "NTC" && std::find(std::begin(kOutOfBounds), std::end(kOutOfBounds), firmware) != std::end(kOutOfBounds))
    return fmt::format("Nuvoton firmware {}.{}.{}.{} can be made unreachable by one command (CVE-2023-1017); update it", major, minor,
                       firmware >> 16 & 0xffff, firmware & 0xffff);
  // Infineon's security advisory on CVE-2017-15361: TPM 2.0 firmware 5.0 to 5.61 and 7.0 to 7.61 make weak RSA keys.
  if (manufacturer == "IFX" && (major == 5 || major == 7) && minor < 62)
    return fmt::format("Infineon firmware {}.{} makes RSA keys that can be factored (ROCA, CVE-2017-15361); update it", major, minor);
  return "";
}

Result<std::vector<std::string>> objections_at_start(Device& device, attest::Mode mode) {
  std::vector<std::string> found;
  const std::string flaw = known_flaw(device.manufacturer(), device.firmware());
  if (!flaw.empty()) found.push_back(flaw);
  if (mode == attest::Mode::development) return found;
  if (device.is_software()) found.push_back("this is a software TPM; production wants a chip");
  const std::uint32_t startup = TRY(property(device, TPM2_PT_STARTUP_CLEAR));
  if ((startup & TPMA_STARTUP_CLEAR_PHENABLE) != 0)
    found.push_back("the platform hierarchy is still open: whoever reaches the TPM can clear it; the machine's firmware must "
                    "close it at every start");
  return found;
}

Result<std::vector<std::string>> objections(Device& device, attest::Mode mode) {
  std::vector<std::string> found = TRY(objections_at_start(device, mode));
  attest::NvPublic probe = attest::unwritten(attest::person_index(attest::kFirstOfficer));
  probe.index = kProbe;
  const Result<void> defined = run_as_owner(device, OwnerCommand::define(probe, "trying out a PIN_FAIL index"));
  if (!defined && defined.error().code() == Errc::tpm)
    found.push_back(fmt::format("the TPM does not make PIN_FAIL indices, which count wrong PINs: {}", defined.error().text()));
  else if (!defined)
    return tl::unexpected<base::Error>(defined.error());
  else
    TRY(run_as_owner(device, OwnerCommand::undefine(probe, "removing it again")));
  return found;
}

Result<std::vector<std::string>> expect_empty(Device& device) {
  const std::uint32_t permanent = TRY(property(device, TPM2_PT_PERMANENT));
  constexpr std::uint32_t kPasswords =
      TPMA_PERMANENT_OWNERAUTHSET | TPMA_PERMANENT_ENDORSEMENTAUTHSET | TPMA_PERMANENT_LOCKOUTAUTHSET;
  if ((permanent & kPasswords) != 0)
    return fail(Errc::refused, "a hierarchy of this TPM has a password already; clear the TPM in the machine's firmware setup first");
  std::vector<TPM2_HANDLE> indices = TRY(handles_of_type(device, TPM2_NV_INDEX_FIRST));
  if (std::erase(indices, kProbe) != 0) {   // the power went while PIN_FAIL was tried out
    attest::NvPublic probe = attest::unwritten(attest::person_index(attest::kFirstOfficer));
    probe.index = kProbe;
    TRY(run_as_owner(device, OwnerCommand::undefine(probe, "removing what an interrupted trial left")));
  }
  std::vector<std::string> of_the_machine;
  for (const TPM2_HANDLE index : indices) {
    if (is_makers_certificate(index)) continue;
    const bool by_platform = TRY(is_made_by_the_platform(device, index));
    if (!by_platform || is_owners_index(index))
      return fail(Errc::refused, fmt::format("this TPM is not empty: index 0x{:08x} is defined ({} in all); clear the TPM in the "
                                             "machine's firmware setup first", index, indices.size()));
    of_the_machine.push_back(fmt::format("index 0x{:08x}", index));
  }
  const std::vector<TPM2_HANDLE> keys = TRY(handles_of_type(device, TPM2_PERSISTENT_FIRST));
  for (const TPM2_HANDLE key : keys) {
    if (is_ours_or_the_makers_key(key)) continue;
    if (!is_platforms_key(key))
      return fail(Errc::refused, fmt::format("this TPM is not empty: it holds {} at 0x{:08x}; clear the TPM in the machine's firmware setup first",
                                             key == kIdentityKeyHandle ? "an identity key" : "a key", key));
    of_the_machine.push_back(fmt::format("key 0x{:08x}", key));
  }
  return of_the_machine;
}

Result<void> make_identity_keys(Device& device) { return create_identity_keys(device.context()); }

Result<void> establish(Device& device, const attest::NvPublic& area, ByteView data) {
  Context& context = device.context();
  const std::string what = fmt::format("index 0x{:08x}", area.index);
  const bool is_gate = (area.attributes & attest::nv::kWritten) == 0;
  const Result<NvIndex> raw = NvIndex::open(context, area.index);
  if (!raw && raw.error().code() != Errc::not_found) return tl::unexpected<base::Error>(raw.error());
  bool written = false;
  if (!raw) {
    TRY(run_as_owner(device, OwnerCommand::define(area, what)));
  } else if (const Bytes name = TRY(name_of(context, raw->handle())); name == attest::name_of(area)) {
    written = !is_gate;
  } else if (name != attest::name_of(attest::unwritten(area))) {
    return fail(Errc::refused, fmt::format("{} is defined in another way than it must be", what));
  }
  if (is_gate || data.empty()) return {};
  if (written && (area.attributes & attest::nv::kAuthRead) != 0) {
    const Bytes present = TRY(read_index(context, area));
    if (std::equal(present.begin(), present.end(), data.begin(), data.end())) return {};
  }
  return run_as_owner(device, OwnerCommand::write(written ? area : attest::unwritten(area), base::to_bytes(data), what));
}

Result<Bytes> read_public_index(Device& device, const attest::NvPublic& area) { return read_index(device.context(), area); }

Result<void> close_hierarchies(Device& device, const FillRandom& fill_random) {
  const std::uint32_t permanent = TRY(property(device, TPM2_PT_PERMANENT));
  struct Hierarchy {
    ESYS_TR handle;
    std::uint32_t has_password;
    const char* name;
  };
  // The owner last: until then the ceremony can still put things right.
  constexpr Hierarchy kAll[] = {{ESYS_TR_RH_ENDORSEMENT, TPMA_PERMANENT_ENDORSEMENTAUTHSET, "endorsement hierarchy"},
                                {ESYS_TR_RH_LOCKOUT, TPMA_PERMANENT_LOCKOUTAUTHSET, "lockout hierarchy"},
                                {ESYS_TR_RH_OWNER, TPMA_PERMANENT_OWNERAUTHSET, "owner hierarchy"}};
  for (const Hierarchy& hierarchy : kAll) {
    if ((permanent & hierarchy.has_password) != 0) continue;   // closed before the power went
    TRY(base::within(hierarchy.name, set_policy(device, hierarchy.handle)));
    TRY(base::within(hierarchy.name, new_password(device, hierarchy.handle, fill_random)));
  }
  return {};
}

Result<void> expect_closed(Device& device) {
  Context& context = device.context();
  TPM2B_NV_PUBLIC area{};
  area.nvPublic.nvIndex = kProbe;
  area.nvPublic.nameAlg = TPM2_ALG_SHA256;
  area.nvPublic.attributes = TPMA_NV_OWNERWRITE | TPMA_NV_OWNERREAD | TPMA_NV_NO_DA;
  area.nvPublic.dataSize = 8;
  const TPM2B_AUTH empty{};
  (void)Esys_TR_SetAuth(context.esys(), ESYS_TR_RH_OWNER, &empty);   // what ESYS still knows from closing is not for us
  ESYS_TR handle = kNone;
  const TSS2_RC defined = Esys_NV_DefineSpace(context.esys(), ESYS_TR_RH_OWNER, ESYS_TR_PASSWORD, kNone, kNone, &empty, &area, &handle);
  if (defined == TSS2_RC_SUCCESS) {
    const NvIndex index(context, handle);
    (void)Esys_NV_UndefineSpace(context.esys(), ESYS_TR_RH_OWNER, handle, ESYS_TR_PASSWORD, kNone, kNone);
    return fail(Errc::refused, "the owner hierarchy is open: an index could be defined with an empty password");
  }
  if (tpm_error(defined) != TPM2_RC_BAD_AUTH) return check(defined, Step::owner);
  const std::uint32_t permanent = TRY(property(device, TPM2_PT_PERMANENT));
  constexpr std::uint32_t kWanted =
      TPMA_PERMANENT_OWNERAUTHSET | TPMA_PERMANENT_ENDORSEMENTAUTHSET | TPMA_PERMANENT_LOCKOUTAUTHSET;
  if ((permanent & kWanted) != kWanted)
    return fail(Errc::refused, "a hierarchy of the TPM has no password; close it before the TPM is used");
  return {};
}

}  // namespace tpm
