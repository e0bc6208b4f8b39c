// ESYS of tpm2-tss, wrapped once: a context, sessions and objects that flush themselves, and errors as values. Internal to
// tpm/: nothing outside includes it, but for the tests that drive the TPM step by step.
// Sessions are salted with the storage root key, so that an interposer on the bus can neither read a PIN nor change a
// command. Parameter encryption only where a new authorisation value crosses: a cpHash covers the bytes as sent, so a
// session that a cpHash binds must leave it clear.
#pragma once

#include <tss2/tss2_esys.h>

#include <array>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "crypto/attest/names.hpp"
#include "crypto/base/bytes.hpp"
#include "crypto/base/result.hpp"
#include "crypto/base/secret_bytes.hpp"
#include "tpm/response_code.hpp"

namespace tpm {

using base::Bytes;
using base::ByteView;
using base::Result;

inline constexpr ESYS_TR kNone = ESYS_TR_NONE;   // no session, no handle

// Success, or what the code means at that step.
Result<void> check(TSS2_RC code, Step step);

struct EsysFree {
  void operator()(void* memory) const { Esys_Free(memory); }
};
template <class T>
using Owned = std::unique_ptr<T, EsysFree>;   // what ESYS allocated

// A call with one ESYS-allocated answer: call(T**) returns a TSS2_RC.
template <class T, class Call>
Result<Owned<T>> answer(Step step, Call call) {
  T* raw = nullptr;
  const TSS2_RC code = call(&raw);
  Owned<T> owned(raw);
  TRY(check(code, step));
  return owned;
}

// A TPM2B_… with these bytes. They must fit: sizes from outside are checked before.
template <class Sized, std::size_t N>
Sized sized_from(ByteView bytes, BYTE (Sized::*buffer)[N]) {
  base::require(bytes.size() <= N, "too many bytes for a TPM structure");
  Sized sized{};
  sized.size = static_cast<UINT16>(bytes.size());
  if (!bytes.empty()) std::memcpy(sized.*buffer, bytes.data(), bytes.size());
  return sized;
}
inline TPM2B_DIGEST to_digest(ByteView bytes) { return sized_from(bytes, &TPM2B_DIGEST::buffer); }
inline TPM2B_NAME to_name(ByteView bytes) { return sized_from(bytes, &TPM2B_NAME::name); }
inline TPM2B_MAX_NV_BUFFER to_nv_buffer(ByteView bytes) { return sized_from(bytes, &TPM2B_MAX_NV_BUFFER::buffer); }

// The bytes of a TPM2B_….
template <class Sized>
ByteView bytes_of(const Sized& sized) {
  if constexpr (requires { sized.name; })
    return ByteView(sized.name).first(sized.size);
  else
    return ByteView(sized.buffer).first(sized.size);
}

// What every transport begins with; the macros of tss2_tcti.h cast in the old style.
inline const TSS2_TCTI_CONTEXT_COMMON_V1& functions_of(TSS2_TCTI_CONTEXT* transport) {
  return *reinterpret_cast<const TSS2_TCTI_CONTEXT_COMMON_V1*>(transport);
}

class Context {  // one connection to one TPM
 public:
  static Result<std::unique_ptr<Context>> open(const std::string& tcti);
  // Over a transport that the caller keeps and that must outlive the context: the tests' own, which misbehave on demand.
  static Result<std::unique_ptr<Context>> over(TSS2_TCTI_CONTEXT* transport);
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  ESYS_CONTEXT* esys() { return esys_; }
  ESYS_TR storage_root() const { return storage_root_; }
  void set_storage_root(ESYS_TR handle) { storage_root_ = handle; }

  // ESYS has one handle for one index or persistent key, however often it is opened, and closing it closes it for all: whoever
  // holds one counts itself in, and the last one out closes it.
  void hold(ESYS_TR handle) { ++holders_[handle]; }
  void let_go(ESYS_TR handle);
  void forget(ESYS_TR handle) { holders_.erase(handle); }   // ESYS has closed it itself

