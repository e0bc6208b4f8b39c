#include "tpm/device.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "crypto/base/text.hpp"
#include "tpm/esys.hpp"
#include "tpm/key_objects.hpp"

namespace tpm {
namespace {

using base::Errc;
using base::fail;


Result<Owned<TPMS_CAPABILITY_DATA>> capability(Context& context, TPM2_CAP kind, std::uint32_t first, std::uint32_t count) {
  return answer<TPMS_CAPABILITY_DATA>(Step::open, [&](TPMS_CAPABILITY_DATA** out) {
    TPMI_YES_NO more = TPM2_NO;
    return Esys_GetCapability(context.esys(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, kind, first, count, &more, out);
  });
}

Result<std::vector<TPM2_HANDLE>> handles(Context& context, TPM2_HANDLE first) {
  const auto data = TRY(capability(context, TPM2_CAP_HANDLES, first, TPM2_MAX_CAP_HANDLES));
  const TPML_HANDLE& list = data->data.handles;
  const auto count = std::min<std::size_t>(list.count, TPM2_MAX_CAP_HANDLES);
  return std::vector<TPM2_HANDLE>(std::begin(list.handle), std::begin(list.handle) + count);
}

Result<std::uint32_t> property(Context& context, TPM2_PT wanted) {
  const auto data = TRY(capability(context, TPM2_CAP_TPM_PROPERTIES, wanted, 1));
  const TPML_TAGGED_TPM_PROPERTY& list = data->data.tpmProperties;
  if (list.count != 1 || list.tpmProperty[0].property != wanted)
    return fail(Errc::tpm, fmt::format("TPM does not say its property 0x{:x}", wanted));
  return UINT32{list.tpmProperty[0].value};
}

Result<void> start(Context& context) {
  const TSS2_RC code = Esys_Startup(context.esys(), TPM2_SU_CLEAR);
  if (tpm_error(code) == TPM2_RC_INITIALIZE) return {};   // started already
  return check(code, Step::open);
}

// A program that was killed leaves its sessions behind, and a chip has room for three.
Result<void> flush_stale(Context& context) {
  for (const TPM2_HANDLE first : {TPM2_LOADED_SESSION_FIRST, TPM2_TRANSIENT_FIRST}) {
    const auto left_behind = TRY(handles(context, first));
    for (const TPM2_HANDLE handle : left_behind) {
      ESYS_TR stale = ESYS_TR_NONE;
      TRY(check(Esys_TR_FromTPMPublic(context.esys(), handle, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &stale),
                Step::open));
      TRY(check(Esys_FlushContext(context.esys(), stale), Step::open));
    }
  }
  return {};
}

Result<void> expect_sha256_bank(Context& context) {
  const auto data = TRY(capability(context, TPM2_CAP_PCRS, 0, 1));
  const TPML_PCR_SELECTION& banks = data->data.assignedPCR;
  for (std::size_t i = 0; i < std::min<std::size_t>(banks.count, TPM2_NUM_PCR_BANKS); ++i) {
    const TPMS_PCR_SELECTION& bank = banks.pcrSelections[i];
    if (bank.hash == TPM2_ALG_SHA256 && bank.sizeofSelect >= 3 && bank.pcrSelect[0] == 0xff) return {};
  }
  return fail(Errc::tpm, "TPM has no SHA-256 PCR bank; allocate it in the firmware setup");
}

Result<void> expect_suitable(Context& context) {
  // PIN_FAIL indices and PolicyAuthorizeNV came with revision 1.38 of the library.
  const std::uint32_t revision = TRY(property(context, TPM2_PT_REVISION));
  if (revision < 138)
    return fail(Errc::tpm, fmt::format("TPM of library revision {}.{:02}; 1.38 or later wanted", revision / 100,
                                       revision % 100));
  const auto commands = TRY(capability(context, TPM2_CAP_COMMANDS, TPM2_CC_PolicyAuthorizeNV, 1));
  const TPML_CCA& list = commands->data.command;
  if (list.count != 1 || (list.commandAttributes[0] & TPMA_CC_COMMANDINDEX_MASK) != TPM2_CC_PolicyAuthorizeNV)
    return fail(Errc::tpm, "TPM has no PolicyAuthorizeNV; a TPM 2.0 of revision 1.38 or later wanted");
  TRY(expect_sha256_bank(context));
  const TPMT_PUBLIC_PARMS rsa = rsa3072_parameters();
  TRY(base::within("RSA-3072", check(Esys_TestParms(context.esys(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &rsa),
                                     Step::create_key)));
  return {};
}

Result<ESYS_TR> open_storage_root(Context& context) {
  const auto persistent = TRY(handles(context, kStorageRootHandle));
  if (persistent.empty() || persistent.front() != kStorageRootHandle) return create_storage_root(context, kStorageRootHandle);
  ESYS_TR handle = ESYS_TR_NONE;
  TRY(check(Esys_TR_FromTPMPublic(context.esys(), kStorageRootHandle, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &handle),
            Step::open));
  return handle;
}

}  // namespace

Device::Device(std::unique_ptr<Context> context) : context_(std::move(context)) {}
Device::~Device() = default;

Result<std::unique_ptr<Device>> Device::open(const std::string& tcti) {
  auto context = TRY(Context::open(tcti));
  return open(std::move(context));
}

Result<std::unique_ptr<Device>> Device::open(std::unique_ptr<Context> opened) {
  auto device = std::unique_ptr<Device>(new Device(std::move(opened)));
  Context& context = device->context();
  TRY(start(context));
  TRY(flush_stale(context));
  TRY(expect_suitable(context));
  const std::uint32_t maker = TRY(property(context, TPM2_PT_MANUFACTURER));
  for (unsigned shift = 32; shift > 0; shift -= 8) {
    const auto letter = static_cast<char>((maker >> (shift - 8)) & 0xff);
    if (letter > ' ' && letter <= '~') device->manufacturer_ += letter;
  }
  const std::uint64_t high = TRY(property(context, TPM2_PT_FIRMWARE_VERSION_1));
  const std::uint64_t low = TRY(property(context, TPM2_PT_FIRMWARE_VERSION_2));
  device->firmware_ = high << 32 | low;
  const ESYS_TR root = TRY(open_storage_root(context));
  context.set_storage_root(root);
  TRY(base::within("persistent key 0x81000001", expect_storage_root(context, root)));
  device->srk_name_ = TRY(name_of(context, root));
  return device;
}

Result<void> Device::expect_srk(ByteView name) const {
  if (std::equal(name.begin(), name.end(), srk_name_.begin(), srk_name_.end())) return {};
  return fail(Errc::mismatch, fmt::format("storage root key of the TPM is {}, {} wanted; this is not the TPM that was "
                                          "provisioned, or somebody sits on its bus", base::hex(srk_name_),
                                          base::hex(name)));
}

bool Device::is_software() const {
  // swtpm's libtpms and the reference simulators; a chip has its maker's name of the TCG Vendor ID Registry.
  constexpr std::array kSoftware = {"IBM", "MSFT", "XCG"};
  return std::find(kSoftware.begin(), kSoftware.end(), manufacturer_) != kSoftware.end();
}

Result<std::uint64_t> Device::running_ms() {
  const auto now = TRY(answer<TPMS_TIME_INFO>(Step::other, [&](TPMS_TIME_INFO** out) {
    return Esys_ReadClock(context_->esys(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, out);
  }));
  return UINT64{now->time};
}

Result<std::uint64_t> Device::clock_ms() {
  const auto now = TRY(answer<TPMS_TIME_INFO>(Step::other, [&](TPMS_TIME_INFO** out) {
    return Esys_ReadClock(context_->esys(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, out);
  }));
  return UINT64{now->clockInfo.clock};
}

Result<std::size_t> Device::loaded() {
  const auto sessions = TRY(handles(*context_, TPM2_LOADED_SESSION_FIRST));
  const auto objects = TRY(handles(*context_, TPM2_TRANSIENT_FIRST));
  return sessions.size() + objects.size();
}

}  // namespace tpm
