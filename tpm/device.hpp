// The TPM, opened for the life of the program. One user at a time: there is no resource manager in between, and every
// stale session that an earlier program left behind is flushed when the device is opened.
// Errors: Errc::tpm for a TPM that is gone, broken or unsuitable (after "TPM not reachable" open it anew); see
// tpm/response_code.hpp for the wording.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "crypto/base/bytes.hpp"
#include "crypto/base/result.hpp"

namespace tpm {

using base::Bytes;
using base::ByteView;
using base::Result;

class Context;   // tpm/esys.hpp

class Device {  // keys and officers' functions use it; it must outlive them
 public:
  // tcti: where the TPM is, as tss2 writes it: "device:/dev/tpmrm0", "swtpm:path=/run/tpm.sock". Starts the TPM when
  // nobody has, refuses one that lacks what we need, and loads (or, on a new TPM, makes) the storage root key.
  static Result<std::unique_ptr<Device>> open(const std::string& tcti);
  static Result<std::unique_ptr<Device>> open(std::unique_ptr<Context> context);   // for tpm/ and its tests
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  // Name of the storage root key. Sessions are encrypted to it, which is worth nothing when an interposer chose
  // the key: a provisioned appliance knows the Name and holds it against this one.
  const Bytes& srk_name() const { return srk_name_; }
  Result<void> expect_srk(ByteView name) const;   // Errc::mismatch

  const std::string& manufacturer() const { return manufacturer_; }   // TPM_PT_MANUFACTURER: "IFX", "STM", "IBM"
  std::uint64_t firmware() const { return firmware_; }
  // Whether this is libtpms/swtpm or a simulator: development mode, to be shown wherever people look.
  bool is_software() const;
  // Milliseconds the TPM has been running: the clock that approvals expire by.
  Result<std::uint64_t> running_ms();
  // TPM2_ReadClock's clock: milliseconds that it had power in its life, or more when it was set forward. Never goes back.
  Result<std::uint64_t> clock_ms();
  // Sessions and objects that are loaded now, the storage root key not counted.
  Result<std::size_t> loaded();

  Context& context() { return *context_; }   // for tpm/ only

 private:
  explicit Device(std::unique_ptr<Context> context);
  std::unique_ptr<Context> context_;
  Bytes srk_name_;
  std::string manufacturer_;
  std::uint64_t firmware_ = 0;
};

}  // namespace tpm