 private:
  Context() = default;
  std::map<ESYS_TR, unsigned> holders_;
  TSS2_TCTI_CONTEXT* tcti_ = nullptr;   // when it is ours
  ESYS_CONTEXT* esys_ = nullptr;
  ESYS_TR storage_root_ = ESYS_TR_NONE;
};

class Loaded {  // a transient object or session, flushed when it goes; move-only; the context must outlive it
 public:
  Loaded(Context& context, ESYS_TR handle) : context_(&context), handle_(handle) {}
  Loaded(Loaded&& other) noexcept
      : context_(other.context_), handle_(std::exchange(other.handle_, ESYS_TR_NONE)) {}
  Loaded& operator=(Loaded&& other) noexcept {
    std::swap(context_, other.context_);
    std::swap(handle_, other.handle_);
    return *this;
  }
  Loaded(const Loaded&) = delete;
  Loaded& operator=(const Loaded&) = delete;
  ~Loaded();
  ESYS_TR handle() const { return handle_; }

 private:
  Context* context_;
  ESYS_TR handle_;
};

enum class Encrypt : bool { no, first_parameter };
// A salted HMAC session that stays until it is flushed.
Result<Loaded> hmac_session(Context& context, Encrypt encrypt = Encrypt::no);
Result<Loaded> policy_session(Context& context);   // salted too
// The session, fresh again: nothing satisfied, nothing bound.
Result<void> restart(Context& context, const Loaded& session);
// The handle that the TPM knows it by.
Result<std::uint32_t> tpm_handle_of(Context& context, const Loaded& session);
Result<Bytes> nonce_of(Context& context, const Loaded& session);
Result<Bytes> policy_digest_of(Context& context, const Loaded& session);
Result<Bytes> name_of(Context& context, ESYS_TR handle);

// ESYS keeps the authorisation value that a session was last used with, and frees it without wiping. This has the
// copy overwritten, by a command with a wrong value for an entity that does not count tries: the storage root key.
// scratch: a policy session of no further use.
void overwrite_auth_in(Context& context, const Loaded& used, const Loaded& scratch);

class NvIndex {  // what ESYS knows of an NV index (or persistent key); nothing in the TPM to flush; move-only
 public:
  static Result<NvIndex> open(Context& context, std::uint32_t index);   // Errc::not_found
  // As above, and its Name is the wanted public area's: Errc::refused otherwise.
  static Result<NvIndex> open(Context& context, const attest::NvPublic& wanted);
  NvIndex(Context& context, ESYS_TR handle) : context_(&context), handle_(handle) { context.hold(handle); }
  NvIndex(NvIndex&& other) noexcept
      : context_(other.context_), handle_(std::exchange(other.handle_, ESYS_TR_NONE)) {}
  NvIndex& operator=(NvIndex&&) = delete;
  ~NvIndex();
  ESYS_TR handle() const { return handle_; }
  void forget();   // it was undefined, and ESYS has closed the handle

 private:
  Context* context_;
  ESYS_TR handle_;
};

// All of an index that anybody may read (AUTHREAD with an empty value). Read in a salted session, so that nobody on the
// bus can change the answer unseen.
Result<Bytes> read_index(Context& context, const attest::NvPublic& area);
// Whether there is such an index; its Name is the wanted area's or Errc::refused.
Result<bool> is_defined(Context& context, const attest::NvPublic& area);

class WithAuth {  // gives ESYS an authorisation value for an index, and takes it away again; all three must outlive it
 public:
  WithAuth(Context& context, const NvIndex& index, const base::SecretBytes& auth);
  WithAuth(const WithAuth&) = delete;
  WithAuth& operator=(const WithAuth&) = delete;
  ~WithAuth();

 private:
  Context& context_;
  const NvIndex& index_;
};

// A TPM2B_AUTH that wipes itself.
class Auth {
 public:
  explicit Auth(const base::SecretBytes& value) : auth_(sized_from(value.reveal(), &TPM2B_AUTH::buffer)) {}
  Auth(const Auth&) = delete;
  Auth& operator=(const Auth&) = delete;
  ~Auth();
  const TPM2B_AUTH* get() const { return &auth_; }

 private:
  TPM2B_AUTH auth_;
};

}  // namespace tpm
