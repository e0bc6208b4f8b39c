#include "tpm/esys.hpp"

#include <dlfcn.h>
#include <fmt/format.h>
#include <tss2/tss2_tctildr.h>

#include <array>
#include <bit>
#include <cstdlib>

#include "crypto/base/byte_writer.hpp"

namespace tpm {

using base::Errc;
using base::fail;

Result<void> check(TSS2_RC code, Step step) {
  if (code == TSS2_RC_SUCCESS) return {};
  return tl::unexpected<base::Error>(explain(code, step));
}

namespace {

// At its higher levels the stack logs whole commands, authorisation values included: whoever sets the environment
// must not get at them, and this library must not print.
void silence() {
  setenv("TSS2_LOG", "all+none", 1);
  unsetenv("TSS2_LOGFILE");
}

// For every hash and HMAC of a session the stack makes a library context of OpenSSL's, and OpenSSL enters the names of all its old
// algorithms into each: that was half of the time that a signature took. OPENSSL_init_crypto(3) documents the switch against it,
// and the one against configuration files; it must come first. By name, because nothing of ours is linked with OpenSSL: where
// the stack uses another library there is nothing to switch.
void spare_openssl_its_old_names() {
  constexpr std::uint64_t kNoAddAllCiphers = 0x10;
  constexpr std::uint64_t kNoAddAllDigests = 0x20;
  constexpr std::uint64_t kNoLoadConfig = 0x80;
  using Init = int (*)(std::uint64_t options, const void* settings);
  if (void* const found = dlsym(RTLD_DEFAULT, "OPENSSL_init_crypto"); found != nullptr)
    (void)std::bit_cast<Init>(found)(kNoAddAllCiphers | kNoAddAllDigests | kNoLoadConfig, nullptr);
}

}  // namespace

Result<std::unique_ptr<Context>> Context::over(TSS2_TCTI_CONTEXT* transport) {
  silence();
  spare_openssl_its_old_names();
  auto context = std::unique_ptr<Context>(new Context);
  TRY(check(Esys_Initialize(&context->esys_, transport, nullptr), Step::open));
  return context;
}

Result<std::unique_ptr<Context>> Context::open(const std::string& tcti) {
  silence();
  TSS2_TCTI_CONTEXT* transport = nullptr;
  if (const TSS2_RC code = Tss2_TctiLdr_Initialize(tcti.c_str(), &transport); code != TSS2_RC_SUCCESS)
    return fail(Errc::tpm, fmt::format("TPM not reachable at {} (0x{:06x}); check that it is there", tcti, code));
  auto context = over(transport);
  if (context)
    (*context)->tcti_ = transport;
  else
    Tss2_TctiLdr_Finalize(&transport);
  return context;
}

Context::~Context() {
  if (esys_ != nullptr) Esys_Finalize(&esys_);
  if (tcti_ != nullptr) Tss2_TctiLdr_Finalize(&tcti_);
}

void Context::let_go(ESYS_TR handle) {
  const auto holder = holders_.find(handle);
  if (holder == holders_.end() || --holder->second != 0) return;   // forgotten, or somebody else still needs it
  holders_.erase(holder);
  (void)Esys_TR_Close(esys_, &handle);
}

namespace {

// TPM2_FlushContext without ESYS: once an answer was lost or altered, ESYS takes no command any more, not even this one. When it
// does not succeed either, the TPM is gone, and what was loaded with it; or the next Device::open() sees to it.
void flush_past(ESYS_CONTEXT* esys, TPM2_HANDLE handle) {
  TSS2_TCTI_CONTEXT* transport = nullptr;
  if (Esys_GetTcti(esys, &transport) != TSS2_RC_SUCCESS) return;
  const Bytes command = base::ByteWriter().u16be(TPM2_ST_NO_SESSIONS).u32be(14).u32be(TPM2_CC_FlushContext).u32be(handle).bytes();
  const TSS2_TCTI_CONTEXT_COMMON_V1& functions = functions_of(transport);
  if (functions.transmit(transport, command.size(), command.data()) != TSS2_RC_SUCCESS) return;
  std::array<std::uint8_t, TPM2_MAX_RESPONSE_SIZE> answer{};
  std::size_t size = answer.size();
  (void)functions.receive(transport, &size, answer.data(), TSS2_TCTI_TIMEOUT_BLOCK);
}

}  // namespace

Loaded::~Loaded() {
  if (handle_ == ESYS_TR_NONE) return;
  TPM2_HANDLE in_tpm = 0;
  const bool known = Esys_TR_GetTpmHandle(context_->esys(), handle_, &in_tpm) == TSS2_RC_SUCCESS;
  if (Esys_FlushContext(context_->esys(), handle_) == TSS2_RC_SUCCESS) return;
  if (known) flush_past(context_->esys(), in_tpm);
  Esys_TR_Close(context_->esys(), &handle_);
}

namespace {

Result<Loaded> session(Context& context, TPM2_SE type, Encrypt encrypt) {
  TPMT_SYM_DEF symmetric{};
  symmetric.algorithm = TPM2_ALG_AES;
  symmetric.keyBits.aes = 128;
  symmetric.mode.aes = TPM2_ALG_CFB;
  ESYS_TR handle = ESYS_TR_NONE;
  TRY(check(Esys_StartAuthSession(context.esys(), context.storage_root(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                  ESYS_TR_NONE, nullptr, type, &symmetric, TPM2_ALG_SHA256, &handle),
            Step::other));
  Loaded loaded(context, handle);
  const int decrypt = encrypt == Encrypt::first_parameter ? TPMA_SESSION_DECRYPT : 0;
  const auto attributes = static_cast<TPMA_SESSION>(TPMA_SESSION_CONTINUESESSION | decrypt);
  TRY(check(Esys_TRSess_SetAttributes(context.esys(), handle, attributes, 0xff), Step::other));
  return loaded;
}

}  // namespace

Result<Loaded> hmac_session(Context& context, Encrypt encrypt) { return session(context, TPM2_SE_HMAC, encrypt); }

Result<Loaded> policy_session(Context& context) { return session(context, TPM2_SE_POLICY, Encrypt::no); }

void overwrite_auth_in(Context& context, const Loaded& used, const Loaded& scratch) {
  const ESYS_TR root = context.storage_root();
  const Bytes filler(32, 'x');   // as long as any authorisation value
  const TPM2B_AUTH wrong = sized_from(filler, &TPM2B_AUTH::buffer);
  const TPM2B_AUTH none{};
  const TPM2B_NONCE no_nonce{};
  const TPM2B_DIGEST not_bound{};
  if (Esys_TR_SetAuth(context.esys(), root, &wrong) != TSS2_RC_SUCCESS) return;
  (void)Esys_PolicySecret(context.esys(), root, scratch.handle(), used.handle(), ESYS_TR_NONE, ESYS_TR_NONE, &no_nonce,
                          &not_bound, &no_nonce, 0, nullptr, nullptr);
  (void)Esys_TR_SetAuth(context.esys(), root, &none);
}

Result<void> restart(Context& context, const Loaded& session) {
  return check(Esys_PolicyRestart(context.esys(), session.handle(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE), Step::other);
}

Result<std::uint32_t> tpm_handle_of(Context& context, const Loaded& session) {
  TPM2_HANDLE handle = 0;
  TRY(check(Esys_TR_GetTpmHandle(context.esys(), session.handle(), &handle), Step::other));
  return std::uint32_t{handle};
}

Result<Bytes> nonce_of(Context& context, const Loaded& session) {
  const auto nonce = TRY(answer<TPM2B_NONCE>(
      Step::other, [&](TPM2B_NONCE** out) { return Esys_TRSess_GetNonceTPM(context.esys(), session.handle(), out); }));
  return base::to_bytes(bytes_of(*nonce));
}

Result<Bytes> policy_digest_of(Context& context, const Loaded& session) {
  const auto digest = TRY(answer<TPM2B_DIGEST>(Step::other, [&](TPM2B_DIGEST** out) {
    return Esys_PolicyGetDigest(context.esys(), session.handle(), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, out);
  }));
  return base::to_bytes(bytes_of(*digest));
}

Result<Bytes> name_of(Context& context, ESYS_TR handle) {
  const auto name = TRY(answer<TPM2B_NAME>(
      Step::other, [&](TPM2B_NAME** out) { return Esys_TR_GetName(context.esys(), handle, out); }));
  return base::to_bytes(bytes_of(*name));
}

Result<NvIndex> NvIndex::open(Context& context, std::uint32_t index) {
  ESYS_TR handle = ESYS_TR_NONE;
  TRY(base::within(fmt::format("index 0x{:08x}", index),
                   check(Esys_TR_FromTPMPublic(context.esys(), index, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &handle),
                         Step::nv)));
  return NvIndex(context, handle);
}

Result<NvIndex> NvIndex::open(Context& context, const attest::NvPublic& wanted) {
  NvIndex index = TRY(open(context, wanted.index));
  const Bytes name = TRY(name_of(context, index.handle()));
  if (name != attest::name_of(wanted))
    return fail(Errc::refused, fmt::format("index 0x{:08x} is not defined the way it must be; provisioning is incomplete, "
                                           "or somebody redefined it", wanted.index));
  return index;
}

Result<Bytes> read_index(Context& context, const attest::NvPublic& area) {
  const NvIndex index = TRY(NvIndex::open(context, area));
  const Loaded session = TRY(hmac_session(context));
  const auto data = TRY(answer<TPM2B_MAX_NV_BUFFER>(Step::nv, [&](TPM2B_MAX_NV_BUFFER** out) {
    return Esys_NV_Read(context.esys(), index.handle(), index.handle(), session.handle(), ESYS_TR_NONE, ESYS_TR_NONE,
                        area.size, 0, out);
  }));
  return base::to_bytes(bytes_of(*data));
}

Result<bool> is_defined(Context& context, const attest::NvPublic& area) {
  const Result<NvIndex> index = NvIndex::open(context, area);
  if (index) return true;
  if (index.error().code() == Errc::not_found) return false;
  return tl::unexpected<base::Error>(index.error());
}

NvIndex::~NvIndex() {
  if (handle_ != ESYS_TR_NONE) context_->let_go(handle_);
}

void NvIndex::forget() { context_->forget(std::exchange(handle_, ESYS_TR_NONE)); }

WithAuth::WithAuth(Context& context, const NvIndex& index, const base::SecretBytes& auth)
    : context_(context), index_(index) {
  const Auth value(auth);
  base::require(Esys_TR_SetAuth(context_.esys(), index_.handle(), value.get()) == TSS2_RC_SUCCESS,
                "ESYS did not take an authorisation value");
}

WithAuth::~WithAuth() {
  const TPM2B_AUTH none{};   // overwrites all of ESYS's buffer, not just its length
  (void)Esys_TR_SetAuth(context_.esys(), index_.handle(), &none);
}

Auth::~Auth() { base::wipe(auth_.buffer); }

}  // namespace tpm
